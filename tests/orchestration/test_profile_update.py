"""Profile updates against a scripted and the simulated market: which are due, and as of which session they are kept."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.protocol import ProfileResult
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.orchestration import profile_update
from sigmasight_assets.orchestration.profile_update import ProfileUpdate, update_profiles
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.database import Database
from tests.orchestration.contents import execute, rows_of
from tests.orchestration.markets import ScriptedMarket, option
from tests.orchestration.price_runs import DAYS, TODAY, TOMORROW, track

# A Monday; the week has no holiday.
MONDAY = date(2025, 6, 2)
WEEK = [day for day in DAYS if MONDAY <= day <= date(2025, 6, 10)]
CONTRACT = "AAA250718C00100000"


@pytest.fixture
def market(market: ScriptedMarket) -> ScriptedMarket:
    """Dated profiles of AAA and BBB, none of NEW; a contract is tracked as well."""
    market.supplies_dated_profiles = True
    market.profiles = {"AAA": {"name": "A", "market_cap": 1e9}, "BBB": {"name": "B", "pe_ratio": 12.5}}
    market.descriptions.append(option(CONTRACT))
    return market


def update(database: Database, market: Any, *sessions: date, newest: date = TOMORROW) -> ProfileUpdate:
    return update_profiles(database, market, sessions=sessions, newest_session=newest)


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


@pytest.mark.parametrize(("day", "is_due"), [(MONDAY, False), (date(2025, 6, 6), False), (date(2025, 6, 9), True)])
def test_a_profile_is_due_when_it_is_a_week_old(
    tracked: Database, market: ScriptedMarket, day: date, is_due: bool
) -> None:
    update(tracked, market, MONDAY)
    asked(market)
    found = update(tracked, market, day)
    assert asked(market) == [(day, ["AAA", "BBB", "NEW"] if is_due else ["NEW"])]
    assert (found.captured, found.already_fresh) == ((2, 0) if is_due else (0, 2))
    assert captured(tracked).count(("AAA", day)) == (is_due or day == MONDAY)


def test_six_days_old_is_fresh(tracked: Database, market: ScriptedMarket) -> None:
    tuesday, monday = date(2025, 6, 3), date(2025, 6, 9)
    update(tracked, market, tuesday)
    asked(market)
    update(tracked, market, monday)
    assert asked(market) == [(monday, ["NEW"])]


def test_a_range_is_captured_week_by_week(tracked: Database, market: ScriptedMarket) -> None:
    market.profiles["NEW"] = {}
    found = update(tracked, market, *reversed(WEEK))
    assert asked(market) == [(MONDAY, ["AAA", "BBB", "NEW"]), (date(2025, 6, 9), ["AAA", "BBB", "NEW"])]
    assert found == ProfileUpdate(captured=6)


def test_a_range_before_a_capture_is_captured_too(tracked: Database, market: ScriptedMarket) -> None:
    market.profiles["NEW"] = {}
    update(tracked, market, WEEK[3])
    asked(market)
    found = update(tracked, market, *WEEK)
    assert [day for day, _ in asked(market)] == [MONDAY]
    assert found == ProfileUpdate(captured=3)
    # The one of Monday would be a week old; the one captured first is four days old.
    assert captured(tracked)[:2] == [("AAA", MONDAY), ("AAA", WEEK[3])]
    assert update(tracked, market, *WEEK) == ProfileUpdate(already_fresh=3)


def test_only_due_symbols_are_asked_for(tracked: Database, market: ScriptedMarket) -> None:
    update(tracked, market, MONDAY)
    execute(tracked, "DELETE FROM company_profiles WHERE symbol = 'BBB'")
    asked(market)
    found = update(tracked, market, WEEK[1])
    assert asked(market) == [(WEEK[1], ["BBB", "NEW"])]
    assert (found.captured, found.already_fresh) == (1, 1)


def test_a_symbol_that_gets_a_profile_later_is_not_without(tracked: Database) -> None:
    class Later(ScriptedMarket):
        def fetch_profiles(self, symbols: Sequence[str], *, as_of: date) -> ProfileResult:
            self.profiles = {"AAA": {}, "BBB": {}, **({"NEW": {}} if as_of >= WEEK[2] else {})}
            return super().fetch_profiles(symbols, as_of=as_of)

    found = update(tracked, Later({}, [], supplies_dated_profiles=True), *WEEK[:4])
    assert found == ProfileUpdate(captured=3)
    assert ("NEW", WEEK[2]) in captured(tracked)


def test_a_source_of_todays_profiles_is_asked_once_as_of_today(tracked: Database, market: ScriptedMarket) -> None:
    market.supplies_dated_profiles = False
    update(tracked, market, *WEEK, newest=TODAY)
    assert asked(market) == [(TODAY, ["AAA", "BBB", "NEW"])]
    assert captured(tracked) == [("AAA", TODAY), ("BBB", TODAY)]
    update(tracked, market, *WEEK, newest=TOMORROW)
    assert asked(market) == [(TOMORROW, ["NEW"])]


def test_a_delisted_symbol_is_asked_for_as_of_sessions_it_traded(tracked: Database, market: ScriptedMarket) -> None:
    execute(
        tracked,
        "UPDATE symbol_universe SET status = 'delisted', last_price_date = :day WHERE symbol = 'AAA'",
        day=WEEK[1],
    )
    execute(tracked, "UPDATE symbol_universe SET status = 'delisted' WHERE symbol = 'NEW'")
    update(tracked, market, WEEK[2])
    assert asked(market) == [(WEEK[2], ["BBB"])]
    update(tracked, market, WEEK[1])
    assert asked(market) == [(WEEK[1], ["AAA", "BBB"])]


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
        tracked, market, sessions=[MONDAY], newest_session=TODAY, symbols=["AAA", "NEW", CONTRACT, "UNTRACKED"]
    )
    assert found == ProfileUpdate(captured=1, already_fresh=0, without_profile={"NEW": "no profile"})
    assert asked(market) == [(MONDAY, ["AAA", "NEW"])]
    update_profiles(tracked, market, sessions=[MONDAY], newest_session=TODAY, symbols=[])
    assert asked(market) == []
    assert captured(tracked) == [("AAA", MONDAY)]
