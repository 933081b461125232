"""What the symbol products are computed from: one dense window of prices and the symbols it is about."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.quant.arrays import BoolArray, DateArray, FloatArray, IntArray
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.quant.returns import simple_returns
from sigmasight_assets.sessions import ONE_DAY, SessionCalendar
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.prices import read_price_window
from sigmasight_assets.storage.universe import TrackedSymbol

# Sessions before the first computed one: a year for anchors and ranges, and room for fingerprints to see all of it.
LOOKBACK_SESSIONS = 262
PRICE_UNITS = 10_000


@dataclass(frozen=True)
class SymbolWindow:
    """N sessions x S symbols, of which the T sessions ``rows`` are to be computed.

    Prices are float64 USD, ``volume`` float64 shares, NaN where there is no bar; ``close_units`` int64 1e-4 USD, 0
    there. ``own`` (S,) is the symbol's position among the factor ETFs, -1 for the others. ``anchors`` (T, 5) are the
    base rows of the calendar returns.
    """

    grid: Grid
    rows: IntArray
    symbols: tuple[TrackedSymbol, ...]
    own: IntArray
    anchors: IntArray
    close_units: IntArray
    adj_close: FloatArray
    volume: FloatArray
    returns: FloatArray

    @property
    def targets(self) -> Grid:
        """The grid of the sessions to be computed, (T, S)."""
        return Grid(self.grid.sessions[self.rows], self.grid.symbols)

    @property
    def has_bar(self) -> BoolArray:
        """Whether there is a bar, (N, S)."""
        return self.close_units > 0

    @property
    def factor_returns(self) -> FloatArray:
        """Returns of the eight factor ETFs, (N, 8)."""
        columns = [int(np.flatnonzero(self.own == position)[0]) for position in range(len(FACTOR_ETFS))]
        return self.returns[:, columns]


def read_symbol_window(
    transaction: BulkTransaction,
    calendar: SessionCalendar,
    symbols: Sequence[TrackedSymbol],
    *,
    sessions: Sequence[date],
) -> SymbolWindow:
    """Read the window of the sessions, which need not be contiguous.

    Raises ``MarketDataError`` when a factor ETF is not tracked.
    """
    names = tuple(item.symbol for item in symbols)
    missing = [name for name in FACTOR_ETFS if name not in names]
    if missing:
        raise MarketDataError(
            f"The factor ETFs {', '.join(missing)} are not tracked: run `sigmasight universe add {' '.join(missing)}`"
        )
    positions = np.array([calendar.index(day) for day in sessions])
    start = max(0, int(positions[0]) - LOOKBACK_SESSIONS)
    grid = Grid(calendar.sessions[start : int(positions[-1]) + 1], names)
    prices = read_price_window(transaction, grid, columns=("close_price",))
    return SymbolWindow(
        grid=grid,
        rows=positions - start,
        symbols=tuple(symbols),
        own=np.array([FACTOR_ETFS.index(name) if name in FACTOR_ETFS else -1 for name in names]),
        anchors=return_anchors(grid.sessions, positions - start),
        close_units=prices.close,
        adj_close=prices.adj_close,
        volume=np.where(prices.has_bar, prices.volume, np.nan),
        returns=simple_returns(prices.adj_close),
    )


def return_anchors(sessions: DateArray, rows: IntArray) -> IntArray:
    """Base rows (T, 5) of the month-to-date, year-to-date, one-month, three-month and one-year returns.

    The last session before the month and before the year of each row's session, and the last session on or before the
    same day 1, 3 and 12 months earlier (the month's last day when it is shorter); -1 when ``sessions`` starts later.
    """
    days = sessions[rows]
    months = days.astype("datetime64[M]")
    years = days.astype("datetime64[Y]")
    before_month = months.astype("datetime64[D]") - ONE_DAY
    before_year = years.astype("datetime64[D]") - ONE_DAY
    earlier = [_months_earlier(days, months, count) for count in (1, 3, 12)]
    bases = np.stack([before_month, before_year, *earlier], axis=1)
    anchors: IntArray = np.searchsorted(sessions, bases, side="right") - 1
    return anchors


def _months_earlier(days: DateArray, months: DateArray, count: int) -> DateArray:
    offset = days - months.astype("datetime64[D]")
    month = months - np.timedelta64(count, "M")
    first = month.astype("datetime64[D]")
    last = (month + np.timedelta64(1, "M")).astype("datetime64[D]") - ONE_DAY
    earlier: DateArray = np.minimum(first + offset, last)
    return earlier
