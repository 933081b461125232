"""Splits and dividends that come with the bars: what is stored, logged and marked, and that it is so at once."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from sigmasight_assets.errors import StorageError
from sigmasight_assets.market_data.protocol import DIVIDEND, SPLIT, BarRequest, FetchResult, Outcome, SymbolOutcome
from sigmasight_assets.orchestration import price_update
from sigmasight_assets.storage.database import Database
from tests.orchestration.contents import contents, rows_of
from tests.orchestration.markets import ScriptedMarket, bar, option
from tests.orchestration.price_runs import (
    DAYS,
    FACT_TABLES,
    HISTORY_START,
    LISTED_LATER,
    TODAY,
    TOMORROW,
    logged_actions,
    marks,
    publish_until,
    run,
    stated,
    stored_closes,
    symbols,
    track,
)

LATE = DAYS[-4]
NIGHT = (DAYS[-5], TOMORROW)


@pytest.fixture
def market(market: ScriptedMarket) -> ScriptedMarket:
    """Three symbols with their splits and dividends."""
    market.supplies_corporate_actions = True
    return market


def stored_bars(database: Database, symbol: str) -> dict[date, tuple[Decimal, float, int]]:
    sql = "SELECT price_date, close_price, adj_close_price, volume FROM symbol_prices_daily WHERE symbol = :symbol"
    return {
        row["price_date"]: (row["close_price"], row["adj_close_price"], row["volume"])
        for row in rows_of(database, sql, symbol=symbol)
    }


def sent_bars(market: ScriptedMarket, symbol: str, until: date = TOMORROW) -> dict[date, tuple[Decimal, float, int]]:
    found = {}
    for (name, day), (_, _, _, close, adjusted, volume) in market.bars.items():
        if name == symbol and day <= until:
            assert close is not None
            assert adjusted is not None
            assert volume is not None
            found[day] = (Decimal(str(round(close, 4))), adjusted, int(volume))
    return found


def bar_log(database: Database) -> dict[str, set[str]]:
    """Reasons of the restated bars by symbol."""
    rows = rows_of(database, "SELECT symbol, reason FROM restatements WHERE kind = 'bar'")
    return {
        symbol: {row["reason"] for row in rows if row["symbol"] == symbol} for symbol in {r["symbol"] for r in rows}
    }


class TestFirstLoad:
    def test_actions_are_stated_and_neither_logged_nor_marked(self, tracked: Database, market: ScriptedMarket) -> None:
        market.split("AAA", DAYS[20], 3, 2)
        market.pay("AAA", DAYS[25], 0.6)
        market.pay("BBB", TODAY, 0.123456)
        update = run(tracked, market)
        assert stated(tracked) == {
            ("AAA", DAYS[20], SPLIT): "3:2",
            ("AAA", DAYS[25], DIVIDEND): "0.6",
            ("BBB", TODAY, DIVIDEND): "0.123456",
        }
        assert (update.actions, update.action_problems, update.refetched) == ({"new": 3}, [], 0)
        assert (logged_actions(tracked), marks(tracked), bar_log(tracked)) == ([], [], {})
        assert {row["source"] for row in rows_of(tracked, "SELECT source FROM corporate_actions")} == {"scripted"}
        before = contents(tracked, FACT_TABLES)
        assert run(tracked, market).actions == {}
        assert contents(tracked, FACT_TABLES) == before

    def test_a_market_without_actions_leaves_what_is_stated(self, tracked: Database, market: ScriptedMarket) -> None:
        market.pay("AAA", TODAY, 0.5)
        run(tracked, market)
        market.supplies_corporate_actions = False
        market.actions.clear()
        run(tracked, market)
        assert stated(tracked) == {("AAA", TODAY, DIVIDEND): "0.5"}


class TestWithItsSession:
    """Nothing has gone wrong: the split or dividend comes on the evening of its ex-date."""

    def test_split(self, tracked: Database, market: ScriptedMarket) -> None:
        run(tracked, market)
        publish_until(tracked, TODAY)
        market.asked()
        market.restate("AAA", TOMORROW, 0.25)
        market.split("AAA", TOMORROW, 4)
        update = run(tracked, market, TOMORROW)
        windows = [(item.symbol, (item.first, item.last)) for item in market.requests]
        assert windows == [("AAA", NIGHT), ("BBB", NIGHT), ("NEW", NIGHT), ("AAA", (HISTORY_START, TOMORROW))]
        assert stored_bars(tracked, "AAA") == sent_bars(market, "AAA")
        assert stated(tracked) == {("AAA", TOMORROW, SPLIT): "4:1"}
        assert bar_log(tracked) == {"AAA": {f"split 4:1 of {TOMORROW}"}}
        assert logged_actions(tracked) == []
        # The units of all closes changed, and no return did.
        assert marks(tracked) == [("AAA", HISTORY_START, TODAY, False, None)]
        assert (update.inserted, update.restated, update.refetched) == (3, len(DAYS) - 1, 1)
        assert (update.actions, update.marked, update.changed_symbols) == ({"new": 1}, {"AAA"}, 3)
        assert update.already_there == 8
        market.asked()
        before = contents(tracked, FACT_TABLES)
        run(tracked, market, TOMORROW)
        assert market.asked()["AAA"] == NIGHT
        assert contents(tracked, FACT_TABLES) == before

    def test_dividend(self, tracked: Database, market: ScriptedMarket) -> None:
        run(tracked, market)
        publish_until(tracked, TODAY)
        market.pay("AAA", TOMORROW, 0.5)
        update = run(tracked, market, TOMORROW)
        assert stored_bars(tracked, "AAA") == sent_bars(market, "AAA")
        assert stated(tracked) == {("AAA", TOMORROW, DIVIDEND): "0.5"}
        assert bar_log(tracked) == {"AAA": {f"dividend 0.5 of {TOMORROW}"}}
        assert (logged_actions(tracked), marks(tracked), update.marked) == ([], [], set())
        assert (update.rescaled, update.refetched) == (len(DAYS) - 1, 1)

    def test_split_restates_earlier_dividends(self, tracked: Database, market: ScriptedMarket) -> None:
        market.pay("AAA", DAYS[3], 0.4)
        run(tracked, market)
        publish_until(tracked, TODAY)
        market.restate("AAA", TOMORROW, 0.25)
        market.split("AAA", TOMORROW, 4)
        update = run(tracked, market, TOMORROW)
        assert stated(tracked) == {("AAA", DAYS[3], DIVIDEND): "0.1", ("AAA", TOMORROW, SPLIT): "4:1"}
        assert logged_actions(tracked) == [("AAA", DAYS[3], DIVIDEND, "0.4", "0.1")]
        assert bar_log(tracked) == {"AAA": {f"split 4:1 of {TOMORROW}"}}
        assert marks(tracked) == [("AAA", HISTORY_START, TODAY, False, DAYS[3])]
        assert update.actions == {"new": 1, "changed": 1}

    def test_split_of_a_symbol_whose_prices_begin_with_it(self, tracked: Database, market: ScriptedMarket) -> None:
        """Nothing is stored before the ex-date, so nothing has other units."""
        first = {key: market.bars.pop(key) for key in list(market.bars) if key[0] == "AAA"}
        run(tracked, market)
        market.bars |= {key: value for key, value in first.items() if key[1] == TOMORROW}
        market.split("AAA", TOMORROW, 4)
        assert run(tracked, market, TOMORROW).refetched == 0
        assert stated(tracked) == {("AAA", TOMORROW, SPLIT): "4:1"}


class TestLate:
    """Sessions from the ex-date on are stored and published when the source tells of it."""

    def test_dividend(self, tracked: Database, market: ScriptedMarket) -> None:
        run(tracked, market)
        publish_until(tracked, TODAY)
        market.pay("AAA", LATE, 0.5)
        run(tracked, market, TOMORROW)
        assert stored_bars(tracked, "AAA") == sent_bars(market, "AAA")
        assert logged_actions(tracked) == [("AAA", LATE, DIVIDEND, None, "0.5")]
        assert marks(tracked) == [("AAA", LATE, LATE, True, LATE)]

    def test_split_of_bars_that_were_sent_unsplit(self, tracked: Database, market: ScriptedMarket) -> None:
        for day in DAYS[-4:]:
            market.restate("AAA", day, 0.25)
        run(tracked, market)
        publish_until(tracked, TODAY)
        market.split("AAA", LATE, 4)
        run(tracked, market, TOMORROW)
        assert stored_bars(tracked, "AAA") == sent_bars(market, "AAA")
        assert logged_actions(tracked) == [("AAA", LATE, SPLIT, None, "4:1")]
        assert marks(tracked) == [("AAA", HISTORY_START, LATE, True, LATE)]

    def test_terms_that_change(self, tracked: Database, market: ScriptedMarket) -> None:
        before = dict(market.bars)
        market.pay("AAA", LATE, 0.5)
        market.pay("BBB", LATE, 0.5)
        run(tracked, market)
        publish_until(tracked, TODAY)
        market.bars |= {key: value for key, value in before.items() if key[0] == "AAA"}
        market.pay("AAA", LATE, 0.4)
        update = run(tracked, market, TOMORROW)
        assert stored_bars(tracked, "AAA") == sent_bars(market, "AAA")
        assert stated(tracked) == {("AAA", LATE, DIVIDEND): "0.4", ("BBB", LATE, DIVIDEND): "0.5"}
        assert logged_actions(tracked) == [("AAA", LATE, DIVIDEND, "0.5", "0.4")]
        assert bar_log(tracked) == {"AAA": {f"dividend 0.4 of {LATE}, formerly 0.5"}}
        assert marks(tracked) == [("AAA", LATE, LATE, True, LATE)]
        assert update.actions == {"changed": 1}
        old, new = rows_of(tracked, "SELECT * FROM corporate_actions WHERE symbol = 'AAA' ORDER BY action_id")
        assert (old["withdrawn_at"] is None, new["withdrawn_at"] is None) == (False, True)

    def test_dividend_that_is_withdrawn(self, tracked: Database, market: ScriptedMarket) -> None:
        before = dict(market.bars)
        market.pay("AAA", LATE, 0.5)
        run(tracked, market)
        publish_until(tracked, TODAY)
        market.bars |= before
        del market.actions["AAA", LATE, DIVIDEND]
        update = run(tracked, market, TOMORROW)
        assert stored_bars(tracked, "AAA") == sent_bars(market, "AAA")
        assert stated(tracked) == {}
        assert logged_actions(tracked) == [("AAA", LATE, DIVIDEND, "0.5", None)]
        assert marks(tracked) == [("AAA", LATE, LATE, True, LATE)]
        assert update.actions == {"withdrawn": 1}

    def test_only_published_sessions_are_marked(self, tracked: Database, market: ScriptedMarket) -> None:
        run(tracked, market)
        publish_until(tracked, DAYS[-6])
        market.pay("AAA", LATE, 0.5)
        run(tracked, market, TOMORROW)
        assert marks(tracked) == []
        assert logged_actions(tracked) == [("AAA", LATE, DIVIDEND, None, "0.5")]

    def test_what_lies_before_the_reread_sessions_stays(self, tracked: Database, market: ScriptedMarket) -> None:
        market.pay("AAA", DAYS[5], 0.5)
        run(tracked, market)
        market.actions.clear()
        run(tracked, market, TOMORROW)
        assert stated(tracked) == {("AAA", DAYS[5], DIVIDEND): "0.5"}

    def test_silent_symbols_keep_theirs(self, tracked: Database, market: ScriptedMarket) -> None:
        market.pay("AAA", TODAY, 0.5)
        run(tracked, market)
        market.actions.clear()
        market.bars = {key: value for key, value in market.bars.items() if key[0] != "AAA"}
        assert run(tracked, market, TOMORROW).problems == {"AAA": "unknown: no such ticker"}
        assert stated(tracked) == {("AAA", TODAY, DIVIDEND): "0.5"}

    def test_terms_that_cannot_be_read_change_nothing(self, tracked: Database, market: ScriptedMarket) -> None:
        market.pay("AAA", TODAY, 0.5)
        run(tracked, market)
        market.actions["AAA", TODAY, DIVIDEND] = (None, None, float("nan"))
        market.actions["BBB", TODAY, SPLIT] = (0, 1, None)
        # The whole history of AAA is asked for, and tells the same.
        market.restate("AAA", LATE, 1.01)
        update = run(tracked, market, TOMORROW)
        assert stated(tracked) == {("AAA", TODAY, DIVIDEND): "0.5"}
        assert sorted(symbol for symbol, _ in update.action_problems) == ["AAA", "BBB"]
        assert update.actions == {}

    def test_dividend_on_the_first_stored_session(self, tracked: Database, market: ScriptedMarket) -> None:
        """No bar before it is stored that it could have changed."""
        run(tracked, market, DAYS[12])
        market.actions["NEW", LISTED_LATER, DIVIDEND] = (None, None, 0.5)
        assert run(tracked, market, DAYS[13]).refetched == 0
        assert logged_actions(tracked) == [("NEW", LISTED_LATER, DIVIDEND, None, "0.5")]

    def test_split_restates_a_dividend_from_before_all_bars(self, tracked: Database, market: ScriptedMarket) -> None:
        for day in DAYS[:3]:
            del market.bars["AAA", day]
        market.actions["AAA", DAYS[1], DIVIDEND] = (None, None, 0.4)
        run(tracked, market, DAYS[5])
        run(tracked, market, history_start=DAYS[20])
        market.split("AAA", TOMORROW, 4)
        market.asked()
        run(tracked, market, TOMORROW, history_start=DAYS[20])
        assert market.asked()["AAA"] == (DAYS[1], TOMORROW)
        assert stated(tracked)["AAA", DAYS[1], DIVIDEND] == "0.1"


class TestMarksOfBars:
    def test_restated_bar(self, tracked: Database, market: ScriptedMarket) -> None:
        run(tracked, market)
        publish_until(tracked, TODAY)
        market.restate("AAA", LATE, 1.01)
        update = run(tracked, market, TOMORROW)
        assert marks(tracked) == [("AAA", LATE, DAYS[-3], True, None)]
        assert update.marked == {"AAA"}
        row = rows_of(tracked, "SELECT run_id FROM figure_invalidations")[0]
        assert row["run_id"] == "run-1"

    def test_late_bar(self, tracked: Database, market: ScriptedMarket) -> None:
        late = market.bars.pop(("AAA", LATE))
        run(tracked, market)
        publish_until(tracked, TODAY)
        market.bars["AAA", LATE] = late
        run(tracked, market, TOMORROW)
        assert marks(tracked) == [("AAA", LATE, DAYS[-3], True, None)]

    def test_nothing_is_marked_before_anything_is_published(self, tracked: Database, market: ScriptedMarket) -> None:
        run(tracked, market)
        market.restate("AAA", LATE, 1.01)
        market.pay("BBB", LATE, 0.5)
        assert run(tracked, market, TOMORROW).restated == 1
        assert marks(tracked) == []

    def test_move_that_the_next_session_confirms(self, tracked: Database, market: ScriptedMarket) -> None:
        for day in (TODAY, TOMORROW):
            market.restate("AAA", day, 3.0)
        run(tracked, market)
        publish_until(tracked, TODAY)
        run(tracked, market)
        assert marks(tracked) == []
        run(tracked, market, TOMORROW)
        assert marks(tracked) == [("AAA", TODAY, TODAY, False, None)]

    def test_options_may_leap(self, tracked: Database, market: ScriptedMarket) -> None:
        contract = "AAA251219C00100000"
        market.bars |= {(contract, day): bar(9.0 if day >= TODAY else 1.0) for day in DAYS}
        market.descriptions = [option(contract)]
        track(tracked, market)
        run(tracked, market)
        publish_until(tracked, TODAY)
        run(tracked, market, TOMORROW)
        assert marks(tracked) == []

    def test_symbol_tracked_later(self, tracked: Database, market: ScriptedMarket) -> None:
        run(tracked, market)
        publish_until(tracked, TODAY)
        market.bars |= {("CCC", day): bar(7.0) for day in DAYS}
        market.descriptions = [replace(market.descriptions[0], symbol="CCC")]
        track(tracked, market)
        run(tracked, market, TOMORROW)
        assert marks(tracked) == [("CCC", HISTORY_START, TODAY, True, None)]


class ForgetsHistory(ScriptedMarket):
    """Has no long history of AAA: ``how`` it says so."""

    how: SymbolOutcome | None = None

    def fetch_bars(self, requests: Sequence[BarRequest]) -> FetchResult:
        answer = super().fetch_bars(requests)
        if len(requests) > 1:
            return answer
        keep = [symbol != "AAA" for symbol in answer.bars.column("symbol").to_pylist()]
        return FetchResult(answer.bars.filter(keep), {"AAA": self.how or SymbolOutcome(Outcome.OK)}, answer.actions)


class TestAllOrNothing:
    @pytest.mark.parametrize(
        ("how", "problem"),
        [(None, "no valid bar"), (SymbolOutcome(Outcome.UNKNOWN, "gone"), "unknown: gone")],
    )
    def test_without_its_history_nothing_of_a_symbol_is_stored(
        self, tracked: Database, market: ScriptedMarket, how: SymbolOutcome | None, problem: str
    ) -> None:
        run(tracked, market)
        before = stored_bars(tracked, "AAA"), symbols(tracked)["AAA"]
        market.restate("AAA", TOMORROW, 0.25)
        market.split("AAA", TOMORROW, 4)
        forgets = ForgetsHistory(market.bars, [], actions=market.actions, supplies_corporate_actions=True)
        forgets.how = how
        update = run(tracked, forgets, TOMORROW)
        said = "nothing of it is stored before its whole history is, which changed"
        assert update.problems == {"AAA": f"{problem}; {said}"}
        assert (stored_bars(tracked, "AAA"), symbols(tracked)["AAA"]) == before
        assert stated(tracked) == {}
        assert TOMORROW in stored_closes(tracked, "BBB")
        run(tracked, market, TOMORROW)
        assert stored_bars(tracked, "AAA") == sent_bars(market, "AAA")
        assert stated(tracked) == {("AAA", TOMORROW, SPLIT): "4:1"}

    @pytest.mark.parametrize("step", ["replace_actions", "quarantine_bars", "mark_invalid", "record_progress"])
    def test_a_failure_leaves_nothing_half_written(
        self, tracked: Database, market: ScriptedMarket, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        run(tracked, market)
        publish_until(tracked, TODAY)
        market.restate("AAA", TOMORROW, 0.25)
        market.split("AAA", TOMORROW, 4)
        before = contents(tracked, FACT_TABLES)

        def fail(*_: object, **__: object) -> None:
            raise StorageError("disk full")

        with monkeypatch.context() as patch:
            patch.setattr(price_update, step, fail)
            with pytest.raises(StorageError, match="disk full"):
                run(tracked, market, TOMORROW)
        assert contents(tracked, FACT_TABLES) == before
        run(tracked, market, TOMORROW)
        assert stored_bars(tracked, "AAA") == sent_bars(market, "AAA")

    def test_a_history_reaches_beyond_the_window(self, tracked: Database, market: ScriptedMarket) -> None:
        """An older window is filled after a split: what is stored after it is brought to the same units."""
        run(tracked, market, TODAY, history_start=DAYS[15])
        publish_until(tracked, TODAY)
        market.restate("AAA", TOMORROW, 0.25)
        market.split("AAA", TOMORROW, 4)
        market.asked()
        run(tracked, market, DAYS[20])
        assert market.asked()["AAA"] == (HISTORY_START, TODAY)
        assert stored_bars(tracked, "AAA") == sent_bars(market, "AAA", TODAY)
        assert stated(tracked) == {("AAA", TOMORROW, SPLIT): "4:1"}
        assert marks(tracked)[0][:2] == ("AAA", HISTORY_START)
