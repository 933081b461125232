"""What is asked of a source, by what is known of each symbol: a plan on paper, without any source."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from sigmasight_assets.errors import MarketDataError, SessionError
from sigmasight_assets.market_data.protocol import BarRequest
from sigmasight_assets.orchestration.price_requests import (
    ADJUSTED_CONTRACT,
    PricePlan,
    needed_sessions,
    plan_histories,
    plan_requests,
)
from sigmasight_assets.sessions import SessionCalendar, exchange_calendar
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.prices import PriceWindow
from sigmasight_assets.storage.universe import TrackedSymbol

DAYS = exchange_calendar().between(date(2025, 4, 1), date(2025, 6, 30))
FIRST, LAST = DAYS[0], DAYS[-1]
NEVER_ASKED = TrackedSymbol("AAA", "A", "equity", None, None, "pending", *[None] * 6)
ACTIVE = replace(NEVER_ASKED, status="active", history_from=FIRST, first_trade_date=FIRST, last_price_date=DAYS[-2])
OVER = replace(ACTIVE, status="delisted", status_reason="merged")
# 400 days before this expiry is long before the window.
EXPIRY = date(2025, 6, 20)
CONTRACT = replace(NEVER_ASKED, symbol="AAA250620C00100000", asset_type="option")


def plan(item: TrackedSymbol, missing: Iterable[date] = DAYS, *, fresh_since: datetime | None = None) -> PricePlan:
    """The plan for one symbol whose bars are all stored but for those ``missing``."""
    close = np.array([[0 if day in set(missing) else 1] for day in DAYS], dtype=np.int64)
    empty = np.zeros_like(close)
    window = PriceWindow(
        Grid(np.array(DAYS, "datetime64[D]"), (item.symbol,)), {"close_price": close}, empty.astype(float), empty
    )
    return plan_requests([item], window, fresh_since=fresh_since)


def asked(
    item: TrackedSymbol, missing: Iterable[date] = DAYS, *, fresh_since: datetime | None = None
) -> tuple[date, date] | None:
    requests = plan(item, missing, fresh_since=fresh_since).requests
    assert [request.symbol for request in requests] in ([], [item.symbol])
    return (requests[0].first, requests[0].last) if requests else None


def after(day: date) -> list[date]:
    return [each for each in DAYS if each > day]


class TestShares:
    def test_a_new_symbol_is_asked_for_everything(self) -> None:
        assert asked(NEVER_ASKED) == (FIRST, LAST)

    def test_a_symbol_that_never_had_a_price_is_asked_for_everything_again(self) -> None:
        assert asked(replace(NEVER_ASKED, status="error", history_from=FIRST)) == (FIRST, LAST)

    def test_a_night_asks_for_five_sessions(self) -> None:
        assert asked(ACTIVE, [LAST]) == (DAYS[-5], LAST)
        assert asked(replace(ACTIVE, last_price_date=LAST), []) == (DAYS[-5], LAST)

    @pytest.mark.parametrize("nights", range(1, 12))
    def test_missed_nights_are_asked_for_with_four_stored_sessions(self, nights: int) -> None:
        newest = DAYS[-1 - nights]
        assert asked(replace(ACTIVE, last_price_date=newest), after(newest)) == (DAYS[-nights - 4], LAST)

    def test_all_nights_missed_is_everything(self) -> None:
        assert asked(replace(ACTIVE, last_price_date=DAYS[2]), after(DAYS[2])) == (FIRST, LAST)
        assert asked(replace(ACTIVE, last_price_date=FIRST - timedelta(30))) == (FIRST, LAST)

    def test_a_hole_that_was_asked_for_stays(self) -> None:
        assert asked(ACTIVE, [*DAYS[10:20], LAST]) == (DAYS[-5], LAST)

    def test_a_later_listing_is_not_asked_for_again(self) -> None:
        assert asked(replace(ACTIVE, first_trade_date=DAYS[20]), [*DAYS[:20], LAST]) == (DAYS[-5], LAST)

    def test_history_that_was_never_asked_for_is(self) -> None:
        later = replace(ACTIVE, history_from=DAYS[30], first_trade_date=DAYS[30])
        assert asked(later, [*DAYS[:30], LAST]) == (FIRST, LAST)
        # What is stored of it is not asked for again.
        assert asked(later, [*DAYS[7:30], LAST]) == (DAYS[7], LAST)
        assert asked(later, []) == (DAYS[-5], LAST)

    def test_a_window_before_the_newest_price_is_reread_at_its_end(self) -> None:
        assert asked(replace(ACTIVE, last_price_date=LAST + timedelta(60)), [DAYS[3]]) == (DAYS[-5], LAST)


class TestDelisted:
    @pytest.mark.parametrize(("sessions_ago", "is_asked"), [(1, True), (5, True), (9, True), (10, False), (30, False)])
    def test_a_delisted_symbol_is_read_again_for_five_nights(self, sessions_ago: int, is_asked: bool) -> None:
        newest = DAYS[-1 - sessions_ago]
        expected = (DAYS[min(-5, -sessions_ago - 4)], LAST) if is_asked else None
        assert asked(replace(OVER, last_price_date=newest), after(newest)) == expected

    def test_a_symbol_delisted_before_the_window_is_not_asked_for(self) -> None:
        assert asked(replace(OVER, last_price_date=FIRST - timedelta(30))) is None

    def test_a_symbol_delisted_without_a_price_is_not_asked_for_again(self) -> None:
        over = replace(NEVER_ASKED, status="delisted")
        assert asked(over) == (FIRST, LAST)
        assert asked(replace(over, history_from=FIRST)) is None

    def test_its_earlier_history_is_asked_for_once(self) -> None:
        over = replace(OVER, history_from=DAYS[10], first_trade_date=DAYS[10], last_price_date=DAYS[20])
        missing = [*DAYS[:10], *DAYS[21:]]
        assert asked(over, missing) == (FIRST, LAST)
        assert asked(replace(over, history_from=FIRST), missing) is None


class TestContracts:
    def test_a_contract_is_asked_for_like_a_share_until_it_expires(self) -> None:
        assert asked(CONTRACT) == (FIRST, EXPIRY)
        traded = replace(CONTRACT, status="active", history_from=FIRST, first_trade_date=DAYS[3])
        # Its bars are rare; what was asked for once is not asked for every night.
        assert asked(replace(traded, last_price_date=DAYS[-10])) == (DAYS[-13], EXPIRY)
        alive = replace(traded, symbol="AAA250718C00100000", last_price_date=DAYS[-2])
        assert asked(alive) == (DAYS[-5], LAST)
        assert plan(alive).expired == {}

    def test_its_history_starts_400_days_before_expiry(self) -> None:
        expiry = DAYS[25] + timedelta(400)
        item = replace(CONTRACT, symbol=f"AAA{expiry:%y%m%d}P00100000")
        assert asked(item) == (DAYS[25], LAST)
        assert asked(replace(item, history_from=DAYS[25])) == (DAYS[25], LAST)
        much_later = replace(CONTRACT, symbol="AAA271217P00100000")
        assert plan(much_later) == PricePlan()

    def test_an_expired_contract_is_over(self) -> None:
        assert plan(CONTRACT).expired == {CONTRACT.symbol: "expired on 2025-06-20"}
        expired = replace(CONTRACT, symbol="AAA250321C00100000")
        assert plan(expired) == PricePlan(expired={expired.symbol: "expired on 2025-03-21"})
        on_last_day = replace(CONTRACT, symbol="AAA250630C00100000")
        assert plan(on_last_day).expired == {on_last_day.symbol: "expired on 2025-06-30"}
        assert asked(on_last_day) == (FIRST, LAST)

    @pytest.mark.parametrize(("expiry", "is_asked"), [("250620", True), ("250616", True), ("250613", False)])
    def test_it_is_read_again_for_five_nights_after_expiry(self, expiry: str, is_asked: bool) -> None:
        item = replace(
            CONTRACT,
            symbol=f"AAA{expiry}C00100000",
            status="delisted",
            history_from=FIRST,
            first_trade_date=DAYS[3],
            last_price_date=DAYS[-25],
        )
        assert (asked(item) is not None) == is_asked

    @pytest.mark.fault(31)
    def test_an_adjusted_contract_is_refused(self) -> None:
        item = replace(CONTRACT, symbol="AAA1250620C00100000")
        assert plan(item) == PricePlan(refused={item.symbol: ADJUSTED_CONTRACT})

    def test_an_option_by_another_name_is_refused(self) -> None:
        item = replace(CONTRACT, symbol="AAPL")
        found = plan(item)
        assert found.requests == []
        assert found.refused["AAPL"].startswith("'AAPL' is not an OCC option symbol")


def test_each_symbol_has_its_own_window() -> None:
    items = [ACTIVE, replace(NEVER_ASKED, symbol="BBB"), replace(OVER, symbol="CCC", last_price_date=DAYS[4])]
    close = np.ones((len(DAYS), 3), dtype=np.int64)
    close[:, 1:] = 0
    grid = Grid(np.array(DAYS, "datetime64[D]"), ("AAA", "BBB", "CCC"))
    window = PriceWindow(grid, {"close_price": close}, np.zeros(close.shape), np.zeros_like(close))
    assert plan_requests(items, window).requests == [
        BarRequest("AAA", DAYS[-5], LAST),
        BarRequest("BBB", FIRST, LAST),
    ]


class TestHistories:
    def test_everything_stored_and_everything_asked_for(self) -> None:
        stored = replace(ACTIVE, history_from=DAYS[10], first_trade_date=DAYS[20], last_price_date=DAYS[40])
        nightly, older = BarRequest("AAA", DAYS[36], DAYS[41]), BarRequest("AAA", DAYS[2], DAYS[15])
        assert plan_histories([stored], {"AAA": nightly}, {}) == [BarRequest("AAA", DAYS[10], DAYS[41])]
        assert plan_histories([stored], {"AAA": older}, {}) == [BarRequest("AAA", DAYS[2], DAYS[40])]

    def test_prices_from_before_a_gap_and_older_actions_count(self) -> None:
        stored = replace(ACTIVE, history_from=DAYS[30], first_trade_date=DAYS[5], last_price_date=DAYS[40])
        nightly = {"AAA": BarRequest("AAA", DAYS[36], DAYS[41])}
        assert plan_histories([stored], nightly, {})[0].first == DAYS[5]
        assert plan_histories([stored], nightly, {"AAA": DAYS[3], "BBB": DAYS[0]})[0].first == DAYS[3]


class TestNeededSessions:
    def test_400_sessions_before_the_first(self, calendar: SessionCalendar) -> None:
        window = needed_sessions(calendar, [DAYS[3], DAYS[9]], history_start=date(2010, 1, 4)).tolist()
        assert window == calendar.between(calendar.offset(DAYS[3], -400), DAYS[9])

    def test_not_before_the_history_starts(self, calendar: SessionCalendar) -> None:
        saturday = date(2025, 5, 3)
        window = needed_sessions(calendar, [LAST], history_start=saturday).tolist()
        assert window == calendar.between(saturday, LAST)

    def test_nothing_to_ask_for_is_an_error(self, calendar: SessionCalendar) -> None:
        with pytest.raises(MarketDataError, match="2025-06-30 is before SIGMASIGHT_HISTORY_START 2025-07-01"):
            needed_sessions(calendar, [LAST], history_start=date(2025, 7, 1))
        with pytest.raises(SessionError, match="2025-06-28 is not a session"):
            needed_sessions(calendar, [date(2025, 6, 28)], history_start=FIRST)


class TestExpiredContracts:
    READ = replace(CONTRACT, status="delisted", history_from=FIRST, first_trade_date=FIRST, last_price_date=EXPIRY)

    def test_what_was_answered_after_the_expiry_is_not_asked_again(self) -> None:
        evening, next_evening = datetime(2025, 6, 21, 1, tzinfo=UTC), datetime(2025, 6, 22, 1, tzinfo=UTC)
        assert asked(replace(self.READ, answered_at=evening), []) is not None
        assert asked(replace(self.READ, answered_at=next_evening), []) is None

    def test_history_from_before_all_that_was_asked_for_is(self) -> None:
        answered = replace(self.READ, answered_at=datetime(2025, 6, 30, tzinfo=UTC), history_from=DAYS[3])
        assert asked(answered, DAYS[:3]) == (FIRST, EXPIRY)


class TestFreshAnswers:
    """Where each symbol is a call, a run that goes on asks only for what the one before it had not got."""

    NOW = datetime(2025, 7, 1, 1, tzinfo=UTC)
    READ = replace(ACTIVE, last_price_date=LAST, answered_at=NOW)

    def test_what_was_read_a_moment_ago_is_not_read_again(self) -> None:
        assert asked(self.READ, [], fresh_since=self.NOW) is None
        assert asked(self.READ, [], fresh_since=self.NOW + timedelta(seconds=1)) == (DAYS[-5], LAST)
        assert asked(self.READ, []) == (DAYS[-5], LAST)
        assert asked(replace(self.READ, answered_at=None), [], fresh_since=self.NOW) == (DAYS[-5], LAST)

    def test_what_lacks_its_newest_bar_is(self) -> None:
        lacking = replace(self.READ, last_price_date=DAYS[-2])
        assert asked(lacking, [LAST], fresh_since=self.NOW) == (DAYS[-5], LAST)

    def test_what_was_never_asked_for_is(self) -> None:
        shorter = replace(self.READ, history_from=DAYS[10], first_trade_date=DAYS[10])
        assert asked(shorter, DAYS[:10], fresh_since=self.NOW) == (FIRST, LAST)
        assert asked(shorter, [], fresh_since=self.NOW) is None
