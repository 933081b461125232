"""The simulated market itself: the never-split prices, volumes and dividends of every symbol since the first session.

Here nothing is late, wrong or restated, and all prices are dollars per never-split share; what of it is known when, and
in which units it is stated, is in ``simulated``.
"""

from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from sigmasight_assets.market_data.protocol import Listing
from sigmasight_assets.market_data.simulated_actions import (
    Dividends,
    Payouts,
    Splits,
    draw_payouts,
    draw_splits,
    pay_dividends,
)
from sigmasight_assets.market_data.simulated_listings import (
    SECTORS,
    draw_second_industries,
    draw_stock_listings,
    fund_listings,
)
from sigmasight_assets.market_data.simulated_lives import NEVER, Defects, Integers, Lives, defects, draw_lives
from sigmasight_assets.market_data.simulated_model import (
    REVERSION,
    SESSIONS_PER_YEAR,
    Floats,
    Parameters,
    combine,
    draw_parameters,
    latent_factors,
)
from sigmasight_assets.market_data.simulated_random import (
    ACTIONS,
    DEFECT,
    LATENT,
    LISTINGS,
    LIVES,
    PARAMETERS,
    PATH,
    SHAPE,
    SYMBOLS,
    Streams,
)
from sigmasight_assets.sessions import Sessions

# Extent of a bar beyond its open and close at most, in daily standard deviations.
_SWING = 0.7


@dataclass(frozen=True, slots=True)
class UnsplitBars:
    """Bars (S, T) per never-split share: four prices in cents, volume in whole shares, the total-return close, and the
    dividends of the symbols up to the last known session.
    """

    opened: Floats
    high: Floats
    low: Floats
    close: Floats
    adj_close: Floats
    volume: Floats
    dividends: Dividends


@dataclass(frozen=True, slots=True)
class World:
    """Everything drawn for the symbols of one market, one row each, the eight funds first."""

    streams: Streams
    listings: list[Listing]
    second_industries: list[tuple[str | None, str | None]]
    parameters: Parameters
    latent: Floats
    lives: Lives
    payouts: Payouts
    splits: Splits

    def bars(self, rows: Integers, start: int, stop: int, *, known: int) -> UnsplitBars:
        """The bars of the sessions ``start`` to ``stop`` (exclusive), when the first ``known`` sessions are known."""
        total = self.total_return_index(rows, known)
        dividends = self._dividends(total, rows)
        paid = dividends.paid(start, stop)
        kept = np.take_along_axis(dividends.kept, paid, axis=1)
        # A dividend is gone before the open: the price before it is that of the session before less the dividend.
        before, close = total[:, start:stop] * kept, total[:, start + 1 : stop + 1] * kept
        shapes = self._shapes(rows, start, stop)
        at_open, above, below, traded = np.moveaxis(shapes, 2, 0)
        opened = before + (close - before) * at_open
        swing = _SWING * np.sqrt(self.parameters.variance[rows])[:, None]
        high = np.maximum(opened, close) * (1 + swing * above)
        low = np.minimum(opened, close) * (1 - swing * below)
        opened, high, low, close = (np.round(price, 2) for price in (opened, high, low, close))
        return UnsplitBars(
            opened,
            high,
            low,
            close,
            adj_close=close * np.take_along_axis(dividends.ahead, paid, axis=1),
            volume=np.rint(self.parameters.shares[rows, None] * np.exp(1.2 * traded - 0.6)),
            dividends=dividends,
        )

    def listing(self, row: int, session: int) -> Listing:
        """The listing of a symbol as it is at a session."""
        listing = self.listings[row]
        if session < self.lives.reclassified[row]:
            return listing
        sector, industry = self.second_industries[row]
        return replace(listing, sector=sector, industry=industry)

    def last_closes(self, rows: Integers, known: int) -> tuple[Floats, Dividends]:
        """Closes (S,) in cents of session ``known`` - 1 per never-split share, and the dividends up to then."""
        total = self.total_return_index(rows, known)
        dividends = self._dividends(total, rows)
        return np.round(total[:, -1] * dividends.kept[:, -1], 2), dividends

    def total_return_index(self, rows: Integers, known: int) -> Floats:
        """Prices with dividends reinvested (S, known + 1), not rounded, the starting price in front.

        The return is y_t - y_{t-1} plus a trend that offsets the loss by compounding, with y_t as in ``_deviations``:
        log prices vary about a straight line with a bounded spread.
        """
        own = np.stack([self.streams.generator(SYMBOLS + row, PATH).standard_normal(known) for row in rows.tolist()])
        parameters = self.parameters
        shocks = combine(parameters.loadings[rows], self.latent[:, :known]) + parameters.noise[rows, None] * own
        trend = parameters.growth[rows] / SESSIONS_PER_YEAR + parameters.variance[rows] / 2
        returns = np.diff(_deviations(shocks), axis=1, prepend=0.0) + trend[:, None]
        start_price = parameters.start_price[rows, None]
        return np.hstack([start_price, start_price * np.cumprod(1 + returns, axis=1)])

    def defects(self, rows: Integers, start: int, stop: int) -> Defects:
        """What goes wrong with the bars of the sessions ``start`` to ``stop`` (exclusive), (S, T) each."""
        numbers = np.stack([self.streams.uniforms(SYMBOLS + row, DEFECT, start, stop) for row in rows.tolist()])
        return defects(numbers, self.lives.is_quiet[rows])

    def _dividends(self, total: Floats, rows: Integers) -> Dividends:
        return pay_dividends(total, self.payouts, rows, first=self.lives.first[rows], last=self.lives.last[rows])

    def _shapes(self, rows: Integers, start: int, stop: int) -> Floats:
        """Four uniform numbers (S, T, 4) that shape each bar."""
        generators = (self.streams.generator(SYMBOLS + row, SHAPE, block=start) for row in rows.tolist())
        return np.stack([generator.random((stop - start, 4)) for generator in generators])


@dataclass(frozen=True, slots=True)
class View:
    """What is known of a world at the session before position ``known``; ``rows`` has the row of every symbol."""

    world: World
    sessions: Sessions
    known: int
    rows: dict[str, int]

    def row(self, symbol: str) -> int | None:
        """The row of a symbol that has been listed by now."""
        row = self.rows.get(symbol)
        return row if row is not None and self.world.lives.first[row] < self.known else None

    def at(self, day: date) -> "View":
        """What was known at a date, but not more than is known here."""
        return replace(self, known=min(self.known, self.end(day)))

    def start(self, day: date) -> int:
        """Position of the first session on or after a date."""
        return int(np.searchsorted(self.sessions, np.datetime64(day, "D"), side="left"))

    def end(self, day: date) -> int:
        """Position after the last session on or before a date."""
        return int(np.searchsorted(self.sessions, np.datetime64(day, "D"), side="right"))

    def day(self, position: int) -> date:
        """The date of a session."""
        day: date = self.sessions[position].item()
        return day

    def extent(self) -> str:
        """A sentence on the sessions that are known."""
        return f"the simulated market is known from {self.day(0)} to {self.day(self.known - 1)}"

    def has_ended(self, row: int) -> bool:
        """Whether the last session of a symbol is over by now."""
        return bool(self.world.lives.last[row] < self.known - 1)


def draw_world(seed: int, *, stocks: int, sessions: int, with_splits: bool, with_dividends: bool) -> World:
    """The world of a seed; without splits or dividends, the same one in which they do not happen."""
    streams = Streams(seed)
    listings = fund_listings() + draw_stock_listings(streams.generator(LISTINGS), stocks)
    usual_loading = {sector.name: sector.market_loading for sector in SECTORS}
    centre = np.array([usual_loading[listing.sector] for listing in listings if listing.sector])
    parameters = draw_parameters(streams.generator(PARAMETERS), centre)
    lives = draw_lives(streams.generator(LIVES), stocks)
    payouts = draw_payouts(streams.generator(ACTIONS), stocks)
    splits = draw_splits(streams.generator(ACTIONS, 1), parameters, payouts, lives)
    if not with_splits:
        splits = Splits(np.full_like(splits.position, NEVER), splits.numerator, splits.denominator)
    if not with_dividends:
        payouts = replace(payouts, yearly_yield=np.zeros_like(payouts.yearly_yield))
    latent = latent_factors(streams.generator(LATENT).standard_normal((sessions, 8)))
    second = draw_second_industries(streams.generator(LISTINGS, 1), listings)
    return World(streams, listings, second, parameters, latent, lives, payouts, splits)


def _deviations(shocks: Floats) -> Floats:
    """y_t = (1 - REVERSION) y_{t-1} + shock_t with y = 0 before the first session, (S, T)."""
    by_session = np.array(shocks.T, order="C")
    for session in range(1, len(by_session)):
        by_session[session] += (1 - REVERSION) * by_session[session - 1]
    return by_session.T
