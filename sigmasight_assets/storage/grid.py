"""Sessions x symbols: the dense layout that rows of the database take in memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sigmasight_assets.quant.arrays import BoolArray, DateArray, IntArray
from sigmasight_assets.storage.bulk import BulkTransaction, numpy_column

Cells = tuple[IntArray, IntArray]


@dataclass(frozen=True)
class Grid:
    """Ascending sessions (N,) and symbols (S,); arrays laid out on it have the shape (N, S)."""

    sessions: DateArray
    symbols: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Number of sessions and of symbols."""
        return len(self.sessions), len(self.symbols)

    def locate(self, rows: pa.Table, date_column: str) -> tuple[BoolArray, Cells]:
        """Which rows lie on the grid, and the cells of those that do; ``rows`` has a column ``symbol``."""
        positions = pc.index_in(rows.column("symbol"), value_set=pa.array(self.symbols, pa.string()))
        column = pc.fill_null(positions, -1).to_numpy().astype(np.int64)
        dates = numpy_column(rows, date_column)
        row = np.searchsorted(self.sessions, dates)
        inside = (column >= 0) & (row < len(self.sessions))
        inside[inside] = self.sessions[row[inside]] == dates[inside]
        return inside, (row[inside], column[inside])

    def marks(self, rows: pa.Table, date_column: str) -> BoolArray:
        """The cells (N, S) that rows lie on."""
        _, cells = self.locate(rows, date_column)
        marked = np.zeros(self.shape, dtype=np.bool_)
        marked[cells] = True
        return marked

    def keys(self, selected: BoolArray, date_column: str) -> pa.Table:
        """Date and symbol of the selected cells, session by session."""
        row, column = np.nonzero(selected)
        symbols = pa.array(self.symbols, pa.string()).take(pa.array(column))
        return pa.table({date_column: pa.array(self.sessions[row]), "symbol": symbols})


def read_rows(
    transaction: BulkTransaction, grid: Grid, table: str, date_column: str, *, columns: Sequence[str]
) -> pa.Table:
    """The rows of the grid with these columns, its dates and symbols; rows of other symbols may be among them.

    To have the server pick symbols costs a quarter of the time, which pays when it picks less than half of them.
    """
    query = f"SELECT {', '.join((date_column, 'symbol', *columns))} FROM {table} WHERE {date_column} BETWEEN $1 AND $2"
    bounds = (grid.sessions[0].item(), grid.sessions[-1].item())
    tracked = transaction.read("SELECT count(*) AS tracked FROM symbol_universe")["tracked"][0].as_py()
    if 2 * len(grid.symbols) < tracked:
        return transaction.read(f"{query} AND symbol = ANY($3)", (*bounds, list(grid.symbols)))
    return transaction.read(query, bounds)
