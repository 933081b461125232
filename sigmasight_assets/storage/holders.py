"""Which portfolios hold certain symbols at certain sessions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from sigmasight_assets.quant.arrays import IntArray
from sigmasight_assets.storage.bulk import BulkTransaction, numpy_column
from sigmasight_assets.storage.snapshot_parts import Slice, condition_of

WINDOW_COLUMNS = {"symbol": "text", "after": "date", "until": "date", "begun_by": "date"}
WINDOW_SCHEMA = pa.schema([("symbol", pa.string()), *((name, pa.date32()) for name in ("after", "until", "begun_by"))])
# A PRIVATE lot may bear a ticker for a name.
HELD = """
positions JOIN portfolios USING (portfolio_id) JOIN {windows} AS held USING (symbol)
WHERE investment_class <> 'PRIVATE' AND entry_date <= held.until AND as_of <= held.begun_by
  AND (exit_date IS NULL OR held.after IS NULL OR exit_date > held.after)
"""


@dataclass(frozen=True, slots=True)
class HeldWindow:
    """Lots of a symbol entered by ``until`` and not closed by ``after`` (None: closed whenever), in portfolios that
    begin by ``begun_by`` (None: by ``until``).
    """

    symbol: str
    after: date | None
    until: date
    begun_by: date | None = None


def find_holders(transaction: BulkTransaction, windows: Sequence[HeldWindow]) -> IntArray:
    """The portfolios with a PUBLIC or OPTIONS lot in any of the windows, ascending."""
    with transaction.scratch_table("held_windows", WINDOW_COLUMNS, _table(windows)) as scratch:
        held = HELD.format(windows=scratch)
        rows = transaction.read(f"SELECT DISTINCT portfolio_id FROM {held} ORDER BY portfolio_id")
    return numpy_column(rows, "portfolio_id")


def read_contracts(transaction: BulkTransaction) -> list[str]:
    """The symbols of all OPTIONS lots."""
    rows = transaction.read("SELECT DISTINCT symbol FROM positions WHERE investment_class = 'OPTIONS' ORDER BY symbol")
    symbols: list[str] = rows.column("symbol").to_pylist()
    return symbols


def read_priced_names(transaction: BulkTransaction) -> list[str]:
    """The symbols of all PUBLIC and OPTIONS lots, alphabetically."""
    rows = transaction.read("SELECT DISTINCT symbol FROM positions WHERE investment_class <> 'PRIVATE' ORDER BY symbol")
    symbols: list[str] = rows.column("symbol").to_pylist()
    return symbols


def read_due(
    transaction: BulkTransaction, *, last: date, only: IntArray | None = None, within: Slice | None = None
) -> IntArray:
    """The portfolios that exist on ``last``, ascending; with ``only`` those, and others that are stale by then.

    Of these only portfolios ``within`` a slice, when one is given.
    """
    rows = transaction.read(
        "SELECT portfolio_id FROM portfolios WHERE as_of <= $1::date "
        "AND ($2::bigint[] IS NULL OR stale_from <= $1::date OR portfolio_id = ANY($2::bigint[])) "
        f"AND {condition_of(within)} ORDER BY portfolio_id",
        (last, None if only is None else only.tolist() or [0]),
    )
    return numpy_column(rows, "portfolio_id")


def mark_later_starts(transaction: BulkTransaction, windows: Sequence[HeldWindow], *, after: date, until: date) -> None:
    """Mark those holders whose portfolio begins in (after, until] as stale from its beginning on."""
    with transaction.scratch_table("held_windows", WINDOW_COLUMNS, _table(windows)) as scratch:
        transaction.execute(
            "UPDATE portfolios SET stale_from = as_of WHERE as_of > $1::date AND as_of <= $2::date "
            f"AND portfolio_id IN (SELECT portfolio_id FROM {HELD.format(windows=scratch)})",
            (after, until),
        )


def _table(windows: Sequence[HeldWindow]) -> pa.Table:
    rows = [
        {
            "symbol": item.symbol,
            "after": item.after,
            "until": item.until,
            "begun_by": item.until if item.begun_by is None else item.begun_by,
        }
        for item in windows
    ]
    return pa.Table.from_pylist(rows, schema=WINDOW_SCHEMA)
