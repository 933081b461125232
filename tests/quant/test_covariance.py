import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.quant.covariance import factor_covariances
from tests.quant.reference import random_market, real_market


def reference(factor_returns: FloatArray, row: int) -> tuple[FloatArray, int]:
    """Weighted covariance by numpy, from the joint rows alone."""
    window = factor_returns[max(0, row - 251) : row + 1]
    age = np.arange(len(window))[::-1]
    joint = np.isfinite(window).all(axis=1)
    covariance = np.cov(window[joint], rowvar=False, aweights=0.97 ** age[joint], bias=True)
    return covariance, int(joint.sum())


def funds_with_gaps() -> FloatArray:
    funds = random_market(seed=1, sessions=320).factor_returns
    funds[np.random.default_rng(2).random(funds.shape) < 0.02] = np.nan
    return funds


def test_equal_to_the_weighted_covariance_of_numpy() -> None:
    funds = funds_with_gaps()
    rows = np.array([80, 251, 252, 319])
    covariances, counts = factor_covariances(funds, rows=rows)
    assert counts[0] < 81
    for position, row in enumerate(rows):
        expected, count = reference(funds, row)
        assert_allclose(covariances[position], expected, rtol=1e-12, atol=1e-18)
        assert counts[position] == count


def test_equal_to_the_weighted_covariance_of_numpy_on_real_returns() -> None:
    market, sessions = real_market()
    row = sessions.index("2025-04-09")
    covariances, counts = factor_covariances(market.factor_returns, rows=np.array([row]))
    assert counts[0] == 252
    assert_allclose(covariances[0], reference(market.factor_returns, row)[0], rtol=1e-12)


def test_matrices_are_symmetric_and_positive() -> None:
    covariances, _ = factor_covariances(funds_with_gaps(), rows=np.arange(100, 320, 20))
    assert_array_equal(covariances, covariances.transpose(0, 2, 1))
    assert np.linalg.eigvalsh(covariances).min() > 0.0


@pytest.mark.parametrize(("rows_before", "known"), [(59, False), (60, True)])
def test_fewer_than_60_joint_rows_give_no_matrix(rows_before: int, *, known: bool) -> None:
    funds = random_market(seed=3, sessions=320).factor_returns
    funds[:-rows_before, 5] = np.nan
    covariances, counts = factor_covariances(funds, rows=np.array([319]))
    assert counts[0] == rows_before
    assert np.isfinite(covariances).all() == known
    assert np.isnan(covariances).all() != known


def test_a_shift_of_all_returns_changes_nothing() -> None:
    funds = random_market(seed=4, sessions=320).factor_returns
    plain, _ = factor_covariances(funds, rows=np.array([319]))
    shifted, _ = factor_covariances(funds + 1.0, rows=np.array([319]))
    assert_allclose(shifted, plain, rtol=1e-10, atol=1e-17)


def test_a_session_without_any_return_has_no_matrix() -> None:
    covariances, counts = factor_covariances(np.full((5, 8), np.nan), rows=np.array([0, 4]))
    assert np.isnan(covariances).all()
    assert_array_equal(counts, [0, 0])
