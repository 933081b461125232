"""The statistical model of the simulated market: latent factors, loadings, and the betas that follow from them.

Everything is Gaussian and stationary, so the population value of every estimate is known in closed form. Paths and bars
are in ``simulated_world``; the names of the stocks are in ``simulated_listings``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sigmasight_assets.quant.factors import FACTOR_ETFS, FACTORS, RIDGE_PENALTY

Floats = NDArray[np.float64]

# Daily volatilities and correlations of the latent factors: market, rates, then the six styles relative to the market
# (so uncorrelated with it): value, growth, momentum, quality, size, low volatility. Round figures of the size seen in
# the eight funds from 2020 to 2025, where the styles' volatilities were 0.2 % to 0.8 % a day; value and growth are less
# opposed here (-0.70) than they were (-0.94), so that joint estimates of the six are well conditioned.
LATENT_VOLATILITY = np.array([0.0100, 0.0090, 0.0040, 0.0040, 0.0055, 0.0030, 0.0060, 0.0040])
LATENT_CORRELATION = np.array(
    [
        [1.00, -0.15, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00],
        [-0.15, 1.00, -0.15, 0.15, 0.00, 0.05, -0.10, 0.20],
        [0.00, -0.15, 1.00, -0.70, -0.20, -0.25, 0.30, 0.25],
        [0.00, 0.15, -0.70, 1.00, 0.30, 0.25, -0.30, -0.25],
        [0.00, 0.00, -0.20, 0.30, 1.00, 0.10, -0.10, 0.00],
        [0.00, 0.05, -0.25, 0.25, 0.10, 1.00, -0.40, 0.20],
        [0.00, -0.10, 0.30, -0.30, -0.10, -0.40, 1.00, -0.35],
        [0.00, 0.20, 0.25, -0.25, 0.00, 0.20, -0.35, 1.00],
    ]
)
LATENT_COVARIANCE = LATENT_CORRELATION * np.outer(LATENT_VOLATILITY, LATENT_VOLATILITY)

# Market loading of each fund in the order of FACTOR_ETFS; every fund also loads 1 on the latent factor of its own.
ETF_MARKET_LOADING = (1.0, 0.0, 0.90, 1.10, 1.05, 1.00, 1.15, 0.75)
ETF_NOISE = np.array([0.0002, 0.0005, 0.0006, 0.0006, 0.0010, 0.0006, 0.0010, 0.0006])
ETF_PRICE = (200.0, 100.0, 80.0, 100.0, 75.0, 60.0, 120.0, 40.0)
ETF_SHARES = (7e7, 2e7, 2e6, 1e6, 6e5, 1e6, 2.5e7, 2e6)
ETF_GROWTH = 0.05

# The share of a past deviation from the trend that is undone each session: one year's worth over a year. Without it
# twenty years of compounding would carry some prices below a cent and others beyond every scale.
REVERSION = 1 / 250
SESSIONS_PER_YEAR = 252

_MARKET_RANGE = (0.4, 1.8)
_DRAWS_PER_STOCK = 12


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the model knows of S symbols, one row each; the funds come first, in the order of FACTOR_ETFS.

    ``loadings`` (S, 8) on the latent factors, ``noise`` (S,) daily volatility of the symbol's own part, ``start_price``
    (S,) US dollars before the first session, ``growth`` (S,) log growth a year, ``shares`` (S,) typical daily volume.
    """

    loadings: Floats
    noise: Floats
    start_price: Floats
    growth: Floats
    shares: Floats

    @property
    def variance(self) -> Floats:
        """Variance (S,) of the daily return."""
        shocks = np.einsum("sk,kl,sl->s", self.loadings, LATENT_COVARIANCE, self.loadings) + self.noise**2
        variance: Floats = shocks * 2 / (2 - REVERSION)
        return variance


def draw_parameters(generator: np.random.Generator, market_centre: Floats) -> Parameters:
    """Parameters of the eight funds and of one stock per entry of ``market_centre``, its sector's usual market loading.

    A stock's row depends on its position only, not on how many follow.
    """
    draws = generator.random((len(market_centre), _DRAWS_PER_STOCK))
    symmetric = 2 * draws - 1
    market = np.clip(market_centre + 0.5 * symmetric[:, 0], *_MARKET_RANGE)
    stocks = np.column_stack([market, 0.3 * symmetric[:, 1], 0.7 * symmetric[:, 2:8]])
    funds = np.eye(len(FACTOR_ETFS))
    funds[:, 0] = ETF_MARKET_LOADING
    return Parameters(
        loadings=np.vstack([funds, stocks]),
        noise=np.append(ETF_NOISE, 0.008 + 0.017 * draws[:, 8]),
        start_price=np.append(ETF_PRICE, 20.0 * 20.0 ** draws[:, 9]),
        growth=np.append(np.full(len(FACTOR_ETFS), ETF_GROWTH), 0.02 + 0.06 * draws[:, 10]),
        shares=np.append(ETF_SHARES, 10.0 ** (5 + 2.3 * draws[:, 11])),
    )


def latent_factors(normals: Floats) -> Floats:
    """Latent factors (8, T) from independent standard normals (T, 8)."""
    mixing = np.linalg.cholesky(LATENT_COVARIANCE)
    return np.stack([combine(row[None, :], normals.T)[0] for row in mixing])


def combine(weights: Floats, rows: Floats) -> Floats:
    """The product (S, T) of ``weights`` (S, K) and ``rows`` (K, T), added up in one order.

    A library's matrix product may add in another order for another S or T; a bar must not depend on what else is asked.
    """
    total = np.zeros((weights.shape[0], rows.shape[1]))
    for weight, row in zip(weights.T, rows, strict=True):
        total += weight[:, None] * row
    return total


def population_betas(parameters: Parameters) -> Floats:
    """The value (S, 12) to which each estimate of ``FACTORS`` tends, by the model's covariances.

    One regressor: cov(y, x) / var(x). The ridge factors: D^-1 (R + penalty / n I)^-1 D^-1 c with R the correlations and
    D the standard deviations of the six funds, c their covariances with y, and n the window; that is the penalised
    solution on standardised regressors (formulas.md section 3) with sample moments replaced by the model's. Mean
    reversion scales every covariance alike and cancels.
    """
    funds = parameters.loadings[: len(FACTOR_ETFS)]
    own_noise = np.zeros((len(parameters.noise), len(FACTOR_ETFS)))
    np.fill_diagonal(own_noise, ETF_NOISE**2)
    with_funds = parameters.loadings @ LATENT_COVARIANCE @ funds.T + own_noise
    among_funds = with_funds[: len(FACTOR_ETFS)]
    ridge = [factor for factor in FACTORS if factor.estimator == "ridge"]
    used = [FACTOR_ETFS.index(factor.proxies[0]) for factor in ridge]
    joint = iter(_ridge_betas(with_funds[:, used], among_funds[np.ix_(used, used)], ridge[0].window).T)
    columns = [
        next(joint) if factor.estimator == "ridge" else _single_beta(with_funds, among_funds, factor.proxies)
        for factor in FACTORS
    ]
    return np.column_stack(columns)


def _single_beta(with_funds: Floats, among_funds: Floats, proxies: Sequence[str]) -> Floats:
    weights = np.zeros(len(FACTOR_ETFS))
    for proxy, sign in zip(proxies, (1.0, -1.0), strict=False):
        weights[FACTOR_ETFS.index(proxy)] = sign
    betas: Floats = with_funds @ weights / (weights @ among_funds @ weights)
    return betas


def _ridge_betas(with_funds: Floats, among_funds: Floats, observations: int) -> Floats:
    deviation = np.sqrt(np.diag(among_funds))
    correlation = among_funds / np.outer(deviation, deviation)
    penalised = correlation + RIDGE_PENALTY / observations * np.eye(len(deviation))
    betas: Floats = (np.linalg.solve(penalised, (with_funds / deviation).T) / deviation[:, None]).T
    return betas
