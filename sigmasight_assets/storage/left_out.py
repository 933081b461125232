"""Portfolios that are left out of snapshots because their amounts have become too large to be exact.

From the session on at which that happens they have none, until they are computed from there again: after any edit, or
when a price that they rest on is stated otherwise.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import pyarrow as pa
import sqlalchemy as sa

from sigmasight_assets.quant.arrays import IntArray
from sigmasight_assets.storage.book_tables import portfolios, users
from sigmasight_assets.storage.bulk import BulkTransaction

TABLES = ("portfolio_snapshots", "portfolio_lot_values", "portfolio_exposures", "option_expiries")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A portfolio that is left out, as its owner knows it, and the first session that it has no snapshot of."""

    public_id: UUID
    owner: str
    name: str
    first: date


def leave_out(transaction: BulkTransaction, versions: Mapping[int, int], *, first: date) -> dict[date, int]:
    """Leave portfolios out from the session ``first`` on, with the snapshots they had; how many, by session.

    Those that are left out from an earlier one stay so. ``versions`` are those of the books that were judged: a
    portfolio that was edited meanwhile is not left out, but waits to be computed from there.
    """
    removed = transaction.read(
        "SELECT session, count(*) AS snapshots FROM portfolio_snapshots "
        "WHERE portfolio_id = ANY($1::bigint[]) AND session >= $2::date GROUP BY session ORDER BY session",
        (list(versions), first),
    ).to_pylist()
    judged = pa.table({"portfolio_id": list(versions), "version": list(versions.values())})
    columns = {"portfolio_id": "bigint", "version": "bigint"}
    with transaction.scratch_table("judged_books", columns, judged):
        for table in TABLES:
            transaction.execute(
                f"DELETE FROM {table} AS published USING judged_books AS judged "
                "WHERE published.portfolio_id = judged.portfolio_id AND session >= $1::date",
                (first,),
            )
        transaction.execute(
            "UPDATE portfolios SET "
            "left_out_from = CASE WHEN book_version = version THEN least(left_out_from, $1::date) END, "
            "stale_from = CASE WHEN book_version <> version THEN greatest(least(stale_from, $1::date), as_of) END "
            "FROM judged_books AS judged WHERE portfolios.portfolio_id = judged.portfolio_id",
            (first,),
        )
    return {row["session"]: row["snapshots"] for row in removed}


def try_again(
    transaction: BulkTransaction, only: IntArray | None, *, until: date, without: Collection[int] = ()
) -> None:
    """Have portfolios that are left out from a session up to ``until`` on computed from there by the next run.

    Of them those in ``only``, all with None, but for those ``without``.
    """
    rows = transaction.read("SELECT portfolio_id FROM portfolios WHERE left_out_from <= $1::date", (until,))
    wanted = set(rows.column("portfolio_id").to_pylist()).difference(without)
    if only is not None:
        wanted.intersection_update(only.tolist())
    for portfolio_id in sorted(wanted):
        transaction.execute(
            "UPDATE portfolios SET stale_from = greatest(least(stale_from, left_out_from), as_of), "
            "left_out_from = NULL WHERE portfolio_id = $1",
            (portfolio_id,),
        )


def take_back(transaction: BulkTransaction, computed: str, *, last: date) -> None:
    """Portfolios in the scratch table ``computed`` have their snapshots up to the session ``last`` after all."""
    transaction.execute(
        f"UPDATE portfolios SET left_out_from = NULL FROM {computed} AS computed "
        "WHERE portfolios.portfolio_id = computed.portfolio_id AND left_out_from <= $1::date",
        (last,),
    )


def read_left_out_in_bulk(transaction: BulkTransaction, *, last: date) -> dict[int, date]:
    """The portfolios that have no snapshot of the session ``last``, with the first session that is missing."""
    rows = transaction.read(
        "SELECT portfolio_id, left_out_from FROM portfolios WHERE left_out_from <= $1::date ORDER BY portfolio_id",
        (last,),
    )
    return {row["portfolio_id"]: row["left_out_from"] for row in rows.to_pylist()}


def read_left_out(connection: sa.Connection) -> dict[int, date]:
    """The portfolios that are left out, with the first session that is missing."""
    columns = portfolios.c.portfolio_id, portfolios.c.left_out_from
    query = sa.select(*columns).where(portfolios.c.left_out_from.is_not(None)).order_by(columns[0])
    return {row.portfolio_id: row.left_out_from for row in connection.execute(query)}


def read_named_left_out(connection: sa.Connection, *, most: int) -> tuple[list[LeftOut], int]:
    """The ``most`` portfolios that have been left out for longest, and how many there are in all."""
    left_out = portfolios.c.left_out_from.is_not(None)
    columns = (portfolios.c.public_id, users.c.name.label("owner"), portfolios.c.name, portfolios.c.left_out_from)
    query = sa.select(*columns).join_from(portfolios, users).where(left_out)
    rows = connection.execute(query.order_by(portfolios.c.left_out_from, portfolios.c.portfolio_id).limit(most))
    total = connection.execute(sa.select(sa.func.count()).select_from(portfolios).where(left_out)).scalar_one()
    return [LeftOut(*row) for row in rows], int(total)
