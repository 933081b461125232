"""Option contracts of the simulated market; the prices against a binomial tree, which converges to the formula."""

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest

from sigmasight_assets.market_data.options import OptionContract, parse_occ_symbol
from sigmasight_assets.market_data.protocol import BAR_SCHEMA, BarRequest, FetchResult, Outcome
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.market_data.simulated_options import RATE, option_delta, option_price
from sigmasight_assets.market_data.validation import validate_bars
from sigmasight_assets.sessions import SessionCalendar

TODAY = date(2025, 12, 31)
# A third Friday.
EXPIRY = date(2025, 6, 20)


@pytest.fixture(scope="module")
def market(calendar: SessionCalendar) -> SimulatedMarket:
    return SimulatedMarket(calendar, as_of=TODAY)


def occ(symbol: str, expiry: date, right: str, strike: float) -> str:
    return f"{symbol}{expiry:%y%m%d}{right}{round(strike * 1000):08d}"


def ask(market: SimulatedMarket, symbol: str, first: date, last: date) -> FetchResult:
    return market.fetch_bars([BarRequest(symbol, first, last)])


def near_the_money(market: SimulatedMarket, symbol: str = "SPY") -> float:
    close = ask(market, symbol, date(2025, 1, 2), date(2025, 1, 2)).bars["close_price"][0].as_py()
    return float(round(close))


def tree_price(contract: OptionContract, underlying: float, years: float, volatility: float) -> float:
    """European value by the tree of Cox, Ross and Rubinstein (1979)."""
    steps = 4_000
    up = np.exp(volatility * np.sqrt(years / steps))
    growth = np.exp(RATE * years / steps)
    chance = (growth - 1 / up) / (up - 1 / up)
    prices = underlying * up ** (2.0 * np.arange(steps + 1) - steps)
    sign = 1 if contract.right == "call" else -1
    values = np.maximum(sign * (prices - float(contract.strike)), 0)
    for _ in range(steps):
        values = (chance * values[1:] + (1 - chance) * values[:-1]) / growth
    return float(values[0])


@pytest.mark.parametrize("right", ["call", "put"])
@pytest.mark.parametrize(("underlying", "years"), [(100.0, 0.5), (80.0, 0.5), (130.0, 0.1)])
def test_prices_are_those_of_a_tree(right: str, underlying: float, years: float) -> None:
    contract = OptionContract("AAA", EXPIRY, "call" if right == "call" else "put", Decimal(100))
    price = option_price(contract, np.array([underlying]), years=np.array([years]), volatility=0.3)
    assert price[0] == pytest.approx(tree_price(contract, underlying, years, 0.3), abs=2e-3)
    step = 1e-3
    moved = option_price(contract, np.array([underlying + step]), years=np.array([years]), volatility=0.3)
    delta = option_delta(contract, np.array([underlying]), years=np.array([years]), volatility=0.3)
    assert abs(moved - price)[0] / step == pytest.approx(delta[0], abs=1e-4)


def test_at_expiry_the_price_is_the_gain() -> None:
    underlying, years = np.array([90.0, 100.0, 112.5]), np.zeros(3)
    call, put = (OptionContract("AAA", EXPIRY, right, Decimal(100)) for right in ("call", "put"))
    assert option_price(call, underlying, years=years, volatility=0.3).tolist() == [0.0, 0.0, 12.5]
    assert option_price(put, underlying, years=years, volatility=0.3).tolist() == [10.0, 0.0, 0.0]


def test_bars_are_valid_cents_and_follow_the_underlying(market: SimulatedMarket, calendar: SessionCalendar) -> None:
    strike = near_the_money(market)
    requests = [
        BarRequest(occ("SPY", EXPIRY, right, strike * level), date(2024, 1, 2), EXPIRY)
        for right in "CP"
        for level in (0.5, 0.9, 1.0, 1.1, 2.0)
    ]
    result = market.fetch_bars(requests)
    assert result.bars.schema.equals(BAR_SCHEMA)
    assert result.actions.num_rows == 0
    assert {answer.outcome for answer in result.outcomes.values()} == {Outcome.OK}
    judged = validate_bars(result.bars, requests, calendar)
    assert judged.counts == {}
    assert not (judged.valid["close_price"].to_numpy() % 100).any()
    assert judged.valid["close_price"].to_numpy().min() == 100
    assert 1 <= judged.valid["volume"].to_numpy().min() < judged.valid["volume"].to_numpy().max() <= 500
    assert result.bars["adj_close_price"].equals(result.bars["close_price"])

    spy = ask(market, "SPY", date(2024, 1, 2), EXPIRY).bars
    underlying = dict(zip(spy["price_date"].to_pylist(), spy["close_price"].to_pylist(), strict=True))
    call = ask(market, occ("SPY", EXPIRY, "C", strike), date(2024, 1, 2), EXPIRY).bars
    closes = dict(zip(call["price_date"].to_pylist(), call["close_price"].to_pylist(), strict=True))
    volatility = float(np.std(np.diff(np.log(list(underlying.values())))) * np.sqrt(252))
    for day, close in closes.items():
        years = np.array([(EXPIRY - day).days / 365])
        contract = parse_occ_symbol(occ("SPY", EXPIRY, "C", strike))
        value = option_price(contract, np.array([underlying[day]]), years=years, volatility=volatility)[0]
        assert close == pytest.approx(value, abs=0.03 * underlying[day])


def test_contracts_trade_for_250_days_on_most_sessions(market: SimulatedMarket, calendar: SessionCalendar) -> None:
    strike = near_the_money(market)
    days = ask(market, occ("SPY", EXPIRY, "C", strike), date(2024, 1, 2), TODAY).bars["price_date"].to_pylist()
    life = calendar.between(EXPIRY - timedelta(days=250), EXPIRY)
    assert set(days) <= set(life)
    assert days[0] in life[:5]
    assert days[-1] in life[-5:]
    assert 0.8 < len(days) / len(life) < 0.98
    far = ask(market, occ("SPY", EXPIRY, "C", strike * 3), date(2024, 1, 2), TODAY).bars
    assert 0.2 < far.num_rows / len(life) < 0.6
    assert set(far["close_price"].to_pylist()) == {0.01}


def test_a_contract_that_expires_on_a_closed_weekday_ends_the_session_before(
    market: SimulatedMarket, calendar: SessionCalendar
) -> None:
    good_friday = date(2025, 4, 18)
    strike = near_the_money(market)
    days: set[date] = set()
    for step in range(8):
        bars = ask(market, occ("SPY", good_friday, "P", strike + step), date(2025, 4, 1), TODAY).bars
        days.update(bars["price_date"].to_pylist())
    assert max(days) == calendar.on_or_before(good_friday) == date(2025, 4, 17)


def test_outcomes_tell_the_life_of_a_contract(market: SimulatedMarket, calendar: SessionCalendar) -> None:
    symbol = occ("SPY", EXPIRY, "C", near_the_money(market))

    def answer(first: date, last: date, *, as_of: date = TODAY) -> tuple[Outcome, str]:
        found = ask(SimulatedMarket(calendar, stocks=0, as_of=as_of), symbol, first, last).outcomes[symbol]
        return found.outcome, found.detail

    assert answer(date(2025, 6, 2), EXPIRY) == (Outcome.OK, "")
    assert answer(date(2025, 6, 2), TODAY) == (Outcome.DELISTED, f"expired on {EXPIRY}")
    assert answer(date(2025, 7, 1), TODAY) == (Outcome.DELISTED, f"expired on {EXPIRY}")
    assert answer(date(2025, 6, 2), TODAY, as_of=EXPIRY) == (Outcome.OK, "")
    outcome, detail = answer(date(2024, 6, 3), date(2024, 6, 28))
    assert outcome is Outcome.EMPTY
    assert detail == "no bar from 2024-06-03 to 2024-06-28: the contract is listed from 2024-10-13 on"
    outcome, detail = answer(date(2025, 1, 2), date(2025, 1, 31), as_of=date(2024, 12, 31))
    assert outcome is Outcome.EMPTY
    assert detail.startswith("no session from 2025-01-02 to 2025-01-31; the simulated market is known from")
    assert answer(date(2025, 6, 7), date(2025, 6, 8))[0] is Outcome.EMPTY


def test_a_session_without_trade_is_empty(market: SimulatedMarket, calendar: SessionCalendar) -> None:
    symbol = occ("SPY", EXPIRY, "C", near_the_money(market))
    days = calendar.between(date(2025, 1, 2), EXPIRY)
    traded = set(ask(market, symbol, days[0], days[-1]).bars["price_date"].to_pylist())
    quiet = next(day for day in days if day not in traded)
    assert ask(market, symbol, quiet, quiet).outcomes[symbol].detail == f"no trade from {quiet} to {quiet}"


@pytest.mark.parametrize(
    ("symbol", "detail"),
    [
        ("AAPL250620C00100000", "the simulated market has no AAPL to have options on"),
        ("SPY1250620C00100000", "SPY1 is the root of adjusted contracts; the simulated market has none"),
        ("SPY250621C00100000", "no option expires on 2025-06-21, a Saturday"),
        ("SPY250231C00100000", "'SPY250231C00100000': 250231 is not a date in the form yymmdd"),
        ("SPY250620C00000000", "'SPY250620C00000000': the strike is zero"),
    ],
)
def test_contracts_that_do_not_exist(market: SimulatedMarket, symbol: str, detail: str) -> None:
    result = ask(market, symbol, date(2025, 1, 2), EXPIRY)
    assert result.bars.num_rows == 0
    assert result.outcomes[symbol].outcome is Outcome.UNKNOWN
    assert result.outcomes[symbol].detail == detail


def test_bars_do_not_depend_on_the_batch_the_window_or_the_session_of_asking(
    market: SimulatedMarket, calendar: SessionCalendar
) -> None:
    strike = near_the_money(market)
    symbols = [occ("SPY", EXPIRY, "C", strike + step) for step in range(5)] + [occ("TLT", EXPIRY, "P", 100)]
    first, last = date(2025, 3, 3), date(2025, 4, 30)
    together = market.fetch_bars([BarRequest(symbol, first, last) for symbol in symbols]).bars.to_pylist()
    for symbol in symbols:
        mine = [row for row in together if row["symbol"] == symbol]
        assert mine == ask(market, symbol, first, last).bars.to_pylist() != []
        part = ask(market, symbol, date(2025, 4, 1), date(2025, 4, 10)).bars.to_pylist()
        assert part == [row for row in mine if date(2025, 4, 1) <= row["price_date"] <= date(2025, 4, 10)]
        then = SimulatedMarket(calendar, stocks=0, as_of=date(2025, 4, 10))
        assert ask(then, symbol, date(2025, 4, 1), last).bars.to_pylist() == part


def test_prefix_and_padding_name_the_same_contract(market: SimulatedMarket) -> None:
    plain = occ("SPY", EXPIRY, "C", near_the_money(market))
    for other in (f"O:{plain}", plain.replace("SPY", "SPY   ")):
        bars = ask(market, other, date(2025, 3, 3), EXPIRY).bars
        assert set(bars["symbol"].to_pylist()) == {other}
        assert bars.drop(["symbol"]).equals(ask(market, plain, date(2025, 3, 3), EXPIRY).bars.drop(["symbol"]))


def split_in_2025(market: SimulatedMarket) -> tuple[str, date, int, int]:
    """A stock with its only split in the middle of 2025, which it trades all through."""
    for item in market.listings():
        splits = market.splits(item.symbol)
        trades = not market.halts(item.symbol, date(2025, 1, 2), TODAY) and not market.delisted_on(item.symbol)
        if trades and len(splits) == 1 and date(2025, 3, 1) < splits[0][0] < date(2025, 10, 1):
            return item.symbol, *splits[0]
    raise AssertionError("no stock of the market splits in 2025 alone")


def test_a_split_ends_the_contract_and_later_ones_are_on_new_shares(
    market: SimulatedMarket, calendar: SessionCalendar
) -> None:
    symbol, ex_date, new, old = split_in_2025(market)
    before = calendar.offset(ex_date, -1)
    expiry = calendar.offset(ex_date, 25)
    unsplit = SimulatedMarket(calendar, as_of=TODAY, with_splits=False)
    price = ask(unsplit, symbol, before, before).bars["close_price"][0].as_py()
    early, late = occ(symbol, expiry, "C", price / 2), occ(symbol, ex_date + timedelta(days=252), "C", price / 2)

    # Before the split the contract is worth about half a share of then.
    bars = ask(market, early, calendar.offset(ex_date, -30), TODAY)
    assert before >= bars.bars["price_date"].to_pylist()[-1] >= calendar.offset(ex_date, -6)
    assert bars.bars["close_price"].to_pylist()[-1] == pytest.approx(price / 2, rel=0.3)
    told = bars.outcomes[early]
    assert told.outcome is Outcome.DELISTED
    assert told.detail == f"{symbol} split on {ex_date}; an adjusted contract took its place"
    then = SimulatedMarket(calendar, as_of=before)
    assert ask(then, early, calendar.offset(ex_date, -30), before).bars.equals(bars.bars)
    assert ask(then, early, calendar.offset(ex_date, -30), TODAY).outcomes[early].outcome is Outcome.OK

    # A contract that is listed after the split is on the new shares.
    after = ask(market, late, ex_date, TODAY)
    share = price * old / new
    assert after.outcomes[late].outcome is Outcome.OK
    expected = max(share - price / 2, 0)
    assert after.bars["close_price"].to_pylist()[0] == pytest.approx(expected, abs=0.35 * share)


def test_a_contract_that_is_listed_on_an_ex_date_is_on_the_new_shares(market: SimulatedMarket) -> None:
    symbol, ex_date = next(
        (item.symbol, day)
        for item in market.listings()
        for day, _, _ in market.splits(item.symbol)
        if date(2022, 1, 3) < day < date(2025, 1, 2) and (day + timedelta(days=250)).weekday() < 5
    )
    close = ask(market, symbol, ex_date, ex_date + timedelta(days=7)).bars["close_price"][0].as_py()
    contract = occ(symbol, ex_date + timedelta(days=250), "C", round(close / 2, 2))
    result = ask(market, contract, ex_date - timedelta(days=30), ex_date + timedelta(days=60))
    assert result.outcomes[contract].outcome is Outcome.OK
    days = result.bars["price_date"].to_pylist()
    assert ex_date <= days[0] <= ex_date + timedelta(days=7)
    assert days[-1] > ex_date + timedelta(days=50)


def test_contracts_end_with_their_underlying_and_pause_with_it(
    market: SimulatedMarket, calendar: SessionCalendar
) -> None:
    gone = next(
        item.symbol
        for item in market.listings()
        if (day := market.delisted_on(item.symbol)) is not None
        and date(2023, 1, 2) < day < date(2025, 6, 1)
        and not market.splits(item.symbol)
    )
    last = market.delisted_on(gone)
    assert last is not None
    expiry = calendar.offset(last, 20)
    start = calendar.offset(last, -20)
    close = ask(market, gone, start, last).bars["close_price"][0].as_py()
    result = ask(market, occ(gone, expiry, "C", close / 2), start, expiry)
    [told] = result.outcomes.values()
    assert calendar.offset(last, -5) < max(result.bars["price_date"].to_pylist()) <= last
    assert (told.outcome, told.detail) == (Outcome.DELISTED, f"{gone} ceased to trade")

    halting = market.listings()[8 + 45].symbol
    halts = market.halts(halting, date(2025, 1, 2), date(2025, 5, 30))
    assert len(halts) > 3
    close = ask(market, halting, date(2025, 5, 1), date(2025, 5, 30)).bars["close_price"][0].as_py()
    traded: set[date] = set()
    for step in range(5):
        contract = occ(halting, EXPIRY, "P", round(close) + step)
        traded |= set(ask(market, contract, date(2025, 1, 2), date(2025, 5, 30)).bars["price_date"].to_pylist())
    pauses = {day for halt in halts for day in calendar.between(*halt)}
    assert traded | pauses == set(calendar.between(date(2025, 1, 2), date(2025, 5, 30)))
    assert not traded & pauses
