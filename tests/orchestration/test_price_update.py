"""Price updates against a scripted and the simulated market: what is asked, stored and rejected."""

import threading
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import pytest

from sigmasight_assets.errors import MarketDataError, SessionError
from sigmasight_assets.market_data.protocol import BarRequest, FetchResult
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.orchestration import price_update
from sigmasight_assets.orchestration.price_counts import PriceUpdate
from sigmasight_assets.orchestration.price_update import update_prices
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.publications import lock_layer
from tests.orchestration.contents import PRICE_TABLES, contents, execute, rows_of, wait_for_waiters
from tests.orchestration.markets import ScriptedMarket, bar, stock
from tests.orchestration.price_runs import (
    DAYS,
    HISTORY_START,
    LISTED_LATER,
    TODAY,
    TOMORROW,
    run,
    stored_closes,
    symbols,
    track,
)


def test_first_update_asks_for_the_whole_window_and_stores_it(tracked: Database, market: ScriptedMarket) -> None:
    update = run(tracked, market)
    assert market.asked() == dict.fromkeys(("AAA", "BBB", "NEW"), (HISTORY_START, TODAY))
    days = DAYS[:-1]
    assert stored_closes(tracked, "AAA") == {day: Decimal(100 + place) for place, day in enumerate(days)}
    assert list(stored_closes(tracked, "NEW")) == days[10:]
    stored = rows_of(tracked, "SELECT * FROM symbol_prices_daily WHERE symbol = 'BBB' AND price_date = :day", day=TODAY)
    close = Decimal(101 + len(days) - 1)
    assert {name: stored[0][name] for name in stored[0] if name != "fetched_at"} == {
        "symbol": "BBB",
        "price_date": TODAY,
        "open_price": close,
        "high_price": close + 1,
        "low_price": close - Decimal("0.5"),
        "close_price": close,
        "adj_close_price": float(close),
        "volume": 1000,
        "source": "scripted",
    }
    assert (update.requested, update.inserted, update.changed_symbols) == (3, 3 * len(days) - 10, 3)
    assert (update.restated, update.already_there, update.rejected, update.problems) == (0, 0, {}, {})


def test_history_is_400_sessions_and_never_before_the_history_start(
    tracked: Database, market: ScriptedMarket, calendar: SessionCalendar
) -> None:
    run(tracked, market, history_start=date(2015, 1, 2))
    assert set(market.asked().values()) == {(calendar.offset(TODAY, -400), TODAY)}
    run(tracked, market, DAYS[3], TODAY, history_start=date(2015, 1, 2))
    assert {first for first, _ in market.asked().values()} == {calendar.offset(DAYS[3], -400)}


def test_history_start_may_be_a_day_without_session(tracked: Database, market: ScriptedMarket) -> None:
    saturday, monday = date(2025, 5, 3), date(2025, 5, 5)
    run(tracked, market, history_start=saturday)
    assert set(market.asked().values()) == {(monday, TODAY)}


def test_known_symbols_are_asked_for_the_last_five_sessions(tracked: Database, market: ScriptedMarket) -> None:
    run(tracked, market)
    market.asked()
    update = run(tracked, market, TOMORROW)
    assert market.asked() == dict.fromkeys(("AAA", "BBB", "NEW"), (DAYS[-5], TOMORROW))
    assert (update.inserted, update.already_there, update.restated, update.changed_symbols) == (3, 12, 0, 3)
    assert stored_closes(tracked, "AAA")[TOMORROW] == 100 + len(DAYS) - 1


def test_each_symbol_is_asked_from_the_first_session_it_lacks(tracked: Database, market: ScriptedMarket) -> None:
    for day in DAYS[20:-1]:
        market.bars.pop(("AAA", day))
    run(tracked, market)
    market.asked()
    market.descriptions.append(stock("CCC"))
    market.bars |= {("CCC", day): bar(7.0) for day in DAYS}
    track(tracked, market)
    update = run(tracked, market, TOMORROW)
    assert market.asked() == {
        "AAA": (DAYS[16], TOMORROW),
        "BBB": (DAYS[-5], TOMORROW),
        "CCC": (HISTORY_START, TOMORROW),
        "NEW": (DAYS[-5], TOMORROW),
    }
    assert update.inserted == 1 + 2 + len(DAYS)


def test_a_halt_is_asked_for_once(tracked: Database, market: ScriptedMarket) -> None:
    for day in DAYS[20:30]:
        market.bars.pop(("AAA", day))
    run(tracked, market)
    market.asked()
    for day in (TODAY, TOMORROW):
        run(tracked, market, day)
        assert market.asked()["AAA"] == (DAYS[DAYS.index(day) - 4], day)
    assert len(stored_closes(tracked, "AAA")) == len(DAYS) - 10


def test_a_bar_that_comes_within_five_sessions_is_taken(tracked: Database, market: ScriptedMarket) -> None:
    late = {place: market.bars.pop(("AAA", DAYS[place])) for place in (-5, -6)}
    run(tracked, market)
    market.bars |= {("AAA", DAYS[place]): values for place, values in late.items()}
    assert run(tracked, market, TOMORROW).inserted == 4
    assert {DAYS[-6], DAYS[-5]} - set(stored_closes(tracked, "AAA")) == {DAYS[-6]}


def test_later_listing_is_asked_for_earlier_sessions_only_once_per_window(
    tracked: Database, market: ScriptedMarket, calendar: SessionCalendar
) -> None:
    run(tracked, market)
    found = symbols(tracked)["NEW"]
    assert (found.history_from, found.first_trade_date, found.last_price_date) == (HISTORY_START, LISTED_LATER, TODAY)
    market.asked()
    run(tracked, market)
    assert market.asked()["NEW"] == (DAYS[-6], TODAY)
    # A window that reaches further back than ever before is asked for, and once.
    earlier = calendar.offset(HISTORY_START, -20)
    run(tracked, market, history_start=earlier)
    assert market.asked()["NEW"] == (earlier, TODAY)
    run(tracked, market, history_start=earlier)
    assert market.asked()["NEW"] == (DAYS[-6], TODAY)


def test_backfill_of_older_sessions_asks_for_what_lies_before_them(
    tracked: Database, market: ScriptedMarket, calendar: SessionCalendar
) -> None:
    run(tracked, market)
    market.asked()
    earlier = calendar.offset(HISTORY_START, -3)
    for day in calendar.between(earlier, HISTORY_START)[:-1]:
        market.bars["AAA", day] = bar(90.0)
    update = run(tracked, market, DAYS[1], DAYS[2], history_start=earlier)
    assert market.asked() == dict.fromkeys(("AAA", "BBB", "NEW"), (earlier, DAYS[2]))
    assert (update.inserted, update.already_there) == (3, 6)
    assert symbols(tracked)["AAA"].first_trade_date == earlier
    assert symbols(tracked)["AAA"].last_price_date == TODAY


def test_rerun_changes_nothing(tracked: Database, market: ScriptedMarket) -> None:
    market.bars["AAA", DAYS[5]] = (1.0, 0.5, 1.0, 1.0, 1.0, 1.0)
    run(tracked, market)
    before = contents(tracked, PRICE_TABLES)
    update = run(tracked, market)
    assert contents(tracked, PRICE_TABLES) == before
    assert (update.inserted, update.restated, update.changed_symbols) == (0, 0, 0)


def test_rejected_bars_go_to_quarantine_with_their_reason(tracked: Database, market: ScriptedMarket) -> None:
    market.bars["AAA", DAYS[5]] = (10.0, 9.0, 8.0, 9.5, 9.5, 100.0)
    market.bars["AAA", TODAY] = (10.0, 11.0, 9.0, float("nan"), 10.0, 100.0)
    market.bars["BBB", date(2025, 6, 19)] = bar(50.0)
    market.unasked = [("ZZZ", TODAY, bar(5.0)), ("NEW", TODAY, bar(6.0))]
    update = run(tracked, market)
    reasons = {
        ("AAA", DAYS[5]): "high_too_low",
        ("AAA", TODAY): "price_missing",
        ("BBB", date(2025, 6, 19)): "not_a_session",
        ("ZZZ", TODAY): "not_asked",
        ("NEW", TODAY): "conflicting_duplicate",
    }
    quarantined = rows_of(tracked, "SELECT * FROM price_quarantine")
    assert {(row["symbol"], row["price_date"]): row["reason"] for row in quarantined} == reasons
    assert len(quarantined) == 6
    assert {row["source"] for row in quarantined} == {"scripted"}
    raw = next(row for row in quarantined if row["reason"] == "high_too_low")
    assert (raw["open_price"], raw["high_price"], raw["low_price"], raw["volume"]) == (10.0, 9.0, 8.0, 100.0)
    assert update.rejected == {
        "high_too_low": 1,
        "price_missing": 1,
        "not_a_session": 1,
        "not_asked": 1,
        "conflicting_duplicate": 2,
    }
    assert DAYS[5] not in stored_closes(tracked, "AAA")
    assert len(stored_closes(tracked, "AAA")) == len(DAYS) - 3
    run(tracked, market)
    assert len(rows_of(tracked, "SELECT * FROM price_quarantine")) == 6


def test_rejected_bar_never_replaces_a_stored_one(tracked: Database, market: ScriptedMarket) -> None:
    run(tracked, market)
    before = contents(tracked, PRICE_TABLES)
    market.bars["AAA", TODAY] = (0.0, 11.0, 9.0, 10.0, 10.0, 100.0)
    update = run(tracked, market)
    after = contents(tracked, PRICE_TABLES)
    assert after["symbol_prices_daily"] == before["symbol_prices_daily"]
    assert update.rejected == {"price_not_positive": 1}


def test_unknown_symbol_gets_the_status_error_until_the_market_knows_it(
    tracked: Database, market: ScriptedMarket
) -> None:
    market.descriptions.append(stock("GONE"))
    track(tracked, market)
    update = run(tracked, market)
    assert update.problems == {"GONE": "unknown: no such ticker"}
    found = symbols(tracked)
    assert (found["GONE"].status, found["GONE"].status_reason) == ("error", "unknown: no such ticker")
    assert {found[name].status for name in ("AAA", "BBB", "NEW")} == {"active"}
    market.bars["GONE", TOMORROW] = bar(12.0)
    update = run(tracked, market, TOMORROW)
    found = symbols(tracked)
    assert update.problems == {}
    assert (found["GONE"].status, found["GONE"].status_reason) == ("active", None)
    assert found["GONE"].first_trade_date == TOMORROW


def test_active_symbol_that_falls_silent_stays_active(tracked: Database, market: ScriptedMarket) -> None:
    run(tracked, market)
    market.bars = {key: value for key, value in market.bars.items() if key[0] != "AAA"}
    update = run(tracked, market, TOMORROW)
    assert update.problems == {"AAA": "unknown: no such ticker"}
    assert symbols(tracked)["AAA"].status == "active"
    assert len(stored_closes(tracked, "AAA")) == len(DAYS) - 1


def test_gap_before_a_later_window_is_asked_for_when_it_is_needed(tracked: Database, market: ScriptedMarket) -> None:
    """Windows of 400 sessions are far apart; here the history's start stands in for their length."""
    run(tracked, market, DAYS[5])
    run(tracked, market, TODAY, history_start=DAYS[20])
    assert (symbols(tracked)["AAA"].history_from, symbols(tracked)["AAA"].last_price_date) == (DAYS[20], TODAY)
    market.asked()
    run(tracked, market, DAYS[25])
    assert market.asked()["AAA"] == (DAYS[6], DAYS[25])
    assert sorted(stored_closes(tracked, "AAA")) == DAYS[:-1]
    assert symbols(tracked)["AAA"].history_from == DAYS[0]


def test_older_window_that_is_apart_leaves_a_gap(tracked: Database, market: ScriptedMarket) -> None:
    run(tracked, market, history_start=DAYS[20])
    run(tracked, market, DAYS[5])
    assert symbols(tracked)["AAA"].history_from == DAYS[20]
    assert symbols(tracked)["AAA"].first_trade_date == DAYS[0]
    market.asked()
    run(tracked, market, DAYS[25])
    assert market.asked()["AAA"] == (DAYS[6], DAYS[25])


def test_batches_store_the_same(tracked: Database, market: ScriptedMarket, monkeypatch: pytest.MonkeyPatch) -> None:
    run(tracked, market)
    whole = contents(tracked, PRICE_TABLES, ignoring=["fetched_at", "added_at"])
    execute(tracked, "DELETE FROM symbol_prices_daily; DELETE FROM symbol_universe")
    monkeypatch.setattr(price_update, "BATCH_SYMBOLS", 2)
    track(tracked, market)
    update = run(tracked, market)
    assert contents(tracked, PRICE_TABLES, ignoring=["fetched_at", "added_at"]) == whole
    assert update.requested == 3


class FailsOn(ScriptedMarket):
    """Answers until it is asked for NEW."""

    def fetch_bars(self, requests: Sequence[BarRequest]) -> FetchResult:
        if any(item.symbol == "NEW" for item in requests):
            raise MarketDataError("The vendor does not answer: HTTP 503")
        return super().fetch_bars(requests)


def test_what_is_stored_stays_stored_when_a_later_batch_fails(
    tracked: Database, market: ScriptedMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(price_update, "BATCH_SYMBOLS", 2)
    with pytest.raises(MarketDataError, match="HTTP 503"):
        run(tracked, FailsOn(market.bars, market.descriptions))
    assert len(stored_closes(tracked, "AAA")) == len(DAYS) - 1
    run(tracked, market)
    assert market.asked() == {
        "AAA": (DAYS[-6], TODAY),
        "BBB": (DAYS[-6], TODAY),
        "NEW": (HISTORY_START, TODAY),
    }


def test_two_updates_at_once_store_every_bar_once(tracked: Database, market: ScriptedMarket) -> None:
    """Both have found the store empty when the first of them writes."""
    updates: list[PriceUpdate] = []

    def alone() -> None:
        database = Database(tracked.url)
        updates.append(run(database, market))
        database.close()

    threads = [threading.Thread(target=alone) for _ in range(2)]
    with tracked.bulk() as transaction:
        lock_layer(transaction, "prices")
        for thread in threads:
            thread.start()
        wait_for_waiters(tracked, 2)
    for thread in threads:
        thread.join()
    bars = len(rows_of(tracked, "SELECT * FROM symbol_prices_daily"))
    assert sorted((update.inserted, update.already_there) for update in updates) == [(0, bars), (bars, 0)]


def test_empty_universe_is_an_error_with_the_way_out(database: Database, market: ScriptedMarket) -> None:
    with pytest.raises(MarketDataError, match=r"No symbol is tracked: run `sigmasight universe import FILE`"):
        run(database, market)
    assert market.requests == []


def test_sessions_before_the_history_start_are_an_error(tracked: Database, market: ScriptedMarket) -> None:
    with pytest.raises(MarketDataError, match=r"2025-06-27 is before SIGMASIGHT_HISTORY_START 2025-07-01"):
        run(tracked, market, history_start=date(2025, 7, 1))
    assert market.requests == []


def test_a_date_that_is_no_session_is_an_error(tracked: Database, market: ScriptedMarket) -> None:
    with pytest.raises(SessionError, match="2025-06-28 is not a session"):
        run(tracked, market, date(2025, 6, 28))
    assert market.requests == []


def test_simulated_market(database: Database, calendar: SessionCalendar) -> None:
    market = SimulatedMarket(calendar, stocks=5)
    track(database, market)
    run(database, market, *DAYS)
    names = [item.symbol for item in market.listings()]
    truth = market.fetch_bars([BarRequest(name, HISTORY_START, DAYS[-1]) for name in names]).bars
    expected = {
        (symbol, day): Decimal(str(close))
        for symbol, day, close in zip(
            *(truth[name].to_pylist() for name in ("symbol", "price_date", "close_price")), strict=True
        )
    }
    stored = rows_of(database, "SELECT symbol, price_date, close_price, source FROM symbol_prices_daily")
    assert {(row["symbol"], row["price_date"]): row["close_price"] for row in stored} == expected
    assert {row["source"] for row in stored} == {"simulated"}
    before = contents(database, PRICE_TABLES)
    assert run(database, market, *DAYS).changed_symbols == 0
    assert contents(database, PRICE_TABLES) == before


def test_bars_of_two_markets_do_not_meet(tracked: Database, market: ScriptedMarket) -> None:
    run(tracked, market)
    execute(tracked, "UPDATE symbol_prices_daily SET source = 'elsewhere' WHERE symbol = 'BBB'")
    before = contents(tracked, PRICE_TABLES)
    with pytest.raises(MarketDataError, match=r"holds bars of the elsewhere market, .* use another SIGMASIGHT_HOME"):
        run(tracked, market)
    assert contents(tracked, PRICE_TABLES) == before


def test_an_update_of_some_symbols_leaves_the_others(
    tracked: Database, market: ScriptedMarket, calendar: SessionCalendar
) -> None:
    update = update_prices(
        tracked,
        market,
        calendar,
        sessions=(TODAY,),
        history_start=HISTORY_START,
        run_id="run-1",
        symbols=["BBB", "UNTRACKED"],
    )
    assert set(market.asked()) == {"BBB"}
    assert (update.requested, update.skipped) == (1, 0)
    assert {symbol: item.status for symbol, item in symbols(tracked).items()} == {
        "AAA": "pending",
        "BBB": "active",
        "NEW": "pending",
    }


def test_who_is_known_and_sends_no_bar_is_told_apart(tracked: Database, market: ScriptedMarket) -> None:
    market.bars = {key: values for key, values in market.bars.items() if key[0] != "BBB"}
    for day in [day for symbol, day in market.bars if symbol == "NEW"]:
        market.bars["NEW", day] = (10.0, 9.0, 8.0, 9.5, 9.5, 100.0)
    market.bars["AAA", date(2020, 1, 2)] = bar(1.0)
    update = run(tracked, market)
    assert update.silent == {"NEW"}
    assert set(update.problems) == {"BBB"}
