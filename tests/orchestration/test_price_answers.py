"""What comes back from a source: judged, laid out, and told apart by symbol."""

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest

from sigmasight_assets.market_data.protocol import DIVIDEND, BarRequest
from sigmasight_assets.orchestration.price_answers import Answer, ask
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.bar_decisions import BarDecision
from sigmasight_assets.storage.grid import Grid
from tests.orchestration.markets import ScriptedMarket
from tests.orchestration.price_runs import DAYS, LISTED_LATER

GRID = Grid(np.array(DAYS, "datetime64[D]"), ("AAA", "BBB", "GONE", "NEW"))
REQUESTS = [BarRequest(symbol, DAYS[2], DAYS[8]) for symbol in ("AAA", "BBB", "GONE")] + [
    BarRequest("NEW", DAYS[3], DAYS[12])
]


@pytest.fixture
def answer(market: ScriptedMarket, calendar: SessionCalendar) -> Answer:
    """AAA trades, BBB has been delisted, GONE is unknown and NEW comes later."""
    market.delisted["BBB"] = "merged"
    market.actions = {("AAA", DAYS[4], DIVIDEND): (None, None, 0.5), ("AAA", DAYS[5], DIVIDEND): (None, None, -1.0)}
    return ask(market, calendar, REQUESTS, GRID)


def days_with_bars(answer: Answer, symbol: str) -> list[date]:
    column = answer.window.grid.symbols.index(symbol)
    return [day for day, found in zip(DAYS, answer.window.has_bar[:, column].tolist(), strict=True) if found]


def test_bars_and_actions_are_judged(answer: Answer) -> None:
    assert days_with_bars(answer, "AAA") == DAYS[2:9]
    assert days_with_bars(answer, "NEW") == [day for day in DAYS if LISTED_LATER <= day <= DAYS[12]]
    assert days_with_bars(answer, "GONE") == []
    assert answer.actions.valid.column("amount").to_pylist() == [500_000]
    assert [symbol for symbol, _ in answer.actions.problems] == ["AAA"]


def test_symbols_are_told_apart(answer: Answer) -> None:
    assert answer.answered_from == {"AAA": DAYS[2], "BBB": DAYS[2], "NEW": DAYS[3]}
    assert answer.problems == {"GONE": "unknown: no such ticker"}
    assert answer.delisted == {"BBB": "merged"}


def test_an_outcome_without_detail_is_a_word(answer: Answer, market: ScriptedMarket, calendar: SessionCalendar) -> None:
    market.delisted["BBB"] = ""
    again = ask(market, calendar, [BarRequest("BBB", DAYS[0], DAYS[1]), BarRequest("NEW", DAYS[0], DAYS[1])], GRID)
    assert (again.delisted, again.problems) == ({"BBB": "delisted"}, {"NEW": "empty"})
    assert answer.delisted == {"BBB": "merged"}


def test_without_some_symbols(answer: Answer) -> None:
    assert answer.without([]) is answer
    rest = answer.without({"AAA", "GONE"})
    assert rest.window.grid.symbols == ("BBB", "NEW")
    assert list(rest.requests) == ["BBB", "NEW"]
    assert (rest.problems, list(rest.answered_from)) == ({}, ["BBB", "NEW"])
    assert days_with_bars(rest, "NEW") == days_with_bars(answer, "NEW")


def test_without_what_operators_have_rejected(answer: Answer) -> None:
    def rejected(symbol: str, day: date, close: float) -> BarDecision:
        told: dict[str, Any] = {
            "verdict": "rejected",
            "actor": "ann",
            "reason": "r",
            "acted_at": datetime(2025, 7, 1, tzinfo=UTC),
        }
        return BarDecision(symbol, day, int(close * 10_000), None, **told)

    assert answer.without_rejected([]) is answer
    # Another close, no bar, and nobody's.
    others = [rejected("AAA", DAYS[5], 1.0), rejected("NEW", DAYS[3], 1.0), rejected("ZZZ", DAYS[5], 105.0)]
    assert answer.without_rejected(others) is answer
    kept = answer.without_rejected([*others, rejected("AAA", DAYS[8], 108.0), rejected("BBB", DAYS[2], 103.0)])
    assert days_with_bars(kept, "AAA") == DAYS[2:8]
    assert days_with_bars(kept, "BBB") == DAYS[3:9]
    assert kept.bars.counts == {"rejected_by_operator": 2}
    column = kept.window.grid.symbols.index("AAA")
    assert np.isnan(kept.window.adj_close[8, column])
    assert {values[8, column] for values in (*kept.window.prices.values(), kept.window.volume)} == {0}
    assert (kept.requests, kept.outcomes, kept.actions) == (answer.requests, answer.outcomes, answer.actions)
    assert days_with_bars(answer, "AAA") == DAYS[2:9]


def test_nobody_is_asked_for_nothing(market: ScriptedMarket, calendar: SessionCalendar) -> None:
    market.unasked = [("ZZZ", DAYS[0], (1.0, 1.0, 1.0, 1.0, 1.0, 1.0))]
    empty = ask(market, calendar, [], GRID)
    assert (empty.requests, empty.answered_from, empty.problems) == ({}, {}, {})
    assert not empty.window.has_bar.any()
    assert empty.bars.counts == {}
