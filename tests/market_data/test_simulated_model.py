"""The closed forms of the model against scikit-learn on data whose sample moments are the model's, exactly."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.preprocessing import StandardScaler

from sigmasight_assets.market_data.simulated_model import (
    LATENT_CORRELATION,
    LATENT_COVARIANCE,
    Parameters,
    combine,
    draw_parameters,
    latent_factors,
    population_betas,
)
from sigmasight_assets.quant.factors import FACTOR_ETFS, FACTORS

STOCKS = 5
OBSERVATIONS = 90


@pytest.fixture(scope="module")
def parameters() -> Parameters:
    return draw_parameters(np.random.default_rng(7), np.full(STOCKS, 1.1))


@pytest.fixture(scope="module")
def returns(parameters: Parameters) -> NDArray[np.float64]:
    """Returns (90, 13) of funds and stocks with the covariances of the model as their population covariances."""
    loadings = parameters.loadings
    covariance = loadings @ LATENT_COVARIANCE @ loadings.T + np.diag(parameters.noise**2)
    raw = np.random.default_rng(8).standard_normal((OBSERVATIONS, len(covariance)))
    raw -= raw.mean(axis=0)
    whitened = raw @ np.linalg.inv(np.linalg.cholesky(raw.T @ raw / OBSERVATIONS)).T
    return 0.0004 + whitened @ np.linalg.cholesky(covariance).T


def test_latent_correlations_are_possible_and_styles_are_relative_to_the_market() -> None:
    assert np.array_equal(LATENT_CORRELATION, LATENT_CORRELATION.T)
    assert np.linalg.eigvalsh(LATENT_CORRELATION).min() > 0.1
    assert not LATENT_CORRELATION[0, 2:].any()


def test_single_regressor_betas_equal_least_squares(parameters: Parameters, returns: NDArray[np.float64]) -> None:
    betas = population_betas(parameters)
    for position, factor in enumerate(FACTORS):
        if factor.estimator == "ols":
            proxies = [returns[:, FACTOR_ETFS.index(proxy)] for proxy in factor.proxies]
            regressor = proxies[0] - sum(proxies[1:])
            fitted = LinearRegression().fit(regressor[:, None], returns)
            np.testing.assert_allclose(betas[:, position], fitted.coef_[:, 0], rtol=1e-9, atol=1e-12)


def test_ridge_betas_equal_ridge_on_standardised_regressors(
    parameters: Parameters, returns: NDArray[np.float64]
) -> None:
    joint = [position for position, factor in enumerate(FACTORS) if factor.estimator == "ridge"]
    regressors = returns[:, [FACTOR_ETFS.index(FACTORS[position].proxies[0]) for position in joint]]
    scaler = StandardScaler().fit(regressors)
    fitted = Ridge(alpha=1.0).fit(scaler.transform(regressors), returns)
    betas = population_betas(parameters)[:, joint]
    np.testing.assert_allclose(betas, fitted.coef_ / scaler.scale_, rtol=1e-8, atol=1e-12)


def test_a_fund_has_beta_one_on_itself(parameters: Parameters) -> None:
    betas = population_betas(parameters)
    assert betas[FACTOR_ETFS.index("SPY"), 0] == pytest.approx(1.0, abs=1e-15)
    assert betas[FACTOR_ETFS.index("TLT"), 1] == pytest.approx(1.0, abs=1e-15)


def test_a_stock_does_not_depend_on_how_many_follow() -> None:
    few = draw_parameters(np.random.default_rng(7), np.full(3, 1.1))
    many = draw_parameters(np.random.default_rng(7), np.full(9, 1.1))
    for name in ("loadings", "noise", "start_price", "growth", "shares"):
        assert np.array_equal(getattr(few, name), getattr(many, name)[: 3 + len(FACTOR_ETFS)])


def test_stock_parameters_stay_in_their_ranges() -> None:
    stocks = draw_parameters(np.random.default_rng(7), np.linspace(0.5, 1.5, 10_000))
    loadings, noise, start_price = (values[8:] for values in (stocks.loadings, stocks.noise, stocks.start_price))
    assert (loadings[:, 0].min(), loadings[:, 0].max()) == (0.4, 1.8)
    assert np.abs(loadings[:, 1:]).max() < 0.7
    assert 0.008 <= noise.min() < noise.max() < 0.025
    assert 20 <= start_price.min() < start_price.max() < 400


def test_latent_factors_have_the_stated_covariance() -> None:
    factors = latent_factors(np.random.default_rng(9).standard_normal((400_000, 8)))
    np.testing.assert_allclose(np.corrcoef(factors), LATENT_CORRELATION, atol=0.01)
    np.testing.assert_allclose(factors.std(axis=1), np.sqrt(np.diag(LATENT_COVARIANCE)), rtol=0.01)


def test_combine_is_the_matrix_product() -> None:
    generator = np.random.default_rng(10)
    weights, rows = generator.standard_normal((4, 8)), generator.standard_normal((8, 6))
    np.testing.assert_allclose(combine(weights, rows), weights @ rows, rtol=1e-12, atol=1e-14)


def test_combine_does_not_depend_on_the_rest_of_the_batch() -> None:
    generator = np.random.default_rng(11)
    weights, rows = generator.standard_normal((64, 8)), generator.standard_normal((8, 500))
    together = combine(weights, rows)
    for symbols, sessions in ((1, 500), (1, 7), (3, 33), (64, 1), (17, 499)):
        assert np.array_equal(combine(weights[:symbols], rows[:, :sessions]), together[:symbols, :sessions])
