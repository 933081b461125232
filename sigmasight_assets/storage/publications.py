"""The ledger of publications: who may publish, which generation it is, what each session holds.

A publication is one transaction that takes the layer's lock, writes rows and records itself here; readers see all of
it or nothing.
"""

import json
from dataclasses import dataclass
from datetime import date
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on

from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.ledger_tables import publications

Layer = Literal["symbol", "portfolio"]
CHANNEL = "sigmasight_generation"
SYMBOL_PRODUCTS = (
    "market_beta",
    "ir_beta",
    "ridge_factors",
    "spread_factors",
    "factor_covariances",
    "symbol_daily_metrics",
)
# Advisory lock numbers: one writer per layer at a time, one generation at a time.
LOCKS = {"prices": 7001, "symbol": 7002, "portfolio": 7003, "generation": 7004}


@dataclass(frozen=True, slots=True)
class Publication:
    """What one session gained: rows that are new or changed, and the counts shown to operators."""

    session: date
    products: tuple[str, ...]
    rows_written: int
    coverage: float | None
    counts: dict[str, int]


def lock_layer(
    transaction: BulkTransaction, layer: Literal["prices", "symbol", "portfolio"], *, shared: bool = False
) -> None:
    """Wait until no other transaction writes this layer; released at the end of the transaction.

    A ``shared`` lock keeps writers out and lets other readers in.
    """
    function = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
    transaction.read(f"SELECT {function}({LOCKS[layer]})::text AS locked")


def next_generation(transaction: BulkTransaction) -> int:
    """Take the next global generation; others wait until this transaction ends."""
    transaction.read(f"SELECT pg_advisory_xact_lock({LOCKS['generation']})::text AS locked")
    return newest_generation(transaction) + 1


def newest_generation(transaction: BulkTransaction) -> int:
    """The generation of the newest publication, 0 before the first."""
    newest = transaction.read("SELECT coalesce(max(generation), 0) AS generation FROM publications")
    return int(newest["generation"][0].as_py())


def record_publications(
    transaction: BulkTransaction, generation: int, layer: Layer, items: list[Publication], *, run_id: str
) -> None:
    """Write the ledger rows of this transaction and tell listeners once it commits."""
    for item in items:
        transaction.execute(
            "INSERT INTO publications (generation, layer, session, products, rows_written, coverage, counts, run_id) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, $8)",
            (
                generation,
                layer,
                item.session,
                list(item.products),
                item.rows_written,
                item.coverage,
                json.dumps(item.counts),
                run_id,
            ),
        )
    transaction.read(f"SELECT pg_notify('{CHANNEL}', '{generation}')::text AS sent")


def read_symbol_generations(connection: sa.Connection, *, since: date | None = None) -> dict[date, int]:
    """Sessions whose every symbol product is published, with the newest generation that touched them."""
    product = sa.func.unnest(publications.c.products).label("product")
    rows = sa.select(publications.c.session, publications.c.generation, product).where(publications.c.layer == "symbol")
    if since is not None:
        rows = rows.where(publications.c.session >= since)
    each = rows.subquery()
    complete = (
        sa.select(each.c.session, sa.func.max(each.c.generation).label("newest"))
        .group_by(each.c.session)
        .having(sa.func.count(sa.distinct(each.c.product)) == len(SYMBOL_PRODUCTS))
        .order_by(each.c.session)
    )
    return {row.session: row.newest for row in connection.execute(complete)}


def read_products(transaction: BulkTransaction, layer: Layer) -> dict[date, set[str]]:
    """The products ever published, by session."""
    rows = transaction.read(
        "SELECT DISTINCT session, unnest(products) AS product FROM publications WHERE layer = $1", (layer,)
    )
    products: dict[date, set[str]] = {}
    for session, product in zip(rows.column("session").to_pylist(), rows.column("product").to_pylist(), strict=True):
        products.setdefault(session, set()).add(product)
    return products


def read_newest_coverage(transaction: BulkTransaction) -> dict[date, float | None]:
    """What the newest symbol publication of each session says of its coverage."""
    rows = transaction.read(
        "SELECT DISTINCT ON (session) session, coverage FROM publications WHERE layer = 'symbol' "
        "ORDER BY session, generation DESC"
    )
    return dict(zip(rows.column("session").to_pylist(), rows.column("coverage").to_pylist(), strict=True))


def read_coverage(connection: sa.Connection) -> dict[date, float]:
    """Share of active symbols with a bar, by session, as of the newest symbol publication."""
    newest = (
        sa.select(publications.c.session, publications.c.coverage)
        .ext(distinct_on(publications.c.session))
        .where(publications.c.layer == "symbol")
        .order_by(publications.c.session, publications.c.generation.desc())
    )
    return {row.session: row.coverage for row in connection.execute(newest)}
