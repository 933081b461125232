"""The ledger of publications: who may publish, which generation it is, what each session holds.

A publication is one transaction that takes the layer's lock, writes rows and records itself here; readers see all of
it or nothing.

Locks are per layer and last as long as the transaction, which holds one slice of sessions of a range. So no two
transactions of a layer interleave, whichever runs they are of, and who comes to a layer waits for the slice that is in
flight; PostgreSQL serves those that wait in the order they came, and runs that take precedence (``precedence``) wait
for one slice in all. Locks per session would gain nothing: a slice reads prices of hundreds of sessions before its
own, and publications are numbered one by one.

Whoever takes several takes them in the order portfolio, symbol, prices, generation, so no two wait for each other:

| transaction | portfolio | symbol | prices | generation |
| --- | --- | --- | --- | --- |
| a slice of snapshots | alone | shared | | alone |
| a slice of symbol products, marked symbols | | alone | alone | alone |
| prices, profiles, the universe, decisions on bars | | | alone | |
| a date leaves or enters the calendar | alone | alone | alone | |

Rows that several of them change, of the universe and of marks, are changed under the lock of the prices only.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on

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
    """What one session gained: rows that are new or changed, and the counts shown to operators.

    ``symbols`` are those whose figures in force at the session, or corporate actions, differ from what readers have
    seen of it; None when these may be any, as at the first publication of a session.
    """

    session: date
    products: tuple[str, ...]
    rows_written: int
    coverage: float | None
    counts: dict[str, int]
    symbols: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class PublishedSession:
    """The newest symbol publication of a session, and all the products that it and earlier ones have published."""

    generation: int
    published_at: datetime
    products: frozenset[str]

    @property
    def is_complete(self) -> bool:
        """Whether every symbol product is published."""
        return self.products.issuperset(SYMBOL_PRODUCTS)


# A session gains rows for ever, and this is read every few seconds: one look-up per session, not one scan of all rows.
# The newest publication nearly always names every product; only where it does not are the earlier ones looked at.
PUBLISHED_SESSIONS = sa.text("""
WITH RECURSIVE days AS (
    SELECT min(session) AS session FROM publications WHERE layer = 'symbol' AND session >= :since
    UNION ALL
    SELECT (SELECT min(session) FROM publications WHERE layer = 'symbol' AND session > days.session)
    FROM days WHERE session IS NOT NULL
)
SELECT days.session, newest.generation, newest.published_at,
    CASE WHEN newest.products @> CAST(:all AS text[]) THEN newest.products ELSE (
        SELECT array_agg(DISTINCT product) FROM publications AS any_of, unnest(any_of.products) AS product
        WHERE any_of.layer = 'symbol' AND any_of.session = days.session
    ) END AS products
FROM days CROSS JOIN LATERAL (
    SELECT generation, published_at, products FROM publications AS own
    WHERE own.layer = 'symbol' AND own.session = days.session ORDER BY generation DESC LIMIT 1
) AS newest
WHERE days.session IS NOT NULL
ORDER BY days.session
""")


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
            "INSERT INTO publications "
            "(generation, layer, session, products, rows_written, coverage, counts, symbols, run_id) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, $8, $9)",
            (
                generation,
                layer,
                item.session,
                list(item.products),
                item.rows_written,
                item.coverage,
                json.dumps(item.counts),
                None if item.symbols is None else list(item.symbols),
                run_id,
            ),
        )
    transaction.read(f"SELECT pg_notify('{CHANNEL}', '{generation}')::text AS sent")


def read_symbol_generations(connection: sa.Connection, *, since: date | None = None) -> dict[date, int]:
    """Sessions whose every symbol product is published, with the newest generation that touched them."""
    published = read_published_sessions(connection, since=since)
    return {day: item.generation for day, item in published.items() if item.is_complete}


def read_published_sessions(connection: sa.Connection, *, since: date | None = None) -> dict[date, PublishedSession]:
    """What each session with a symbol publication holds, oldest session first."""
    rows = connection.execute(PUBLISHED_SESSIONS, {"since": since or date.min, "all": list(SYMBOL_PRODUCTS)})
    return {row.session: PublishedSession(row.generation, row.published_at, frozenset(row.products)) for row in rows}


def read_newest_mark(connection: sa.Connection) -> tuple[int, datetime] | None:
    """Generation and time of the newest publication of either layer; another one after any publication."""
    newest = sa.select(publications.c.generation, publications.c.published_at)
    row = connection.execute(newest.order_by(publications.c.generation.desc()).limit(1)).one_or_none()
    return None if row is None else (row.generation, row.published_at)


def read_newest_portfolio_generation(connection: sa.Connection) -> int:
    """The newest generation that published snapshots, 0 before the first."""
    # One without products is that of slices under way.
    newest = sa.select(publications.c.generation).where(
        publications.c.layer == "portfolio", sa.func.cardinality(publications.c.products) > 0
    )
    generation: int | None = connection.execute(newest.order_by(publications.c.generation.desc()).limit(1)).scalar()
    return generation or 0


def complete_sessions(products: Mapping[date, Iterable[str]]) -> set[date]:
    """The sessions whose every symbol product is published, given the products that each has published."""
    return {day for day, names in products.items() if set(SYMBOL_PRODUCTS) <= set(names)}


def read_changed_symbols(connection: sa.Connection, consumed: Mapping[date, int]) -> dict[date, set[str] | None]:
    """The symbols that publications after the ``consumed`` generations name, by session; None where it may be any.

    Sessions without such a publication are left out.
    """
    columns = (sa.cast(list(consumed), ARRAY(sa.Date)), sa.cast(list(consumed.values()), ARRAY(sa.BigInteger)))
    known = sa.func.unnest(*columns).table_valued("session", "generation").render_derived("known")
    newer = sa.and_(
        publications.c.layer == "symbol",
        publications.c.session == known.c.session,
        publications.c.generation > known.c.generation,
    )
    changed: dict[date, set[str] | None] = {}
    query = sa.select(publications.c.session, publications.c.symbols).join_from(publications, known, newer)
    for day, symbols in connection.execute(query):
        earlier = changed.setdefault(day, set())
        changed[day] = None if earlier is None or symbols is None else earlier.union(symbols)
    return changed


def read_products(transaction: BulkTransaction, layer: Layer) -> dict[date, set[str]]:
    """The products ever published, by session."""
    rows = transaction.read(
        "SELECT session, products FROM publications WHERE layer = $1 GROUP BY session, products", (layer,)
    )
    products: dict[date, set[str]] = {}
    for session, names in zip(rows.column("session").to_pylist(), rows.column("products").to_pylist(), strict=True):
        products.setdefault(session, set()).update(names)
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


def read_newest_sessions(connection: sa.Connection, layer: Layer) -> dict[str, date]:
    """The newest published session of each product of a layer."""
    product = sa.func.unnest(publications.c.products).label("product")
    rows = sa.select(publications.c.session, product).where(publications.c.layer == layer).subquery()
    newest = sa.select(rows.c.product, sa.func.max(rows.c.session).label("session")).group_by(rows.c.product)
    return {row.product: row.session for row in connection.execute(newest)}
