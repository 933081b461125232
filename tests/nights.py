"""Evenings of the simulated market through the whole pipeline, each as it was known then, without Dagster in between.

The market is that of seed 16 in spring 2019: within six weeks two stocks split, bars come late, wrong or never, stocks
are halted and one is delisted. What owners do on these evenings is in ``night_books``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time

from sigmasight_assets.market_data.protocol import Listing, MarketSource
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.operations.gate import GateRange, plan
from sigmasight_assets.operations.gate_state import read_gate_state
from sigmasight_assets.orchestration.portfolio_publication import publish_portfolio_products
from sigmasight_assets.orchestration.price_counts import PriceUpdate
from sigmasight_assets.orchestration.price_update import update_prices
from sigmasight_assets.orchestration.profile_update import ProfileUpdate, update_profiles
from sigmasight_assets.orchestration.symbol_outcome import SymbolPublication
from sigmasight_assets.orchestration.symbol_publication import publish_symbol_products
from sigmasight_assets.sessions import NEW_YORK, exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import read_held_symbols
from sigmasight_assets.storage.universe import import_listings
from tests.night_books import enter_edits
from tests.night_contents import find_mixes

STOCKS, SEED = 80, 16
DAYS = exchange_calendar().between(date(2019, 2, 28), date(2019, 4, 12))
MIN_COVERAGE = 0.9
# Enough for every regression and for the covariances.
HISTORY_START = exchange_calendar().offset(DAYS[0], -150)


@dataclass(frozen=True)
class SymbolLayer:
    """What one run of the symbol layer came to."""

    prices: PriceUpdate
    profiles: ProfileUpdate
    products: SymbolPublication


@dataclass(frozen=True)
class Evening:
    """What ran on the evening of a session, and what was then published that does not belong together."""

    day: date
    symbols: SymbolLayer | None
    ranges: list[GateRange]
    mixes: list[str]


def market_as_of(evening: date) -> SimulatedMarket:
    """The market as it is known on an evening."""
    return SimulatedMarket(exchange_calendar(), stocks=STOCKS, seed=SEED, as_of=evening)


def live_through(
    database: Database, *, without_symbols: Sequence[date] = (), without_portfolios: Sequence[date] = ()
) -> list[Evening]:
    """Every evening in turn: owners' edits, the symbol layer, and what the gate starts.

    On the evenings ``without_symbols`` nothing runs at all, and the next symbol run takes up their sessions; on those
    ``without_portfolios`` the portfolio layer does not.
    """
    evenings: list[Evening] = []
    due: list[date] = []
    for day in DAYS:
        enter_edits(database, market_as_of(day), DAYS, day)
        due.append(day)
        if day in without_symbols:
            evenings.append(Evening(day, None, [], []))
            continue
        symbols = run_symbol_layer(database, due)
        due = []
        with_books = day not in without_portfolios
        ranges = run_portfolio_layer(database, day) if with_books else []
        mixes = find_mixes(database, DAYS[: DAYS.index(day) + 1], with_books=with_books)
        evenings.append(Evening(day, symbols, ranges, mixes))
    return evenings


def live_evenings(database: Database, days: Sequence[date]) -> None:
    """The first evenings in turn: owners' edits, the symbol layer, and what the gate starts."""
    for day in days:
        enter_edits(database, market_as_of(day), DAYS, day)
        run_symbol_layer(database, [day])
        run_portfolio_layer(database, day)


def run_symbol_layer(database: Database, sessions: Sequence[date]) -> SymbolLayer:
    """Universe, prices, profiles and products of the sessions, on the evening of the last one."""
    market = market_as_of(sessions[-1])
    with database.begin() as connection:
        contracts = [symbol for symbol, held_as in read_held_symbols(connection).items() if held_as == "OPTIONS"]
        options = [Listing(symbol, symbol, "option", None, None) for symbol in contracts]
        import_listings(connection, [*market.listings(), *options])
    return run_layer(database, market, sessions, history_start=HISTORY_START)


def run_layer(
    database: Database, market: MarketSource, sessions: Sequence[date], *, history_start: date
) -> SymbolLayer:
    """Prices, profiles and products of the sessions, of what is tracked."""
    calendar, run_id = exchange_calendar(), f"symbols of {sessions[-1]}"
    prices = update_prices(database, market, calendar, sessions=sessions, history_start=history_start, run_id=run_id)
    profiles = update_profiles(database, market, exchange_calendar(), sessions=sessions, newest_session=sessions[-1])
    products = publish_symbol_products(database, calendar, sessions=sessions, min_coverage=MIN_COVERAGE, run_id=run_id)
    assert (products.published, products.failed, products.unsettled) == (list(sessions), [], set())
    return SymbolLayer(prices, profiles, products)


def run_portfolio_layer(database: Database, evening: date) -> list[GateRange]:
    """What the gate starts on an evening, until it has nothing left to start."""
    calendar, now = exchange_calendar(), datetime.combine(evening, time(22), NEW_YORK)
    ranges: list[GateRange] = []
    while (chosen := plan(read_gate_state(database, now=now)).range) is not None:
        assert chosen not in ranges, "the gate starts the same range for ever"
        ranges.append(chosen)
        sessions = calendar.between(chosen.first, chosen.last)
        outcome = publish_portfolio_products(database, calendar, sessions=sessions, run_id=chosen.run_key)
        assert (outcome.published, outcome.failed) == (sessions, [])
    return ranges
