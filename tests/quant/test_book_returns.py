"""The returns of a book against a plain loop over days and positions, and the identities that owners rely on."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.quant.book_returns import book_returns, has_enough_returns


def plain_returns(returns: FloatArray, weights: FloatArray) -> list[float]:
    """Day by day and position by position, as the rule is worded."""
    gross = sum(abs(weight) for weight in weights)
    series = []
    for day in returns.tolist():
        held = [(weight, value) for weight, value in zip(weights.tolist(), day, strict=True) if not np.isnan(value)]
        known = sum(abs(weight) for weight, _ in held)
        is_dropped = (gross - known) / gross > 0.05 + 1e-12
        series.append(np.nan if is_dropped else sum(weight * value for weight, value in held) * gross / known)
    return series


@pytest.mark.parametrize("gaps", [0.0, 0.01, 0.04])
@pytest.mark.parametrize("side", ["long", "both"])
def test_equal_to_a_plain_loop(gaps: float, side: str) -> None:
    random = np.random.default_rng(7)
    returns = random.normal(0.0, 0.02, (293, 40))
    returns[random.random(returns.shape) < gaps] = np.nan
    weights = random.uniform(0.01, 0.2, 40)
    if side == "both":
        weights[::3] *= -1
    found = book_returns(returns, weights)
    assert_allclose(found, plain_returns(returns, weights), rtol=1e-11, atol=1e-16)
    if gaps:
        assert 0 < np.isnan(found).sum() < len(found)


def test_a_single_symbol_has_its_return_times_its_weight() -> None:
    returns = np.random.default_rng(1).normal(0.0, 0.02, (100, 1))
    returns[7] = np.nan
    assert_array_equal(book_returns(returns, np.array([-0.4])), returns[:, 0] * -0.4)


def test_a_mirror_book_has_the_opposite_returns() -> None:
    random = np.random.default_rng(2)
    returns, weights = random.normal(0.0, 0.02, (100, 9)), random.normal(0.0, 1.0, 9)
    returns[random.random(returns.shape) < 0.02] = np.nan
    assert_array_equal(book_returns(returns, -weights), -book_returns(returns, weights))


def test_exactly_five_percent_may_lack_a_return_and_the_rest_is_scaled_up() -> None:
    returns = np.full((2, 20), 0.01)
    returns[0, 3], returns[1, :2] = np.nan, np.nan
    found = book_returns(returns, np.full(20, 33.33))
    assert found[0] == pytest.approx(20 * 33.33 * 0.01, rel=1e-14)
    assert np.isnan(found[1])


def test_hedges_count_by_their_size_not_by_their_sign() -> None:
    # 94 of 100 long and 6 short: without the short leg more than 5 % of 100 is missing.
    returns = np.array([[0.01, np.nan], [0.01, 0.02]])
    assert_allclose(book_returns(returns, np.array([94.0, -6.0])), [np.nan, 0.94 - 0.12])


def test_nothing_held_has_no_returns() -> None:
    assert np.isnan(book_returns(np.zeros((5, 0)), np.zeros(0))).all()
    assert np.isnan(book_returns(np.zeros((5, 2)), np.zeros(2))).all()


def test_sixty_three_returns_are_enough_wherever_they_are() -> None:
    returns = np.full((293, 3), np.nan)
    returns[-62:, 0] = 0.01
    returns[-63:, 1] = 0.01
    returns[4:130:2, 2] = 0.0
    assert has_enough_returns(returns).tolist() == [False, True, True]
