"""What the simulated vendor says of companies, and when."""

from datetime import date
from typing import Any

import numpy as np
import pytest

from sigmasight_assets.market_data.protocol import PROFILE_SCHEMA, BarRequest
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.sessions import SessionCalendar

DAY, LATER = date(2024, 6, 28), date(2024, 7, 1)
TODAY = date(2025, 6, 30)

Profile = dict[str, Any]


@pytest.fixture(scope="module")
def market(calendar: SessionCalendar) -> SimulatedMarket:
    return SimulatedMarket(calendar, as_of=TODAY)


@pytest.fixture(scope="module")
def symbols(market: SimulatedMarket) -> list[str]:
    return [item.symbol for item in market.listings()]


def profiles(market: SimulatedMarket, symbols: list[str], as_of: date) -> dict[str, Profile]:
    table = market.fetch_profiles(symbols, as_of=as_of).profiles
    assert table.schema.equals(PROFILE_SCHEMA)
    return {row["symbol"]: row for row in table.to_pylist()}


@pytest.fixture(scope="module")
def described(market: SimulatedMarket, symbols: list[str]) -> dict[str, Profile]:
    return profiles(market, symbols, TODAY)


def test_every_symbol_has_a_profile_or_a_reason(market: SimulatedMarket, symbols: list[str]) -> None:
    asked = [*symbols, "NOSUCH", "SPY240621C00500000"]
    result = market.fetch_profiles(asked, as_of=TODAY)
    assert sorted([*result.profiles["symbol"].to_pylist(), *result.problems]) == sorted(asked)
    assert result.problems["NOSUCH"] == "there is no such symbol in the simulated market"
    assert result.problems["SPY240621C00500000"] == "option contracts have no profile in the simulated market"
    silent = [text for text in result.problems.values() if text == "the simulated vendor has no profile of this symbol"]
    assert 1 <= len(silent) <= 15
    gone = {symbol for symbol in symbols if market.delisted_on(symbol)}
    assert gone == {symbol for symbol, text in result.problems.items() if text.startswith("ceased to trade")}


def test_texts_are_those_of_the_listings(market: SimulatedMarket, described: dict[str, Profile]) -> None:
    for listing in market.listings():
        if listing.symbol in described:
            found = described[listing.symbol]
            assert (found["name"], found["sector"], found["industry"]) == (
                listing.name,
                listing.sector,
                listing.industry,
            )


def test_funds_have_a_name_and_a_beta(described: dict[str, Profile]) -> None:
    for symbol in FACTOR_ETFS:
        figures = {name for name, value in described[symbol].items() if value is not None}
        assert figures == {"symbol", "name", "provider_beta"}


def test_figures_are_those_of_companies(described: dict[str, Profile]) -> None:
    stocks = [found for symbol, found in described.items() if symbol not in FACTOR_ETFS]
    caps = [found["market_cap"] for found in stocks]
    assert 1e8 < min(caps) < max(caps) < 1e13
    earning = [found for found in stocks if found["pe_ratio"] is not None]
    assert 0.10 < 1 - len(earning) / len(stocks) < 0.20
    assert all(3 < found["pe_ratio"] < 120 for found in earning)
    assert all(0.79 < found["forward_pe"] / found["pe_ratio"] < 1.06 for found in earning)
    losing = [found for found in stocks if found["pe_ratio"] is None]
    assert 0.2 < np.mean([found["forward_pe"] is None for found in losing]) < 0.8


def test_market_cap_moves_with_the_return_and_not_with_splits(market: SimulatedMarket, symbols: list[str]) -> None:
    split = [symbol for symbol in symbols if any(DAY < day <= TODAY for day, _, _ in market.splits(symbol))]
    before, after = (profiles(market, split, day) for day in (DAY, TODAY))
    known = [symbol for symbol in split if symbol in before and symbol in after]
    assert len(known) > 5
    bars = market.fetch_bars([BarRequest(symbol, DAY, TODAY) for symbol in known]).bars.to_pylist()
    close = {(row["symbol"], row["price_date"]): row["close_price"] for row in bars}
    compared = 0
    for symbol in known:
        if (symbol, DAY) in close and (symbol, TODAY) in close:
            compared += 1
            growth = after[symbol]["market_cap"] / before[symbol]["market_cap"]
            assert growth == pytest.approx(close[symbol, TODAY] / close[symbol, DAY], rel=1e-4)
    assert compared > 5


def test_dividend_yield_is_that_of_the_last_year(
    market: SimulatedMarket, described: dict[str, Profile], calendar: SessionCalendar
) -> None:
    stocks = [symbol for symbol in described if symbol not in FACTOR_ETFS][:80]
    year = market.fetch_bars([BarRequest(symbol, calendar.offset(TODAY, -251), TODAY) for symbol in stocks])
    paid = dict.fromkeys(stocks, 0.0)
    for action in year.actions.to_pylist():
        paid[action["symbol"]] += action["amount"] or 0.0
    close = {row["symbol"]: row["close_price"] for row in year.bars.to_pylist() if row["price_date"] == TODAY}
    for symbol, price in close.items():
        assert described[symbol]["dividend_yield"] == pytest.approx(paid[symbol] / price, abs=6e-5), symbol
    assert 0.4 < np.mean([described[symbol]["dividend_yield"] > 0.004 for symbol in close]) < 0.8


def test_provider_betas_are_the_true_ones_with_noise_new_each_month(
    market: SimulatedMarket, described: dict[str, Profile]
) -> None:
    stocks = list(described)
    true = market.true_betas(stocks)[:, 0]
    told = {
        day: np.array([profile["provider_beta"] for profile in profiles(market, stocks, day).values()])
        for day in (date(2025, 5, 30), date(2025, 6, 2), TODAY)
    }
    assert np.array_equal(told[date(2025, 6, 2)], told[TODAY])
    assert (told[date(2025, 5, 30)] != told[TODAY]).mean() > 0.8
    noise = told[TODAY] - true
    assert noise.std() == pytest.approx(0.08, rel=0.15)
    assert abs(noise.mean()) < 0.02


def test_profiles_do_not_depend_on_the_batch(market: SimulatedMarket, described: dict[str, Profile]) -> None:
    for symbol in list(described)[::40]:
        assert profiles(market, [symbol], TODAY) == {symbol: described[symbol]}


def test_a_date_between_sessions_is_the_session_before(market: SimulatedMarket, symbols: list[str]) -> None:
    friday, sunday = date(2024, 6, 28), date(2024, 6, 30)
    assert profiles(market, symbols[:20], friday) == profiles(market, symbols[:20], sunday)


def test_nothing_after_the_session_is_known(market: SimulatedMarket, calendar: SessionCalendar) -> None:
    then = SimulatedMarket(calendar, as_of=DAY)
    symbols = [item.symbol for item in then.listings()]
    for as_of in (DAY, TODAY, date(2034, 1, 3)):
        assert then.fetch_profiles(symbols, as_of=as_of) == market.fetch_profiles(symbols, as_of=DAY)
    young = next(symbol for symbol in market.listings() if market.listed_on(symbol.symbol) > date(2020, 1, 2)).symbol
    early = market.fetch_profiles([young, "SPY"], as_of=date(2019, 12, 31))
    assert early.problems == {young: "there is no such symbol in the simulated market"}


def test_nothing_is_known_before_the_first_session(market: SimulatedMarket) -> None:
    early = market.fetch_profiles(["SPY"], as_of=date(2014, 12, 31))
    assert early.profiles.num_rows == 0
    assert early.problems == {"SPY": "the simulated market has not begun"}


def test_some_change_their_industry(market: SimulatedMarket, symbols: list[str]) -> None:
    old, new = (profiles(market, symbols, day) for day in (date(2019, 12, 31), TODAY))
    changed = [symbol for symbol in old if symbol in new and old[symbol]["industry"] != new[symbol]["industry"]]
    assert len(changed) > 5
    assert all(old[symbol]["name"] == new[symbol]["name"] for symbol in changed)
    assert any(old[symbol]["sector"] == new[symbol]["sector"] for symbol in changed)
    assert any(old[symbol]["sector"] != new[symbol]["sector"] for symbol in changed)
