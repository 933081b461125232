"""Derived figures per symbol and session: compare with what is stored, write only what is new, changed or gone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from numpy.typing import NDArray

from sigmasight_assets.quant.arrays import BoolArray, FloatArray, IntArray
from sigmasight_assets.storage.bulk import BulkTransaction, float_array, numpy_column, price_array
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.tables import symbol_exclusions

# Builds the Arrow column of the selected cells.
ColumnBuilder = Callable[[BoolArray], Any]


@dataclass(frozen=True)
class FigureTable:
    """Rows of one product on a grid (T, S): where there is one, its fingerprint and how its columns are built."""

    product: str
    table: sa.Table
    date_column: str
    present: BoolArray
    fingerprint: IntArray
    columns: Mapping[str, ColumnBuilder]


@dataclass(frozen=True)
class FigureChange:
    """Cells (T, S) to be written and cells whose stored row has to go."""

    figures: FigureTable
    write: BoolArray
    delete: BoolArray

    @property
    def by_session(self) -> IntArray:
        """Number of rows that differ from what is stored, (T,)."""
        count: IntArray = (self.write | self.delete).sum(axis=1)
        return count


def find_changes(
    transaction: BulkTransaction, grid: Grid, figures: FigureTable, *, good: BoolArray, force: bool = False
) -> FigureChange:
    """Compare fingerprints with those stored; only the sessions marked ``good`` (T,) may change.

    With ``force`` every row counts as different.
    """
    rows = transaction.read(
        f"SELECT {figures.date_column}, symbol, fingerprint FROM {figures.table.name} "
        f"WHERE {figures.date_column} BETWEEN $1 AND $2",
        (grid.sessions[0].item(), grid.sessions[-1].item()),
    )
    inside, cells = grid.locate(rows, figures.date_column)
    stored = np.zeros(grid.shape, dtype=np.bool_)
    stored[cells] = True
    fingerprint = np.zeros(grid.shape, dtype=np.int64)
    fingerprint[cells] = numpy_column(rows, "fingerprint")[inside]
    differs = figures.present & (force | ~stored | (fingerprint != figures.fingerprint)) & good[:, None]
    gone = stored & ~figures.present & good[:, None]
    return FigureChange(figures, write=differs, delete=(differs & stored) | gone)


def write_changes(transaction: BulkTransaction, grid: Grid, change: FigureChange, *, generation: int) -> None:
    """Replace the changed rows of one product."""
    figures = change.figures
    rows = grid.keys(change.write, figures.date_column)
    for name, build in figures.columns.items():
        rows = rows.append_column(name, build(change.write))
    rows = rows.append_column("fingerprint", pa.array(figures.fingerprint[change.write]))
    rows = rows.append_column("generation", pa.repeat(pa.scalar(generation, pa.int64()), rows.num_rows))
    transaction.replace(figures.table, grid.keys(change.delete, figures.date_column), rows)


def replace_exclusions(
    transaction: BulkTransaction,
    grid: Grid,
    reasons: Mapping[str, NDArray[np.int8]],
    *,
    labels: Sequence[str],
    good: BoolArray,
) -> None:
    """Keep, per product, the reason of each cell whose code is not 0; sessions that hold the same stay untouched."""
    stored = transaction.read(
        "SELECT session, symbol, product, reason FROM symbol_exclusions WHERE session BETWEEN $1 AND $2",
        (grid.sessions[0].item(), grid.sessions[-1].item()),
    )
    differs = np.zeros(len(grid.sessions), dtype=np.bool_)
    for product, codes in reasons.items():
        rows = stored.filter(pa.compute.equal(stored.column("product"), product))
        inside, cells = grid.locate(rows, "session")
        before = np.zeros(grid.shape, dtype=np.int8)
        known = pa.compute.index_in(rows.column("reason"), value_set=pa.array(labels, pa.string()))
        before[cells] = pa.compute.fill_null(known, -1).to_numpy().astype(np.int8)[inside]
        differs |= (before != codes).any(axis=1)
    differs &= good
    for product, codes in reasons.items():
        selected = (codes > 0) & differs[:, None]
        rows = grid.keys(selected, "session")
        rows = rows.append_column("product", pa.repeat(product, rows.num_rows))
        rows = rows.append_column("reason", pa.array(labels, pa.string()).take(pa.array(codes[selected])))
        gone = pa.table(
            {
                "session": pa.array(grid.sessions[differs]),
                "product": pa.repeat(product, int(differs.sum())),
            }
        )
        transaction.replace(symbol_exclusions, gone, rows)


def floats(values: FloatArray) -> ColumnBuilder:
    """Column of doubles, NaN stored as NULL."""
    return lambda selected: float_array(values[selected])


def whole_numbers(values: NDArray[np.integer[Any]], *, null: BoolArray | None = None) -> ColumnBuilder:
    """Column of small integers; ``null`` (T, S) marks cells stored as NULL."""
    return lambda selected: pa.array(values[selected].astype(np.int16), mask=None if null is None else null[selected])


def flags(values: BoolArray, *, null: BoolArray | None = None) -> ColumnBuilder:
    """Column of booleans; ``null`` (T, S) marks cells stored as NULL."""
    return lambda selected: pa.array(values[selected], mask=None if null is None else null[selected])


def labels_of(codes: NDArray[np.int8], names: Sequence[str]) -> ColumnBuilder:
    """Column of words by code; code 0 is stored as NULL."""
    return lambda selected: pa.array(names, pa.string()).take(
        pa.array(codes[selected].astype(np.int64), mask=codes[selected] == 0)
    )


def texts(words: Sequence[str | None], shape: tuple[int, int]) -> ColumnBuilder:
    """Column of a word per symbol (S,), the same at every session."""
    column = np.broadcast_to(np.arange(len(words)), shape)
    return lambda selected: pa.array(words, pa.string()).take(pa.array(column[selected]))


def prices(values: IntArray) -> ColumnBuilder:
    """Column of prices in 1e-4 USD."""
    return lambda selected: price_array(values[selected])


def nulls(kind: Any) -> ColumnBuilder:
    """Column without any value."""
    return lambda selected: pa.nulls(int(selected.sum()), kind)


def count_exclusions(connection: sa.Connection, *, first: date, last: date) -> list[dict[str, Any]]:
    """Symbols without a value from ``first`` to ``last``, by product and reason, with the number of missing rows."""
    columns = (symbol_exclusions.c.product, symbol_exclusions.c.reason)
    query = (
        sa.select(
            *columns,
            sa.func.count().label("symbol_sessions"),
            sa.func.array_agg(sa.distinct(symbol_exclusions.c.symbol)).label("symbols"),
        )
        .where(symbol_exclusions.c.session.between(first, last))
        .group_by(*columns)
        .order_by(*columns)
    )
    return [dict(row) for row in connection.execute(query).mappings()]
