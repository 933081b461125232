"""Bars of a market source as arrays."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sigmasight_assets.market_data.protocol import BarRequest, MarketSource
from sigmasight_assets.sessions import SessionCalendar

Floats = NDArray[np.float64]


def dense(bars: pa.Table, column: str, symbols: Sequence[str], sessions: NDArray[np.datetime64]) -> Floats:
    """A column of bars (sessions, symbols), NaN where there is no bar."""
    values = np.full((len(sessions), len(symbols)), np.nan)
    columns = pc.index_in(bars["symbol"], value_set=pa.array(symbols)).to_numpy()
    values[np.searchsorted(sessions, bars["price_date"].to_numpy()), columns] = bars[column].to_numpy()
    return values


def fetch_dense(
    source: MarketSource, calendar: SessionCalendar, symbols: Sequence[str], *columns: str, start: int, stop: int
) -> list[Floats]:
    """Columns of the bars from session ``start`` of 2015 on to before ``stop``, each (sessions, symbols)."""
    sessions = calendar.sessions[calendar.sessions >= np.datetime64("2015-01-01")][start:stop]
    first, last = sessions[0].item(), sessions[-1].item()
    bars = source.fetch_bars([BarRequest(symbol, first, last) for symbol in symbols]).bars
    return [dense(bars, column, symbols, sessions) for column in columns]
