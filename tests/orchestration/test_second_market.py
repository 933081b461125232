"""Nights on which the first market is down: what the second serves is stored under its name, and replaced later."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from sigmasight_assets.errors import MarketDataError, MarketSetupError
from sigmasight_assets.market_data.protocol import DIVIDEND, SPLIT, BarRequest, FetchResult
from sigmasight_assets.market_data.second_source import WithSecond
from sigmasight_assets.orchestration.price_counts import PriceUpdate
from sigmasight_assets.storage.database import Database
from tests.orchestration.contents import PRICE_TABLES, contents, rows_of
from tests.orchestration.failing_markets import FailingMarket, failing
from tests.orchestration.markets import ScriptedMarket, adjusted_close, bar
from tests.orchestration.price_runs import (
    DAYS,
    FACT_TABLES,
    HISTORY_START,
    TODAY,
    TOMORROW,
    logged_actions,
    marks,
    publish_until,
    run,
    stated,
    symbols,
    track,
)

YESTERDAY = DAYS[-3]
AWAY = MarketDataError("unreachable: nobody answers")
# The columns that tell when and in which order rows were written.
WRITTEN = ("fetched_at", "added_at", "detected_at", "restatement_id", "learnt_at", "action_id")


@dataclass
class Overtaken(FailingMarket):
    """A market during whose first answer something else happens."""

    meanwhile: Callable[[], object] | None = field(default=None, kw_only=True)

    def fetch_bars(self, requests: Sequence[BarRequest]) -> FetchResult:
        if self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            happens()
        return super().fetch_bars(requests)


@pytest.fixture
def first(market: ScriptedMarket) -> FailingMarket:
    return failing(market, "first")


@pytest.fixture
def second(first: FailingMarket) -> FailingMarket:
    """It states the same prices, other volumes, and half the adjusted closes."""
    second = failing(first, "second")
    for key, (*prices, adjusted, volume) in first.bars.items():
        assert adjusted is not None
        assert volume is not None
        second.bars[key] = (*prices, adjusted / 2, volume + 7)  # type: ignore[assignment]
    return second


@pytest.fixture
def both(first: FailingMarket, second: FailingMarket) -> WithSecond:
    return WithSecond(first, second)


def sources(database: Database, symbol: str = "AAA") -> dict[date, str]:
    sql = "SELECT price_date, source FROM symbol_prices_daily WHERE symbol = :symbol"
    return {row["price_date"]: row["source"] for row in rows_of(database, sql, symbol=symbol)}


def of_second(database: Database, symbol: str = "AAA") -> list[date]:
    return sorted(day for day, source in sources(database, symbol).items() if source == "second")


def stored_bar(database: Database, day: date, symbol: str = "AAA") -> dict[str, Any]:
    sql = "SELECT * FROM symbol_prices_daily WHERE symbol = :symbol AND price_date = :day"
    (row,) = rows_of(database, sql, symbol=symbol, day=day)
    return row


def evening(database: Database, both: WithSecond, *days: date) -> PriceUpdate:
    """One on which both answer."""
    track(database, both)
    return run(database, both, *days)


def outage(database: Database, both: WithSecond, *days: date) -> PriceUpdate:
    """An evening on which the first is down."""
    assert isinstance(both.first, FailingMarket)
    both.first.down = AWAY
    try:
        return run(database, both, *days)
    finally:
        both.first.down = None


class TestServing:
    def test_rows_say_who_served(self, database: Database, both: WithSecond) -> None:
        evening(database, both, YESTERDAY)
        update = outage(database, both)
        assert (update.inserted, update.restated, update.rescaled, update.refetched) == (3, 0, 0, 0)
        assert update.served == dict.fromkeys(("AAA", "BBB", "NEW"), f"second: {AWAY}")
        assert update.problems == {}
        for symbol in ("AAA", "BBB", "NEW"):
            assert of_second(database, symbol) == [TODAY]
        assert symbols(database)["AAA"].last_price_date == TODAY
        assert rows_of(database, "SELECT * FROM restatements") == []

    def test_its_adjusted_closes_are_brought_to_the_stored_scale(
        self, database: Database, both: WithSecond, second: FailingMarket
    ) -> None:
        evening(database, both, YESTERDAY)
        *prices, _, volume = second.bars["AAA", TODAY]
        # A total return of 10 % by its own adjusted closes.
        second.bars["AAA", TODAY] = (*prices, adjusted_close(second.bars["AAA", YESTERDAY]) * 1.1, volume)  # type: ignore[assignment]
        outage(database, both)
        before, now = (stored_bar(database, day) for day in (YESTERDAY, TODAY))
        assert now["adj_close_price"] == pytest.approx(before["adj_close_price"] * 1.1, rel=1e-12)
        assert now["close_price"] == Decimal(str(prices[3]))

    def test_only_failed_symbols_are_served(self, database: Database, both: WithSecond, first: FailingMarket) -> None:
        evening(database, both, YESTERDAY)
        first.failed = {"BBB": "timeout: no answer within 10 s"}
        update = run(database, both)
        assert update.served == {"BBB": "second: timeout: no answer within 10 s"}
        assert (of_second(database), of_second(database, "BBB")) == ([], [TODAY])

    def test_a_second_night_builds_on_the_first(self, database: Database, both: WithSecond) -> None:
        evening(database, both, YESTERDAY)
        outage(database, both)
        update = outage(database, both, TOMORROW)
        assert (update.inserted, update.restated) == (3, 0)
        assert of_second(database) == [TODAY, TOMORROW]
        scale = {day: stored_bar(database, day)["adj_close_price"] for day in (YESTERDAY, TOMORROW)}
        assert scale[TOMORROW] / scale[YESTERDAY] == pytest.approx(
            adjusted_close(both.first.bars["AAA", TOMORROW]) / adjusted_close(both.first.bars["AAA", YESTERDAY])  # type: ignore[attr-defined]
        )

    def test_the_same_outage_again_changes_nothing(self, database: Database, both: WithSecond) -> None:
        evening(database, both, YESTERDAY)
        outage(database, both)
        before = contents(database, FACT_TABLES)
        update = outage(database, both)
        assert (update.inserted, update.restated, update.taken_over) == (0, 0, 0)
        assert contents(database, FACT_TABLES) == before

    def test_a_session_that_the_first_left_out_stays_out(
        self, database: Database, both: WithSecond, first: FailingMarket
    ) -> None:
        del first.bars["AAA", DAYS[-4]]
        evening(database, both, YESTERDAY)
        outage(database, both)
        assert DAYS[-4] not in sources(database)
        assert of_second(database) == [TODAY]

    def test_a_new_symbol_gets_its_history_from_the_second_until_the_first_is_back(
        self, database: Database, both: WithSecond, second: FailingMarket, first: FailingMarket
    ) -> None:
        track(database, both)
        del second.bars["AAA", DAYS[0]]
        outage(database, both)
        assert of_second(database) == DAYS[1:-1]
        found = symbols(database)["AAA"]
        assert (found.history_from, found.first_trade_date, found.status) == (None, DAYS[1], "active")
        served = sum(len(of_second(database, symbol)) for symbol in ("AAA", "BBB", "NEW"))
        first.asked()
        update = run(database, both)
        assert first.asked()["AAA"] == (HISTORY_START, TODAY)
        assert of_second(database) == []
        assert (update.taken_over, update.inserted) == (served, 1)
        assert symbols(database)["AAA"].history_from == HISTORY_START

    def test_all_of_a_history_that_only_the_second_has_served_is_replaced(
        self, database: Database, both: WithSecond, first: FailingMarket
    ) -> None:
        """The window of the run begins later than what is stored, and each source has a scale of its own."""
        track(database, both)
        outage(database, both)
        run(database, both, history_start=DAYS[15])
        assert of_second(database) == DAYS[:0]
        assert stored_bar(database, DAYS[0])["adj_close_price"] == first.bars["AAA", DAYS[0]][4]

    def test_what_somebody_else_has_stored_meanwhile_stays(
        self, database: Database, both: WithSecond, first: FailingMarket, second: FailingMarket
    ) -> None:
        evening(database, both, YESTERDAY)
        back = failing(first, "first")
        overtaken = Overtaken(**vars(second), meanwhile=lambda: run(database, back))
        update = outage(database, WithSecond(first, overtaken))
        assert of_second(database) == []
        assert (update.inserted, update.restated, stored_bar(database, TODAY)["volume"]) == (0, 0, 1000)

    def test_when_both_are_down_the_night_fails(
        self, database: Database, both: WithSecond, second: FailingMarket
    ) -> None:
        evening(database, both, YESTERDAY)
        before, second.down = contents(database, FACT_TABLES), AWAY
        with pytest.raises(MarketDataError, match="unreachable: nobody answers; the second market second does not"):
            outage(database, both)
        assert contents(database, FACT_TABLES) == before

    def test_bad_bars_of_the_second_are_quarantined_under_its_name(
        self, database: Database, both: WithSecond, second: FailingMarket
    ) -> None:
        evening(database, both, YESTERDAY)
        second.bars["AAA", TODAY] = bar(-1.0)
        outage(database, both)
        assert rows_of(database, "SELECT symbol, source FROM price_quarantine") == [
            {"symbol": "AAA", "source": "second"}
        ]
        assert of_second(database) == []


class TestUnits:
    """Bars in other units than the stored ones must not be appended to them."""

    def refused(self, database: Database, both: WithSecond) -> str:
        """What is told of AAA, of which nothing is stored."""
        before = {symbol: sources(database, symbol) for symbol in ("AAA", "BBB")}
        actions = stated(database)
        update = outage(database, both)
        assert sources(database) == before["AAA"]
        assert set(sources(database, "BBB")) - set(before["BBB"]) == {TODAY}
        assert stated(database) == actions
        assert "AAA" not in update.served
        assert symbols(database)["AAA"].last_price_date == YESTERDAY
        return update.problems["AAA"]

    def test_a_split_that_only_the_second_has_restated(
        self, database: Database, both: WithSecond, second: FailingMarket
    ) -> None:
        evening(database, both, YESTERDAY)
        second.split("AAA", TODAY, 4)
        close = Decimal(str(both.first.bars["AAA", YESTERDAY][3]))  # type: ignore[attr-defined]
        said = self.refused(database, both)
        assert said.startswith(f"failed: {AWAY}; second: close {close / 4:.4f} of {YESTERDAY}, where {close:.4f} is")
        assert said.endswith(": nothing of it is stored")

    @pytest.mark.parametrize("percent", [0.9, 1.1])
    def test_one_percent_is_the_bound(
        self, database: Database, both: WithSecond, second: FailingMarket, percent: float
    ) -> None:
        evening(database, both, YESTERDAY)
        second.restate("AAA", DAYS[-5], 1 + percent / 100)
        outage(database, both)
        assert (of_second(database) == [TODAY]) is (percent < 1)

    def test_a_split_that_it_states_and_has_not_restated(
        self, database: Database, both: WithSecond, first: FailingMarket, second: FailingMarket
    ) -> None:
        first.supplies_corporate_actions = True
        evening(database, both, YESTERDAY)
        second.actions["AAA", TODAY, SPLIT] = (4, 1, None)
        assert f"second: a split of {TODAY} lies between: nothing" in self.refused(database, both)

    def test_a_split_that_the_first_has_announced(
        self, database: Database, both: WithSecond, first: FailingMarket
    ) -> None:
        first.supplies_corporate_actions = True
        first.actions["AAA", TODAY, SPLIT] = (4, 1, None)
        evening(database, both, YESTERDAY)
        assert f"second: a split of {TODAY} lies between: nothing" in self.refused(database, both)

    def test_no_session_in_common(self, database: Database, both: WithSecond, second: FailingMarket) -> None:
        evening(database, both, YESTERDAY)
        for day in DAYS[:-2]:
            del second.bars["AAA", day]
        assert "second: no session that is stored too: nothing" in self.refused(database, both)

    def test_stored_bars_that_lie_after_the_window(self, database: Database, both: WithSecond) -> None:
        """A backfill of older sessions: which units these are in cannot be told."""
        track(database, both)
        run(database, both, TODAY, history_start=DAYS[-6])
        before = sources(database)
        update = outage(database, both, DAYS[-10])
        assert sources(database) == before
        assert "no session that is stored too" in update.problems["AAA"]
        # The first is asked for it as if nobody had been.
        run(database, both, DAYS[-10])
        assert set(sources(database)) == set(DAYS[:-9]) | set(before)

    def test_a_history_that_has_to_be_fetched_again_waits_for_the_first(
        self, database: Database, both: WithSecond, first: FailingMarket
    ) -> None:
        evening(database, both, YESTERDAY)
        before = contents(database, PRICE_TABLES)
        first.restate("AAA", YESTERDAY, 1.02)
        first.down_after = 1
        update = run(database, both)
        assert update.problems["AAA"].startswith("only second has answered; nothing of it is stored before its whole")
        after = contents(database, PRICE_TABLES)
        assert {key for key in after["symbol_prices_daily"] if key[0] == "AAA"} == {
            key for key in before["symbol_prices_daily"] if key[0] == "AAA"
        }


class TestReturn:
    """The first answers again."""

    def test_it_replaces_what_the_second_served(
        self, database: Database, both: WithSecond, first: FailingMarket
    ) -> None:
        evening(database, both, YESTERDAY)
        outage(database, both)
        first.asked()
        update = run(database, both)
        # Five sessions before the oldest bar of the second, too: they tell whether the history has changed.
        assert first.asked()["AAA"] == (DAYS[-7], TODAY)
        assert (update.taken_over, update.restated, update.rescaled, update.refetched) == (3, 0, 0, 0)
        assert rows_of(database, "SELECT * FROM restatements") == []
        assert of_second(database) == []
        assert stored_bar(database, TODAY)["volume"] == first.bars["AAA", TODAY][5]
        assert stored_bar(database, TODAY)["adj_close_price"] == first.bars["AAA", TODAY][4]

    def test_nothing_tells_that_it_was_ever_away(
        self, database: Database, both: WithSecond, first: FailingMarket
    ) -> None:
        evening(database, both, YESTERDAY)
        outage(database, both)
        outage(database, both, TOMORROW)
        run(database, both, TOMORROW)
        found = contents(database, FACT_TABLES, ignoring=WRITTEN)
        assert of_second(database) == []
        before = first.asked()
        assert before["AAA"] == (DAYS[-7], TOMORROW)
        for table in ("restatements", "corporate_actions", "figure_invalidations"):
            assert found[table] == {}
        assert {key: row for key, row in found["symbol_prices_daily"].items() if key[0] == "AAA"}
        for day in (TODAY, TOMORROW):
            assert stored_bar(database, day)["adj_close_price"] == first.bars["AAA", day][4]

    def test_another_close_is_a_restatement(
        self, database: Database, both: WithSecond, second: FailingMarket, first: FailingMarket
    ) -> None:
        evening(database, both, YESTERDAY)
        second.restate("AAA", TODAY, 1.005)
        outage(database, both)
        publish_until(database, TODAY)
        update = run(database, both)
        assert (update.restated, update.taken_over, update.refetched) == (1, 3, 0)
        (row,) = rows_of(database, "SELECT * FROM restatements")
        close = Decimal(str(first.bars["AAA", TODAY][3]))
        assert (row["symbol"], row["price_date"], row["new_close_price"]) == ("AAA", TODAY, close)
        assert row["old_close_price"] == pytest.approx(close * Decimal("1.005"), abs=Decimal("0.0001"))
        assert row["reason"] == "first in place of second"
        assert ("AAA", TODAY, TODAY, True, None) in marks(database)

    def test_a_dividend_that_was_paid_meanwhile(
        self, database: Database, both: WithSecond, first: FailingMarket
    ) -> None:
        """The second has not heard of it; the first then states its whole history otherwise."""
        first.supplies_corporate_actions = True
        evening(database, both, YESTERDAY)
        outage(database, both)
        first.pay("AAA", TODAY, 2.0)
        update = run(database, both)
        assert (update.refetched, update.actions["new"]) == (1, 1)
        for day in DAYS[:-1]:
            assert stored_bar(database, day)["adj_close_price"] == pytest.approx(first.bars["AAA", day][4], rel=1e-12)
        assert of_second(database) == []

    def test_a_dividend_that_the_second_has_told_of(
        self, database: Database, both: WithSecond, first: FailingMarket, second: FailingMarket
    ) -> None:
        first.supplies_corporate_actions = True
        first.actions["AAA", DAYS[-4], DIVIDEND] = (None, None, 1.0)
        evening(database, both, YESTERDAY)
        second.pay("AAA", TODAY, 2.0)
        second.actions["AAA", YESTERDAY, DIVIDEND] = (None, None, 3.0)
        outage(database, both)
        # What it does not say of the past is not withdrawn.
        assert stated(database) == {("AAA", DAYS[-4], DIVIDEND): "1", ("AAA", TODAY, DIVIDEND): "2"}
        assert rows_of(database, "SELECT source FROM corporate_actions ORDER BY ex_date") == [
            {"source": "first"},
            {"source": "second"},
        ]
        before, now = (stored_bar(database, day)["adj_close_price"] for day in (YESTERDAY, TODAY))
        close = float(both.first.bars["AAA", YESTERDAY][3])  # type: ignore[attr-defined]
        assert now / before == pytest.approx((close + 1) / close / (1 - 2 / close))
        first.pay("AAA", TODAY, 2.0)
        run(database, both)
        assert stated(database) == {("AAA", DAYS[-4], DIVIDEND): "1", ("AAA", TODAY, DIVIDEND): "2"}
        assert logged_actions(database) == []
        assert stored_bar(database, TODAY)["adj_close_price"] == pytest.approx(first.bars["AAA", TODAY][4])

    def test_a_bar_that_the_first_does_not_have_stays_the_seconds(
        self, database: Database, both: WithSecond, first: FailingMarket
    ) -> None:
        evening(database, both, YESTERDAY)
        outage(database, both)
        del first.bars["AAA", TODAY]
        for _ in range(2):
            run(database, both)
            assert of_second(database) == [TODAY]


class TestOneMarket:
    def test_the_pair_may_meet_and_no_other(self, database: Database, both: WithSecond, market: ScriptedMarket) -> None:
        evening(database, both, YESTERDAY)
        outage(database, both)
        run(database, both)
        outage(database, both, TOMORROW)
        third = failing(market, "third")
        with pytest.raises(MarketSetupError, match="holds bars of the first, second market, and SIGMASIGHT_MARKET is"):
            run(database, third, TOMORROW)
        with pytest.raises(MarketSetupError, match="holds bars of the second market, and SIGMASIGHT_MARKET is first"):
            run(database, both.first, TOMORROW)
        with pytest.raises(MarketSetupError, match="holds bars of the first market"):
            run(database, WithSecond(third, both.second), TOMORROW)

    def test_without_a_second_market_nothing_is_compared(self, tracked: Database, market: ScriptedMarket) -> None:
        assert run(tracked, market).check is None
