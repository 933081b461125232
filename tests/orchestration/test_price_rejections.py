"""Bars that an operator has rejected: refused as often as the market sends them, without asking for anything twice."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from decimal import Decimal

import pytest

from sigmasight_assets.market_data.protocol import BarRequest, FetchResult
from sigmasight_assets.operations.bars import accept_bar, read_suspect_bars, reject_bar
from sigmasight_assets.storage.database import Database
from tests.orchestration.contents import PRICE_TABLES, contents, execute, rows_of
from tests.orchestration.markets import ScriptedMarket
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
    stored_closes,
    symbols,
    track,
)
from tests.orchestration.states import States

YESTERDAY = DAYS[-3]
# The columns that tell when and in which order rows were written.
WRITTEN = ("fetched_at", "added_at", "detected_at", "restatement_id")


def reject(database: Database, symbol: str = "AAA", day: date = TODAY) -> None:
    reject_bar(database, symbol, day, actor="ann", reason="the exchange says otherwise")


def suspect(database: Database) -> list[tuple[str, date]]:
    return [(bar.symbol, bar.session) for bar in read_suspect_bars(database)]


@pytest.fixture
def rejected(tracked: Database, market: ScriptedMarket) -> Database:
    """AAA has fallen by 75 % today, and its bar was rejected."""
    market.restate("AAA", TODAY, 0.25)
    run(tracked, market)
    assert suspect(tracked) == [("AAA", TODAY)]
    reject(tracked)
    market.asked()
    return tracked


def test_the_same_bar_is_refused_every_night(rejected: Database, market: ScriptedMarket) -> None:
    publish_until(rejected, TODAY)
    before = contents(rejected, FACT_TABLES)
    for _ in range(2):
        update = run(rejected, market)
        assert (update.rejected, update.refetched, update.changed_symbols) == ({"rejected_by_operator": 1}, 0, 0)
        assert contents(rejected, FACT_TABLES) == before
        assert market.asked()["AAA"] == (DAYS[-6], TODAY)
    update = run(rejected, market, TOMORROW)
    assert market.asked()["AAA"] == (DAYS[-6], TOMORROW)
    assert (update.rejected, update.inserted, update.refetched) == ({"rejected_by_operator": 1}, 3, 0)
    assert set(stored_closes(rejected, "AAA")) == set(DAYS) - {TODAY}
    assert symbols(rejected)["AAA"].last_price_date == TOMORROW
    assert suspect(rejected) == []
    assert len(rows_of(rejected, "SELECT * FROM price_quarantine")) == 1
    assert (marks(rejected), logged_actions(rejected)) == ([], [])


def test_the_refused_bar_is_not_the_newest_price(rejected: Database, market: ScriptedMarket) -> None:
    run(rejected, market)
    assert symbols(rejected)["AAA"].last_price_date == YESTERDAY


def test_the_corrected_bar_comes_in_and_leaves_what_was_always_right(
    rejected: Database, market: ScriptedMarket, states: States
) -> None:
    market.restate("AAA", TODAY, 4.0)
    update = run(rejected, market, TOMORROW)
    assert (update.rejected, update.inserted, update.restated) == ({}, 4, 0)
    tables = {name: key for name, key in PRICE_TABLES.items() if name != "price_quarantine"}
    found = contents(rejected, tables, ignoring=WRITTEN)
    states.clear()
    track(states.database, market)
    run(states.database, market)
    run(states.database, market, TOMORROW)
    assert contents(states.database, tables, ignoring=WRITTEN) == found


def test_another_wrong_bar_is_another_bar(rejected: Database, market: ScriptedMarket) -> None:
    market.restate("AAA", TODAY, 0.9)
    assert run(rejected, market).inserted == 1
    assert suspect(rejected) == [("AAA", TODAY)]
    # The first one is still refused, so the second stays.
    market.restate("AAA", TODAY, 1 / 0.9)
    before = contents(rejected, PRICE_TABLES)
    assert run(rejected, market).rejected == {"rejected_by_operator": 1}
    assert contents(rejected, PRICE_TABLES) == before


def test_a_bar_that_nobody_has_rejected_is_not_refused(rejected: Database, market: ScriptedMarket) -> None:
    market.bars["BBB", TODAY] = market.bars["AAA", TODAY]
    run(rejected, market)
    assert stored_closes(rejected, "BBB")[TODAY] == Decimal(str(market.bars["AAA", TODAY][3]))


def test_it_stays_out_through_a_split(rejected: Database, market: ScriptedMarket) -> None:
    """The market restates it with the rest of the history."""
    market.supplies_corporate_actions = True
    market.split("AAA", TOMORROW, 4)
    update = run(rejected, market, TOMORROW)
    assert (update.refetched, update.actions["new"]) == (1, 1)
    closes = stored_closes(rejected, "AAA")
    assert set(closes) == set(DAYS) - {TODAY}
    assert closes[YESTERDAY] == Decimal(str(market.bars["AAA", YESTERDAY][3]))
    before = contents(rejected, FACT_TABLES)
    assert run(rejected, market, TOMORROW).rejected == {"rejected_by_operator": 1}
    assert contents(rejected, FACT_TABLES) == before


def test_it_comes_in_once_a_split_explains_it(rejected: Database, market: ScriptedMarket) -> None:
    """It was in the units after the split, and its history now is too."""
    market.supplies_corporate_actions = True
    wrong = market.bars["AAA", TODAY]
    market.split("AAA", TODAY, 4)
    assert market.bars["AAA", TODAY] == wrong
    update = run(rejected, market)
    assert (update.refetched, update.inserted) == (1, 1)
    assert stored_closes(rejected, "AAA")[TODAY] == Decimal(str(wrong[3]))
    assert suspect(rejected) == []


def test_it_stays_out_of_a_history_that_is_fetched_again(rejected: Database, market: ScriptedMarket) -> None:
    market.restate("AAA", DAYS[3], 1.01)
    market.restate("AAA", TOMORROW, 1.0)
    run(rejected, market, TOMORROW)
    market.restate("AAA", TOMORROW, 1.001)
    market.asked()
    update = run(rejected, market, TOMORROW)
    assert (update.refetched, market.asked()["AAA"]) == (1, (HISTORY_START, TOMORROW))
    assert TODAY not in stored_closes(rejected, "AAA")
    assert stored_closes(rejected, "AAA")[DAYS[3]] == Decimal(str(market.bars["AAA", DAYS[3]][3]))


@dataclass
class InterruptedMarket(ScriptedMarket):
    """A market during whose first answer an operator rejects a bar."""

    database: Database | None = field(default=None, kw_only=True)

    def fetch_bars(self, requests: Sequence[BarRequest]) -> FetchResult:
        if self.database is not None:
            reject(self.database)
            self.database = None
        return super().fetch_bars(requests)


def test_a_bar_that_is_rejected_while_it_is_fetched_stays_out(tracked: Database, market: ScriptedMarket) -> None:
    market.restate("AAA", TODAY, 0.25)
    run(tracked, market)
    copied = {item.name: getattr(market, item.name) for item in fields(ScriptedMarket)}
    run(tracked, InterruptedMarket(**copied, database=tracked))
    assert TODAY not in stored_closes(tracked, "AAA")
    assert symbols(tracked)["AAA"].last_price_date == YESTERDAY
    assert rows_of(tracked, "SELECT verdict FROM bar_decisions") == [{"verdict": "rejected"}]


@pytest.mark.parametrize("nights", [0, 8])
def test_a_rejection_that_is_taken_back(tracked: Database, market: ScriptedMarket, nights: int) -> None:
    """The bar is asked for once more, however long ago its session is."""
    day = DAYS[-2 - nights]
    market.restate("AAA", day, 0.25)
    run(tracked, market, day)
    reject(tracked, day=day)
    run(tracked, market)
    assert day not in stored_closes(tracked, "AAA")
    accept_bar(tracked, "AAA", day, actor="ann", reason="it was right after all")
    market.asked()
    update = run(tracked, market)
    assert market.asked()["AAA"] == (min(day, DAYS[-6]), TODAY)
    assert (update.rejected, update.inserted) == ({}, 1)
    assert stored_closes(tracked, "AAA")[day] == Decimal(str(market.bars["AAA", day][3]))
    assert suspect(tracked) == []
    assert symbols(tracked)["AAA"].history_from == HISTORY_START
    run(tracked, market)
    assert market.asked()["AAA"] == (DAYS[-6], TODAY)


def test_a_symbol_of_which_every_bar_is_refused_awaits_its_first_price(
    tracked: Database, market: ScriptedMarket
) -> None:
    market.bars = {key: values for key, values in market.bars.items() if key[0] != "AAA" or key[1] == TODAY}
    run(tracked, market)
    reject(tracked)
    for _ in range(2):
        update = run(tracked, market)
        found = symbols(tracked)["AAA"]
        assert (found.status, found.first_trade_date, found.last_price_date) == ("pending", None, None)
        assert (update.rejected, update.problems) == ({"rejected_by_operator": 1}, {})
    market.restate("AAA", TODAY, 1.5)
    run(tracked, market)
    assert symbols(tracked)["AAA"].status == "active"


def test_a_rejected_bar_leaves_the_marks_of_others_alone(rejected: Database, market: ScriptedMarket) -> None:
    publish_until(rejected, TODAY)
    execute(rejected, "DELETE FROM figure_invalidations")
    market.restate("BBB", TODAY, 1.01)
    run(rejected, market)
    assert marks(rejected) == [("BBB", TODAY, TODAY, True, None)]
