"""Chooses the market source that the settings name, and the second one beside it."""

from zoneinfo import ZoneInfo

from sigmasight_assets.errors import ConfigurationError
from sigmasight_assets.market_data.combined import WithOptions
from sigmasight_assets.market_data.files import CONSTITUENTS_FILE, PRICES_FILE, FilesMarket
from sigmasight_assets.market_data.protocol import MarketSource
from sigmasight_assets.market_data.second_source import WithSecond
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.market_data.turns import TurnsOf, no_turns
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.settings import Settings

NEW_YORK = ZoneInfo("America/New_York")


def build_source(settings: Settings, calendar: SessionCalendar, *, turns: TurnsOf = no_turns) -> MarketSource:
    """The source of ``SIGMASIGHT_MARKET``; nothing is read before it is asked.

    With ``SIGMASIGHT_SECOND_MARKET`` that one serves in its place when it is down, and is compared with it. Sources
    behind HTTP take one of the ``turns`` for every call. The simulated market knows what a vendor would know at the
    last complete session, by the clock of the settings.
    """
    source = _build(settings.market, settings, calendar, turns)
    if settings.second_market is not None:
        source = WithSecond(source, _build(settings.second_market, settings, calendar, turns))
    if settings.market == "yahoo" or (settings.market == "files" and settings.polygon_key):
        return WithOptions(source, _options(settings, turns))
    return source


def _build(market: str, settings: Settings, calendar: SessionCalendar, turns: TurnsOf) -> MarketSource:
    if market == "yahoo":
        return _yahoo(settings, turns)
    if market == "simulated":
        as_of = calendar.last_complete(settings.clock())
        return SimulatedMarket(calendar, stocks=settings.demo_symbols, as_of=as_of)
    if settings.market_files is None:
        raise ConfigurationError(f"SIGMASIGHT_MARKET_FILES must be a directory with {PRICES_FILE}, {CONSTITUENTS_FILE}")
    return FilesMarket(settings.market_files)


def _yahoo(settings: Settings, turns: TurnsOf) -> MarketSource:
    # Clients of vendors take 0.2 s to import, which other markets need not pay.
    from sigmasight_assets.market_data.vendor_calls import CallRules  # noqa: PLC0415
    from sigmasight_assets.market_data.yahoo import YahooMarket  # noqa: PLC0415

    rules = CallRules(turns("yahoo", settings.yahoo_rate), settings.vendor_timeout, settings.yahoo_url)
    return YahooMarket(rules, cache=settings.home / "yahoo", today=lambda: settings.clock().astimezone(NEW_YORK).date())


def _options(settings: Settings, turns: TurnsOf) -> MarketSource | None:
    """The vendor of option prices, none without a key."""
    if not settings.polygon_key:
        return None
    from sigmasight_assets.market_data.polygon import PolygonOptions  # noqa: PLC0415
    from sigmasight_assets.market_data.vendor_calls import CallRules  # noqa: PLC0415

    rules = CallRules(turns("polygon", settings.polygon_rate / 60), settings.vendor_timeout, settings.polygon_url)
    return PolygonOptions(settings.polygon_key, rules)
