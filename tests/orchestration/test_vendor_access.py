"""A step's way to the market: calls of the vendor's size with the answers of one, in turn and counted."""

from dataclasses import replace
from datetime import date

import pytest

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.protocol import BarRequest
from sigmasight_assets.market_data.second_source import WithSecond
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.orchestration.vendor_access import MeteredMarket, metered, run_priority
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.settings import Settings
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.vendor_turns import BACKFILL, NIGHTLY, ONBOARDING
from tests.orchestration.failing_markets import FailingMarket
from tests.orchestration.markets import ScriptedMarket, bar

FIRST, LAST = date(2024, 6, 3), date(2024, 7, 31)


class InSmallCalls(SimulatedMarket):
    """The simulated market as a vendor that answers for few symbols at a time."""

    symbols_per_call = 7
    own_calls = None

    def __init__(self, calendar: SessionCalendar) -> None:
        super().__init__(calendar, stocks=30)
        self.sizes: list[int] = []

    def fetch_bars(self, requests):  # type: ignore[no-untyped-def]
        self.sizes.append(len(requests))
        return super().fetch_bars(requests)


@pytest.fixture
def small(calendar: SessionCalendar) -> InSmallCalls:
    return InSmallCalls(calendar)


def test_bars_of_many_calls_are_those_of_one(small: InSmallCalls, calendar: SessionCalendar) -> None:
    requests = [BarRequest(item.symbol, FIRST, LAST) for item in small.listings()] + [BarRequest("NOSUCH", FIRST, LAST)]
    market = MeteredMarket(small)
    whole, parts = SimulatedMarket(calendar, stocks=30).fetch_bars(requests), market.fetch_bars(requests)
    assert small.sizes == [7] * 5 + [4]
    assert market.calls == 6
    assert parts.outcomes == whole.outcomes
    for ours, theirs in ((parts.bars, whole.bars), (parts.actions, whole.actions)):
        by = [(name, "ascending") for name in ours.column_names[:2]]
        assert ours.num_rows > 0
        assert ours.sort_by(by).equals(theirs.sort_by(by))


def test_profiles_of_many_calls_are_those_of_one(small: InSmallCalls, calendar: SessionCalendar) -> None:
    symbols = [item.symbol for item in small.listings()] + ["NOSUCH"]
    market = MeteredMarket(small)
    whole = SimulatedMarket(calendar, stocks=30).fetch_profiles(symbols, as_of=LAST)
    parts = market.fetch_profiles(symbols, as_of=LAST)
    assert market.calls == 6
    assert parts.problems == whole.problems
    assert parts.profiles.sort_by("symbol").equals(whole.profiles.sort_by("symbol"))


def test_nothing_asked_is_one_call_and_an_empty_answer(small: InSmallCalls) -> None:
    market = MeteredMarket(small)
    assert market.fetch_bars([]).bars.num_rows == 0
    assert market.fetch_profiles([], as_of=LAST).profiles.num_rows == 0
    assert market.calls == 2


def test_a_symbol_asked_for_twice_is_refused_even_in_different_calls(small: InSmallCalls) -> None:
    requests = [BarRequest(item.symbol, FIRST, LAST) for item in small.listings()]
    with pytest.raises(MarketDataError, match="SPY is asked for twice"):
        MeteredMarket(small).fetch_bars([*requests, BarRequest("SPY", FIRST, LAST)])
    assert small.sizes == []


def test_it_is_the_source_in_all_else(market: ScriptedMarket) -> None:
    asked = MeteredMarket(replace(market, supplies_dated_profiles=True, symbols_per_call=3))
    assert (asked.name, asked.symbols_per_call) == ("scripted", 3)
    assert (asked.supplies_corporate_actions, asked.supplies_dated_profiles) == (False, True)
    assert asked.listings() == market.listings()
    assert asked.calls == 1


def test_a_rate_makes_calls_wait_for_their_turn(database: Database, market: ScriptedMarket) -> None:
    free = metered(market, database, Settings(), priority=BACKFILL)
    assert free.turns is None
    limited = metered(market, database, Settings(market_rate=4.0), priority=ONBOARDING)
    assert limited.turns is not None
    assert (limited.turns.vendor, limited.turns.calls_per_second, limited.turns.priority) == (
        "scripted",
        4.0,
        ONBOARDING,
    )
    limited.listings()
    with database.begin() as connection:
        (row,) = connection.exec_driver_sql("SELECT vendor, next_call_at > clock_timestamp() FROM vendor_limits")
    assert tuple(row) == ("scripted", True)


def test_the_newest_sessions_run_goes_before_those_of_the_past(calendar: SessionCalendar) -> None:
    evening = Settings.model_validate({"now": "2025-07-31T22:00:00-04:00"})
    assert run_priority([date(2025, 7, 30), date(2025, 7, 31)], calendar, evening) == NIGHTLY
    assert run_priority([date(2025, 7, 30)], calendar, evening) == BACKFILL


def test_what_a_second_source_served_is_told_of_every_call() -> None:
    symbols = [f"S{number}" for number in range(10)]
    second = ScriptedMarket({(symbol, FIRST): bar(5.0) for symbol in symbols}, [], name="other")
    first = FailingMarket({}, [], symbols_per_call=4, down=MarketDataError("unreachable: nobody answers"))
    market = MeteredMarket(WithSecond(first, second))
    answer = market.fetch_bars([BarRequest(symbol, FIRST, LAST) for symbol in symbols])
    assert market.calls == 3
    assert answer.sources == dict.fromkeys(symbols, "other")
    assert market.second is second
    assert market.names == {"scripted", "other"}
    assert MeteredMarket(first).second is None
    assert MeteredMarket(first).names == {"scripted"}
