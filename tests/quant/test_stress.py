import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.quant.covariance import factor_covariances
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.quant.stress import (
    MARKET,
    RATES,
    SHOCK_FACTORS,
    RateModel,
    StressTable,
    book_stress,
    market_betas,
    sensitivities,
    shocks,
    style_covariance,
)
from tests.quant.reference import random_market

NAN = np.nan
SIZE = len(FACTOR_ETFS)


def covariance(seed: int = 1) -> FloatArray:
    funds = random_market(seed=seed, sessions=300).factor_returns
    matrices, _ = factor_covariances(funds, rows=np.array([299]))
    matrix: FloatArray = matrices[0]
    return matrix


def given(**shocked: float) -> FloatArray:
    """One scenario (1, 8) of shocks by the fund of the factor."""
    row = np.full((1, SIZE), NAN)
    for fund, shock in shocked.items():
        row[0, FACTOR_ETFS.index(fund)] = shock
    return row


def betas(symbols: int, seed: int = 2) -> FloatArray:
    """Betas (S, 12) of symbols, the first of them SPY."""
    found = np.random.default_rng(seed).normal(0.3, 0.8, (symbols, 12))
    found[0, MARKET] = 1.0
    return found


def table(moves: FloatArray, symbols: int = 40) -> StressTable:
    return StressTable.of(sensitivities(betas(symbols), 0), shocks(moves, covariance()))


def test_one_fund_stands_for_each_shocked_factor() -> None:
    assert [factor.proxies for factor in SHOCK_FACTORS] == [(fund,) for fund in FACTOR_ETFS]
    assert (FACTOR_ETFS[MARKET], FACTOR_ETFS[RATES]) == ("SPY", "TLT")


@pytest.mark.parametrize(
    ("basis_points", "expected"), [(100, -0.1465), (-100, 0.1835), (25, -0.04009375), (300, -0.3285), (0, 0.0)]
)
def test_yields_move_the_fund_by_duration_and_convexity(basis_points: int, expected: float) -> None:
    assert RateModel().fund_return(basis_points / 10_000) == pytest.approx(expected, rel=1e-12)


def test_duration_and_convexity_can_be_chosen() -> None:
    assert RateModel(duration=10.0, convexity=200.0).fund_return(0.02) == pytest.approx(-0.16)


def test_shocks_of_the_market_and_of_rates_move_nothing_else() -> None:
    found = shocks(np.concatenate([given(SPY=-0.35), given(TLT=-0.15)]), covariance())
    assert_array_equal(found.correlated, found.direct)
    assert_array_equal(found.direct, [[-0.35, *[0.0] * 7], [0.0, -0.15, *[0.0] * 6]])


def test_with_the_market_rates_lose_what_it_brings_them() -> None:
    matrix = covariance()
    found = shocks(given(SPY=-0.2, TLT=0.1), matrix)
    assert found.direct[0, RATES] == pytest.approx(0.1 + 0.2 * matrix[0, 1] / matrix[0, 0], rel=1e-14)
    assert_array_equal(found.correlated, found.direct)


def test_the_market_betas_are_those_of_weighted_least_squares() -> None:
    funds = random_market(seed=3, sessions=300).factor_returns
    matrix = factor_covariances(funds, rows=np.array([299]))[0][0]
    root = np.sqrt(0.97 ** np.arange(252)[::-1])[:, np.newaxis]
    design = np.column_stack([np.ones(252), funds[-252:, 0]]) * root
    expected = np.linalg.lstsq(design, funds[-252:] * root, rcond=None)[0][1]
    assert_allclose(market_betas(matrix), expected, rtol=1e-9)


def test_other_styles_move_by_their_regression_on_the_shocked_ones() -> None:
    matrix = covariance()
    own = style_covariance(matrix)
    found = shocks(given(VTV=0.2, IWM=-0.1), matrix)
    fixed, free = [0, 4], [1, 2, 3, 5]
    slopes = np.linalg.lstsq(own[np.ix_(fixed, fixed)], own[np.ix_(fixed, free)], rcond=None)[0]
    assert_allclose(found.correlated[0, 2:][free], np.array([0.2, -0.1]) @ slopes, rtol=1e-10)
    assert_array_equal(found.correlated[0, 2:][fixed], [0.2, -0.1])
    assert_array_equal(found.correlated[0, :2], [0.0, 0.0])


def test_a_style_given_with_zero_is_held_there() -> None:
    matrix = covariance()
    free, held = shocks(given(VTV=0.2), matrix), shocks(given(VTV=0.2, VUG=0.0), matrix)
    assert free.correlated[0, 3] != 0.0
    assert held.correlated[0, 3] == 0.0
    assert held.correlated[0, 4] != free.correlated[0, 4]


def test_with_all_styles_given_nothing_is_left_to_expect() -> None:
    styles = dict.fromkeys(FACTOR_ETFS[2:], 0.1)
    found = shocks(given(**styles), None)
    assert_array_equal(found.correlated, [[0.0, 0.0, *[0.1] * 6]])


def test_own_covariances_are_damped_between_styles_only() -> None:
    matrix = covariance()
    slopes = matrix[0] / matrix[0, 0]
    own = (matrix - matrix[0, 0] * np.outer(slopes, slopes))[2:, 2:]
    expected = own * np.where(np.eye(6) > 0, 1.0, 0.7)
    assert_allclose(style_covariance(matrix), expected, rtol=1e-9)


def follower() -> FloatArray:
    """A covariance in which the fund of value is the market."""
    mixing = np.eye(SIZE)
    mixing[2] = 1.3 * mixing[0]
    return mixing @ covariance() @ mixing.T


@pytest.mark.parametrize("matrix", [None, np.zeros((SIZE, SIZE)), follower()], ids=["none", "zero", "follower"])
def test_without_a_usable_covariance_only_moves_that_need_none_are_known(matrix: FloatArray | None) -> None:
    found = shocks(np.concatenate([given(SPY=0.1), given(TLT=0.1), given(VTV=0.1, SPY=0.2)]), matrix)
    assert np.isfinite(found.direct).all()
    assert np.isfinite(found.correlated[:2]).all()
    assert_array_equal(np.isnan(found.correlated[2]), [False] * 3 + [True] * 5)


@pytest.mark.parametrize("matrix", [None, np.zeros((SIZE, SIZE))], ids=["none", "zero"])
def test_without_a_covariance_rates_beside_the_market_are_not_known(matrix: FloatArray | None) -> None:
    found = shocks(given(SPY=0.1, TLT=0.1), matrix)
    assert_array_equal(np.isnan(found.direct[0]), [False, True, *[False] * 6])


def test_spy_has_no_style() -> None:
    found = sensitivities(betas(30), 0)
    assert_array_equal(found[0, 2:], np.zeros(6))
    assert_array_equal(found[:, :2], betas(30)[:, :2])


def test_a_symbol_without_one_of_the_eight_betas_has_no_sensitivity() -> None:
    some = betas(12)
    for place in range(SIZE):
        some[place + 1, place] = NAN
    some[10, 8:] = NAN
    found = sensitivities(some, 0)
    assert_array_equal(np.isnan(found).any(axis=1), [False] + [True] * SIZE + [False] * 3)
    assert np.isnan(found[1 : SIZE + 1]).all()


def test_without_the_betas_of_spy_no_symbol_has_sensitivities() -> None:
    some = betas(3)
    assert np.isnan(sensitivities(some, None)).all()
    some[0, 5] = NAN
    assert np.isnan(sensitivities(some, 0)).all()


def test_the_impact_on_spy_is_the_market_shock_exactly() -> None:
    moves = np.concatenate(
        [given(SPY=-0.35), given(SPY=0.05, VTV=0.3, USMV=-0.4), given(VUG=-0.6), given(SPY=-0.45, QUAL=0.2, IWM=0.1)]
    )
    for found in (table(moves).direct[0], table(moves).correlated[0]):
        assert_array_equal(found, [-0.35, 0.05, 0.0, -0.45])


def test_no_symbol_loses_more_than_everything() -> None:
    steep = np.zeros((4, 12))
    steep[:, MARKET] = [1.0, 2.5, 4.0, -5.0]
    found = StressTable.of(sensitivities(steep, 0), shocks(given(SPY=-0.4), None))
    assert_array_equal(found.correlated[:, 0], [-0.4, -1.0, -1.0, 2.0])
    assert_array_equal(found.is_floored[:, 0], [False, False, True, False])
    assert_array_equal(found.direct, found.correlated)


def test_the_effects_and_the_floor_sum_to_the_whole() -> None:
    found = table(np.concatenate([given(SPY=-0.9, VTV=0.5, QUAL=-0.5), given(SPY=-0.01)]))
    values = np.random.default_rng(5).normal(0.0, 1e5, 40)
    result = book_stress(found, np.arange(40), values)
    assert result.is_floored[:, 0].any()
    assert not result.is_floored[:, 1].any()
    assert result.floored[0] != 0.0
    assert result.floored[1] == 0.0
    assert_allclose(result.effects.sum(axis=1) + result.floored, result.correlated, rtol=1e-12)


def test_impacts_add_up_over_positions_and_mirrors_cancel() -> None:
    found = table(np.concatenate([given(SPY=-0.9, VTV=0.5), given(TLT=-0.2), given(IWM=-0.3, MTUM=0.1)]))
    rows, values = np.array([3, 7, 31]), np.array([1000.0, -2500.5, 40.25])
    whole = book_stress(found, rows, values)
    for name in ("direct", "correlated", "effects", "floored"):
        parts = [getattr(book_stress(found, rows[[at]], values[[at]]), name) for at in range(3)]
        assert_allclose(sum(parts), getattr(whole, name), rtol=1e-10, atol=1e-9)
        assert_array_equal(getattr(book_stress(found, rows, -values), name), -getattr(whole, name))


def test_a_zero_shock_has_no_impact() -> None:
    moves = np.concatenate([given(SPY=0.0), given(TLT=0.0), given(VTV=0.0), given(SPY=0.0, TLT=0.0, IWM=0.0)])
    found = table(moves)
    assert not found.correlated.any()
    assert not found.direct.any()


def test_an_empty_book_loses_nothing() -> None:
    result = book_stress(table(given(SPY=-0.1)), np.array([], dtype=np.int64), np.array([]))
    assert_array_equal(result.correlated, [0.0])
    assert_array_equal(result.effects, np.zeros((1, SIZE)))


def test_a_table_tells_whom_it_knows_and_cannot_be_written() -> None:
    some = betas(5)
    some[2, 4] = NAN
    found = StressTable.of(sensitivities(some, 0), shocks(given(SPY=-0.1), None))
    assert_array_equal(found.knows(np.array([4, 2, 0])), [True, False, True])
    for array in (found.correlated, found.direct, found.is_floored, found.sensitivities, found.shocks.correlated):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_the_shocked_factors_are_those_of_the_funds() -> None:
    assert [factor.proxies for factor in SHOCK_FACTORS] == [(fund,) for fund in FACTOR_ETFS]


def test_an_unknown_covariance_of_the_styles_has_their_number() -> None:
    for unknown in (None, np.full((8, 8), np.nan)):
        assert np.isnan(style_covariance(unknown)).tolist() == [[True] * 6] * 6


def test_the_unit_of_the_covariance_does_not_matter() -> None:
    matrix = covariance()
    assert_allclose(style_covariance(matrix * 1e-6), style_covariance(matrix) * 1e-6, rtol=1e-9)


def test_without_a_covariance_the_styles_that_are_not_given_are_unknown() -> None:
    moves = shocks(given(VTV=0.2, VUG=-0.1), None)
    assert np.isnan(moves.correlated[0]).tolist() == [fund in FACTOR_ETFS[4:] for fund in FACTOR_ETFS]
    assert moves.direct[0].tolist() == [0.0, 0.0, 0.2, -0.1, 0.0, 0.0, 0.0, 0.0]
