"""Marks of symbols whose published figures await recomputation, because facts they were computed from changed.

The price update sets them in the transaction that changes the facts; the publication that recomputes clears them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.ledger_tables import publications
from sigmasight_assets.storage.tables import figure_invalidations, symbol_daily_metrics, symbol_universe

MARK_SCHEMA = pa.schema(
    [
        ("symbol", pa.string()),
        ("first_session", pa.date32()),
        ("last_session", pa.date32()),
        ("has_new_returns", pa.bool_()),
        ("actions_from", pa.date32()),
    ]
)
MARK_COLUMNS = {
    "symbol": "text",
    "first_session": "date",
    "last_session": "date",
    "has_new_returns": "boolean",
    "actions_from": "date",
}
# The time is the clock's, not the transaction's: a mark set anew never has the time of one that was read before.
MARK = """
INSERT INTO figure_invalidations AS known
    (symbol, first_session, last_session, has_new_returns, actions_from, run_id, marked_at)
SELECT symbol, first_session, last_session, has_new_returns, actions_from, $1, clock_timestamp() FROM {marks}
ON CONFLICT (symbol) DO UPDATE
SET first_session = least(known.first_session, excluded.first_session),
    last_session = greatest(known.last_session, excluded.last_session),
    has_new_returns = known.has_new_returns OR excluded.has_new_returns,
    actions_from = least(known.actions_from, excluded.actions_from),
    run_id = excluded.run_id, marked_at = excluded.marked_at
"""


@dataclass(frozen=True, slots=True)
class Invalidation:
    """What changed of one symbol: the first and last session whose bar or corporate action differs.

    ``has_new_returns`` tells whether a return changed, ``actions_from`` the first ex-date of an action that is new,
    changed or gone.
    """

    symbol: str
    first_session: date
    last_session: date
    has_new_returns: bool
    actions_from: date | None
    marked_at: datetime


def newest_published_session(transaction: BulkTransaction) -> date | None:
    """The newest session with published symbol figures: facts of later ones invalidate nothing."""
    rows = transaction.read("SELECT max(session) AS newest FROM publications WHERE layer = 'symbol'")
    newest: date | None = rows["newest"][0].as_py()
    return newest


def mark_invalid(transaction: BulkTransaction, marks: pa.Table, *, run_id: str) -> None:
    """Mark symbols, rows in ``MARK_SCHEMA`` with each symbol once; a symbol marked already is marked for both."""
    if marks.num_rows:
        with transaction.scratch_table("new_marks", MARK_COLUMNS, marks.cast(MARK_SCHEMA)) as scratch:
            transaction.execute(MARK.format(marks=scratch), (run_id,))


def mark_bar_invalid(
    connection: sa.Connection, symbol: str, session: date, *, has_new_returns: bool, run_id: str
) -> bool:
    """Mark one symbol because of one bar, unless the session is later than all published ones; whether it is marked."""
    newest = sa.select(sa.func.max(publications.c.session)).where(publications.c.layer == "symbol")
    published_until = connection.execute(newest).scalar_one()
    if published_until is None or session > published_until:
        return False
    row = {"symbol": symbol, "first_session": session, "last_session": session, "has_new_returns": has_new_returns}
    statement = insert(figure_invalidations).values(**row, run_id=run_id, marked_at=sa.func.clock_timestamp())
    known, given = figure_invalidations.c, statement.excluded
    both = {
        "first_session": sa.func.least(known.first_session, given.first_session),
        "last_session": sa.func.greatest(known.last_session, given.last_session),
        "has_new_returns": sa.or_(known.has_new_returns, given.has_new_returns),
        "run_id": given.run_id,
        "marked_at": given.marked_at,
    }
    connection.execute(statement.on_conflict_do_update(index_elements=["symbol"], set_=both))
    return True


def read_invalidations(transaction: BulkTransaction) -> list[Invalidation]:
    """The marks in force, by symbol."""
    columns = ", ".join(Invalidation.__dataclass_fields__)
    rows = transaction.read(f"SELECT {columns} FROM figure_invalidations ORDER BY symbol")
    return [Invalidation(**row) for row in rows.to_pylist()]


def read_marked_symbols(connection: sa.Connection) -> dict[str, datetime]:
    """The symbols with a mark, and since when."""
    marks = figure_invalidations.c
    query = sa.select(marks.symbol, marks.marked_at).order_by(marks.symbol)
    return {row.symbol: row.marked_at for row in connection.execute(query)}


def read_outdated_symbols(connection: sa.Connection) -> dict[str, date]:
    """The marked symbols that have published figures, and the first session from which these may be outdated."""
    newest = sa.select(sa.func.max(publications.c.session)).where(publications.c.layer == "symbol").scalar_subquery()
    marks, metrics = figure_invalidations.c, symbol_daily_metrics.c
    query = (
        sa.select(marks.symbol, marks.first_session)
        .join_from(figure_invalidations, symbol_universe, symbol_universe.c.symbol == marks.symbol, isouter=True)
        .where(
            sa.or_(
                symbol_universe.c.last_factor_date.is_not(None),
                sa.exists().where(metrics.symbol == marks.symbol, metrics.metrics_date == newest),
            )
        )
        .order_by(marks.symbol)
    )
    return {row.symbol: row.first_session for row in connection.execute(query)}


def clear_invalidations(transaction: BulkTransaction, items: Sequence[Invalidation]) -> None:
    """Remove marks as they were read; a symbol marked again since then keeps its mark."""
    if not items:
        return
    done = pa.table(
        {
            "symbol": pa.array([item.symbol for item in items], pa.string()),
            "marked_at": pa.array([item.marked_at for item in items], pa.timestamp("us", "UTC")),
        }
    )
    with transaction.scratch_table("cleared_marks", {"symbol": "text", "marked_at": "timestamptz"}, done) as scratch:
        transaction.execute(
            f"DELETE FROM figure_invalidations AS mark USING {scratch} AS done "
            "WHERE (mark.symbol, mark.marked_at) = (done.symbol, done.marked_at)"
        )
