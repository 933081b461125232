import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sigmasight_assets.quant.arrays import BoolArray, FloatArray
from sigmasight_assets.quant.gram import (
    GATHERED,
    Regression,
    centred_moments,
    is_constant,
    selected_pairs,
    symbol_block,
)

WINDOW = 50
LAST = 79


def two_regressors(values: FloatArray) -> Regression:
    """One group of two regressors from (sessions, 2)."""
    present: BoolArray = np.all(np.isfinite(values.T), axis=0, keepdims=True)
    series = np.where(present, values.T, 0.0)[:, None]
    return Regression(series, present, window=WINDOW, min_observations=10, full_observations=20)


def assert_moments_of_rows(x: FloatArray, y: FloatArray) -> None:
    """The moments at the last session equal those of the complete rows, computed from these alone."""
    symbols = symbol_block(y[:, None], start=0, end=LAST + 1)
    moments = centred_moments(two_regressors(x), symbols, rows=np.array([LAST]))
    rows = np.column_stack([x, y])[LAST + 1 - WINDOW : LAST + 1]
    rows = rows[np.isfinite(rows).all(axis=1)]
    products = np.cov(rows, rowvar=False) * (len(rows) - 1)
    assert moments.n[0, 0, 0] == len(rows)
    assert_allclose(moments.mean_x[:, 0, 0, 0], rows[:, :2].mean(axis=0), rtol=1e-12, atol=1e-17)
    assert_allclose(moments.mean_y[0, 0, 0], rows[:, 2].mean(), rtol=1e-12, atol=1e-17)
    assert_allclose(moments.sxx[:, 0, 0, 0], products[[0, 0, 1], [0, 1, 1]], rtol=1e-12, atol=1e-18)
    assert_allclose(moments.sxy[:, 0, 0, 0], products[2, :2], rtol=1e-12, atol=1e-18)
    assert_allclose(moments.syy[0, 0, 0], products[2, 2], rtol=1e-12)


def random_rows() -> tuple[FloatArray, FloatArray]:
    random = np.random.default_rng(1)
    return random.normal(0.0, 0.01, (LAST + 1, 2)), random.normal(0.0, 0.02, LAST + 1)


def test_moments_are_those_of_the_complete_rows() -> None:
    x, y = random_rows()
    x[60, 0] = x[71, 1] = y[65] = y[30] = np.nan
    assert_moments_of_rows(x, y)


@pytest.mark.parametrize("regressor", [0, 1, slice(0, 2)])
@pytest.mark.parametrize("size", [1e3, 1e6, 1e12])
def test_an_outlier_that_the_pair_does_not_use_costs_no_digits(size: float, regressor: int | slice) -> None:
    x, y = random_rows()
    x[60, regressor] = size
    y[60] = np.nan
    y[70] = -size
    x[70, 1] = np.nan
    # Before the window, but within the span of the block.
    y[10] = size
    assert_moments_of_rows(x, y)


@pytest.mark.parametrize(("shift", "min_observations"), [(0.0, 1_000), (0.0, 1), (1e3, 1)])
def test_moments_are_those_of_the_rows_of_every_pair(shift: float, min_observations: int) -> None:
    """By the products alone, too, where no digits cancel: below the least observations nothing is summed again."""
    random = np.random.default_rng(3)
    x, y = random.normal(1.0, 1.0, (2, 3, LAST + 1)), random.normal(1.0, 1.0, (LAST + 1, 4)) + shift
    present: BoolArray = random.random((3, LAST + 1)) < 0.9
    y[random.random(y.shape) < 0.1] = np.nan
    present[:, 0], y[0] = True, 0.5
    regression = Regression(np.where(present, x, 0.0), present, WINDOW, min_observations, 1_000)
    ends = np.array([0, 1, 30, 49, 50, LAST])
    moments = centred_moments(regression, symbol_block(y, start=0, end=LAST + 1), rows=ends)
    for place in np.ndindex(3, len(ends), 4):
        group, row, symbol = place
        rows = np.vstack([x[:, group], y[:, symbol]])[:, max(0, ends[row] + 1 - WINDOW) : ends[row] + 1]
        used = present[group, max(0, ends[row] + 1 - WINDOW) : ends[row] + 1] & np.isfinite(rows[2])
        means = rows[:, used].mean(axis=1)
        centred = rows[:, used] - means[:, None]
        products = centred @ centred.T
        assert moments.n[place] == used.sum()
        assert_allclose([*moments.mean_x[:, *place], moments.mean_y[place]], means, rtol=1e-12)
        expected = products[[0, 0, 1, 0, 1, 2], [0, 1, 1, 2, 2, 2]]
        found = [*moments.sxx[:, *place], *moments.sxy[:, *place], moments.syy[place]]
        assert_allclose(found, expected, rtol=1e-11, atol=1e-12)


def test_infinite_values_count_as_missing() -> None:
    x, y = random_rows()
    y[60] = np.inf
    symbols = symbol_block(y[:, None], start=0, end=LAST + 1)
    assert_array_equal(symbols.present[60], [0.0])
    assert np.isfinite(symbols.values).all()
    y[60] = np.nan
    assert_moments_of_rows(x, y)


def test_a_window_is_cut_at_the_first_session() -> None:
    x, y = random_rows()
    symbols = symbol_block(y[:, None], start=0, end=15)
    moments = centred_moments(two_regressors(x), symbols, rows=np.array([11, 14]))
    assert_array_equal(moments.n[0, :, 0], [12, 15])
    assert_allclose(moments.syy[0, :, 0], [12 * y[:12].var(), 15 * y[:15].var()], rtol=1e-12)


def test_every_selected_pair_comes_once_in_bounded_portions() -> None:
    chosen = np.random.default_rng(2).random((2, 50, 120)) < 0.5
    portions = list(selected_pairs(chosen))
    assert len(portions) == -(-int(chosen.sum()) // GATHERED)
    assert max(len(portion[0]) for portion in portions) <= GATHERED
    found = np.zeros(chosen.shape, dtype=np.int64)
    for portion in portions:
        found[portion] += 1
    assert_array_equal(found, chosen)


@pytest.mark.parametrize(("spread", "constant"), [(0.0, True), (1e-16, True), (1e-12, True), (1e-8, False)])
def test_constancy_is_judged_against_the_size_of_the_values(spread: float, *, constant: bool) -> None:
    for size in (1e-6, 0.1, 1e6):
        values = size * (1.0 + spread * np.resize([1.0, -1.0], 40))
        centred = values - values.mean()
        found = is_constant(np.array((centred**2).sum()), np.array(values.mean()), np.array(40.0))
        assert bool(found) is constant


def test_zeros_are_constant() -> None:
    assert is_constant(np.array(0.0), np.array(0.0), np.array(40.0))
