"""What the disturbed vendor answers."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.action_validation import validate_actions
from sigmasight_assets.market_data.protocol import BarRequest, FetchResult, Outcome
from sigmasight_assets.market_data.validation import validate_bars
from sigmasight_assets.sessions import exchange_calendar
from tests.e2e.market import POLL_SECONDS, Disturbances, DisturbedMarket, Split, market_as_of

# A dividend is paid in between, before the day of the disturbances.
FIRST, EX_DATE, LAST = date(2024, 3, 1), date(2024, 5, 22), date(2024, 6, 3)
STOCK = "BUCO"
DAY = str(EX_DATE)


@pytest.fixture
def market(tmp_path: Path) -> DisturbedMarket:
    return market_as_of(LAST, tmp_path / "market.json")


def fetch(market: DisturbedMarket, script: Disturbances, *symbols: str) -> FetchResult:
    script.save(market.path)
    return market.fetch_bars([BarRequest(symbol, FIRST, LAST) for symbol in symbols or (STOCK,)])


def column(result: FetchResult, name: str, symbol: str = STOCK) -> dict[date, Any]:
    return {row["price_date"]: row[name] for row in result.bars.to_pylist() if row["symbol"] == symbol}


def test_missing_bars_are_not_sent(market: DisturbedMarket) -> None:
    whole = column(fetch(market, Disturbances()), "close_price")
    holed = column(fetch(market, Disturbances(missing={STOCK: [DAY]})), "close_price")
    assert holed == {day: close for day, close in whole.items() if day != EX_DATE}
    assert len(holed) == len(whole) - 1


def test_a_symbol_without_any_bar_in_the_window_is_empty(market: DisturbedMarket) -> None:
    Disturbances(missing={STOCK: [DAY]}).save(market.path)
    answer = market.fetch_bars([BarRequest(STOCK, EX_DATE, EX_DATE)])
    assert answer.bars.num_rows == 0
    assert answer.outcomes[STOCK].outcome is Outcome.EMPTY
    assert DAY in answer.outcomes[STOCK].detail


def test_restated_bars_differ_by_the_factor(market: DisturbedMarket) -> None:
    plain, other = Disturbances(), Disturbances(restated={STOCK: {DAY: 1.25}})
    for name, digits in (("open_price", 4), ("high_price", 4), ("low_price", 4), ("close_price", 4)):
        before, after = column(fetch(market, plain), name), column(fetch(market, other), name)
        assert after == {**before, EX_DATE: round(before[EX_DATE] * 1.25, digits)}
    before, after = (column(fetch(market, script), "adj_close_price") for script in (plain, other))
    assert after == {**before, EX_DATE: before[EX_DATE] * 1.25}


def test_a_split_restates_the_history_and_is_sound(market: DisturbedMarket) -> None:
    plain, split = (fetch(market, Disturbances(splits=splits)) for splits in ([], [Split(STOCK, DAY, 4)]))
    before, after = column(plain, "close_price"), column(split, "close_price")
    assert after == {day: round(close / 4, 4) for day, close in before.items()}
    before, after = column(plain, "volume"), column(split, "volume")
    assert after == {day: volume * 4 for day, volume in before.items()}
    actions = split.actions.to_pylist()
    assert [
        (row["ex_date"], row["ratio_numerator"], row["ratio_denominator"]) for row in actions if row["kind"] == "split"
    ] == [(EX_DATE, 4, 1)]
    dividends = [
        [row["amount"] for row in each.actions.to_pylist() if row["kind"] == "dividend"] for each in (plain, split)
    ]
    assert dividends[1] == [amount / 4 for amount in dividends[0]] != []
    requests = [BarRequest(STOCK, FIRST, LAST)]
    assert validate_bars(split.bars, requests, exchange_calendar()).rejected.num_rows == 0
    assert validate_actions(split.actions, requests, exchange_calendar()).problems == []


def test_a_split_without_restated_history_changes_the_bars_from_its_day_on(market: DisturbedMarket) -> None:
    before = column(fetch(market, Disturbances()), "close_price")
    after = column(fetch(market, Disturbances(splits=[Split(STOCK, DAY, 4, restated=False)])), "close_price")
    assert after == {day: close if day < EX_DATE else round(close / 4, 4) for day, close in before.items()}


def test_a_split_is_not_told_before_its_day(market: DisturbedMarket) -> None:
    script = Disturbances(splits=[Split(STOCK, "2024-06-04", 4)])
    plain, told = fetch(market, Disturbances()), fetch(market, script)
    assert told.bars.equals(plain.bars)
    assert told.actions.equals(plain.actions)


def test_unknown_symbols_are_not_listed_and_have_nothing(market: DisturbedMarket) -> None:
    answer = fetch(market, Disturbances(unknown=[STOCK]), STOCK, "SPY")
    assert answer.outcomes[STOCK].outcome is Outcome.UNKNOWN
    assert set(answer.bars["symbol"].to_pylist()) == {"SPY"}
    assert STOCK not in {item.symbol for item in market.listings()}
    assert STOCK in market.fetch_profiles([STOCK, "SPY"], as_of=LAST).problems


def test_a_vendor_that_is_away_answers_nothing(market: DisturbedMarket) -> None:
    with pytest.raises(MarketDataError, match="does not answer"):
        fetch(market, Disturbances(away=True))
    with pytest.raises(MarketDataError, match="does not answer"):
        market.listings()


def test_what_is_saved_is_what_is_read(tmp_path: Path) -> None:
    script = Disturbances(
        missing={"A": [DAY]}, restated={"B": {DAY: 1.01}}, splits=[Split("C", DAY, 3, 2)], unknown=["D"]
    )
    for each in (script, replace(script, away=True, held_above=7)):
        each.save(tmp_path / "market.json")
        assert Disturbances.load(tmp_path / "market.json") == each


def test_a_held_call_is_answered_once_it_is_let_go(market: DisturbedMarket) -> None:
    Disturbances(held_above=1).save(market.path)
    alone = market.fetch_bars([BarRequest(STOCK, FIRST, LAST)])
    with ThreadPoolExecutor() as pool:
        both = pool.submit(market.fetch_bars, [BarRequest(symbol, FIRST, LAST) for symbol in (STOCK, "SPY")])
        with pytest.raises(TimeoutError):
            both.result(timeout=3 * POLL_SECONDS)
        Disturbances().save(market.path)
        assert column(both.result(), "close_price") == column(alone, "close_price")
