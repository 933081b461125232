"""The awkward market with symbols that nobody tracks yet, published without them, and runs that bring them in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.protocol import BarRequest, FetchResult, Listing, MarketSource
from sigmasight_assets.orchestration.onboarding import Onboarding, OnboardingRun, onboard_requests
from sigmasight_assets.orchestration.price_update import update_prices
from sigmasight_assets.orchestration.profile_update import update_profiles
from sigmasight_assets.orchestration.symbol_publication import publish_symbol_products
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.universe import import_listings
from tests.night_contents import HOW_IT_CAME, RESULT_TABLES
from tests.orchestration.conftest import HISTORY_START, TARGETS
from tests.orchestration.contents import Contents, contents, rows_of
from tests.orchestration.markets import LEVERED, ScriptedMarket, bar, option, stock
from tests.orchestration.states import States
from tests.orchestration.symbol_runs import split_exactly
from tests.storage.onboarding_queue import ask

# An ordinary stock with a split and a dividend, one listed among the target sessions, one with 40 sessions before them,
# one that is delisted among them, one whose last bar is years old, a contract and its share, one that moves eight times
# as much as the market, a known ticker without any bar, and one that is none.
OLD, LISTED, SHORT, ENDED, LONG_GONE = "OLDX", "IPOX", "SHRT", "ENDX", "DEAD"
SHARE, CONTRACT = "UNDR", "UNDR250718C00010000"
LEAPING = "LEAP"
SILENT, NONE_SUCH = "QUIET", "NIXX"
YEARS_AGO = date(2019, 1, 2)


@dataclass
class FailingMarket(ScriptedMarket):
    """Cannot answer at all when it is asked for the bars of one of these symbols, or for anything."""

    failing: frozenset[str] = frozenset()
    is_away: bool = False
    attempts: int = 0

    def listings(self) -> list[Listing]:
        if self.is_away:
            raise MarketDataError("the vendor is away")
        return super().listings()

    def fetch_bars(self, requests: Sequence[BarRequest]) -> FetchResult:
        self.attempts += 1
        if self.failing & {item.symbol for item in requests}:
            raise MarketDataError("the vendor cannot answer")
        return super().fetch_bars(requests)


def extended(market: ScriptedMarket) -> FailingMarket:
    """A copy of the awkward market that knows the symbols above."""
    copy = FailingMarket(
        dict(market.bars), list(market.descriptions), supplies_corporate_actions=True, supplies_dated_profiles=True
    )
    calendar = exchange_calendar()
    spans = {
        OLD: (HISTORY_START, TARGETS[-1]),
        LISTED: (TARGETS[6], TARGETS[-1]),
        SHORT: (calendar.offset(TARGETS[0], -40), TARGETS[-1]),
        ENDED: (HISTORY_START, TARGETS[3]),
        SHARE: (HISTORY_START, TARGETS[-1]),
        LEAPING: (HISTORY_START, TARGETS[-1]),
    }
    models = [item.symbol for item in market.descriptions if item.asset_type == "equity"][20:25]
    for (symbol, (first, last)), model in zip(spans.items(), [*models, LEVERED], strict=True):
        for day in calendar.between(first, last):
            copy.bars[symbol, day] = market.bars[model, day]
    for day in TARGETS[2:]:
        copy.bars[CONTRACT, day] = bar(2.5)
    copy.bars[SILENT, YEARS_AGO] = copy.bars[LONG_GONE, YEARS_AGO] = bar(1.0)
    copy.delisted = {ENDED: "merged", LONG_GONE: "bankrupt"}
    split_exactly(copy, OLD, TARGETS[5], 2)
    copy.pay(OLD, TARGETS[8], 0.5)
    copy.profiles = {symbol: {"market_cap": 1e9, "sector": "Energy"} for symbol in (OLD, SHARE)}
    copy.descriptions += [stock(symbol) for symbol in (*spans, SILENT, LONG_GONE)]
    return copy


def descriptions(market: ScriptedMarket, *symbols: str) -> list[Listing]:
    """How the symbols are tracked, those that the market does not list too."""
    listed = {item.symbol: item for item in market.descriptions}
    unlisted = {
        CONTRACT: option(CONTRACT),
        NONE_SUCH: Listing(NONE_SUCH, NONE_SUCH, "equity", sector=None, industry=None),
    }
    return [listed.get(symbol) or unlisted[symbol] for symbol in symbols]


def enter_before(states: States, awkward: ScriptedMarket, market: ScriptedMarket) -> Database:
    """The state in which every target session is published and the symbols above are not tracked."""

    def fill(database: Database) -> None:
        backfill(database, market, awkward.descriptions)

    return states.enter("before_onboarding", fill)


def backfill(database: Database, market: ScriptedMarket, tracked: Sequence[Listing], *, run_id: str = "first") -> None:
    """Track symbols, and publish all target sessions of them."""
    with database.begin() as connection:
        import_listings(connection, tracked)
    calendar = exchange_calendar()
    update_prices(database, market, calendar, sessions=TARGETS, history_start=HISTORY_START, run_id=run_id)
    update_profiles(database, market, exchange_calendar(), sessions=TARGETS, newest_session=TARGETS[-1])
    outcome = publish_symbol_products(database, calendar, sessions=TARGETS, min_coverage=0.9, run_id=run_id)
    assert (outcome.published, outcome.unsettled) == (TARGETS, set())


def fetch(database: Database, market: ScriptedMarket, *symbols: str) -> None:
    """Track symbols and store their prices, as a worker has done that is lost before it publishes."""
    with database.begin() as connection:
        import_listings(connection, descriptions(market, *symbols))
    update_prices(
        database,
        market,
        exchange_calendar(),
        sessions=TARGETS,
        history_start=HISTORY_START,
        run_id="lost",
        symbols=symbols,
    )


def onboarding_run(database: Database, market: MarketSource, *, run_id: str = "onboarding") -> OnboardingRun:
    return OnboardingRun(
        database=database,
        source=market,
        calendar=exchange_calendar(),
        newest_session=TARGETS[-1],
        history_start=HISTORY_START,
        min_coverage=0.9,
        run_id=run_id,
    )


def onboard(
    database: Database, market: MarketSource, symbols: Sequence[str] = (), *, run_id: str = "onboarding"
) -> Onboarding:
    """Ask for the symbols and work off everything that is due."""
    ask(database, *symbols)
    return onboard_requests(onboarding_run(database, market, run_id=run_id))


def results(database: Database) -> Contents:
    """All that the pipeline comes to, with the fingerprints of what it was computed from."""
    return contents(database, RESULT_TABLES, ignoring=[name for name in HOW_IT_CAME if name != "fingerprint"])


def universe(database: Database) -> dict[str, tuple[str, str | None]]:
    """Status and its reason of each tracked symbol."""
    rows = rows_of(database, "SELECT symbol, status, status_reason FROM symbol_universe")
    return {row["symbol"]: (row["status"], row["status_reason"]) for row in rows}
