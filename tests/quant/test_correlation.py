"""Correlations against pandas, the nearest matrix against its dual problem solved by scipy, identities of the rest."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from statsmodels.stats.correlation_tools import corr_nearest
from statsmodels.tools.sm_exceptions import IterationLimitWarning

from sigmasight_assets.quant import correlation
from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.quant.correlation import (
    complete_part,
    correlation_matrix,
    diversification,
    diversification_ratio,
    effective_bets,
    mutual_correlation,
    nearest_correlation,
)


def market(sessions: int = 90, symbols: int = 50, gaps: float = 0.0, seed: int = 5) -> FloatArray:
    random = np.random.default_rng(seed)
    returns = random.normal(0.0, 0.01, (sessions, 1)) + random.normal(3e-4, 0.02, (sessions, symbols))
    returns[random.random(returns.shape) < gaps] = np.nan
    return returns


def indefinite(size: int, seed: int) -> FloatArray:
    """Correlations drawn without regard for each other."""
    random = np.random.default_rng(seed)
    matrix = np.tril(random.uniform(-1.0, 1.0, (size, size)), -1)
    matrix = matrix + matrix.T + np.eye(size)
    assert np.linalg.eigvalsh(matrix)[0] < -0.1
    return matrix


@pytest.mark.parametrize("gaps", [0.0, 0.05, 0.3, 0.55])
@pytest.mark.parametrize("sessions", [30, 90, 252])
def test_equal_to_pandas(gaps: float, sessions: int) -> None:
    returns = market(sessions=sessions, gaps=gaps)
    returns[: sessions // 2, 3] = np.nan
    expected = pd.DataFrame(returns).corr(min_periods=30).to_numpy()
    found = correlation_matrix(returns)
    assert_allclose(found, expected, rtol=1e-11, atol=1e-13)
    assert (found.diagonal()[np.isfinite(expected.diagonal())] == 1.0).all()
    assert ((found == found.T) | np.isnan(found)).all()


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_the_unit_of_the_returns_does_not_matter(scale: float) -> None:
    returns = market(symbols=5)
    assert_allclose(correlation_matrix(scale * returns), correlation_matrix(returns), rtol=1e-12)


def test_each_symbol_may_have_a_unit_of_its_own() -> None:
    returns = market(symbols=4)
    found = correlation_matrix(returns * [1e-15, 1.0, 1e3, 1e9])
    assert_allclose(found, correlation_matrix(returns), rtol=1e-12)


def test_what_rounding_leaves_of_a_constant_is_no_variation() -> None:
    constants = np.broadcast_to(np.linspace(0.01, 0.99, 60), (77, 60))
    # Of many of them the mean is not the number itself.
    assert (constants.sum(axis=0) / 77 != constants[0]).sum() > 10
    found = correlation_matrix(np.hstack([market(sessions=77, symbols=1), constants]))
    assert found[0, 0] == 1.0
    assert np.isnan(found[:, 1:]).all()


def test_what_varies_by_rounding_alone_is_constant_beside_what_varies() -> None:
    last_digits = 1.0 + np.finfo(np.float64).eps * np.random.default_rng(8).integers(-2, 3, 77)
    assert np.unique(0.7 * last_digits).size > 2
    found = correlation_matrix(np.column_stack([market(sessions=77, symbols=1), 0.7 * last_digits, 7e9 * last_digits]))
    assert found[0, 0] == 1.0
    assert np.isnan(found[:, 1:]).all()


def test_no_sessions_give_no_correlation() -> None:
    assert np.isnan(correlation_matrix(np.empty((0, 3)))).all()


def test_rounding_takes_no_correlation_beyond_one() -> None:
    for seed in range(40):
        returns = market(symbols=4, seed=seed)
        matrix = correlation_matrix(np.hstack([returns, 0.3 * returns, -0.7 * returns]))
        assert np.abs(matrix).max() == 1.0
        assert_allclose(np.abs(matrix.diagonal(4)), 1.0, rtol=1e-12)


def test_equal_to_pandas_far_from_zero() -> None:
    returns = market(gaps=0.1) + 5.0
    assert_allclose(correlation_matrix(returns), pd.DataFrame(returns).corr(min_periods=30), rtol=1e-9)


def test_thirty_joint_sessions_are_needed() -> None:
    returns = market(symbols=3)
    returns[:60, 0], returns[30:, 1] = np.nan, np.nan
    found = correlation_matrix(returns)
    assert np.isnan(found[0, 1])
    assert np.isfinite([found[0, 0], found[1, 1], found[0, 2], found[1, 2]]).all()
    returns[60, 0] = np.nan
    assert np.isnan(correlation_matrix(returns)[0]).all()


def test_what_does_not_vary_has_no_correlation() -> None:
    returns = market(symbols=4)
    returns[:, 1], returns[:, 2] = 0.01 / 3, 0.0
    # It varies, but not while the first one trades.
    returns[:50, 0], returns[:50, 3], returns[50:, 3] = np.nan, 0.01, 0.7
    found = correlation_matrix(returns)
    assert np.isnan(found[1]).all()
    assert np.isnan(found[2]).all()
    assert np.isnan(found[0, 3])
    assert found[3, 3] == 1.0


def test_a_mirrored_symbol_turns_its_signs_and_a_scale_does_not_matter() -> None:
    returns = market(symbols=4, gaps=0.02)
    mirrored = returns * [1, -1, 1000, 1]
    signs = np.outer([1, -1, 1, 1], [1, -1, 1, 1])
    assert_allclose(correlation_matrix(mirrored), correlation_matrix(returns) * signs, rtol=1e-12)


def test_means_over_pairs() -> None:
    matrix = np.array([[1.0, 0.5, -0.3], [0.5, 1.0, np.nan], [-0.3, np.nan, 1.0]])
    found = mutual_correlation(matrix)
    assert found.signed == pytest.approx(0.1)
    assert found.absolute == pytest.approx(0.4)
    alone = mutual_correlation(np.ones((1, 1)))
    assert (alone.signed, alone.absolute) == (None, None)


def test_the_complete_part_leaves_out_who_lacks_most() -> None:
    matrix = np.ones((4, 4))
    matrix[1, :] = matrix[:, 1] = np.nan
    matrix[0, 3] = matrix[3, 0] = np.nan
    assert complete_part(matrix).tolist() == [0, 2]
    assert complete_part(np.ones((3, 3))).tolist() == [0, 1, 2]
    assert complete_part(np.full((2, 2), np.nan)).tolist() == []
    assert complete_part(np.zeros((0, 0))).tolist() == []


@pytest.mark.parametrize(("size", "seed"), [(4, 13), (10, 1), (20, 2)])
def test_the_nearest_matrix_solves_the_dual_problem(size: int, seed: int) -> None:
    """H. Qi and D. Sun (2006): it is (A + diag y)+ at the minimum of |(A + diag y)+|^2 / 2 - sum of y."""
    matrix = indefinite(size, seed)

    def positive_part(y: FloatArray) -> FloatArray:
        values, vectors = np.linalg.eigh(matrix + np.diag(y))
        part: FloatArray = (vectors * np.maximum(values, 0)) @ vectors.T
        return part

    solved = minimize(
        lambda y: 0.5 * (positive_part(y) ** 2).sum() - y.sum(),
        np.zeros(size),
        jac=lambda y: positive_part(y).diagonal() - 1,
        method="BFGS",
        options={"gtol": 1e-10, "maxiter": 10_000},
    )
    nearest = nearest_correlation(matrix)
    assert_allclose(nearest, positive_part(solved.x), atol=1e-6)
    assert np.linalg.eigvalsh(nearest)[0] > -1e-8
    assert (nearest.diagonal() == 1.0).all()
    # The same method by other hands; it has no end but its number of steps.
    with pytest.warns(IterationLimitWarning):
        assert_allclose(nearest, corr_nearest(matrix, threshold=0, n_fact=100), atol=1e-6)


def test_the_example_of_higham() -> None:
    """Higham (2002), section 4."""
    nearest = nearest_correlation(np.array([[1.0, 1, 0], [1, 1, 1], [0, 1, 1]]))
    assert_allclose(nearest, [[1, 0.7607, 0.1573], [0.7607, 1, 0.7607], [0.1573, 0.7607, 1]], atol=5e-5)


def test_a_valid_matrix_needs_no_repair() -> None:
    matrix = correlation_matrix(market())
    assert nearest_correlation(matrix) is matrix
    ones = np.ones((5, 5))
    assert nearest_correlation(ones) is ones


def with_eigenvalue(smallest: float) -> FloatArray:
    return np.array([[1.0, 1.0 - smallest], [1.0 - smallest, 1.0]])


def test_what_rounding_alone_makes_impossible_is_left_as_it_is() -> None:
    """By 1e-12 for each row of the matrix."""
    rounded, beyond = with_eigenvalue(-1.8e-12), with_eigenvalue(-2.2e-12)
    assert nearest_correlation(rounded) is rounded
    assert nearest_correlation(beyond) is not beyond


def test_a_repair_that_does_not_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correlation, "REPAIR_STEPS", 3)
    with pytest.raises(ArithmeticError, match="no nearest correlation matrix within 3 steps"):
        nearest_correlation(indefinite(10, seed=1))


@pytest.mark.parametrize("count", [1, 2, 7, 50])
def test_bets_from_none_in_common_to_all_in_common(count: int) -> None:
    assert effective_bets(np.eye(count)) == pytest.approx(count, rel=1e-12)
    assert effective_bets(np.ones((count, count))) == pytest.approx(1.0, abs=1e-9)


def test_bets_by_hand() -> None:
    shares = np.array([1.6, 0.4]) / 2
    assert effective_bets(np.array([[1, 0.6], [0.6, 1]])) == pytest.approx(np.exp(-(shares @ np.log(shares))))


def test_diversification_by_hand() -> None:
    volatilities = np.array([0.2, 0.1])
    # 0.2 and 0.1 of equal size without correlation: 0.3 / sqrt(0.05).
    assert diversification_ratio(np.eye(2), np.array([10.0, 10.0]), volatilities) == pytest.approx(0.3 / 0.05**0.5)
    together = np.ones((2, 2))
    assert diversification_ratio(together, np.array([3.0, 5.0]), volatilities) == pytest.approx(1.0)
    # A short of the same size as what moves with it: nothing is left to divide by.
    assert diversification_ratio(together, np.array([1.0, -2.0]), volatilities) is None


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_a_whole_that_varies_by_rounding_alone_has_no_ratio_in_any_unit(size: float) -> None:
    """Two opposite values whose whole has the share (1 - correlation) / 2 of the variance; 2e-12 is the bound."""
    opposite, equal = np.array([size, -size]), np.ones(2)
    assert diversification_ratio(with_eigenvalue(3.6e-12), opposite, equal) is None
    found = diversification_ratio(with_eigenvalue(4.4e-12), opposite, equal)
    assert found == pytest.approx(2.2e-12**-0.5, rel=1e-3)


def test_diversification_is_that_of_the_covariances() -> None:
    returns, values = market(), np.random.default_rng(6).normal(0.0, 1.0, 50)
    whole = np.sqrt(values @ np.cov(returns, rowvar=False) @ values)
    apart = np.abs(values) @ returns.std(axis=0, ddof=1)
    found = diversification_ratio(correlation_matrix(returns), values, returns.std(axis=0, ddof=1))
    assert found == pytest.approx(apart / whole, rel=1e-10)
    assert found == pytest.approx(
        diversification_ratio(correlation_matrix(returns), -values, returns.std(axis=0, ddof=1)), rel=1e-14
    )


def test_a_whole_is_made_of_the_symbols_that_know_each_other() -> None:
    returns, values = market(sessions=252, symbols=6, gaps=0.2), np.array([5.0, -3.0, 2.0, 1.0, 1.0, 4.0])
    returns[:225, 2] = np.nan
    found = diversification(correlation_matrix(returns), returns, values)
    assert found.places.tolist() == [0, 1, 3, 4, 5]
    assert found.is_repaired is False
    kept = pd.DataFrame(returns[:, found.places])
    sizes = values[found.places] * kept.std().to_numpy()
    assert found.ratio == pytest.approx(
        np.abs(sizes).sum() / np.sqrt(sizes @ kept.corr().to_numpy() @ sizes), rel=1e-10
    )
    shares = np.linalg.eigvalsh(kept.corr()) / 5
    assert found.effective_bets == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-10)
    nothing = diversification(np.full((2, 2), np.nan), returns[:, :2], values[:2])
    assert (nothing.places.size, nothing.ratio, nothing.effective_bets, nothing.is_repaired) == (0, None, None, False)


def test_an_impossible_matrix_is_repaired_before_it_is_used() -> None:
    matrix, returns, values = indefinite(5, seed=3), market(symbols=5), np.arange(1.0, 6.0)
    found, possible = diversification(matrix, returns, values), nearest_correlation(matrix)
    assert found.is_repaired is True
    assert found.effective_bets == effective_bets(possible)
    assert found.ratio == diversification_ratio(possible, values, returns.std(axis=0, ddof=1))
