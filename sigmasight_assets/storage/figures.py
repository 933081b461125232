"""Derived figures per symbol and session: what is stored, and the exact replacement of rows that change."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Self

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from numpy.typing import NDArray

from sigmasight_assets.quant.arrays import BoolArray, CodeArray, FloatArray, IntArray
from sigmasight_assets.storage import tables
from sigmasight_assets.storage.bulk import BulkTransaction, float_array, numpy_column, price_array
from sigmasight_assets.storage.grid import Cells, Grid, read_rows
from sigmasight_assets.storage.tables import symbol_exclusions

# Builds the Arrow column of the selected cells.
ColumnBuilder = Callable[[BoolArray], Any]


@dataclass(frozen=True)
class ProductTable:
    """Where the rows of a product are; ``betas`` names the columns of its published betas."""

    table: sa.Table
    date_column: str
    betas: tuple[str, ...]


# The products with one row per symbol and session.
PRODUCT_TABLES = {
    "market_beta": ProductTable(tables.symbol_market_beta, "session", ("beta",)),
    "ir_beta": ProductTable(tables.symbol_ir_beta, "session", ("beta",)),
    "ridge_factors": ProductTable(
        tables.symbol_ridge_factors, "session", tuple(f"{name}_beta" for name in tables.RIDGE_COLUMNS)
    ),
    "spread_factors": ProductTable(
        tables.symbol_spread_factors, "session", tuple(f"{name}_beta" for name in tables.SPREAD_COLUMNS)
    ),
    "symbol_daily_metrics": ProductTable(tables.symbol_daily_metrics, "metrics_date", ()),
}


@dataclass(frozen=True)
class StoredFigures:
    """What is stored of one product on a grid (T, S): where there is a row, its fingerprint, its betas (T, S, K).

    Where there is no row the fingerprint is 0 and the betas are NaN, as they are where the row has none.
    """

    present: BoolArray
    fingerprint: IntArray
    betas: FloatArray

    @classmethod
    def none(cls, shape: tuple[int, int], product: str) -> Self:
        """No row at all."""
        betas = np.full((*shape, len(PRODUCT_TABLES[product].betas)), np.nan)
        return cls(np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.int64), betas)

    def part(self, cells: Cells) -> Self:
        """What is stored at the cells of an index."""
        return type(self)(self.present[cells], self.fingerprint[cells], self.betas[cells])


@dataclass(frozen=True)
class FigureTable:
    """Rows of one product on a grid (T, S): where there is one, its fingerprint and how its columns are built."""

    product: str
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


def read_stored_figures(transaction: BulkTransaction, grid: Grid, product: str) -> StoredFigures:
    """What is stored of a product at the sessions and symbols of the grid."""
    source = PRODUCT_TABLES[product]
    columns = ("fingerprint", *source.betas)
    rows = read_rows(transaction, grid, source.table.name, source.date_column, columns=columns)
    inside, cells = grid.locate(rows, source.date_column)
    stored = StoredFigures.none(grid.shape, product)
    stored.present[cells] = True
    stored.fingerprint[cells] = numpy_column(rows, "fingerprint")[inside]
    for position, name in enumerate(source.betas):
        stored.betas[(*cells, position)] = numpy_column(rows, name)[inside]
    return stored


def figure_change(figures: FigureTable, stored: StoredFigures, *, cells: BoolArray) -> FigureChange:
    """The change that brings the given cells (T, S) from what is stored to the figures; all others stay."""
    return FigureChange(figures, write=figures.present & cells, delete=stored.present & cells)


def write_change(transaction: BulkTransaction, grid: Grid, change: FigureChange, *, generation: int) -> None:
    """Replace the changed rows of one product."""
    figures, target = change.figures, PRODUCT_TABLES[change.figures.product]
    rows = grid.keys(change.write, target.date_column)
    for name, build in figures.columns.items():
        rows = rows.append_column(name, build(change.write))
    rows = rows.append_column("fingerprint", pa.array(figures.fingerprint[change.write]))
    rows = rows.append_column("generation", pa.repeat(pa.scalar(generation, pa.int64()), rows.num_rows))
    transaction.replace(target.table, grid.keys(change.delete, target.date_column), rows)


def replace_exclusions(
    transaction: BulkTransaction,
    grid: Grid,
    reasons: Mapping[str, CodeArray],
    *,
    labels: Sequence[str],
    good: Mapping[str, BoolArray],
) -> None:
    """Keep, per product, the reason of each cell (T, S) whose code is not 0, where it differs from the stored one.

    Only the sessions marked ``good`` (T,) for the product may change, and only symbols of the grid.
    """
    stored = transaction.read(
        "SELECT session, symbol, product, reason FROM symbol_exclusions "
        "WHERE session BETWEEN $1 AND $2 AND symbol = ANY($3)",
        (grid.sessions[0].item(), grid.sessions[-1].item(), list(grid.symbols)),
    )
    for product, codes in reasons.items():
        rows = stored.filter(pa.compute.equal(stored.column("product"), product))
        inside, cells = grid.locate(rows, "session")
        before = np.zeros(grid.shape, dtype=np.int8)
        known = pa.compute.index_in(rows.column("reason"), value_set=pa.array(labels, pa.string()))
        before[cells] = pa.compute.fill_null(known, -1).to_numpy().astype(np.int8)[inside]
        differs = (before != codes) & good[product][:, None]
        gone = _of_product(grid.keys(differs & (before != 0), "session"), product)
        selected = differs & (codes != 0)
        new = _of_product(grid.keys(selected, "session"), product)
        words = pa.array(labels, pa.string()).take(pa.array(codes[selected]))
        transaction.replace(symbol_exclusions, gone, new.append_column("reason", words))


def _of_product(keys: pa.Table, product: str) -> pa.Table:
    return keys.append_column("product", pa.repeat(product, keys.num_rows))


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


def texts(words: Sequence[str | None], position: IntArray) -> ColumnBuilder:
    """Column of words by their position (T, S) among ``words``; a negative one is stored as NULL."""
    return lambda selected: pa.array(words, pa.string()).take(pa.array(position[selected], mask=position[selected] < 0))


def prices(values: IntArray) -> ColumnBuilder:
    """Column of prices in 1e-4 USD."""
    return lambda selected: price_array(values[selected])


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
