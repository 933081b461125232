"""What a second market said of stored bars: the bars it states otherwise, and the moves it confirms.

A bar that was compared and has no row here is stated alike by both, and did not move beyond 50 %.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sigmasight_assets.quant.arrays import BoolArray, IntArray
from sigmasight_assets.quant.suspect import agreeing, disagreeing
from sigmasight_assets.storage.bulk import BulkTransaction, numpy_column, price_array
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.tables import bar_comparisons

COMPARED = """
SELECT symbol, price_date, (close_price * 10000)::bigint AS close_units,
       (second_close_price * 10000)::bigint AS second_units
FROM bar_comparisons WHERE price_date BETWEEN $1::date AND $2::date AND symbol = ANY($3::text[])
"""
# Bars that nobody has settled: they are stored, and no operator has accepted what was compared.
OPEN_DISPUTES = """
SELECT compared.symbol, compared.price_date FROM bar_comparisons AS compared
JOIN symbol_prices_daily AS bar USING (symbol, price_date)
WHERE compared.price_date BETWEEN $1::date AND $2::date AND compared.symbol = ANY($3::text[])
  AND 100 * abs(compared.close_price - compared.second_close_price) > compared.close_price
  AND NOT EXISTS (
      SELECT FROM bar_decisions AS decided
      WHERE (decided.symbol, decided.price_date, decided.close_price)
            = (bar.symbol, bar.price_date, bar.close_price) AND decided.verdict = 'accepted'
  )
"""


@dataclass(frozen=True)
class ComparedCloses:
    """Closes of bars as they were compared, and the second market's (N, S), 1e-4 USD; both 0 where there is no row."""

    first: IntArray
    second: IntArray

    @property
    def disputed(self) -> BoolArray:
        """Where the second market disagreed. A bar that has changed since stays disputed until it is compared again."""
        return disagreeing(self.first, self.second)

    def confirm(self, closes: IntArray) -> BoolArray:
        """Where these closes are what the second market says too."""
        return agreeing(closes, self.second)


def read_compared_closes(transaction: BulkTransaction, grid: Grid) -> ComparedCloses:
    """What is stored of the grid's bars."""
    rows = transaction.read(COMPARED, _bounds(grid))
    inside, cells = grid.locate(rows, "price_date")
    compared = ComparedCloses(np.zeros(grid.shape, dtype=np.int64), np.zeros(grid.shape, dtype=np.int64))
    compared.first[cells] = numpy_column(rows, "close_units")[inside]
    compared.second[cells] = numpy_column(rows, "second_units")[inside]
    return compared


def read_open_disputes(transaction: BulkTransaction, grid: Grid) -> BoolArray:
    """The grid's bars (N, S) that the second market states otherwise and that no operator has accepted."""
    return grid.marks(transaction.read(OPEN_DISPUTES, _bounds(grid)), "price_date")


def replace_compared_closes(
    transaction: BulkTransaction, grid: Grid, compared: BoolArray, found: ComparedCloses, *, second_source: str
) -> None:
    """Store what was ``found`` of the bars that were ``compared`` (N, S), and forget the earlier rows of them.

    A row that says the same as before stays, with the time it was first seen.
    """
    known = read_compared_closes(transaction, grid)
    changed = compared & ((known.first != found.first) | (known.second != found.second))
    written = changed & (found.second > 0)
    rows = grid.keys(written, "price_date")
    rows = rows.append_column("close_price", price_array(found.first[written]))
    rows = rows.append_column("second_close_price", price_array(found.second[written]))
    rows = rows.append_column("second_source", pa.repeat(second_source, rows.num_rows))
    transaction.replace(bar_comparisons, grid.keys(changed, "price_date"), rows)


def _bounds(grid: Grid) -> tuple[object, ...]:
    return grid.sessions[0].item(), grid.sessions[-1].item(), list(grid.symbols)
