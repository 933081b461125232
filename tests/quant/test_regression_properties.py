"""The regressions under random gaps, scales, shifts, permutations and window boundaries, against plain least squares.

The reference is numpy's solver on the rows of one symbol, for ridge on rows augmented by the root of the penalty.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.quant.factors import BETA_CAP, FACTOR_ETFS, FACTORS, FactorDefinition, Quality, Reason
from sigmasight_assets.quant.ols import OlsEstimates
from sigmasight_assets.quant.regression import SymbolExposures
from tests.quant.reference import RIDGE_FACTORS, Market, aligned, ols_tables, random_market, reference_reason

SESSIONS = 240
LAST = SESSIONS - 1
SYMBOLS = 6
# Seeds have no simpler form to be shrunk to, and trying takes minutes.
properties = settings(deadline=None, max_examples=20, derandomize=True, phases=[Phase.explicit, Phase.generate])
seeds = st.integers(0, 10**6)
# Powers of ten, so that prices in cents and in millions are as likely.
scales = st.integers(-6, 6).map(lambda exponent: 10.0**exponent)
# In units of what it shifts: of a standard deviation.
shifts = st.floats(-1_000.0, 1_000.0)
gap_shares = st.sampled_from([0.0, 0.02, 0.2, 0.6])


@dataclass(frozen=True)
class Line:
    """Least squares on one regressor."""

    beta: float
    alpha: float
    r_squared: float
    std_err: float
    p_value: float


def plain_line(x: FloatArray, y: FloatArray) -> Line:
    """Solve for intercept and slope about the means, which keeps the digits of shifted data."""
    design = np.column_stack((np.ones(len(x)), x - x.mean()))
    (level, beta), *_ = np.linalg.lstsq(design, y - y.mean(), rcond=None)
    residual = y - y.mean() - design @ np.array([level, beta])
    std_err = np.sqrt(residual @ residual / (len(y) - 2) / (design[:, 1] @ design[:, 1]))
    return Line(
        beta=beta,
        alpha=y.mean() + level - beta * x.mean(),
        r_squared=1.0 - residual @ residual / ((y - y.mean()) @ (y - y.mean())),
        std_err=std_err,
        p_value=2.0 * stats.t.sf(abs(beta / std_err), len(y) - 2),
    )


def plain_ridge(x: FloatArray, y: FloatArray) -> FloatArray:
    """Betas of the penalised problem written as one least-squares problem with a row more per regressor."""
    size = x.shape[1]
    design = np.vstack(((x - x.mean(axis=0)) / x.std(axis=0), np.eye(size)))
    weights, *_ = np.linalg.lstsq(design, np.concatenate((y - y.mean(), np.zeros(size))), rcond=None)
    return np.asarray(weights / x.std(axis=0))


def assert_line(table: OlsEstimates, symbol: int, expected: Line) -> None:
    """Coefficients to nine digits of their size and standard error, the rest to nine digits."""
    found = {name: float(getattr(table, name)[0, symbol]) for name in ("raw_beta", "alpha", "std_err", "p_value")}
    assert_allclose(found["raw_beta"], expected.beta, rtol=1e-9, atol=1e-9 * expected.std_err)
    assert_allclose(found["alpha"], expected.alpha, rtol=1e-8)
    assert_allclose(found["std_err"], expected.std_err, rtol=1e-9)
    assert_allclose(found["p_value"], expected.p_value, rtol=1e-6, atol=1e-12)
    assert_allclose(table.r_squared[0, symbol], expected.r_squared, rtol=1e-9, atol=1e-11)


def assert_equals_plain_least_squares(market: Market, row: int = LAST) -> SymbolExposures:
    """Compare every figure of the session, the missing ones included."""
    exposures = market.exposures([row])
    for factor, table in ols_tables(exposures).items():
        for symbol in range(market.returns.shape[1]):
            reason = reference_reason(market, (factor,), row=row, symbol=symbol)
            assert table.reason[0, symbol] == reason, (factor.name, symbol)
            x, y = aligned(market, (factor,), row=row, symbol=symbol)
            assert table.n_obs[0, symbol] == len(y)
            if reason == Reason.NONE:
                assert_line(table, symbol, plain_line(x[:, 0], y))
    for symbol in range(market.returns.shape[1]):
        reason = reference_reason(market, RIDGE_FACTORS, row=row, symbol=symbol)
        assert exposures.ridge.reason[0, symbol] == reason, symbol
        x, y = aligned(market, RIDGE_FACTORS, row=row, symbol=symbol)
        if reason == Reason.NONE:
            betas = plain_ridge(x, y)
            assert_allclose(exposures.ridge.raw_beta[0, symbol], betas, rtol=1e-8, atol=1e-9 * np.abs(betas).max())
    assert_published(exposures)
    return exposures


def assert_published(exposures: SymbolExposures) -> None:
    """What is published is the raw value within the cap."""
    for table in exposures.tables:
        assert_array_equal(table.beta, np.clip(table.raw_beta, -BETA_CAP, BETA_CAP))
        assert_array_equal(table.is_capped, np.abs(table.raw_beta) > BETA_CAP)


def assert_same(actual: SymbolExposures, expected: SymbolExposures) -> None:
    for found, wanted in zip(actual.tables, expected.tables, strict=True):
        assert_array_equal(found.reason, wanted.reason)
        assert_array_equal(found.quality, wanted.quality)
        assert_array_equal(found.n_obs, wanted.n_obs)
        assert_allclose(found.raw_beta, wanted.raw_beta, rtol=1e-11, atol=1e-12)
        assert_allclose(found.r_squared, wanted.r_squared, rtol=1e-11, atol=1e-13)


def of_symbols(market: Market, symbols: list[int]) -> Market:
    return Market(market.returns[:, symbols], market.factor_returns, market.priced[:, symbols], market.own[symbols])


def of_sessions(market: Market, order: FloatArray | list[int]) -> Market:
    """The same rows in another order; whether a symbol has a bar stays with the session."""
    rows = np.asarray(order, dtype=np.int64)
    return replace(market, returns=market.returns[rows], factor_returns=market.factor_returns[rows])


@given(seed=seeds, gaps=gap_shares, fund_gaps=st.sampled_from([0.0, 0.02, 0.1]), scale=scales, fund_scale=scales)
@properties
def test_random_gaps_and_scales(seed: int, gaps: float, fund_gaps: float, scale: float, fund_scale: float) -> None:
    market = random_market(seed=seed, sessions=SESSIONS, symbols=SYMBOLS, gaps=gaps)
    funds = market.factor_returns * fund_scale
    funds[np.random.default_rng(seed).random(funds.shape) < fund_gaps] = np.nan
    assert_equals_plain_least_squares(replace(market, returns=market.returns * scale, factor_returns=funds))


@given(seed=seeds, shift=shifts, fund_shift=shifts, scale=scales)
@properties
def test_random_shifts(seed: int, shift: float, fund_shift: float, scale: float) -> None:
    market = random_market(seed=seed, sessions=SESSIONS, symbols=SYMBOLS, gaps=0.02)
    returns = scale * (market.returns + 0.02 * shift)
    shifted = replace(market, returns=returns, factor_returns=market.factor_returns + 0.01 * fund_shift)
    exposures = assert_equals_plain_least_squares(shifted)
    for before, after in zip(market.exposures([LAST]).tables, exposures.tables, strict=True):
        assert_allclose(after.r_squared, before.r_squared, rtol=1e-8, atol=1e-9)


@given(seed=seeds, order=st.permutations(range(SYMBOLS)), gaps=gap_shares)
@properties
def test_permuted_symbols_have_permuted_figures(seed: int, order: list[int], gaps: float) -> None:
    market = random_market(seed=seed, sessions=SESSIONS, symbols=SYMBOLS, gaps=gaps)
    market.own[0] = 0
    everything = market.exposures([LAST])
    moved = of_symbols(market, order).exposures([LAST])
    for found, wanted in zip(moved.tables, everything.tables, strict=True):
        assert_allclose(found.raw_beta, wanted.raw_beta[:, order], rtol=1e-11, atol=1e-12)
        assert_allclose(found.r_squared, wanted.r_squared[:, order], rtol=1e-11, atol=1e-13)
        assert_array_equal(found.reason, wanted.reason[:, order])
        assert_array_equal(found.quality, wanted.quality[:, order])


@given(seed=seeds, added=st.integers(1, 40), gaps=gap_shares)
@properties
def test_added_symbols_change_nothing(seed: int, added: int, gaps: float) -> None:
    market = random_market(seed=seed, sessions=SESSIONS, symbols=SYMBOLS, gaps=gaps)
    others = random_market(seed=seed + 1, sessions=SESSIONS, symbols=added, gaps=0.3)
    # Numbers that would drown the others', were any sum shared between symbols.
    others.returns[:, 0] = 1e9
    together = Market(
        np.hstack((others.returns, market.returns)),
        market.factor_returns,
        np.hstack((others.priced, market.priced)),
        np.concatenate((others.own, market.own)),
    )
    exposures = together.exposures([LAST])
    for found, wanted in zip(exposures.tables, market.exposures([LAST]).tables, strict=True):
        assert_allclose(found.raw_beta[:, added:], wanted.raw_beta, rtol=1e-11, atol=1e-12)
        assert_array_equal(found.reason[:, added:], wanted.reason)


@given(seed=seeds, data=st.data(), gaps=gap_shares)
@properties
def test_the_order_of_the_rows_within_a_window_is_of_no_importance(seed: int, data: st.DataObject, gaps: float) -> None:
    market = random_market(seed=seed, sessions=SESSIONS, symbols=SYMBOLS, gaps=gaps)
    # The last 90 rows and the 90 before them are in both windows or in the long one alone.
    outside, long, short = np.split(np.arange(SESSIONS), [SESSIONS - 180, SESSIONS - 90])
    order = np.concatenate([outside, *(data.draw(st.permutations(part.tolist())) for part in (long, short))])
    assert_same(of_sessions(market, order).exposures([LAST]), market.exposures([LAST]))


@given(
    seed=seeds,
    rubbish=st.sampled_from([0.0, 1e9, -1e9, np.nan, np.inf]),
    fund_rubbish=st.sampled_from([0.0, 1e9, -1e9, np.nan]),
    row=st.integers(181, LAST - 1),
)
@properties
def test_rows_outside_the_window_are_of_no_importance(seed: int, rubbish: float, fund_rubbish: float, row: int) -> None:
    market = random_market(seed=seed, sessions=SESSIONS, symbols=SYMBOLS, gaps=0.02)
    spoilt = replace(market, returns=market.returns.copy(), factor_returns=market.factor_returns.copy())
    for outside in (slice(None, row - 179), slice(row + 1, None)):
        spoilt.returns[outside] = rubbish
        spoilt.factor_returns[outside] = fund_rubbish
    expected = market.exposures([row])
    assert_same(spoilt.exposures([row]), expected)
    # Next to another session, whose windows do hold the rubbish.
    for together, alone in zip(spoilt.exposures([row, LAST]).tables, expected.tables, strict=True):
        assert_allclose(together.raw_beta[:1], alone.raw_beta, rtol=1e-11, atol=1e-12)


def with_exactly(market: Market, factor: FactorDefinition, count: int, *, seed: int) -> Market:
    """The market whose first symbol has ``count`` returns in the factor's window, at random places, none before."""
    returns = market.returns.copy()
    window = np.arange(SESSIONS - factor.window, SESSIONS)
    kept = np.random.default_rng(seed).choice(window, size=min(count, factor.window), replace=False)
    dropped = np.setdiff1d(np.arange(SESSIONS), kept)
    returns[dropped, 0] = np.nan
    return replace(market, returns=returns)


@pytest.mark.parametrize("factor", FACTORS, ids=lambda factor: factor.name)
@given(seed=seeds, gaps=st.sampled_from([0.0, 0.1]))
@settings(properties, max_examples=2)
def test_boundaries_of_quality(factor: FactorDefinition, seed: int, gaps: float) -> None:
    full, fewest = factor.full_observations, factor.min_observations
    expected = {
        fewest - 1: (Quality.NONE, Reason.SHORT_HISTORY),
        fewest: (Quality.LIMITED, Reason.NONE),
        full - 1: (Quality.LIMITED, Reason.NONE),
        full: (Quality.FULL, Reason.NONE),
        factor.window: (Quality.FULL, Reason.NONE),
    }
    whole = random_market(seed=seed, sessions=SESSIONS, symbols=2, gaps=0.0)
    whole.returns[:, 0] = np.random.default_rng(seed).normal(0.0, 0.01, SESSIONS)
    whole.returns[np.random.default_rng(seed + 1).random(SESSIONS) < gaps, 1] = np.nan
    for count, (quality, reason) in expected.items():
        market = with_exactly(whole, factor, count, seed=seed)
        exposures = assert_equals_plain_least_squares(market)
        table = exposures.ridge if factor in RIDGE_FACTORS else ols_tables(exposures)[factor]
        assert (table.n_obs[0, 0], table.quality[0, 0], table.reason[0, 0]) == (count, quality, reason)


@given(
    seed=seeds,
    fund=st.sampled_from(range(len(FACTOR_ETFS))),
    value=st.sampled_from([0.0, 0.1, -1.0 / 3.0, 1e6, 1e-12]),
    gaps=gap_shares,
)
@properties
def test_constant_columns_take_their_own_regressions_only(seed: int, fund: int, value: float, gaps: float) -> None:
    market = random_market(seed=seed, sessions=SESSIONS, symbols=SYMBOLS, gaps=gaps)
    market.returns[:, 1] = np.where(np.isfinite(market.returns[:, 1]), value, np.nan)
    market.factor_returns[SESSIONS - 180 :, fund] = value
    exposures = assert_equals_plain_least_squares(market)
    for factor, table in ols_tables(exposures).items():
        is_own = factor.proxies == (FACTOR_ETFS[fund],)
        assert set(table.reason[0, 2:].tolist()) <= {Reason.CONSTANT if is_own else Reason.NONE, Reason.SHORT_HISTORY}
    assert all(table.reason[0, 1] in {Reason.CONSTANT, Reason.SHORT_HISTORY} for table in exposures.tables)
