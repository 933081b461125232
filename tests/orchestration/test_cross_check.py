"""Newest closes compared with those of a second market: disputes that come and are settled, moves that it confirms."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from sigmasight_assets.errors import DecisionError, MarketDataError
from sigmasight_assets.market_data.second_source import WithSecond
from sigmasight_assets.operations.bars import accept_bar, read_suspect_bars, reject_bar
from sigmasight_assets.orchestration.cross_check import CrossCheck
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.universe import import_listings
from tests.contents import contents
from tests.orchestration.contents import execute, rows_of
from tests.orchestration.failing_markets import FailingMarket, failing
from tests.orchestration.markets import ScriptedMarket, bar, option
from tests.orchestration.price_runs import DAYS, HISTORY_START, TODAY, TOMORROW, marks, publish_until, run, track

AWAY = MarketDataError("unreachable: nobody answers")
CONTRACT = "AAA250718C00100000"


@pytest.fixture
def first(market: ScriptedMarket) -> FailingMarket:
    return failing(market, "first")


@pytest.fixture
def second(first: FailingMarket) -> FailingMarket:
    return failing(first, "second")


@pytest.fixture
def both(first: FailingMarket, second: FailingMarket) -> WithSecond:
    return WithSecond(first, second)


def checked(database: Database, both: WithSecond, *days: date) -> CrossCheck:
    """What came of the comparison of one evening."""
    track(database, both)
    result = run(database, both, *days).check
    assert result is not None
    return result


def kept(database: Database) -> list[tuple[Any, ...]]:
    """Symbol, session and the closes of both that are stored."""
    names = "symbol, price_date, close_price, second_close_price, second_source"
    sql = f"SELECT {names} FROM bar_comparisons ORDER BY symbol, price_date"
    return [tuple(row.values()) for row in rows_of(database, sql)]


def waiting(database: Database) -> list[tuple[str, date]]:
    return [(item.symbol, item.session) for item in read_suspect_bars(database)]


def close(market: ScriptedMarket, symbol: str = "AAA", day: date = TODAY) -> Decimal:
    return Decimal(str(market.bars[symbol, day][3])).quantize(Decimal("0.0001"))


def forget(database: Database) -> None:
    execute(database, "DELETE FROM figure_invalidations")


class TestAsking:
    def test_only_the_newest_bar_of_each_symbol_is_asked_for_in_calls_of_its_size(
        self, database: Database, both: WithSecond, first: FailingMarket, second: FailingMarket
    ) -> None:
        del first.bars["BBB", TODAY]
        second.symbols_per_call = 2
        result = checked(database, both)
        assert second.asked() == {"AAA": (TODAY, TODAY), "BBB": (DAYS[-3], DAYS[-3]), "NEW": (TODAY, TODAY)}
        assert second.calls == 2
        assert (result.second, result.compared, result.disputed, result.not_compared) == ("second", 3, {}, {})
        assert kept(database) == []

    def test_a_symbol_without_a_new_bar_is_not_asked_for(
        self, database: Database, both: WithSecond, first: FailingMarket, second: FailingMarket
    ) -> None:
        for day in DAYS[-7:]:
            del first.bars["BBB", day]
        assert checked(database, both).compared == 2
        assert set(second.asked()) == {"AAA", "NEW"}

    def test_option_contracts_are_left_out(self, database: Database, both: WithSecond, second: FailingMarket) -> None:
        both.first.bars[CONTRACT, TODAY] = bar(5.0)  # type: ignore[attr-defined]
        with database.begin() as connection:
            import_listings(connection, [option(CONTRACT)])
        result = checked(database, both)
        assert (result.compared, result.not_compared) == (3, {})
        assert CONTRACT not in second.asked()

    def test_a_second_market_that_is_down_never_fails_the_night(
        self, database: Database, both: WithSecond, second: FailingMarket
    ) -> None:
        second.down = AWAY
        result = checked(database, both)
        assert (result.compared, result.not_compared) == (0, dict.fromkeys(("AAA", "BBB", "NEW"), str(AWAY)))

    def test_each_symbol_that_cannot_be_compared_is_named(
        self, database: Database, both: WithSecond, second: FailingMarket
    ) -> None:
        second.bars = {key: values for key, values in second.bars.items() if key[0] != "AAA"}
        second.bars["BBB", TODAY] = bar(float("nan"))
        result = checked(database, both)
        assert result.compared == 1
        assert result.not_compared == {"AAA": "unknown: no such ticker", "BBB": "no valid bar"}
        assert rows_of(database, "SELECT * FROM price_quarantine") == []

    def test_what_only_the_second_has_served_is_not_compared_with_itself(
        self, database: Database, both: WithSecond, first: FailingMarket, second: FailingMarket
    ) -> None:
        first.failed = {"BBB": "timeout: late"}
        result = checked(database, both)
        assert sorted(item.symbol for item in second.requests) == ["AAA", "BBB", "NEW"]
        assert (result.compared, set(result.not_compared)) == (2, {"BBB"})
        assert "only the second market" in result.not_compared["BBB"]


class TestDisputes:
    @pytest.mark.parametrize(
        ("factor", "is_disputed"), [(1.0099, False), (0.9901, False), (1.0101, True), (0.9899, True)]
    )
    def test_beyond_one_percent(
        self, database: Database, both: WithSecond, second: FailingMarket, factor: float, is_disputed: bool
    ) -> None:
        second.restate("AAA", TODAY, factor)
        result = checked(database, both)
        ours, theirs = close(both.first), close(second)  # type: ignore[arg-type]
        if is_disputed:
            assert result.disputed == {("AAA", TODAY): f"{ours}, second: {theirs}"}
            assert kept(database) == [("AAA", TODAY, ours, theirs, "second")]
            (found,) = read_suspect_bars(database)
            assert (found.second_source, found.second_close_price, found.close_price) == ("second", theirs, ours)
        else:
            assert (result.disputed, kept(database), waiting(database)) == ({}, [], [])

    def test_the_bar_stays_until_both_agree(
        self, database: Database, both: WithSecond, first: FailingMarket, second: FailingMarket
    ) -> None:
        second.restate("AAA", TODAY, 1.02)
        checked(database, both)
        assert waiting(database) == [("AAA", TODAY)]
        second.asked()
        # The next session's bar does not settle it.
        checked(database, both, TOMORROW)
        assert second.asked()["AAA"] == (TODAY, TOMORROW)
        assert waiting(database) == [("AAA", TODAY)]
        first.restate("AAA", TODAY, 1.02)
        result = checked(database, both, TOMORROW)
        assert (result.disputed, kept(database), waiting(database)) == ({}, [], [])

    def test_the_second_may_give_in(self, database: Database, both: WithSecond, second: FailingMarket) -> None:
        second.restate("AAA", TODAY, 1.02)
        checked(database, both)
        second.bars["AAA", TODAY] = both.first.bars["AAA", TODAY]  # type: ignore[attr-defined]
        checked(database, both)
        assert (kept(database), waiting(database)) == ([], [])

    def test_a_bar_that_has_changed_stays_disputed_until_it_is_compared_again(
        self, database: Database, both: WithSecond, first: FailingMarket, second: FailingMarket
    ) -> None:
        second.restate("AAA", TODAY, 1.02)
        checked(database, both)
        first.restate("AAA", TODAY, 1.02)
        second.down = AWAY
        checked(database, both)
        assert waiting(database) == [("AAA", TODAY)]
        second.down = None
        checked(database, both)
        assert waiting(database) == []

    def test_a_disputed_bar_is_asked_for_however_old_it_is(
        self, database: Database, both: WithSecond, first: FailingMarket, second: FailingMarket
    ) -> None:
        day = DAYS[-12]
        second.restate("AAA", day, 1.02)
        checked(database, both, day)
        checked(database, both)
        first.asked(), second.asked()
        checked(database, both)
        assert (first.asked()["AAA"], second.asked()["AAA"]) == ((day, TODAY), (day, TODAY))
        assert waiting(database) == [("AAA", day)]
        first.restate("AAA", day, 1.02)
        checked(database, both)
        assert waiting(database) == []
        first.asked(), second.asked()
        checked(database, both)
        assert (first.asked()["AAA"], second.asked()["AAA"]) == ((DAYS[-6], TODAY), (TODAY, TODAY))

    def test_the_same_again_writes_nothing(self, database: Database, both: WithSecond, second: FailingMarket) -> None:
        second.restate("AAA", TODAY, 1.02)
        checked(database, both)
        publish_until(database, TODAY)
        before = contents(database)
        checked(database, both)
        assert contents(database) == before

    def test_a_split_restates_both(
        self, database: Database, both: WithSecond, first: FailingMarket, second: FailingMarket
    ) -> None:
        first.supplies_corporate_actions = True
        second.restate("AAA", TODAY, 1.02)
        checked(database, both)
        for market in (first, second):
            market.split("AAA", TOMORROW, 2)
            market.restate("AAA", TOMORROW, 0.5)
        checked(database, both, TOMORROW)
        assert [(item[1:4]) for item in kept(database)] == [(TODAY, close(first), close(second))]
        assert waiting(database) == [("AAA", TODAY)]

    def test_a_split_that_one_of_them_has_not_heard_of(
        self, database: Database, both: WithSecond, first: FailingMarket
    ) -> None:
        first.supplies_corporate_actions = True
        checked(database, both)
        first.split("AAA", TOMORROW, 2)
        first.restate("AAA", TOMORROW, 0.5)
        assert set(checked(database, both, TOMORROW).disputed) == {("AAA", TOMORROW)}


class TestMarks:
    def test_a_dispute_marks_what_is_published(
        self, database: Database, both: WithSecond, second: FailingMarket
    ) -> None:
        checked(database, both)
        publish_until(database, TODAY)
        second.restate("AAA", TODAY, 1.02)
        result = checked(database, both)
        assert (marks(database), result.marked) == ([("AAA", TODAY, TODAY, False, None)], {"AAA"})
        forget(database)
        checked(database, both)
        assert marks(database) == []
        second.restate("AAA", TODAY, 1.05)
        # It is as disputed as before.
        checked(database, both)
        assert marks(database) == []
        assert [item[3] for item in kept(database)] == [close(second)]
        second.restate("AAA", TODAY, 1 / 1.02 / 1.05)
        assert checked(database, both).marked == {"AAA"}
        assert marks(database) == [("AAA", TODAY, TODAY, False, None)]

    def test_a_session_that_is_not_published_needs_none(
        self, database: Database, both: WithSecond, second: FailingMarket
    ) -> None:
        publish_until(database, DAYS[-3])
        second.restate("AAA", TODAY, 1.02)
        result = checked(database, both)
        assert (len(result.disputed), result.marked) == (1, set())

    def test_a_move_that_is_confirmed_later_marks_what_is_published(
        self, database: Database, both: WithSecond, first: FailingMarket, second: FailingMarket
    ) -> None:
        for market in (first, second):
            market.restate("AAA", TODAY, 0.25)
        second.down = AWAY
        checked(database, both)
        assert waiting(database) == [("AAA", TODAY)]
        publish_until(database, TODAY)
        second.down = None
        result = checked(database, both)
        assert (result.confirmed, result.marked) == ({("AAA", TODAY)}, {"AAA"})
        assert (marks(database), waiting(database)) == ([("AAA", TODAY, TODAY, False, None)], [])
        forget(database)
        assert checked(database, both).marked == set()


class TestMoves:
    @pytest.fixture(autouse=True)
    def fallen(self, first: FailingMarket, second: FailingMarket) -> None:
        """The second still states the price of before."""
        assert second.bars == first.bars
        first.restate("AAA", TODAY, 0.25)

    def test_the_second_confirms_one(self, database: Database, both: WithSecond, second: FailingMarket) -> None:
        second.restate("AAA", TODAY, 0.2505)
        result = checked(database, both)
        assert (result.confirmed, result.disputed) == ({("AAA", TODAY)}, {})
        assert [item[:2] for item in kept(database)] == [("AAA", TODAY)]
        assert waiting(database) == []
        with pytest.raises(DecisionError, match="is not suspect: the second market, second, confirms it"):
            accept_bar(database, "AAA", TODAY, actor="ann", reason="r")

    def test_the_second_disputes_one(self, database: Database, both: WithSecond) -> None:
        result = checked(database, both)
        assert (result.confirmed, set(result.disputed)) == (set(), {("AAA", TODAY)})
        assert waiting(database) == [("AAA", TODAY)]

    def test_one_that_the_second_confirmed_before_it_was_another_bar(
        self, database: Database, both: WithSecond, first: FailingMarket, second: FailingMarket
    ) -> None:
        second.restate("AAA", TODAY, 0.25)
        checked(database, both)
        first.restate("AAA", TODAY, 0.9)
        second.down = AWAY
        checked(database, both)
        assert waiting(database) == [("AAA", TODAY)]

    def test_a_confirmed_one_is_followed_by_its_next_session(
        self, database: Database, both: WithSecond, first: FailingMarket, second: FailingMarket
    ) -> None:
        for market in (first, second):
            market.restate("AAA", TOMORROW, 0.25)
        second.restate("AAA", TODAY, 0.25)
        checked(database, both)
        assert checked(database, both, TOMORROW).confirmed == set()
        assert waiting(database) == []


class TestDecisions:
    @pytest.fixture
    def disputed(self, database: Database, both: WithSecond, second: FailingMarket) -> Database:
        second.restate("AAA", TODAY, 1.02)
        checked(database, both)
        publish_until(database, TODAY)
        return database

    def test_an_operator_accepts_it(
        self, disputed: Database, both: WithSecond, first: FailingMarket, second: FailingMarket
    ) -> None:
        accept_bar(disputed, "AAA", TODAY, actor="ann", reason="the exchange says so")
        assert (waiting(disputed), marks(disputed)) == ([], [("AAA", TODAY, TODAY, False, None)])
        (audit,) = rows_of(disputed, "SELECT details FROM operator_actions")
        assert (audit["details"]["second_source"], audit["details"]["second_close_price"]) == (
            "second",
            str(close(second)),
        )
        assert checked(disputed, both).disputed == {}
        assert waiting(disputed) == []
        # It is settled, and asked for no more than others.
        first.asked(), second.asked()
        checked(disputed, both, TOMORROW)
        assert second.asked()["AAA"] == (TOMORROW, TOMORROW)
        # Another close is another bar.
        first.restate("AAA", TODAY, 0.9)
        checked(disputed, both)
        assert waiting(disputed) == [("AAA", TODAY)]

    def test_an_operator_rejects_it(self, disputed: Database, both: WithSecond, first: FailingMarket) -> None:
        reject_bar(disputed, "AAA", TODAY, actor="ann", reason="the second market is right")
        assert (waiting(disputed), marks(disputed)) == ([], [("AAA", TODAY, TODAY, True, None)])
        result = checked(disputed, both)
        assert (result.disputed, result.not_compared, waiting(disputed)) == ({}, {}, [])
        first.restate("AAA", TODAY, 1.02)
        checked(disputed, both)
        assert (kept(disputed), waiting(disputed)) == ([], [])

    def test_an_old_one_may_be_decided(self, database: Database, both: WithSecond, second: FailingMarket) -> None:
        day = DAYS[-12]
        second.restate("AAA", day, 1.02)
        checked(database, both, day)
        checked(database, both, TOMORROW)
        reject_bar(database, "AAA", day, actor="ann", reason="wrong")
        assert waiting(database) == []


def test_a_first_bar_may_be_disputed(database: Database, both: WithSecond, first: FailingMarket) -> None:
    first.bars = {key: values for key, values in first.bars.items() if key[0] != "AAA" or key[1] == TODAY}
    first.restate("AAA", TODAY, 1.5)
    checked(database, both)
    (found,) = read_suspect_bars(database)
    assert (found.symbol, found.previous_session, found.move_percent) == ("AAA", None, None)
    assert found.session > HISTORY_START
