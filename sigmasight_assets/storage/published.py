"""Published closes and betas as the portfolio layer reads them, from ``symbol_daily_metrics``."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from sigmasight_assets.quant.arrays import DateArray, FloatArray, IntArray
from sigmasight_assets.storage.bulk import BulkTransaction, numpy_column
from sigmasight_assets.storage.grid import Grid, read_rows
from sigmasight_assets.storage.tables import FACTOR_COLUMNS

# The twelve factors in their canonical order, and after them the vendor's own beta.
BETA_COLUMNS = (*(f"{factor}_beta" for factor in FACTOR_COLUMNS), "provider_beta")

CLOSES_AT_SQL = """
SELECT place, (close_price * 10000)::bigint AS close_price
FROM asked_closes JOIN symbol_daily_metrics USING (symbol, metrics_date)
"""


def read_published_figures(transaction: BulkTransaction, grid: Grid) -> tuple[IntArray, FloatArray]:
    """Published closes (N, S) in 1e-4 USD, 0 where none is published, and betas (N, S, 13), NaN where there is none.

    The betas are those of the factors and the vendor's own; those of one factor are contiguous in memory.
    """
    columns = ["(close_price * 10000)::bigint AS close_price", *BETA_COLUMNS]
    rows = read_rows(transaction, grid, "symbol_daily_metrics", "metrics_date", columns=columns)
    inside, cells = grid.locate(rows, "metrics_date")
    closes = np.zeros(grid.shape, dtype=np.int64)
    closes[cells] = numpy_column(rows, "close_price")[inside]
    betas = np.full((len(BETA_COLUMNS), *grid.shape), np.nan)
    for of_factor, name in zip(betas, BETA_COLUMNS, strict=True):
        of_factor[cells] = numpy_column(rows, name)[inside]
    return closes, np.moveaxis(betas, 0, -1)


def read_published_closes_at(transaction: BulkTransaction, symbols: Sequence[str], sessions: DateArray) -> IntArray:
    """The published close (N,) of each symbol (N,) at the session beside it (N,), in 1e-4 USD, 0 without one."""
    closes = np.zeros(len(symbols), dtype=np.int64)
    if not symbols:
        return closes
    asked = pa.table(
        {
            "place": pa.array(np.arange(len(symbols))),
            "symbol": pa.array(symbols, pa.string()),
            "metrics_date": pa.array(sessions),
        }
    )
    columns = {"place": "bigint", "symbol": "text", "metrics_date": "date"}
    with transaction.scratch_table("asked_closes", columns, asked):
        rows = transaction.read(CLOSES_AT_SQL)
    closes[numpy_column(rows, "place")] = numpy_column(rows, "close_price")
    return closes
