from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from scipy import stats

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.protocol import BarRequest, Outcome
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.market_data.simulated_listings import LARGEST_MARKET
from sigmasight_assets.market_data.validation import validate_bars
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.sessions import SessionCalendar

EPOCH, FAR = date(2015, 1, 2), date(2035, 12, 31)
FIRST, LAST = date(2024, 1, 2), date(2024, 3, 28)

Floats = NDArray[np.float64]


def bars_of(market: SimulatedMarket, *symbols: str, first: date = FIRST, last: date = LAST) -> pa.Table:
    return market.fetch_bars([BarRequest(symbol, first, last) for symbol in symbols]).bars


@pytest.fixture(scope="module")
def symbols(simulated: SimulatedMarket) -> list[str]:
    return [listing.symbol for listing in simulated.listings()]


@pytest.fixture(scope="module")
def closes(simulated: SimulatedMarket, symbols: list[str]) -> Floats:
    """Closes (508, T) from the first session to the end of the calendar, 21 years later."""
    prices: Floats = bars_of(simulated, *symbols, first=EPOCH, last=FAR)["close_price"].to_numpy()
    return prices.reshape(len(symbols), -1)


@pytest.fixture(scope="module")
def returns(closes: Floats) -> Floats:
    daily: Floats = closes[:, 1:] / closes[:, :-1] - 1
    return daily


def test_default_market_is_eight_funds_and_500_stocks(simulated: SimulatedMarket) -> None:
    listings = simulated.listings()
    assert tuple(listing.symbol for listing in listings[:8]) == FACTOR_ETFS
    assert [listing.asset_type for listing in listings] == ["etf"] * 8 + ["equity"] * 500


def test_bars_are_reproduced_from_the_seed_alone(simulated: SimulatedMarket, calendar: SessionCalendar) -> None:
    again = SimulatedMarket(calendar)
    assert bars_of(again, "SPY", "HIFO").equals(bars_of(simulated, "SPY", "HIFO"))
    other = SimulatedMarket(calendar, seed=1)
    assert not bars_of(other, "SPY")["close_price"].equals(bars_of(simulated, "SPY")["close_price"])


def test_bars_do_not_depend_on_the_number_of_stocks(simulated: SimulatedMarket, calendar: SessionCalendar) -> None:
    small = SimulatedMarket(calendar, stocks=20)
    symbols = [listing.symbol for listing in small.listings()]
    assert small.listings() == simulated.listings()[:28]
    assert bars_of(small, *symbols).equals(bars_of(simulated, *symbols))


def test_bars_do_not_depend_on_the_batch(simulated: SimulatedMarket, symbols: list[str]) -> None:
    together = bars_of(simulated, *symbols)
    alone = pa.concat_tables([bars_of(simulated, symbol) for symbol in symbols[::25]])
    asked = together.filter(pa.array(np.isin(together["symbol"].to_pylist(), symbols[::25])))
    assert asked.equals(alone)


def test_bars_do_not_depend_on_the_window(simulated: SimulatedMarket, calendar: SessionCalendar) -> None:
    whole = bars_of(simulated, "SPY", "HIFO")
    by_session = [bars_of(simulated, "SPY", "HIFO", first=day, last=day) for day in calendar.between(FIRST, LAST)]
    joined = pa.concat_tables(by_session).sort_by([("symbol", "descending"), ("price_date", "ascending")])
    assert joined.equals(whole)


def test_more_symbols_than_are_computed_at_a_time(calendar: SessionCalendar) -> None:
    market = SimulatedMarket(calendar, stocks=1_100)
    symbols = [listing.symbol for listing in market.listings()]
    bars = bars_of(market, *symbols, first=LAST, last=LAST)
    assert bars["symbol"].to_pylist() == symbols
    assert bars.slice(1_050, 1).equals(bars_of(market, symbols[1_050], first=LAST, last=LAST))


def test_bars_are_valid_in_cents_on_every_session(
    simulated: SimulatedMarket, symbols: list[str], calendar: SessionCalendar
) -> None:
    requests = [BarRequest(symbol, FIRST, LAST) for symbol in symbols]
    bars = simulated.fetch_bars(requests).bars
    judged = validate_bars(bars, requests, calendar)
    assert judged.counts == {}
    assert judged.valid.num_rows == len(symbols) * len(calendar.between(FIRST, LAST))
    for column in ("open_price", "high_price", "low_price", "close_price"):
        assert not (judged.valid[column].to_numpy() % 100).any()
    assert bars["adj_close_price"].equals(bars["close_price"])
    assert judged.valid["volume"].to_numpy().min() > 10_000


def test_opens_lie_between_the_closes_around_them(simulated: SimulatedMarket) -> None:
    bars = bars_of(simulated, "SPY")
    opened, close = bars["open_price"].to_numpy()[1:], bars["close_price"].to_numpy()
    assert (opened >= np.minimum(close[1:], close[:-1]) - 0.01).all()
    assert (opened <= np.maximum(close[1:], close[:-1]) + 0.01).all()


def test_the_market_starts_in_2015(simulated: SimulatedMarket) -> None:
    bars = bars_of(simulated, "SPY", first=date(2010, 1, 4), last=date(2015, 1, 5))
    assert bars["price_date"].to_pylist() == [date(2015, 1, 2), date(2015, 1, 5)]
    answer = simulated.fetch_bars([BarRequest("SPY", date(2010, 1, 4), date(2014, 12, 31))]).outcomes["SPY"]
    assert answer.outcome is Outcome.EMPTY
    assert answer.detail == "no session from 2010-01-04 to 2014-12-31; the simulated market starts on 2015-01-02"


def test_prices_stay_sane_over_twenty_years(closes: Floats) -> None:
    assert closes.min() > 5
    assert closes.max() < 5_000
    assert 1 < np.median(closes[8:, -1] / closes[8:, 0]) < 5


def test_volatilities_are_those_of_markets(returns: Floats) -> None:
    daily = 100 * returns.std(axis=1)
    assert daily[0] == pytest.approx(1.0, abs=0.05)
    assert daily[1] == pytest.approx(0.9, abs=0.05)
    assert 0.8 < daily[8:].min() < daily[8:].max() < 3.5
    market_betas = np.cov(returns[:8])[0] / returns[0].var(ddof=1)
    relative = 100 * (returns[2:8] - market_betas[2:, None] * returns[0]).std(axis=1)
    assert 0.3 < relative.min() < relative.max() < 0.65


def test_six_style_funds_are_not_collinear(returns: Floats) -> None:
    assert np.linalg.cond(np.corrcoef(returns[2:8])) < 100


def intervals_cover(regressor: Floats, returns: Floats, betas: Floats, window: int) -> float:
    """Share of 95 % intervals of least-squares slopes, over disjoint windows, that hold the given slope (S,)."""
    covered = []
    for start in range(0, returns.shape[1] - window + 1, window):
        x = regressor[start : start + window]
        y = returns[:, start : start + window]
        x, y = x - x.mean(), y - y.mean(axis=1, keepdims=True)
        slopes = y @ x / (x @ x)
        residuals = y - slopes[:, None] * x
        errors = np.sqrt((residuals**2).sum(axis=1) / (window - 2) / (x @ x))
        covered.append(np.abs(slopes - betas) <= stats.t.ppf(0.975, window - 2) * errors)
    return float(np.mean(covered))


def test_intervals_cover_the_true_market_and_rates_betas(
    simulated: SimulatedMarket, symbols: list[str], returns: Floats
) -> None:
    betas = simulated.true_betas(symbols[8:])
    for position, fund in ((0, "SPY"), (1, "TLT")):
        regressor = returns[symbols.index(fund)]
        assert 0.94 <= intervals_cover(regressor, returns[8:], betas[:, position], 90) <= 0.96


def test_intervals_cover_the_true_spread_betas_on_average(
    simulated: SimulatedMarket, symbols: list[str], returns: Floats
) -> None:
    betas = simulated.true_betas(symbols[8:])
    shares = []
    for position, (bought, sold) in enumerate((("VUG", "VTV"), ("MTUM", "SPY"), ("IWM", "SPY"), ("QUAL", "SPY"))):
        regressor = returns[symbols.index(bought)] - returns[symbols.index(sold)]
        shares.append(intervals_cover(regressor, returns[8:], betas[:, 8 + position], 180))
    assert 0.94 <= np.mean(shares) <= 0.96


def test_true_betas_follow_the_order_of_the_question(simulated: SimulatedMarket, symbols: list[str]) -> None:
    betas = simulated.true_betas(symbols)
    assert betas.shape == (508, 12)
    assert np.array_equal(simulated.true_betas(symbols[::-1]), betas[::-1])


def test_true_betas_of_an_unknown_symbol(simulated: SimulatedMarket) -> None:
    with pytest.raises(MarketDataError, match="the simulated market has no NOSUCH, AAPL"):
        simulated.true_betas(["SPY", "NOSUCH", "AAPL"])


@pytest.mark.parametrize("stocks", [-1, LARGEST_MARKET + 1])
def test_impossible_number_of_stocks(calendar: SessionCalendar, stocks: int) -> None:
    with pytest.raises(MarketDataError, match=f"has 0 to 10000 stocks, not {stocks}"):
        SimulatedMarket(calendar, stocks=stocks)
