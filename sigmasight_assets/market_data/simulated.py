"""A market that is computed instead of fetched: eight factor funds and their stocks on the real calendar.

Every bar is a function of seed, symbol, session and the session as of which it is asked: it does not depend on the
window, on what else is asked for, or on the number of stocks. Every rule and rate is in ``docs/simulated-market.md``.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pyarrow as pa

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.options import OCC_SYMBOL
from sigmasight_assets.market_data.protocol import (
    BarRequest,
    FetchResult,
    Listing,
    Outcome,
    ProfileResult,
    SymbolOutcome,
    requests_by_symbol,
)
from sigmasight_assets.market_data.simulated_bars import fetch_stock_bars
from sigmasight_assets.market_data.simulated_listings import LARGEST_MARKET
from sigmasight_assets.market_data.simulated_model import Floats, population_betas
from sigmasight_assets.market_data.simulated_options import fetch_option_bars
from sigmasight_assets.market_data.simulated_profiles import describe
from sigmasight_assets.market_data.simulated_world import View, draw_world
from sigmasight_assets.sessions import SessionCalendar

EPOCH = date(2015, 1, 1)
SEED = 20150102


class SimulatedMarket:
    """A deterministic market whose true betas are known (``true_betas``), as it is known at the session ``as_of``.

    Without ``as_of`` everything up to the calendar's end is known. ``with_splits=False`` is the control that never
    splits: the same never-split prices, so the same returns of adj_close. ``with_dividends=False`` is the market that
    pays none: its closes have the total returns of this one. Raises ``MarketDataError`` when ``stocks`` is out of range
    or ``as_of`` is before the first session.
    """

    name = "simulated"
    supplies_corporate_actions = True
    supplies_dated_profiles = True
    symbols_per_call = 100
    own_calls = None

    def __init__(
        self,
        calendar: SessionCalendar,
        *,
        stocks: int = 500,
        seed: int = SEED,
        as_of: date | None = None,
        with_splits: bool = True,
        with_dividends: bool = True,
    ) -> None:
        if not 0 <= stocks <= LARGEST_MARKET:
            raise MarketDataError(f"the simulated market has 0 to {LARGEST_MARKET} stocks, not {stocks}")
        sessions = calendar.sessions[calendar.sessions >= np.datetime64(EPOCH)]
        world = draw_world(
            seed, stocks=stocks, sessions=len(sessions), with_splits=with_splits, with_dividends=with_dividends
        )
        rows = {listing.symbol: row for row, listing in enumerate(world.listings)}
        view = View(world, sessions, len(sessions), rows)
        self._view = view if as_of is None else view.at(as_of)
        if not self._view.known:
            raise MarketDataError(f"the simulated market starts on {sessions[0]}: nothing is known of it as of {as_of}")

    def listings(self) -> list[Listing]:
        """The eight funds, then the stocks that have been listed by now, delisted ones included."""
        view = self._view
        listed = np.flatnonzero(view.world.lives.first < view.known).tolist()
        return [view.world.listing(row, view.known - 1) for row in listed]

    def fetch_bars(self, requests: Sequence[BarRequest]) -> FetchResult:
        """One bar per session of each window at which the symbol traded, as far as bars have arrived.

        Option contracts are asked for by their OCC symbols; they have no actions.
        """
        stocks: list[BarRequest] = []
        contracts: list[BarRequest] = []
        unknown: dict[str, SymbolOutcome] = {}
        for symbol, request in requests_by_symbol(requests).items():
            if self._view.row(symbol) is not None:
                stocks.append(request)
            elif OCC_SYMBOL.fullmatch(symbol):
                contracts.append(request)
            else:
                unknown[symbol] = SymbolOutcome(Outcome.UNKNOWN, "the simulated market has no such symbol")
        of_stocks, of_options = fetch_stock_bars(self._view, stocks), fetch_option_bars(self._view, contracts)
        bars = pa.concat_tables([of_stocks.bars, of_options.bars])
        return FetchResult(bars, of_stocks.outcomes | of_options.outcomes | unknown, of_stocks.actions)

    def fetch_profiles(self, symbols: Sequence[str], *, as_of: date) -> ProfileResult:
        """The profiles of a date, or of the session as of which the market is known where the date is later."""
        return describe(self._view.at(as_of), symbols)

    def true_betas(self, symbols: Sequence[str]) -> Floats:
        """Population values (S, 12) of the factors of ``quant.factors.FACTORS``; see ``population_betas``."""
        unknown = [symbol for symbol in symbols if symbol not in self._view.rows]
        if unknown:
            raise MarketDataError(f"the simulated market has no {', '.join(unknown)}")
        return population_betas(self._view.world.parameters)[[self._view.rows[symbol] for symbol in symbols]]

    def splits(self, symbol: str) -> list[tuple[date, int, int]]:
        """Ex-date, new shares and old shares of every known split, in order."""
        splits, row = self._view.world.splits, self._row(symbol)
        columns = np.flatnonzero(splits.position[row] < self._view.known).tolist()
        return [
            (
                self._view.day(int(splits.position[row, column])),
                int(splits.numerator[row, column]),
                int(splits.denominator[row, column]),
            )
            for column in columns
        ]

    def listed_on(self, symbol: str) -> date:
        """The first session of a symbol."""
        return self._view.day(int(self._view.world.lives.first[self._row(symbol)]))

    def delisted_on(self, symbol: str) -> date | None:
        """The last session of a symbol that has ceased to trade."""
        row = self._row(symbol)
        return self._view.day(int(self._view.world.lives.last[row])) if self._view.has_ended(row) else None

    def halts(self, symbol: str, first: date, last: date) -> list[tuple[date, date]]:
        """First and last session of every halt from ``first`` to ``last``, cut at both ends."""
        row, view = self._row(symbol), self._view
        start, stop = view.start(first), min(view.end(last), view.known)
        halted = view.world.lives.halted(np.array([row]), start, max(start, stop))[0]
        steps = np.diff(halted.astype(np.int8), prepend=0, append=0)
        begins, ends = (np.flatnonzero(steps == step).tolist() for step in (1, -1))
        return [(view.day(start + begin), view.day(start + end - 1)) for begin, end in zip(begins, ends, strict=True)]

    def _row(self, symbol: str) -> int:
        row = self._view.row(symbol)
        if row is None:
            raise MarketDataError(f"the simulated market has no {symbol}")
        return row
