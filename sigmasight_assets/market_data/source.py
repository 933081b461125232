"""Chooses the market source that the settings name, and the second one beside it."""

from sigmasight_assets.errors import ConfigurationError
from sigmasight_assets.market_data.files import CONSTITUENTS_FILE, PRICES_FILE, FilesMarket
from sigmasight_assets.market_data.protocol import MarketSource
from sigmasight_assets.market_data.second_source import WithSecond
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.market_data.turns import TurnsOf, no_turns
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.settings import Settings


def build_source(settings: Settings, calendar: SessionCalendar, *, turns: TurnsOf = no_turns) -> MarketSource:
    """The source of ``SIGMASIGHT_MARKET``; nothing is read before it is asked.

    With ``SIGMASIGHT_SECOND_MARKET`` that one serves in its place when it is down, and is compared with it. Sources
    behind HTTP take one of the ``turns`` for every call. The simulated market knows what a vendor would know at the
    last complete session, by the clock of the settings.
    """
    first = _build(settings.market, settings, calendar)
    if settings.second_market is None:
        return first
    return WithSecond(first, _build(settings.second_market, settings, calendar))


def _build(market: str, settings: Settings, calendar: SessionCalendar) -> MarketSource:
    if market == "simulated":
        as_of = calendar.last_complete(settings.clock())
        return SimulatedMarket(calendar, stocks=settings.demo_symbols, as_of=as_of)
    if settings.market_files is None:
        raise ConfigurationError(f"SIGMASIGHT_MARKET_FILES must be a directory with {PRICES_FILE}, {CONSTITUENTS_FILE}")
    return FilesMarket(settings.market_files)
