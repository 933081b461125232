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


def read_published_closes(transaction: BulkTransaction, grid: Grid) -> IntArray:
    """Published closes (N, S) in 1e-4 USD, 0 where none is published."""
    columns = ["(close_price * 10000)::bigint AS close_price"]
    rows = read_rows(transaction, grid, "symbol_daily_metrics", "metrics_date", columns=columns)
    inside, cells = grid.locate(rows, "metrics_date")
    closes = np.zeros(grid.shape, dtype=np.int64)
    closes[cells] = numpy_column(rows, "close_price")[inside]
    return closes


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


def read_published_betas(transaction: BulkTransaction, grid: Grid) -> FloatArray:
    """Published betas (N, S, 13), those of the factors and the vendor's own, NaN where there is none."""
    rows = read_rows(transaction, grid, "symbol_daily_metrics", "metrics_date", columns=BETA_COLUMNS)
    inside, cells = grid.locate(rows, "metrics_date")
    betas = np.full((*grid.shape, len(BETA_COLUMNS)), np.nan)
    for position, name in enumerate(BETA_COLUMNS):
        betas[(*cells, position)] = numpy_column(rows, name)[inside]
    return betas
