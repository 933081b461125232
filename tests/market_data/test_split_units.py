"""History around splits: as it should be, not restated, restated twice, and too unclear to say."""

from datetime import date, timedelta
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmasight_assets.market_data.split_units import UnitError, find_unit_errors, unit_factors

START = date(2024, 1, 1)
DAYS = np.arange(np.datetime64(START), np.datetime64(START) + 20)
EX_DATE = START + timedelta(days=10)


def closes(before: float, after: float) -> np.ndarray:
    return np.where(np.datetime64(EX_DATE) > DAYS, before, after).astype(np.float64)


def find(prices: np.ndarray, ratio: Fraction, ex_date: date = EX_DATE) -> tuple[UnitError, ...]:
    return find_unit_errors(DAYS, prices, [(ex_date, ratio)])


@pytest.mark.parametrize("ratio", [Fraction(4), Fraction(2), Fraction(3, 2), Fraction(1, 10), Fraction(2, 3)])
def test_history_in_wrong_units_is_told_by_its_leap(ratio: Fraction) -> None:
    size = float(ratio)
    assert find(closes(100, 100), ratio) == ()
    assert find(closes(100 * size, 100), ratio) == (UnitError(EX_DATE, ratio, is_twice=False),)
    assert find(closes(100 / size, 100), ratio) == (UnitError(EX_DATE, ratio, is_twice=True),)


@given(
    ratio=st.sampled_from([Fraction(4), Fraction(2), Fraction(1, 8), Fraction(7), Fraction(20)]),
    move=st.floats(-0.15, 0.15),
    sent=st.sampled_from([0, 1, -1]),
)
def test_the_days_own_move_hides_nothing(ratio: Fraction, move: float, sent: int) -> None:
    prices = closes(100.0, 100.0 * (1 + move)) * closes(float(ratio) ** sent, 1.0)
    errors = find(prices, ratio)
    put_right = prices * unit_factors(DAYS, errors)
    np.testing.assert_allclose(put_right, closes(100.0, 100.0 * (1 + move)), rtol=1e-12)


def test_bounds_of_a_four_for_one_split() -> None:
    ratio = Fraction(4)
    found = [bool(find(closes(100, 100 * leap), ratio)) for leap in (0.17, 0.18, 0.35, 0.36, 2.8, 2.9, 5.6, 5.7)]
    assert found == [False, True, True, False, False, True, True, False]


def test_small_splits_are_left_alone() -> None:
    """A fall of a fifth may be the market's."""
    for ratio in (Fraction(5, 4), Fraction(21, 20), Fraction(4, 5)):
        assert find(closes(100 * float(ratio), 100), ratio) == ()


def test_prices_are_needed_on_both_sides() -> None:
    prices = closes(400, 100)
    for ex_date in (START - timedelta(days=1), START, START + timedelta(days=20)):
        assert find(prices, Fraction(4), ex_date) == ()
    assert find(closes(np.nan, 100), Fraction(4)) == ()
    assert find_unit_errors(DAYS[:0], np.empty(0), [(EX_DATE, Fraction(4))]) == ()


def test_prices_that_are_none_are_skipped() -> None:
    prices = closes(400, 100)
    prices[9:12] = [np.nan, 0.0, -1.0]
    prices[12] = np.inf
    assert find(prices, Fraction(4)) == (UnitError(EX_DATE, Fraction(4), is_twice=False),)


def test_order_does_not_count() -> None:
    shuffled = np.random.default_rng(1).permutation(len(DAYS))
    errors = find_unit_errors(DAYS[shuffled], closes(400, 100)[shuffled], [(EX_DATE, Fraction(4))])
    assert errors == (UnitError(EX_DATE, Fraction(4), is_twice=False),)


def test_each_split_has_its_own_verdict() -> None:
    early = START + timedelta(days=5)
    prices = np.where(np.datetime64(early) > DAYS, 25.0, closes(200.0, 100.0))
    splits = [(EX_DATE, Fraction(2)), (early, Fraction(8))]
    errors = find_unit_errors(DAYS, prices, splits)
    assert errors == (UnitError(EX_DATE, Fraction(2), is_twice=False), UnitError(early, Fraction(8), is_twice=True))
    np.testing.assert_allclose(prices * unit_factors(DAYS, errors), 100.0, rtol=1e-12)


def test_errors_read_as_sentences() -> None:
    assert str(UnitError(EX_DATE, Fraction(3, 2), is_twice=False)) == (
        "prices before the split 3:2 of 2024-01-11 came not restated"
    )
    assert str(UnitError(EX_DATE, Fraction(1, 10), is_twice=True)).endswith("1:10 of 2024-01-11 came restated twice")
