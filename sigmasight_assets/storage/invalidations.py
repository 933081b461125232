"""Marks of symbols whose published figures await recomputation, because facts they were computed from changed.

The price update sets them in the transaction that changes the facts; the publication that recomputes clears them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa

from sigmasight_assets.storage.bulk import BulkTransaction

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


def read_invalidations(transaction: BulkTransaction) -> list[Invalidation]:
    """The marks in force, by symbol."""
    columns = ", ".join(Invalidation.__dataclass_fields__)
    rows = transaction.read(f"SELECT {columns} FROM figure_invalidations ORDER BY symbol")
    return [Invalidation(**row) for row in rows.to_pylist()]


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
