"""Profile updates against a scripted and the simulated market: which are due, and as of which session they are kept."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.protocol import ProfileResult
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.orchestration import profile_update
from sigmasight_assets.orchestration.profile_update import ProfileUpdate, update_profiles
from sigmasight_assets.sessions import SessionCalendar, exchange_calendar
from sigmasight_assets.storage.database import Database
from tests.orchestration.contents import execute, rows_of
from tests.orchestration.markets import ScriptedMarket, option, stock
from tests.orchestration.price_runs import DAYS, TODAY, TOMORROW, track

# A Monday; the week has no holiday.
MONDAY = date(2025, 6, 2)
WEEK = [day for day in DAYS if MONDAY <= day <= date(2025, 6, 10)]
FRIDAY, LATER = WEEK[4], WEEK[2]
CONTRACT = "AAA250718C00100000"


class Later(ScriptedMarket):
    """The company of NEW is described from the third session of the week on."""

    def fetch_profiles(self, symbols: Sequence[str], *, as_of: date) -> ProfileResult:
        self.profiles = {"AAA": {}, "BBB": {}, **({"NEW": {}} if as_of >= LATER else {})}
        return super().fetch_profiles(symbols, as_of=as_of)


@pytest.fixture
def market(market: ScriptedMarket) -> ScriptedMarket:
    """Dated profiles of AAA and BBB, none of NEW; a contract is tracked as well."""
    market.supplies_dated_profiles = True
    market.profiles = {"AAA": {"name": "A", "market_cap": 1e9}, "BBB": {"name": "B", "pe_ratio": 12.5}}
    market.descriptions.append(option(CONTRACT))
    return market


def update(database: Database, market: Any, *sessions: date, newest: date = TOMORROW) -> ProfileUpdate:
    return update_profiles(database, market, exchange_calendar(), sessions=sessions, newest_session=newest)


def captured(database: Database) -> list[tuple[str, date]]:
    rows = rows_of(database, "SELECT symbol, captured_on FROM company_profiles ORDER BY symbol, captured_on")
    return [(row["symbol"], row["captured_on"]) for row in rows]


def asked(market: ScriptedMarket) -> list[tuple[date, list[str]]]:
    found = list(market.profile_requests)
    market.profile_requests.clear()
    return found


def test_a_first_capture(tracked: Database, market: ScriptedMarket) -> None:
    found = update(tracked, market, MONDAY)
    assert found == ProfileUpdate(captured=2, already_fresh=0, without_profile={"NEW": "no profile"})
    assert asked(market) == [(MONDAY, ["AAA", "BBB", "NEW"])]
    rows = rows_of(tracked, "SELECT * FROM company_profiles ORDER BY symbol")
    assert [(row["symbol"], row["captured_on"], row["market_cap"], row["pe_ratio"]) for row in rows] == [
        ("AAA", MONDAY, 1e9, None),
        ("BBB", MONDAY, None, 12.5),
    ]
    assert {row["source"] for row in rows} == {"scripted"}


def test_a_profile_is_due_once_a_week(tracked: Database, market: ScriptedMarket) -> None:
    update(tracked, market, MONDAY)
    asked(market)
    found = update(tracked, market, FRIDAY)
    assert asked(market) == [(day, ["NEW"]) for day in WEEK[:5]]
    assert found == ProfileUpdate(captured=0, already_fresh=2, without_profile={"NEW": "no profile"})
    found = update(tracked, market, WEEK[6])
    assert asked(market) == [(WEEK[5], ["AAA", "BBB", "NEW"]), (WEEK[6], ["NEW"])]
    assert (found.captured, found.already_fresh) == (2, 0)
    assert captured(tracked) == [("AAA", MONDAY), ("AAA", WEEK[5]), ("BBB", MONDAY), ("BBB", WEEK[5])]


def test_profiles_are_those_of_the_weeks_first_session(tracked: Database, market: ScriptedMarket) -> None:
    market.profiles["NEW"] = {}
    found = update(tracked, market, *reversed(WEEK))
    assert asked(market) == [(MONDAY, ["AAA", "BBB", "NEW"]), (date(2025, 6, 9), ["AAA", "BBB", "NEW"])]
    assert found == ProfileUpdate(captured=6)


@pytest.mark.parametrize("runs", [WEEK, [WEEK[5], *WEEK[:5], WEEK[6]], [FRIDAY, WEEK[6], WEEK[2], *WEEK]], ids=str)
def test_the_order_of_the_runs_does_not_matter(tracked: Database, runs: list[date]) -> None:
    """A long backfill may come after the night that follows it."""
    for day in runs:
        update(tracked, Later({}, [], supplies_dated_profiles=True), day)
    names = {"AAA": MONDAY, "BBB": MONDAY, "NEW": LATER}
    assert captured(tracked) == [(name, day) for name, first in names.items() for day in (first, WEEK[5])]


def test_a_week_begins_with_its_first_session(tracked: Database, market: ScriptedMarket) -> None:
    """Monday the 26th of May was a holiday."""
    update(tracked, market, date(2025, 5, 29))
    assert captured(tracked) == [("AAA", date(2025, 5, 27)), ("BBB", date(2025, 5, 27))]


def test_only_due_symbols_are_asked_for(tracked: Database, market: ScriptedMarket) -> None:
    update(tracked, market, MONDAY)
    execute(tracked, "DELETE FROM company_profiles WHERE symbol = 'BBB'")
    asked(market)
    found = update(tracked, market, WEEK[1])
    assert asked(market) == [(MONDAY, ["BBB", "NEW"]), (WEEK[1], ["NEW"])]
    assert (found.captured, found.already_fresh) == (1, 1)


def test_a_symbol_that_gets_a_profile_later_is_not_without(tracked: Database) -> None:
    found = update(tracked, Later({}, [], supplies_dated_profiles=True), *WEEK[:4])
    assert found == ProfileUpdate(captured=3)
    assert ("NEW", LATER) in captured(tracked)


def test_a_source_of_todays_profiles_is_asked_once_as_of_today(tracked: Database, market: ScriptedMarket) -> None:
    market.supplies_dated_profiles = False
    update(tracked, market, *WEEK, newest=TODAY)
    assert asked(market) == [(TODAY, ["AAA", "BBB", "NEW"])]
    assert captured(tracked) == [("AAA", TODAY), ("BBB", TODAY)]
    update(tracked, market, *WEEK, newest=TOMORROW)
    assert asked(market) == [(TOMORROW, ["NEW"])]


@pytest.mark.parametrize(("days", "is_due"), [(6, False), (7, True)])
def test_todays_profiles_are_fresh_for_six_days(
    tracked: Database, market: ScriptedMarket, days: int, is_due: bool
) -> None:
    market.supplies_dated_profiles = False
    update(tracked, market, MONDAY, newest=MONDAY)
    asked(market)
    later = MONDAY + timedelta(days=days)
    update(tracked, market, MONDAY, newest=later)
    assert asked(market) == [(later, ["AAA", "BBB", "NEW"] if is_due else ["NEW"])]


def test_a_delisted_symbol_is_asked_for_as_of_sessions_it_traded(tracked: Database, market: ScriptedMarket) -> None:
    execute(
        tracked,
        "UPDATE symbol_universe SET status = 'delisted', last_price_date = :day WHERE symbol = 'AAA'",
        day=WEEK[1],
    )
    execute(tracked, "UPDATE symbol_universe SET status = 'delisted' WHERE symbol = 'NEW'")
    market.profiles.clear()
    update(tracked, market, WEEK[2])
    assert asked(market) == [(MONDAY, ["AAA", "BBB"]), (WEEK[1], ["AAA", "BBB"]), (WEEK[2], ["BBB"])]


def test_figures_that_are_not_finite_are_null(tracked: Database, market: ScriptedMarket) -> None:
    market.profiles["AAA"] = {"market_cap": float("inf"), "forward_pe": float("nan"), "provider_beta": 1.5}
    update(tracked, market, MONDAY)
    (row,) = rows_of(tracked, "SELECT * FROM company_profiles WHERE symbol = 'AAA'")
    assert (row["market_cap"], row["forward_pe"], row["provider_beta"]) == (None, None, 1.5)


def test_profiles_nobody_asked_for_are_not_stored(tracked: Database) -> None:
    class Talkative(ScriptedMarket):
        def fetch_profiles(self, symbols: Sequence[str], *, as_of: date) -> ProfileResult:
            return super().fetch_profiles([*symbols, "ZZZ"], as_of=as_of)

    profiles: dict[str, dict[str, Any]] = {"ZZZ": {}, "AAA": {}}
    found = update(tracked, Talkative({}, [], profiles=profiles, supplies_dated_profiles=True), MONDAY)
    assert captured(tracked) == [("AAA", MONDAY)]
    assert found.without_profile == {"BBB": "no profile", "NEW": "no profile"}


def test_what_is_stored_stays_when_a_later_batch_fails(
    tracked: Database, market: ScriptedMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FailsOnNew(ScriptedMarket):
        def fetch_profiles(self, symbols: Sequence[str], *, as_of: date) -> ProfileResult:
            if "NEW" in symbols:
                raise MarketDataError("The vendor does not answer: HTTP 503")
            return super().fetch_profiles(symbols, as_of=as_of)

    monkeypatch.setattr(profile_update, "BATCH_SYMBOLS", 2)
    with pytest.raises(MarketDataError, match="HTTP 503"):
        update(tracked, FailsOnNew({}, [], profiles=market.profiles, supplies_dated_profiles=True), MONDAY)
    assert captured(tracked) == [("AAA", MONDAY), ("BBB", MONDAY)]
    update(tracked, market, MONDAY)
    assert asked(market) == [(MONDAY, ["NEW"])]


def test_simulated_market(database: Database, calendar: SessionCalendar) -> None:
    market = SimulatedMarket(calendar, stocks=30)
    track(database, market)
    found = update(database, market, *WEEK)
    names = {item.symbol for item in market.listings()}
    assert {symbol for symbol, _ in captured(database)} | set(found.without_profile) == names
    assert update(database, market, *WEEK).captured == 0
    truth = market.fetch_profiles(sorted(names), as_of=MONDAY).profiles.to_pylist()
    sql = "SELECT symbol, market_cap, provider_beta FROM company_profiles WHERE captured_on = :day ORDER BY symbol"
    assert [tuple(row.values()) for row in rows_of(database, sql, day=MONDAY)] == [
        (row["symbol"], row["market_cap"], row["provider_beta"]) for row in sorted(truth, key=lambda row: row["symbol"])
    ]


def test_an_update_of_some_symbols_leaves_the_others(tracked: Database, market: ScriptedMarket) -> None:
    found = update_profiles(
        tracked,
        market,
        exchange_calendar(),
        sessions=[MONDAY],
        newest_session=TODAY,
        symbols=["AAA", "NEW", CONTRACT, "UNTRACKED"],
    )
    assert found == ProfileUpdate(captured=1, already_fresh=0, without_profile={"NEW": "no profile"})
    assert asked(market) == [(MONDAY, ["AAA", "NEW"])]
    update_profiles(tracked, market, exchange_calendar(), sessions=[MONDAY], newest_session=TODAY, symbols=[])
    assert asked(market) == []
    assert captured(tracked) == [("AAA", MONDAY)]


class TestOneByOne:
    """A source of profiles of now that is asked about one symbol at a time."""

    @pytest.fixture
    def market(self, market: ScriptedMarket) -> ScriptedMarket:
        market.supplies_dated_profiles, market.symbols_per_call = False, 1
        market.descriptions = [stock(f"S{number:02d}") for number in range(12)]
        market.profiles = {item.symbol: {} for item in market.descriptions[2:]}
        return market

    def test_a_week_brings_them_all_a_fifth_a_night(self, tracked: Database, market: ScriptedMarket) -> None:
        nights = []
        for day in WEEK[:5]:
            found = update(tracked, market, day, newest=day)
            nights.append([symbol for _, symbols in asked(market) for symbol in symbols])
            assert found.captured + found.already_fresh + found.postponed + len(found.without_profile) == 12
        assert [len(night) for night in nights] == [3] * 5
        assert {symbol for symbol, _ in captured(tracked)} == {item.symbol for item in market.descriptions[2:]}

    def test_symbols_that_somebody_waits_for_are_asked_for_at_once(
        self, tracked: Database, market: ScriptedMarket
    ) -> None:
        wanted = [f"S{number:02d}" for number in range(2, 9)]
        found = update_profiles(
            tracked, market, exchange_calendar(), sessions=[MONDAY], newest_session=MONDAY, symbols=wanted
        )
        assert (found.captured, found.postponed) == (7, 0)
