"""What the simulated vendor says of stocks and funds, and when."""

from collections.abc import Callable
from datetime import date

import numpy as np
import pytest

from sigmasight_assets.market_data.action_validation import validate_actions
from sigmasight_assets.market_data.protocol import ACTION_SCHEMA, BarRequest, FetchResult, Outcome
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.market_data.simulated_lives import CORRECTED_AFTER, NEVER, Integers
from sigmasight_assets.market_data.simulated_world import World, draw_world
from sigmasight_assets.market_data.validation import validate_bars
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.sessions import SessionCalendar
from tests.market_data.dense import dense

STOCKS = 150
SESSIONS = 2_700
SEED = 20150102

MarketAt = Callable[..., SimulatedMarket]


@pytest.fixture(scope="module")
def world() -> World:
    """The world of the default seed, in which the tests find their examples."""
    return draw_world(SEED, stocks=STOCKS, sessions=SESSIONS, with_splits=True, with_dividends=True)


@pytest.fixture(scope="module")
def days(calendar: SessionCalendar) -> list[date]:
    return calendar.between(date(2015, 1, 1), date(2026, 1, 1))[:SESSIONS]


@pytest.fixture(scope="module")
def market_at(calendar: SessionCalendar) -> MarketAt:
    def build(as_of: date | None, **switches: bool) -> SimulatedMarket:
        return SimulatedMarket(calendar, stocks=STOCKS, as_of=as_of, **switches)

    return build


def fetch(market: SimulatedMarket, symbol: str, first: date, last: date) -> FetchResult:
    return market.fetch_bars([BarRequest(symbol, first, last)])


def closes(market: SimulatedMarket, symbol: str, first: date, last: date) -> dict[date, float]:
    bars = fetch(market, symbol, first, last).bars
    return dict(zip(bars["price_date"].to_pylist(), bars["close_price"].to_pylist(), strict=True))


def split_stock(world: World, *, without_dividends: bool = False) -> tuple[int, Integers]:
    """The row of a stock with two splits inside the sessions, and their positions."""
    twice = (world.splits.position < SESSIONS - 300).all(axis=1) & (world.lives.last == NEVER)
    if without_dividends:
        twice &= world.payouts.yearly_yield == 0
    row = int(np.flatnonzero(twice)[0])
    return row, world.splits.position[row]


def defect_at(world: World, kind: str, *, after: int = 300) -> tuple[int, int]:
    """Row and session of the first bar with the defect, of a stock that traded around it and never splits later."""
    rows = np.arange(len(world.listings))
    found = getattr(world.defects(rows, 0, SESSIONS), kind).astype(bool)
    trades = world.lives.trades(rows, 0, SESSIONS)
    found[:, 1:-5] &= trades[:, :-6] & trades[:, 1:-5] & trades[:, 2:-4] & trades[:, 3:-3]
    found[:, :after], found[:, -10:] = False, False
    row, session = np.argwhere(found)[0].tolist()
    return row, session


def test_closes_are_in_the_units_after_the_last_known_split(
    world: World, market_at: MarketAt, days: list[date]
) -> None:
    row, (first, second) = split_stock(world)
    symbol = world.listings[row].symbol
    control = market_at(days[-1], with_splits=False)
    window = (days[first - 40], days[first - 1])
    expected = fetch(control, symbol, *window).bars
    factor = 1.0
    for as_of, position in ((first - 1, -1), (first, 0), (second - 1, 0), (second, 1), (SESSIONS - 1, 1)):
        if as_of in {first, second}:
            factor *= world.splits.denominator[row, position] / world.splits.numerator[row, position]
        bars = fetch(market_at(days[as_of]), symbol, *window).bars
        assert bars["price_date"].equals(expected["price_date"])
        for name in ("open_price", "high_price", "low_price", "close_price"):
            np.testing.assert_allclose(bars[name], expected[name].to_numpy() * factor, atol=5.1e-5, rtol=0)
        np.testing.assert_allclose(bars["volume"], expected["volume"].to_numpy() / factor, atol=0.51, rtol=0)
    assert factor != 1.0
    # The last market knows the same dividends as the control.
    np.testing.assert_allclose(
        bars["adj_close_price"], expected["adj_close_price"].to_numpy() * factor, rtol=1e-14, atol=0
    )


@pytest.mark.parametrize("without_dividends", [False, True])
def test_returns_equal_those_of_the_market_that_never_splits(
    world: World, market_at: MarketAt, days: list[date], *, without_dividends: bool
) -> None:
    row, (first, second) = split_stock(world, without_dividends=without_dividends)
    symbol = world.listings[row].symbol
    adjusted = [
        fetch(market, symbol, days[first - 40], days[-1]).bars["adj_close_price"].to_numpy()
        for market in (market_at(days[-1]), market_at(days[-1], with_splits=False))
    ]
    split, control = (values[1:] / values[:-1] for values in adjusted)
    np.testing.assert_allclose(split, control, rtol=1e-14)
    assert abs(split - 1).max() < 0.2
    assert second > first


def test_actions_are_those_from_the_first_day_asked_to_the_last_known(
    world: World, market_at: MarketAt, days: list[date]
) -> None:
    row, (first, second) = split_stock(world)
    symbol = world.listings[row].symbol

    def splits(first_asked: int, as_of: int) -> list[tuple[object, ...]]:
        day = days[first_asked]
        actions = fetch(market_at(days[as_of]), symbol, day, day).actions
        assert actions.schema.equals(ACTION_SCHEMA)
        return [tuple(row.values())[1:5] for row in actions.to_pylist() if row["kind"] == "split"]

    ratios = [
        (days[position], "split", int(new), int(old))
        for position, new, old in zip(
            (first, second), world.splits.numerator[row], world.splits.denominator[row], strict=True
        )
    ]
    assert splits(first - 5, first - 1) == []
    assert splits(first - 5, first) == ratios[:1]
    assert splits(first, second - 1) == ratios[:1]
    assert splits(first, second) == ratios
    assert splits(first + 1, second) == ratios[1:]
    assert splits(second + 1, SESSIONS - 1) == []
    market = market_at(days[second])
    assert market.splits(symbol) == [(day, new, old) for day, _, new, old in ratios]
    assert market_at(days[second - 1]).splits(symbol) == market.splits(symbol)[:1]


def test_dividends_are_stated_in_the_units_of_the_closes(world: World, market_at: MarketAt, days: list[date]) -> None:
    pays = (world.payouts.yearly_yield > 0) & (world.splits.position[:, 0] < SESSIONS - 100) & (world.lives.first == 0)
    for row in np.flatnonzero(pays)[:5].tolist():
        symbol = world.listings[row].symbol
        start, stop = days[0], days[min(SESSIONS, int(world.lives.last[row])) - 1]
        before, after = (
            fetch(market, symbol, start, stop) for market in (market_at(stop, with_splits=False), market_at(stop))
        )
        new, old = world.splits.ratio(np.array([row]), days.index(stop))
        paid = [
            {item["ex_date"]: item["amount"] for item in result.actions.to_pylist() if item["kind"] == "dividend"}
            for result in (before, after)
        ]
        assert len(paid[0]) > 30
        assert paid[1] == {day: round(amount * old[0] / new[0], 6) for day, amount in paid[0].items()}
        known = closes(market_at(stop), symbol, start, stop)
        adjusted = dict(zip(known, after.bars["adj_close_price"].to_pylist(), strict=True))
        for day, amount in paid[1].items():
            at = days.index(day)
            if {days[at - 1], day} <= known.keys():
                total = known[day] / (known[days[at - 1]] - amount)
                assert adjusted[day] / adjusted[days[at - 1]] == pytest.approx(total, abs=1e-4)


def test_actions_of_the_whole_market_are_valid(
    market_at: MarketAt, days: list[date], calendar: SessionCalendar
) -> None:
    market = market_at(days[-1])
    requests = [BarRequest(listing.symbol, days[0], days[-1]) for listing in market.listings()]
    result = market.fetch_bars(requests)
    judged = validate_actions(result.actions, requests, calendar)
    assert judged.problems == []
    assert judged.valid.num_rows == result.actions.num_rows > 4_000
    assert validate_bars(result.bars, requests, calendar).counts == {}
    delisted = {symbol for symbol, answer in result.outcomes.items() if answer.outcome is Outcome.DELISTED}
    assert delisted == {item.symbol for item in market.listings() if market.delisted_on(item.symbol)}
    assert len(delisted) > 5


def test_nothing_after_the_session_is_known(market_at: MarketAt, days: list[date]) -> None:
    market = market_at(days[1_000])
    result = market.fetch_bars([BarRequest(item.symbol, days[990], days[1_200]) for item in market.listings()])
    assert max(result.bars["price_date"].to_pylist()) == days[1_000]
    assert max(result.actions["ex_date"].to_pylist()) <= days[1_000]
    later = fetch(market, "SPY", days[1_001], days[1_200])
    assert later.outcomes["SPY"].outcome is Outcome.EMPTY
    assert f"known from {days[0]} to {days[1_000]}" in later.outcomes["SPY"].detail


def test_a_bar_depends_on_symbol_session_and_what_is_known_alone(market_at: MarketAt, days: list[date]) -> None:
    market = market_at(days[1_000])
    symbols = [item.symbol for item in market.listings()]
    together = market.fetch_bars([BarRequest(symbol, days[700], days[1_000]) for symbol in symbols])
    everything = {tuple(row.values()) for row in together.bars.to_pylist()}
    actions = {tuple(row.values()) for row in together.actions.to_pylist()}
    for position in range(3, len(symbols), 17):
        first, last = days[700 + position], days[705 + position]
        alone = fetch(market, symbols[position], first, last)
        rows = {tuple(row.values()) for row in alone.bars.to_pylist()}
        assert rows == {row for row in everything if row[0] == symbols[position] and first <= row[1] <= last}
        assert {tuple(row.values()) for row in alone.actions.to_pylist()} == {
            row for row in actions if row[0] == symbols[position] and row[1] >= first
        }


def test_a_late_bar_comes_a_session_late(world: World, market_at: MarketAt, days: list[date]) -> None:
    row, session = defect_at(world, "late")
    symbol, day = world.listings[row].symbol, days[session]
    at_once, next_day = (fetch(market_at(days[as_of]), symbol, day, day) for as_of in (session, session + 1))
    assert at_once.bars.num_rows == 0
    assert at_once.outcomes[symbol].outcome is Outcome.EMPTY
    assert at_once.outcomes[symbol].detail.endswith("trading was halted, or the bar is missing or late")
    assert next_day.bars.num_rows == 1
    assert next_day.outcomes[symbol].outcome is Outcome.OK


def test_a_missing_bar_never_comes(world: World, market_at: MarketAt, days: list[date]) -> None:
    row, session = defect_at(world, "missing")
    known = closes(market_at(days[-1]), world.listings[row].symbol, days[session - 1], days[session + 1])
    assert set(known) == {days[session - 1], days[session + 1]}


def test_a_wrong_bar_is_corrected_two_sessions_later(
    world: World, market_at: MarketAt, days: list[date], calendar: SessionCalendar
) -> None:
    row, session = defect_at(world, "error")
    symbol, day = world.listings[row].symbol, days[session]
    error = float(world.defects(np.array([row]), session, session + 1).error[0, 0])
    told = [fetch(market_at(days[session + late]), symbol, day, day).bars for late in range(CORRECTED_AFTER + 2)]
    close = [bars["close_price"][0].as_py() for bars in told]
    assert close[0] == close[1] != close[2] == close[3]
    assert close[0] / close[2] - 1 == pytest.approx(error, abs=0.01 / close[2])
    adjusted = [bars["adj_close_price"][0].as_py() for bars in told]
    assert adjusted[1] / adjusted[2] == pytest.approx(close[1] / close[2], rel=1e-12)
    for bars in told:
        assert validate_bars(bars, [BarRequest(symbol, day, day)], calendar).counts == {}


def test_no_bar_during_a_halt(world: World, market_at: MarketAt, days: list[date]) -> None:
    rows = np.arange(len(FACTOR_ETFS) + 46, len(world.listings))
    halted = world.lives.halted(rows, 0, SESSIONS)
    at, session = np.argwhere(halted)[0].tolist()
    symbol = world.listings[rows[at]].symbol
    market = market_at(days[-1])
    [(first, last)] = market.halts(symbol, days[session - 20], days[session + 20])
    assert first == days[session]
    assert 1 <= days.index(last) - session <= 7
    assert fetch(market, symbol, first, last).outcomes[symbol].outcome is Outcome.EMPTY
    around = closes(market, symbol, days[session - 1], days[days.index(last) + 1])
    assert len(around) == 2
    assert market.halts(symbol, last, last) == [(last, last)]
    assert market_at(days[session]).halts(symbol, first, days[-1]) == [(first, first)]
    assert market.halts("SPY", days[0], days[-1]) == []


def test_a_delisted_symbol_has_bars_to_its_last_session(world: World, market_at: MarketAt, days: list[date]) -> None:
    row = int(np.flatnonzero(world.lives.last < SESSIONS - 10)[0])
    symbol, last = world.listings[row].symbol, int(world.lives.last[row])
    market = market_at(days[last + 1])
    answer = fetch(market, symbol, days[last - 5], days[last + 1])
    assert answer.bars["price_date"].to_pylist()[-1] == days[last]
    assert answer.outcomes[symbol].outcome is Outcome.DELISTED
    assert answer.outcomes[symbol].detail == f"ceased to trade; the last session was {days[last]}"
    assert market.delisted_on(symbol) == days[last]
    assert symbol in {item.symbol for item in market.listings()}
    after = fetch(market_at(days[-1]), symbol, days[last + 1], days[-1])
    assert (after.bars.num_rows, after.outcomes[symbol].outcome) == (0, Outcome.DELISTED)

    then = market_at(days[last])
    assert then.delisted_on(symbol) is None
    for known in (then, market):
        assert fetch(known, symbol, days[last - 5], days[last]).outcomes[symbol].outcome is Outcome.OK


def test_a_symbol_is_unknown_before_its_listing(world: World, market_at: MarketAt, days: list[date]) -> None:
    row = int(np.flatnonzero((world.lives.first > 300) & (world.lives.first < SESSIONS - 300))[0])
    symbol, first = world.listings[row].symbol, int(world.lives.first[row])
    before, then = market_at(days[first - 1]), market_at(days[first])
    assert symbol not in {item.symbol for item in before.listings()}
    assert fetch(before, symbol, days[first - 5], days[first]).outcomes[symbol].outcome is Outcome.UNKNOWN
    assert then.listed_on(symbol) == days[first]
    assert list(closes(then, symbol, days[first - 5], days[first])) == [days[first]]
    empty = fetch(then, symbol, days[first - 5], days[first - 1])
    assert empty.outcomes[symbol].outcome is Outcome.EMPTY
    assert empty.outcomes[symbol].detail.endswith(f"the first session was {days[first]}")
    assert empty.actions.num_rows == 0


def test_funds_and_quiet_stocks_have_every_bar_right_at_once(market_at: MarketAt, days: list[date]) -> None:
    market = market_at(days[-1])
    symbols = [item.symbol for item in market.listings()[:53]]
    sessions = np.array(days, "datetime64[D]")
    requests = [BarRequest(symbol, days[0], days[-1]) for symbol in symbols]
    final = dense(market.fetch_bars(requests).bars, "close_price", symbols, sessions)
    assert np.isfinite(final).all()
    unsplit = market_at(days[-1], with_splits=False)
    final = dense(unsplit.fetch_bars(requests).bars, "close_price", symbols, sessions)
    for as_of in range(900, 1_000, 10):
        then = market_at(days[as_of], with_splits=False).fetch_bars(
            [BarRequest(symbol, days[as_of], days[as_of]) for symbol in symbols]
        )
        assert np.array_equal(dense(then.bars, "close_price", symbols, sessions[as_of : as_of + 1])[0], final[as_of])
