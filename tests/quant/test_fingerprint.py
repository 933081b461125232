import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sigmasight_assets.quant.fingerprint import MODULUS, POLYNOMIAL_BASE, STEPS_PER_UNIT, combine, window_fingerprints
from sigmasight_assets.quant.returns import simple_returns
from tests.quant.reference import random_market, real_prices

LAST = 219
WINDOW = 90
ROWS = np.array([LAST])
properties = settings(deadline=None, max_examples=40, derandomize=True)


def test_known_values() -> None:
    """Stored fingerprints must mean the same on every platform and in every later version."""
    returns = np.array([[0.01, np.nan], [-0.02, 0.0], [0.5, 1e9]])
    fingerprints = window_fingerprints(returns, rows=np.array([1, 2]), window=2)
    assert fingerprints.tolist() == [
        [-9153524881822520731, 7965370613955747368],
        [8082869069376721098, -7244348998168790464],
    ]
    assert combine(1, 2, -3).item() == 1281610631932612869


def scrambled(value: int) -> int:
    """splitmix64 in unbounded integers."""
    value = (value + 0x9E3779B97F4A7C15) % MODULUS
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 % MODULUS
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB % MODULUS
    return value ^ (value >> 31)


def test_equal_to_the_polynomial_in_unbounded_integers() -> None:
    # The first two outputs of the published generator from seed 0.
    assert [scrambled(0), scrambled(0x9E3779B97F4A7C15)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]
    returns = np.random.default_rng(5).normal(0.0, 0.02, 120)
    polynomial = 0
    for value in returns[-WINDOW:]:
        polynomial = (polynomial * POLYNOMIAL_BASE + scrambled(round(value * 2**37) % MODULUS)) % MODULUS
    fingerprint = window_fingerprints(returns[:, None], rows=np.array([119]), window=WINDOW).item()
    assert fingerprint % MODULUS == polynomial


def test_another_process_finds_the_same() -> None:
    program = (
        "import numpy as np; from sigmasight_assets.quant.fingerprint import window_fingerprints;"
        "values = np.arange(40.0).reshape(20, 2) / 97;"
        "print(window_fingerprints(values, rows=np.array([12, 19]), window=9).tolist())"
    )
    completed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    values = np.arange(40.0).reshape(20, 2) / 97
    assert completed.stdout.strip() == str(window_fingerprints(values, rows=np.array([12, 19]), window=9).tolist())


@given(row=st.integers(0, LAST), symbol=st.integers(0, 39), change=st.sampled_from([1e-11, -1e-11, 1e-6, np.nan]))
@properties
def test_one_changed_return_changes_exactly_the_windows_that_hold_it(row: int, symbol: int, change: float) -> None:
    returns = random_market(seed=1, gaps=0.0).returns
    assume(np.isfinite(returns[row, symbol]))
    rows = np.arange(LAST + 1)
    before = window_fingerprints(returns, rows=rows, window=WINDOW)
    returns[row, symbol] += change
    changed = window_fingerprints(returns, rows=rows, window=WINDOW) != before
    expected = np.zeros(changed.shape, dtype=np.bool_)
    expected[row : row + WINDOW, symbol] = True
    assert_array_equal(changed, expected)


def test_swapped_returns_and_shifted_windows_differ() -> None:
    returns = random_market(seed=2, gaps=0.0, symbols=1).returns
    returns[:] = np.random.default_rng(3).normal(0.0, 0.01, returns.shape)
    swapped = returns.copy()
    swapped[[200, 201]] = returns[[201, 200]]
    every = window_fingerprints(returns, rows=np.arange(LAST + 1), window=WINDOW)
    assert window_fingerprints(swapped, rows=ROWS, window=WINDOW) != every[LAST]
    assert len(np.unique(every)) == LAST + 1


@given(seed=st.integers(0, 1000), start=st.integers(0, LAST + 1 - WINDOW), data=st.data())
@properties
def test_a_fingerprint_depends_on_its_window_only(seed: int, start: int, data: st.DataObject) -> None:
    returns = random_market(seed=seed, symbols=6).returns
    everything = window_fingerprints(returns, rows=np.array([100, LAST]), window=WINDOW)
    symbols = data.draw(st.permutations(range(6)).flatmap(lambda order: st.integers(1, 6).map(lambda n: order[:n])))
    part = window_fingerprints(returns[start:, symbols], rows=np.array([LAST - start]), window=WINDOW)
    assert_array_equal(part[0], everything[1, symbols])


def test_sessions_before_the_first_count_as_missing() -> None:
    returns = random_market(seed=4, symbols=3).returns[:40]
    padded = np.vstack([np.full((60, 3), np.nan), returns])
    assert_array_equal(
        window_fingerprints(returns, rows=np.array([5, 39]), window=WINDOW),
        window_fingerprints(padded, rows=np.array([65, 99]), window=WINDOW),
    )


def test_a_missing_return_is_not_a_return_of_zero() -> None:
    zero, missing, infinite = np.zeros((5, 1)), np.full((5, 1), np.nan), np.full((5, 1), np.inf)
    fingerprints = [window_fingerprints(values, rows=np.array([4]), window=5).item() for values in (zero, missing)]
    assert fingerprints[0] != fingerprints[1]
    assert window_fingerprints(-zero, rows=np.array([4]), window=5).item() == fingerprints[0]
    assert window_fingerprints(infinite, rows=np.array([4]), window=5).item() == fingerprints[1]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_returns_beyond_every_real_one_count_as_the_largest(sign: float) -> None:
    found = [window_fingerprints(np.array([[sign * size]]), rows=np.array([0]), window=1) for size in (1e9, 1e300, 1.0)]
    assert found[0] == found[1] != found[2]


def test_small_integers_are_combined_like_large_ones() -> None:
    assert combine(np.array([7], dtype=np.int8), np.array([True])) == combine(7, 1)


@pytest.mark.parametrize("factor", [0.5, 3.0, 0.98765])
def test_prices_rescaled_by_a_constant_keep_nearly_every_fingerprint(factor: float) -> None:
    prices = real_prices().pivot_table(index="price_date", columns="symbol", values="adj_close").to_numpy()
    rows = np.arange(200, len(prices))
    before = window_fingerprints(simple_returns(prices), rows=rows, window=WINDOW)
    after = window_fingerprints(simple_returns(prices * factor), rows=rows, window=WINDOW)
    share = (before != after).mean()
    # Powers of two are exact; otherwise rounding moves about one return in 40,000 to the next cell of the grid.
    assert share <= (0.0 if factor == 0.5 else 0.01)


def test_a_change_below_the_grid_is_not_seen_and_one_above_is() -> None:
    step = 1.0 / STEPS_PER_UNIT
    assert step < 1e-9 * 0.01
    values = np.full((5, 1), 1000 * step)
    before = window_fingerprints(values, rows=np.array([4]), window=5)
    values[2] = 1000.4 * step
    assert window_fingerprints(values, rows=np.array([4]), window=5) == before
    values[2] = 1000.6 * step
    assert window_fingerprints(values, rows=np.array([4]), window=5) != before


def test_combined_fingerprints_depend_on_every_part_and_their_order() -> None:
    rows, columns = np.array([[0], [1]]), np.array([7, 8, 9])
    combined = combine(rows, columns, 1)
    assert combined.shape == (2, 3)
    assert combined.dtype == np.int64
    assert combined[1, 2] == combine(1, 9, 1)
    others = [
        combine(rows, columns, 2),
        combine(rows, columns),
        combine(columns, rows, 1),
        combine(rows + 5, columns, 1),
    ]
    assert len(np.unique(np.stack([combined, *others]))) == 5 * combined.size
