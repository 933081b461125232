"""A market that is computed instead of fetched: eight factor funds and their stocks on the real calendar.

Every bar is a function of seed, symbol and session alone: it does not depend on the window, on what else is asked for,
or on the number of stocks. Random numbers come from a counter-based generator (Philox) keyed by seed and symbol. Prices
start at the first session of 2015; adj_close equals close, for there are no dividends and no splits.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.protocol import (
    BAR_SCHEMA,
    BarRequest,
    FetchResult,
    Listing,
    Outcome,
    SymbolOutcome,
    requests_by_symbol,
)
from sigmasight_assets.market_data.simulated_listings import (
    LARGEST_MARKET,
    SECTORS,
    draw_stock_listings,
    fund_listings,
)
from sigmasight_assets.market_data.simulated_model import (
    REVERSION,
    SESSIONS_PER_YEAR,
    Floats,
    combine,
    draw_parameters,
    latent_factors,
    population_betas,
)
from sigmasight_assets.sessions import SessionCalendar

EPOCH = date(2015, 1, 1)
SEED = 20150102
# Independent streams of random numbers; the paths of symbols follow from _SYMBOLS on.
_LISTINGS, _PARAMETERS, _LATENT, _SYMBOLS = range(4)
# Within a symbol's stream: its path since the epoch, and the shape of each bar.
_PATH, _SHAPE = range(2)
# Symbols computed at a time: one array of them over eleven years is 11 MB.
_BLOCK = 512


class SimulatedMarket:
    """A deterministic market whose true betas are known (``true_betas``)."""

    name = "simulated"
    supplies_corporate_actions = False

    def __init__(self, calendar: SessionCalendar, *, stocks: int = 500, seed: int = SEED) -> None:
        if not 0 <= stocks <= LARGEST_MARKET:
            raise MarketDataError(f"the simulated market has 0 to {LARGEST_MARKET} stocks, not {stocks}")
        self._seed = seed
        self._sessions = calendar.sessions[calendar.sessions >= np.datetime64(EPOCH)]
        self._listings = fund_listings() + draw_stock_listings(self._generator(_LISTINGS), stocks)
        self._positions = {listing.symbol: position for position, listing in enumerate(self._listings)}
        usual_loading = {sector.name: sector.market_loading for sector in SECTORS}
        centre = np.array([usual_loading[listing.sector] for listing in self._listings if listing.sector])
        self._parameters = draw_parameters(self._generator(_PARAMETERS), centre)
        normals = self._generator(_LATENT).standard_normal((len(self._sessions), 8))
        self._latent = latent_factors(normals)

    def listings(self) -> list[Listing]:
        """The eight funds, then the stocks."""
        return list(self._listings)

    def true_betas(self, symbols: Sequence[str]) -> Floats:
        """Population values (S, 12) of the factors of ``quant.factors.FACTORS``; see ``population_betas``."""
        unknown = [symbol for symbol in symbols if symbol not in self._positions]
        if unknown:
            raise MarketDataError(f"the simulated market has no {', '.join(unknown)}")
        return population_betas(self._parameters)[[self._positions[symbol] for symbol in symbols]]

    def fetch_bars(self, requests: Sequence[BarRequest]) -> FetchResult:
        """One bar per session of each window since the epoch."""
        outcomes: dict[str, SymbolOutcome] = {}
        answered: list[tuple[str, int, int]] = []
        for symbol, request in requests_by_symbol(requests).items():
            start, stop = self._window(request)
            outcomes[symbol] = self._outcome(request, start, stop)
            if outcomes[symbol].outcome is Outcome.OK:
                answered.append((symbol, start, stop))
        blocks = [self._bars(answered[at : at + _BLOCK]) for at in range(0, len(answered), _BLOCK)]
        return FetchResult(pa.concat_tables([BAR_SCHEMA.empty_table(), *blocks]), outcomes)

    def _generator(self, stream: int, substream: int = 0, start: int = 0) -> np.random.Generator:
        """Random numbers of one stream, from its block ``start`` of four numbers on."""
        return np.random.Generator(np.random.Philox(key=[self._seed, stream], counter=[start, 0, 0, substream]))

    def _window(self, request: BarRequest) -> tuple[int, int]:
        """Positions of the first asked session and of the one after the last."""
        start = np.searchsorted(self._sessions, np.datetime64(request.first), side="left")
        stop = np.searchsorted(self._sessions, np.datetime64(request.last), side="right")
        return int(start), int(stop)

    def _outcome(self, request: BarRequest, start: int, stop: int) -> SymbolOutcome:
        if request.symbol not in self._positions:
            return SymbolOutcome(Outcome.UNKNOWN, "the simulated market has no such symbol")
        if start == stop:
            begins = f"the simulated market starts on {self._sessions[0]}"
            return SymbolOutcome(Outcome.EMPTY, f"no session from {request.first} to {request.last}; {begins}")
        return SymbolOutcome(Outcome.OK)

    def _bars(self, windows: Sequence[tuple[str, int, int]]) -> pa.Table:
        """The bars of a block of symbols, each given with its window."""
        symbols = [symbol for symbol, _, _ in windows]
        starts, stops = np.array([window[1:] for window in windows]).T
        start, stop = int(starts.min()), int(stops.max())
        rows = np.array([self._positions[symbol] for symbol in symbols])
        values = self._values(rows, start, stop)
        days = np.arange(start, stop)
        asked = (days >= starts[:, None]) & (days < stops[:, None])
        symbol_at, day_at = np.nonzero(asked)
        return pa.table(
            [
                pa.array(symbols).take(pa.array(symbol_at)),
                pa.array(self._sessions[start:stop][day_at]),
                *(pa.array(value[asked]) for value in values),
            ],
            schema=BAR_SCHEMA,
        )

    def _values(self, rows: NDArray[np.intp], start: int, stop: int) -> tuple[Floats, ...]:
        """The six numbers of each bar, (S, stop - start) each, in the order of ``BAR_SCHEMA``."""
        exact = self._closes(rows, stop)
        before, close = exact[:, start:-1], exact[:, start + 1 :]
        shapes = np.stack([self._generator(_SYMBOLS + row, _SHAPE, start).random((stop - start, 4)) for row in rows])
        at_open, above, below, traded = np.moveaxis(shapes, 2, 0)
        opened = before + (close - before) * at_open
        swing = 0.7 * np.sqrt(self._parameters.variance[rows])[:, None]
        high = np.maximum(opened, close) * (1 + swing * above)
        low = np.minimum(opened, close) * (1 - swing * below)
        volume = np.rint(self._parameters.shares[rows, None] * np.exp(1.2 * traded - 0.6))
        opened, high, low, close = (np.round(price, 2) for price in (opened, high, low, close))
        return opened, high, low, close, close, volume

    def _closes(self, rows: NDArray[np.intp], stop: int) -> Floats:
        """Unrounded closes (S, stop + 1) of the first ``stop`` sessions, the starting price in front.

        The return is y_t - y_{t-1} plus a trend that offsets the loss by compounding, with y_t as in ``_deviations``:
        log prices vary about a straight line with a bounded spread.
        """
        own = np.stack([self._generator(_SYMBOLS + row, _PATH).standard_normal(stop) for row in rows])
        parameters = self._parameters
        shocks = combine(parameters.loadings[rows], self._latent[:, :stop]) + parameters.noise[rows, None] * own
        trend = parameters.growth[rows] / SESSIONS_PER_YEAR + parameters.variance[rows] / 2
        returns = np.diff(_deviations(shocks), axis=1, prepend=0.0) + trend[:, None]
        start_price = parameters.start_price[rows, None]
        return np.hstack([start_price, start_price * np.cumprod(1 + returns, axis=1)])


def _deviations(shocks: Floats) -> Floats:
    """y_t = (1 - REVERSION) y_{t-1} + shock_t with y = 0 before the first session, (S, T)."""
    by_session = np.array(shocks.T, order="C")
    for session in range(1, len(by_session)):
        by_session[session] += (1 - REVERSION) * by_session[session - 1]
    return by_session.T
