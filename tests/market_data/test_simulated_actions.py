from dataclasses import replace

import numpy as np
import pytest

from sigmasight_assets.market_data.simulated_actions import (
    DIVIDEND_SPACING,
    ETF_YIELD,
    SESSIONS_BEFORE_SPLIT,
    Payouts,
    Splits,
    draw_payouts,
    draw_splits,
    pay_dividends,
)
from sigmasight_assets.market_data.simulated_lives import NEVER, YEARS, Lives, draw_lives
from sigmasight_assets.market_data.simulated_model import SESSIONS_PER_YEAR, Parameters, draw_parameters
from sigmasight_assets.quant.factors import FACTOR_ETFS

FUNDS = len(FACTOR_ETFS)
SESSIONS = YEARS * SESSIONS_PER_YEAR
STOCKS = 500


def draw(stocks: int) -> tuple[Parameters, Payouts, Lives, Splits]:
    parameters = draw_parameters(np.random.default_rng(1), np.full(stocks, 1.0))
    payouts, lives = draw_payouts(np.random.default_rng(2), stocks), draw_lives(np.random.default_rng(3), stocks)
    return parameters, payouts, lives, draw_splits(np.random.default_rng(4), parameters, payouts, lives)


@pytest.fixture(scope="module")
def drawn() -> tuple[Parameters, Payouts, Lives, Splits]:
    return draw(STOCKS)


def test_a_stock_does_not_depend_on_how_many_follow(drawn: tuple[Parameters, Payouts, Lives, Splits]) -> None:
    _, payouts, _, splits = draw(120)
    for few, many in ((payouts, drawn[1]), (splits, drawn[3])):
        for name in type(few).__slots__:
            assert np.array_equal(getattr(few, name), getattr(many, name)[: FUNDS + 120]), name


def test_three_fifths_of_the_stocks_and_all_funds_pay(drawn: tuple[Parameters, Payouts, Lives, Splits]) -> None:
    payouts = drawn[1]
    assert tuple(payouts.yearly_yield[:FUNDS]) == ETF_YIELD
    paying = payouts.yearly_yield[FUNDS:][payouts.yearly_yield[FUNDS:] > 0]
    assert len(paying) / STOCKS == pytest.approx(0.6, abs=0.05)
    assert 0.005 <= paying.min() < paying.max() <= 0.04
    assert (payouts.offset.min(), payouts.offset.max()) == (0, DIVIDEND_SPACING - 1)


def test_splits_have_their_rate_and_keep_their_distance(drawn: tuple[Parameters, Payouts, Lives, Splits]) -> None:
    _, _, lives, splits = drawn
    assert (splits.position[:FUNDS] == NEVER).all()
    inside = splits.position < SESSIONS
    active = np.minimum(lives.last, SESSIONS) - lives.first
    assert inside.sum() / active[FUNDS:].sum() * SESSIONS_PER_YEAR == pytest.approx(0.04, abs=0.004)
    first, second = splits.position.T
    assert (second[second < NEVER] - first[second < NEVER]).min() >= SESSIONS_BEFORE_SPLIT
    assert (first - lives.first).min() >= SESSIONS_BEFORE_SPLIT
    happens = splits.position < NEVER
    assert (splits.position <= lives.last[:, None])[happens].all()
    assert np.diff(np.unique(splits.position[inside])).max() < 90


def test_ratios_are_those_of_life(drawn: tuple[Parameters, Payouts, Lives, Splits]) -> None:
    splits = drawn[3]
    happens = splits.position < NEVER
    ratios = set(zip(splits.numerator[happens].tolist(), splits.denominator[happens].tolist(), strict=True))
    assert ratios == {(3, 2), (2, 1), (3, 1), (4, 1), (10, 1), (1, 5), (1, 10)}
    assert (splits.numerator > splits.denominator)[happens].mean() > 0.85
    assert (splits.numerator == 1)[~happens].all()
    assert (splits.denominator == 1)[~happens].all()


def test_reverse_splits_are_of_low_prices(drawn: tuple[Parameters, Payouts, Lives, Splits]) -> None:
    parameters, payouts, _, splits = drawn
    years = np.where(splits.position < NEVER, splits.position, 0)[:, 0] / SESSIONS_PER_YEAR
    price = parameters.start_price * np.exp((parameters.growth - payouts.yearly_yield) * years)
    happens = splits.position[:, 0] < NEVER
    reverse = happens & (splits.numerator[:, 0] == 1)
    assert price[reverse].max() < 30 <= price[happens & ~reverse].min()
    assert price[splits.numerator[:, 0] == 10].min() >= 250


def test_ratio_is_the_product_of_what_happened() -> None:
    splits = Splits(
        position=np.array([[100, 200], [150, NEVER], [NEVER, NEVER]]),
        numerator=np.array([[3, 1], [4, 1], [1, 1]]),
        denominator=np.array([[2, 10], [1, 1], [1, 1]]),
    )
    rows = np.array([0, 1, 2])
    for at, numerators, denominators in (
        (99, [1, 1, 1], [1, 1, 1]),
        (100, [3, 1, 1], [2, 1, 1]),
        (199, [3, 4, 1], [2, 1, 1]),
        (200, [3, 4, 1], [20, 1, 1]),
    ):
        new, old = splits.ratio(rows, at)
        assert (new.tolist(), old.tolist()) == (numerators, denominators)
    new, old = splits.ratio(rows[:2], np.array([100, 149]))
    assert (new.tolist(), old.tolist()) == ([3, 1], [2, 1])


def test_dividends_follow_the_price_that_they_lower() -> None:
    payouts = Payouts(yearly_yield=np.array([0.04, 0.0, 0.005]), offset=np.array([2, 5, 62]))
    rows = np.array([0, 1, 2])
    known = 200
    total = np.array([[100.0], [100.0], [1.0]]) * np.cumprod(np.full((3, known + 1), 1.001), axis=1)
    never = np.full(3, NEVER)
    paid = pay_dividends(total, payouts, rows, first=np.zeros(3, np.int64), last=never)
    assert paid.position[0].tolist() == [2, 65, 128, 191]
    price = total[0].copy()
    for at in paid.position[0]:
        amount = round(0.01 * price[at], 2)
        price[at + 1 :] *= 1 - amount / price[at]
        assert paid.amount[0, list(paid.position[0]).index(at)] == amount
    kept = np.take_along_axis(paid.kept, paid.paid(0, known), axis=1)
    np.testing.assert_allclose(total[0, 1:] * kept[0], price[1:], rtol=1e-14)
    assert not paid.amount[1].any()
    assert (paid.kept[1] == 1).all()
    # A quarter of half a per cent of a dollar rounds to nothing: it pays a cent.
    assert paid.amount[2].tolist() == [0.01, 0.01, 0.01, 0.0]


def test_adjustment_makes_total_returns_of_closes_in_cents() -> None:
    payouts = Payouts(yearly_yield=np.array([0.04]), offset=np.array([10]))
    generator = np.random.default_rng(5)
    growth = np.cumprod(1 + 0.02 * generator.standard_normal((1, 301)), axis=1)
    total = np.asarray(50 * growth, dtype=np.float64)
    paid = pay_dividends(total, payouts, np.array([0]), first=np.array([0]), last=np.array([NEVER]))
    columns = paid.paid(0, 300)
    close = np.round(total[:, 1:] * np.take_along_axis(paid.kept, columns, axis=1), 2)[0]
    adjusted = close * np.take_along_axis(paid.ahead, columns, axis=1)[0]
    expected = close[1:] / close[:-1]
    for position, amount in zip(paid.position[0], paid.amount[0], strict=True):
        if amount:
            expected[position - 1] = close[position] / (close[position - 1] - amount)
    np.testing.assert_allclose(adjusted[1:] / adjusted[:-1], expected, rtol=1e-14)
    assert adjusted[-1] == close[-1]


def test_dividends_are_paid_while_a_symbol_is_listed_and_only_known_ones() -> None:
    payouts = Payouts(yearly_yield=np.array([0.04, 0.04]), offset=np.array([10, 10]))
    total = np.full((2, 301), 100.0)
    limits = {"first": np.array([10, 73]), "last": np.array([199, NEVER])}
    paid = pay_dividends(total, payouts, np.array([0, 1]), **limits)
    assert paid.position[0, (paid.amount > 0)[0]].tolist() == [73, 136, 199]
    assert paid.position[1, (paid.amount > 0)[1]].tolist() == [136, 199, 262]
    earlier = pay_dividends(total[:, :200], payouts, np.array([0, 1]), **limits)
    assert earlier.position[1, (earlier.amount > 0)[1]].tolist() == [136]
    assert np.array_equal(earlier.kept[:, :-1], paid.kept[:, :4])


def test_payouts_of_chosen_rows() -> None:
    payouts = draw_payouts(np.random.default_rng(2), 5)
    total = np.full((1, 100), 100.0)
    limits = {"first": np.array([0]), "last": np.array([NEVER])}
    alone = pay_dividends(total, payouts, np.array([3]), **limits)
    only = replace(payouts, yearly_yield=payouts.yearly_yield[3:4], offset=payouts.offset[3:4])
    assert np.array_equal(alone.amount, pay_dividends(total, only, np.array([0]), **limits).amount)
