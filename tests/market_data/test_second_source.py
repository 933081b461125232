"""Two sources as one: the second serves what the first does not answer, and nothing else."""

from datetime import date

import pytest

from sigmasight_assets.errors import MarketDataError, MarketSetupError, RateLimitedError
from sigmasight_assets.market_data.protocol import (
    SPLIT,
    BarRequest,
    FetchResult,
    Outcome,
    SymbolOutcome,
    second_of,
    source_names,
)
from sigmasight_assets.market_data.second_source import WithSecond
from tests.orchestration.failing_markets import FailingMarket, failing
from tests.orchestration.markets import ScriptedMarket, bar, stock

DAYS = [date(2025, 6, day) for day in (2, 3, 4)]
SYMBOLS = ("AAA", "BBB", "CCC")
AWAY = MarketDataError("unreachable: nobody answers")


def requests(*symbols: str) -> list[BarRequest]:
    return [BarRequest(symbol, DAYS[0], DAYS[-1]) for symbol in symbols or SYMBOLS]


@pytest.fixture
def first() -> FailingMarket:
    bars = {(symbol, day): bar(100.0) for symbol in SYMBOLS for day in DAYS}
    return failing(ScriptedMarket(bars, [stock(symbol) for symbol in SYMBOLS]), "first")


@pytest.fixture
def second(first: FailingMarket) -> FailingMarket:
    second = failing(first, "second")
    second.bars = {key: bar(200.0) for key in first.bars}
    second.actions = {("BBB", DAYS[1], SPLIT): (2, 1, None), ("AAA", DAYS[1], SPLIT): (3, 1, None)}
    return second


@pytest.fixture
def both(first: FailingMarket, second: FailingMarket) -> WithSecond:
    return WithSecond(first, second)


def closes(answer: FetchResult) -> dict[str, set[float]]:
    """The different closes of each symbol."""
    found: dict[str, set[float]] = {}
    for symbol, close in zip(*(answer.bars[name].to_pylist() for name in ("symbol", "close_price")), strict=True):
        found.setdefault(symbol, set()).add(close)
    return found


def test_what_it_says_of_itself(both: WithSecond, first: FailingMarket, second: FailingMarket) -> None:
    first.supplies_corporate_actions, first.symbols_per_call = True, 7
    assert (both.name, both.supplies_corporate_actions, both.symbols_per_call) == ("first", True, 7)
    assert both.supplies_dated_profiles is False
    assert source_names(both) == {"first", "second"}
    assert source_names(first) == {"first"}
    assert (second_of(both), second_of(first)) == (second, None)


def test_the_second_is_not_asked_while_the_first_answers(both: WithSecond, second: FailingMarket) -> None:
    answer = both.fetch_bars(requests())
    assert closes(answer) == {symbol: {100.0} for symbol in SYMBOLS}
    assert (answer.sources, answer.actions.num_rows, second.calls) == ({}, 0, 0)
    both.listings()
    both.fetch_profiles(SYMBOLS, as_of=DAYS[0])
    assert second.calls == 0


def test_a_symbol_that_the_first_does_not_know_is_not_asked_of_the_second(
    both: WithSecond, first: FailingMarket, second: FailingMarket
) -> None:
    first.bars = {key: values for key, values in first.bars.items() if key[0] != "AAA"}
    first.delisted["BBB"] = "taken over"
    answer = both.fetch_bars(requests())
    assert [answer.outcomes[symbol].outcome for symbol in SYMBOLS] == [
        Outcome.UNKNOWN,
        Outcome.DELISTED,
        Outcome.OK,
    ]
    assert second.calls == 0


@pytest.mark.parametrize("error", [AWAY, RateLimitedError("rate_limited: too many")])
def test_the_second_serves_when_the_first_is_down(
    both: WithSecond, first: FailingMarket, second: FailingMarket, error: MarketDataError
) -> None:
    first.down = error
    second.symbols_per_call = 2
    answer = both.fetch_bars(requests())
    assert closes(answer) == {symbol: {200.0} for symbol in SYMBOLS}
    assert answer.sources == dict.fromkeys(SYMBOLS, "second")
    assert answer.actions.num_rows == 2
    assert second.calls == 2
    assert [item.symbol for item in both.listings()] == list(SYMBOLS)


def test_only_the_failed_symbols_are_asked_of_the_second(
    both: WithSecond, first: FailingMarket, second: FailingMarket
) -> None:
    first.failed = {"BBB": "timeout: no answer within 10 s"}
    first.unasked = [("ZZZ", DAYS[0], bar(1.0))]
    answer = both.fetch_bars(requests())
    assert closes(answer) == {"AAA": {100.0}, "BBB": {200.0}, "CCC": {100.0}, "ZZZ": {1.0}}
    assert answer.outcomes == {
        **dict.fromkeys(("AAA", "CCC"), SymbolOutcome(Outcome.OK)),
        "BBB": SymbolOutcome(Outcome.OK, "timeout: no answer within 10 s"),
    }
    assert answer.sources == {"BBB": "second"}
    assert answer.actions["symbol"].to_pylist() == ["BBB"]
    assert [item.symbol for item in second.requests] == ["BBB"]


def test_a_symbol_that_neither_serves_is_failed_with_both_causes(
    both: WithSecond, first: FailingMarket, second: FailingMarket
) -> None:
    first.failed = {"AAA": "timeout: late", "BBB": "garbage: <html>", "CCC": "timeout: late"}
    second.bars = {key: values for key, values in second.bars.items() if key[0] != "AAA"}
    second.delisted["BBB"] = "taken over"
    answer = both.fetch_bars(requests())
    assert answer.outcomes == {
        "AAA": SymbolOutcome(Outcome.FAILED, "timeout: late; second: unknown: no such ticker"),
        "BBB": SymbolOutcome(Outcome.FAILED, "garbage: <html>; second: delisted: taken over"),
        "CCC": SymbolOutcome(Outcome.OK, "timeout: late"),
    }
    assert closes(answer) == {"CCC": {200.0}}
    assert answer.sources == {"CCC": "second"}


def test_failed_symbols_stay_failed_when_the_second_is_down(
    both: WithSecond, first: FailingMarket, second: FailingMarket
) -> None:
    first.failed, second.down = {"AAA": "timeout: late"}, AWAY
    answer = both.fetch_bars(requests())
    assert answer.outcomes["AAA"] == SymbolOutcome(Outcome.FAILED, f"timeout: late; second: {AWAY}")
    assert closes(answer) == {"BBB": {100.0}, "CCC": {100.0}}
    assert answer.sources == {}


def test_when_both_are_down_it_is_the_firsts_failure(
    both: WithSecond, first: FailingMarket, second: FailingMarket
) -> None:
    first.down, second.down = RateLimitedError("rate_limited: too many", retry_after=17.0), AWAY
    with pytest.raises(RateLimitedError, match="too many; the second market second does not answer either") as caught:
        both.fetch_bars(requests())
    assert caught.value.retry_after == 17.0
    first.down = MarketDataError("server_error: 500")
    for call in (lambda: both.fetch_bars(requests()), both.listings):
        with pytest.raises(MarketDataError, match=r"^server_error: 500; the second market .* unreachable") as other:
            call()
        assert not isinstance(other.value, RateLimitedError)


def test_a_wrong_set_up_is_not_made_good_by_the_second(
    both: WithSecond, first: FailingMarket, second: FailingMarket
) -> None:
    first.down = MarketSetupError("no such directory")
    for call in (lambda: both.fetch_bars(requests()), both.listings, lambda: both.fetch_profiles("A", as_of=DAYS[0])):
        with pytest.raises(MarketSetupError, match="no such directory"):
            call()
    with pytest.raises(MarketDataError, match="AAA is asked for twice"):
        both.fetch_bars(requests("AAA", "AAA"))
    assert second.calls == 0


def test_profiles_wait_for_the_first(both: WithSecond, first: FailingMarket, second: FailingMarket) -> None:
    second.profiles = {"AAA": {"name": "Triple A"}}
    first.down = AWAY
    answer = both.fetch_profiles(SYMBOLS, as_of=DAYS[0])
    assert (answer.profiles.num_rows, answer.problems) == (0, dict.fromkeys(SYMBOLS, str(AWAY)))
    assert second.calls == 0
