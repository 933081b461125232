"""What the demo sees in a market: which stocks trade all the time, which do not, and what people paid for them."""

from datetime import date
from decimal import Decimal

import pytest

from sigmasight_assets.demo_market import DemoMarket, read_demo_market
from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.sessions import exchange_calendar
from tests.orchestration.markets import ScriptedMarket, bar, copied

CALENDAR = exchange_calendar()
LAST = date(2025, 7, 31)
DAYS = CALENDAR.between(CALENDAR.offset(LAST, -59), LAST)
NOTHING = (None, None, None, None, None, None)


@pytest.fixture(scope="module")
def simulated() -> SimulatedMarket:
    """45 stocks that always trade, one that is halted now and then, and four others."""
    return SimulatedMarket(CALENDAR, stocks=50, as_of=LAST)


@pytest.fixture
def market(simulated: SimulatedMarket) -> ScriptedMarket:
    return copied(simulated, first=DAYS[0], last=LAST)


def stocks(market: ScriptedMarket) -> list[str]:
    return [item.symbol for item in market.listings() if item.asset_type == "equity"]


def read(market: ScriptedMarket) -> DemoMarket:
    return read_demo_market(market, CALENDAR, DAYS)


def lose(market: ScriptedMarket, symbol: str, first: int, last: int) -> None:
    """Take away the bars of a symbol at sessions ``first`` to ``last``, both included."""
    for day in DAYS[first : last + 1]:
        del market.bars[symbol, day]


def test_stocks_that_always_trade_are_in_the_markets_order(market: ScriptedMarket) -> None:
    found = read(market)
    assert found.stocks[:45] == stocks(market)[:45]
    assert (found.name, found.sessions, found.splits, found.splitting) == ("scripted", DAYS, {}, [])


def test_a_market_as_rich_as_the_simulated_one_shows_every_kind() -> None:
    market = SimulatedMarket(CALENDAR, stocks=500, as_of=LAST)
    found = read_demo_market(market, CALENDAR, DAYS)
    assert found.splitting
    for symbol in found.splitting:
        dates = {day for day, _, _ in market.splits(symbol)}
        assert {ex_date for ex_date, _ in found.splits[symbol]} == {day for day in dates if day > DAYS[0]}
    for symbol in found.halted[:1]:
        assert market.halts(symbol, DAYS[0], LAST)
    for symbol in found.delisted:
        assert DAYS[0] < market.delisted_on(symbol) < CALENDAR.offset(LAST, -5)  # type: ignore[operator]
    kinds = [found.stocks, found.splitting, found.halted, found.delisted]
    assert len({symbol for kind in kinds for symbol in kind}) == sum(map(len, kinds))


@pytest.mark.parametrize(
    ("first", "last", "is_halted"),
    [(7, 7, True), (0, 4, True), (55, 59, True), (10, 14, True), (10, 15, False), (0, 5, False), (54, 59, False)],
)
def test_a_stock_whose_price_is_carried_over_every_pause_is_halted(
    market: ScriptedMarket, first: int, last: int, is_halted: bool
) -> None:
    symbol = stocks(market)[0]
    lose(market, symbol, first, last)
    found = read(market)
    assert (symbol in found.halted) == is_halted
    assert symbol not in (*found.stocks, *found.delisted)
    assert found.first_session(symbol) == DAYS[last + 1 if first == 0 else 0]


def test_bars_that_would_not_be_stored_are_missing(market: ScriptedMarket) -> None:
    names = stocks(market)
    market.bars[names[0], DAYS[-5]] = (10.0, 9.0, 8.0, 9.5, 9.5, 100.0)
    market.bars[names[1], DAYS[-5]] = NOTHING
    assert read(market).halted[:2] == names[:2]


@pytest.mark.parametrize(
    ("position", "has_ceased"), [(2, False), (3, True), (53, True), (54, False)], ids=["early", "3", "53", "late"]
)
def test_a_delisted_stock_is_held_for_a_while_and_excluded_at_the_end(
    market: ScriptedMarket, position: int, has_ceased: bool
) -> None:
    symbol = stocks(market)[0]
    lose(market, symbol, position + 1, 59)
    market.delisted[symbol] = "bought up"
    found = read(market)
    assert (symbol in found.delisted) == has_ceased
    assert symbol not in (*found.stocks, *found.halted)


def test_trade_prices_are_those_of_the_day(market: ScriptedMarket) -> None:
    symbol, other = stocks(market)[:2]
    for day in DAYS:
        market.bars[symbol, day] = market.bars[other, day] = bar(100.0)
    market.split(symbol, DAYS[30], 3)
    market.split(symbol, DAYS[50], 1, 2)
    found = read(market)
    assert found.splitting == [symbol]
    assert symbol not in found.stocks
    # A third of 100, restated to four decimals, twice that, and back.
    assert found.closes[symbol, DAYS[0]] == Decimal("66.6666")
    assert found.trade_price(symbol, DAYS[29]) == Decimal("99.9999")
    # Restated for the later split alone.
    assert found.closes[symbol, DAYS[30]] == Decimal(200)
    assert found.trade_price(symbol, DAYS[30]) == found.trade_price(symbol, DAYS[49]) == Decimal(100)
    assert found.trade_price(symbol, DAYS[50]) == found.trade_price(other, DAYS[0]) == Decimal(100)


def test_splits_that_are_over_or_would_not_be_stored_count_for_nothing(market: ScriptedMarket) -> None:
    names = stocks(market)
    market.actions[names[0], DAYS[0], "split"] = (2, 1, None)
    market.actions[names[1], DAYS[5], "split"] = (2, 0, None)
    market.actions[names[2], DAYS[5], "dividend"] = (None, None, 0.5)
    found = read(market)
    assert (found.splits, found.stocks[:3]) == ({}, names[:3])


def test_prices_are_what_a_store_of_four_decimals_holds(market: ScriptedMarket) -> None:
    """Vendors' floats carry noise in single precision."""
    symbol = stocks(market)[0]
    market.bars[symbol, DAYS[0]] = (87.93000030517578, 90.0, 80.0, 87.93000030517578, 87.93000030517578, 1.0)
    assert read(market).trade_price(symbol, DAYS[0]) == Decimal("87.9300")


@pytest.mark.parametrize("left_out", ["SPY", "TLT", "stocks"])
def test_too_small_a_market_is_an_error_with_the_way_out(market: ScriptedMarket, left_out: str) -> None:
    gone = set(stocks(market)[37:]) if left_out == "stocks" else {left_out}
    market.bars = {key: values for key, values in market.bars.items() if key[0] not in gone}
    message = r"The scripted market has \d\d stocks .* needs 38 of them, SPY and TLT: check SIGMASIGHT_MARKET_FILES"
    with pytest.raises(MarketDataError, match=message):
        read(market)
