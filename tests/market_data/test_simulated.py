from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.protocol import BarRequest, Outcome
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.market_data.simulated_listings import LARGEST_MARKET
from sigmasight_assets.market_data.simulated_lives import HALTING_STOCK
from sigmasight_assets.market_data.validation import validate_bars
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.sessions import SessionCalendar, exchange_calendar
from tests.market_data.dense import fetch_dense

EPOCH, FAR = date(2015, 1, 2), date(2035, 12, 31)
FIRST, LAST = date(2024, 1, 2), date(2024, 3, 28)

Floats = NDArray[np.float64]


def bars_of(market: SimulatedMarket, *symbols: str, first: date = FIRST, last: date = LAST) -> pa.Table:
    return market.fetch_bars([BarRequest(symbol, first, last) for symbol in symbols]).bars


@pytest.fixture(scope="module")
def symbols(simulated: SimulatedMarket) -> list[str]:
    return [listing.symbol for listing in simulated.listings()]


@pytest.fixture(scope="module")
def closes(calendar: SessionCalendar, symbols: list[str]) -> Floats:
    """Never-split closes (T, 508) from the first session to the end of the calendar, NaN where there is no bar."""
    market = SimulatedMarket(calendar, with_splits=False)
    [prices] = fetch_dense(market, calendar, symbols, "close_price", start=0, stop=len(calendar.sessions))
    return prices


@pytest.fixture(scope="module")
def returns(simulated: SimulatedMarket, calendar: SessionCalendar, symbols: list[str]) -> Floats:
    """Total returns (T - 1, 508), NaN where there is none."""
    [adjusted] = fetch_dense(simulated, calendar, symbols, "adj_close_price", start=0, stop=len(calendar.sessions))
    daily: Floats = adjusted[1:] / adjusted[:-1] - 1
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


def test_unknown_symbols_are_named_by_every_look_up(simulated: SimulatedMarket) -> None:
    for look_up in (simulated.splits, simulated.listed_on, simulated.delisted_on):
        with pytest.raises(MarketDataError, match="the simulated market has no NOSUCH"):
            look_up("NOSUCH")
    with pytest.raises(MarketDataError, match="the simulated market has no NOSUCH"):
        simulated.halts("NOSUCH", FIRST, LAST)


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
    market = SimulatedMarket(calendar, stocks=1_100, as_of=LAST)
    symbols = [listing.symbol for listing in market.listings()]
    bars = bars_of(market, *symbols, first=LAST, last=LAST)
    found = bars["symbol"].to_pylist()
    assert found == [symbol for symbol in symbols if symbol in set(found)]
    assert bars.slice(800, 1).equals(bars_of(market, found[800], first=LAST, last=LAST))


def test_bars_are_valid_and_those_of_the_market_that_never_splits_in_cents(
    symbols: list[str], calendar: SessionCalendar
) -> None:
    requests = [BarRequest(symbol, FIRST, LAST) for symbol in symbols]
    for with_splits in (True, False):
        market = SimulatedMarket(calendar, with_splits=with_splits)
        judged = validate_bars(market.fetch_bars(requests).bars, requests, calendar)
        assert judged.counts == {}
        assert judged.valid["volume"].to_numpy().min() > 1_000
        in_cents = [not (judged.valid[name].to_numpy() % 100).any() for name in judged.valid.column_names[2:6]]
        assert in_cents == [not with_splits] * 4


@pytest.mark.parametrize("day", [date(year, month, 15) for year in range(2020, 2036, 3) for month in (3, 9)])
def test_nearly_every_listed_symbol_has_a_bar(calendar: SessionCalendar, day: date) -> None:
    session = calendar.on_or_before(day)
    market = SimulatedMarket(calendar, as_of=session)
    active = [item.symbol for item in market.listings() if market.delisted_on(item.symbol) is None]
    assert len(active) > 360
    found = bars_of(market, *active, first=session, last=session)["symbol"].to_pylist()
    assert len(found) / len(active) > 0.985
    assert set(active[:53]) <= set(found)


def test_sixty_sessions_hold_a_split_a_delisting_and_halts(calendar: SessionCalendar) -> None:
    market = SimulatedMarket(calendar)
    symbols = [item.symbol for item in market.listings()]
    first, last = date(2020, 1, 2), date(2035, 12, 31)
    splits = {day for symbol in symbols for day, _, _ in market.splits(symbol)}
    endings = {day for symbol in symbols if (day := market.delisted_on(symbol)) is not None}
    halts = {day for symbol in symbols[54:] for day, _ in market.halts(symbol, first, last)}
    for days in (splits, endings, halts):
        inside = sorted(calendar.index(day) for day in days if first <= day <= last)
        ends = [calendar.index(first), *inside, calendar.index(last)]
        assert max(np.diff(ends)) <= 60


def test_one_stock_is_halted_in_any_twenty_one_sessions(simulated: SimulatedMarket, calendar: SessionCalendar) -> None:
    halting = simulated.listings()[8 + HALTING_STOCK].symbol
    for day in calendar.between(FIRST, LAST):
        assert simulated.halts(halting, calendar.offset(day, -20), day)


def test_the_market_starts_in_2015(simulated: SimulatedMarket) -> None:
    bars = bars_of(simulated, "SPY", first=date(2010, 1, 4), last=date(2015, 1, 5))
    assert bars["price_date"].to_pylist() == [date(2015, 1, 2), date(2015, 1, 5)]
    answer = simulated.fetch_bars([BarRequest("SPY", date(2010, 1, 4), date(2014, 12, 31))]).outcomes["SPY"]
    assert answer.outcome is Outcome.EMPTY
    assert answer.detail == (
        "no session from 2010-01-04 to 2014-12-31; the simulated market is known from 2015-01-02 to 2035-12-31"
    )


def test_nothing_is_known_before_2015(calendar: SessionCalendar) -> None:
    with pytest.raises(MarketDataError, match="starts on 2015-01-02: nothing is known of it as of 2014-12-31"):
        SimulatedMarket(calendar, as_of=date(2014, 12, 31))


def test_prices_stay_sane_over_twenty_years(simulated: SimulatedMarket, closes: Floats, symbols: list[str]) -> None:
    assert np.nanmin(closes) > 5
    assert np.nanmax(closes) < 5_000
    assert 1 < np.nanmedian(closes[-1, 8:] / closes[0, 8:]) < 5
    splits = [market_splits for symbol in symbols if (market_splits := simulated.splits(symbol))]
    for (_, new, old), *_ in splits:
        assert new > old or (new, old) in {(1, 5), (1, 10)}
    assert 250 < sum(map(len, splits)) < 450


def test_prices_as_traded_stay_in_the_range_of_shares(simulated: SimulatedMarket, closes: Floats) -> None:
    """Closes at the ends of years, in the share units of their own day."""
    symbols = [listing.symbol for listing in simulated.listings()]
    sessions = exchange_calendar().sessions
    sessions = sessions[sessions >= np.datetime64(EPOCH)]
    traded = closes.copy()
    for column, symbol in enumerate(symbols):
        for day, new, old in simulated.splits(symbol):
            traded[sessions >= np.datetime64(day), column] *= old / new
    assert np.nanmin(traded) > 5
    assert np.nanmax(traded) < 3_000
    assert 80 < np.nanmedian(traded[-1]) < np.nanmedian(closes[-1])


def test_volatilities_are_those_of_markets(returns: Floats) -> None:
    daily = 100 * np.nanstd(returns, axis=0)
    assert daily[0] == pytest.approx(1.0, abs=0.05)
    assert daily[1] == pytest.approx(0.9, abs=0.05)
    assert 0.8 < daily[8:].min() < daily[8:].max() < 3.5
    funds = returns[:, :8]
    market_betas = np.cov(funds.T)[0] / funds[:, 0].var(ddof=1)
    relative = 100 * (funds[:, 2:] - market_betas[2:] * funds[:, :1]).std(axis=0)
    assert 0.3 < relative.min() < relative.max() < 0.65


def test_six_style_funds_are_not_collinear(returns: Floats) -> None:
    assert np.linalg.cond(np.corrcoef(returns[:, 2:8].T)) < 100


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
