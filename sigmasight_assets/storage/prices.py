"""Daily bars: dense windows out, new and restated bars in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from sigmasight_assets.quant.arrays import BoolArray, FloatArray, IntArray
from sigmasight_assets.storage.bulk import DIALECT, BulkTransaction, numpy_column, price_array
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.tables import price_quarantine, symbol_prices_daily

PRICE_COLUMNS = ("open_price", "high_price", "low_price", "close_price")
# An adjusted close that moves by less than this share is the same figure in other floating-point clothes.
ADJUSTED_TOLERANCE = 1e-9


@dataclass(frozen=True)
class PriceWindow:
    """Stored bars of a grid of N sessions x S symbols.

    ``prices`` maps open, high, low and close columns to int64 arrays (N, S) of 1e-4 USD, 0 where there is no bar;
    ``adj_close`` is float64 USD, NaN there; ``volume`` int64 shares, 0 there.
    """

    grid: Grid
    prices: dict[str, IntArray]
    adj_close: FloatArray
    volume: IntArray

    @property
    def close(self) -> IntArray:
        """Closes (N, S) in 1e-4 USD, 0 where there is no bar."""
        return self.prices["close_price"]

    @property
    def has_bar(self) -> BoolArray:
        """Whether a bar is stored, (N, S)."""
        return self.close > 0


@dataclass(frozen=True, slots=True)
class PriceWrite:
    """Bars stored for the first time, bars that replaced another, and bars that were there already."""

    inserted: int
    restated: int
    unchanged: int
    symbols: tuple[str, ...]
    restated_sessions: tuple[date, ...] = ()


def read_price_window(
    transaction: BulkTransaction, grid: Grid, *, columns: Sequence[str] = PRICE_COLUMNS
) -> PriceWindow:
    """Read the bars of the grid's sessions; symbols without bars keep an empty column."""
    scaled = ", ".join(f"({name} * 10000)::bigint AS {name}" for name in columns)
    rows = transaction.read(
        f"SELECT symbol, price_date, {scaled}, adj_close_price, volume FROM symbol_prices_daily "
        "WHERE price_date BETWEEN $1 AND $2",
        (grid.sessions[0].item(), grid.sessions[-1].item()),
    )
    return dense_window(rows, grid, columns=columns)


def dense_window(bars: pa.Table, grid: Grid, *, columns: Sequence[str] = PRICE_COLUMNS) -> PriceWindow:
    """Lay bars out by session and symbol; bars of other symbols or dates are left out."""
    inside, cells = grid.locate(bars, "price_date")
    prices = {name: np.zeros(grid.shape, dtype=np.int64) for name in columns}
    for name, values in prices.items():
        values[cells] = numpy_column(bars, name)[inside]
    adj_close = np.full(grid.shape, np.nan)
    adj_close[cells] = numpy_column(bars, "adj_close_price")[inside]
    volume = np.zeros(grid.shape, dtype=np.int64)
    volume[cells] = numpy_column(bars, "volume")[inside]
    return PriceWindow(grid, prices, adj_close, volume)


def replace_changed_bars(
    transaction: BulkTransaction, stored: PriceWindow, fetched: PriceWindow, *, source: str, run_id: str
) -> PriceWrite:
    """Store the bars of ``fetched`` that ``stored`` lacks or holds otherwise; each change is logged.

    Both windows have the same grid. A bar that the source no longer sends stays as it is.
    """
    new = fetched.has_bar & ~stored.has_bar
    both = fetched.has_bar & stored.has_bar
    changed = changed_bars(stored, fetched)
    keys = stored.grid.keys(changed, "price_date")
    if keys.num_rows:
        _log_restatements(transaction, stored, fetched, changed, keys, run_id=run_id)
    transaction.replace(symbol_prices_daily, keys, _bar_rows(fetched, new | changed, source=source))
    touched = np.flatnonzero((new | changed).any(axis=0))
    return PriceWrite(
        inserted=int(new.sum()),
        restated=int(changed.sum()),
        unchanged=int((both & ~changed).sum()),
        symbols=tuple(stored.grid.symbols[position] for position in touched),
        restated_sessions=tuple(stored.grid.sessions[changed.any(axis=1)].tolist()),
    )


def changed_bars(stored: PriceWindow, fetched: PriceWindow) -> BoolArray:
    """Where (N, S) both windows have a bar and the two differ."""
    changed = np.zeros_like(stored.has_bar)
    for name in PRICE_COLUMNS:
        changed |= fetched.prices[name] != stored.prices[name]
    changed |= fetched.volume != stored.volume
    with np.errstate(invalid="ignore"):
        changed |= np.abs(fetched.adj_close - stored.adj_close) > ADJUSTED_TOLERANCE * np.abs(stored.adj_close)
    return changed & fetched.has_bar & stored.has_bar


def read_other_sources(transaction: BulkTransaction, source: str, *, first: date, last: date) -> list[str]:
    """Names of other market sources that bars stored from ``first`` to ``last`` came from."""
    rows = transaction.read(
        "SELECT DISTINCT source FROM symbol_prices_daily WHERE source <> $1 AND price_date BETWEEN $2 AND $3",
        (source, first, last),
    )
    return sorted(rows.column("source").to_pylist())


def quarantine_bars(transaction: BulkTransaction, rejected: pa.Table, *, source: str) -> None:
    """Keep rejected bars with their reason; the same bar rejected again is kept once."""
    if rejected.num_rows == 0:
        return
    names = ", ".join(rejected.column_names)
    columns = {name: price_quarantine.c[name].type.compile(DIALECT) for name in rejected.column_names}
    with transaction.scratch_table("rejected_bars", columns, rejected) as scratch:
        transaction.execute(
            f"INSERT INTO price_quarantine (source, {names}) SELECT $1, {names} FROM {scratch} ON CONFLICT DO NOTHING",
            (source,),
        )


def _bar_rows(window: PriceWindow, selected: BoolArray, *, source: str) -> pa.Table:
    rows = window.grid.keys(selected, "price_date")
    for name in PRICE_COLUMNS:
        rows = rows.append_column(name, price_array(window.prices[name][selected]))
    rows = rows.append_column("adj_close_price", pa.array(window.adj_close[selected]))
    rows = rows.append_column("volume", pa.array(window.volume[selected]))
    return rows.append_column("source", pa.repeat(source, rows.num_rows))


def _log_restatements(
    transaction: BulkTransaction,
    stored: PriceWindow,
    fetched: PriceWindow,
    changed: BoolArray,
    keys: pa.Table,
    *,
    run_id: str,
) -> None:
    log = keys
    for prefix, window in (("old", stored), ("new", fetched)):
        log = log.append_column(f"{prefix}_close_price", price_array(window.close[changed]))
        log = log.append_column(f"{prefix}_adj_close_price", pa.array(window.adj_close[changed]))
    log = log.append_column("reason", pa.repeat("re-read of stored sessions", log.num_rows))
    log = log.append_column("run_id", pa.repeat(run_id, log.num_rows))
    transaction.append("restatements", log)
