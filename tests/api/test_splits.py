"""Tests of share units: the factor of any date, compared with the products of the splits after it."""

import math
from datetime import date, timedelta
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmasight_api.splits import ShareUnits
from sigmasight_assets.quant.splits import Splits
from tests.api.handmade import split_units

DAYS = st.dates(date(1960, 1, 1), date(2040, 12, 31))
SPLITS = st.lists(
    st.tuples(st.integers(0, 3), DAYS, st.integers(1, 12), st.integers(1, 12)),
    max_size=8,
    unique_by=lambda split: split[:2],
)


def factor(units: ShareUnits, row: int, day: date | str) -> tuple[int, int]:
    numerators, denominators = units.factors(np.array([row]), np.array([day], dtype="datetime64[D]"))
    return int(numerators[0]), int(denominators[0])


def test_three_for_two_counts_from_the_day_before_its_ex_date_back() -> None:
    units = split_units((1, "2025-07-10", 3, 2))
    assert factor(units, 1, "2025-07-09") == (3, 2)
    assert factor(units, 1, "2025-07-10") == (1, 1)
    assert factor(units, 0, "2025-07-09") == factor(units, 2, "2025-07-09") == (1, 1)


def test_later_splits_multiply_and_are_reduced() -> None:
    units = split_units((0, "2025-07-10", 4, 1), (0, "2025-03-03", 3, 2), (0, "2030-01-01", 1, 10))
    assert factor(units, 0, "2025-01-01") == (3, 5)
    assert factor(units, 0, "2025-03-03") == (2, 5)
    assert factor(units, 0, "2025-07-10") == (1, 10)


@given(SPLITS, st.lists(st.tuples(st.integers(0, 3), DAYS), max_size=8))
def test_each_factor_is_the_product_of_the_later_splits(
    splits: list[tuple[int, date, int, int]], asked: list[tuple[int, date]]
) -> None:
    units = split_units(*((row, str(day), new, old) for row, day, new, old in splits))
    for row, day in [*asked, *((row, day + timedelta(step)) for row, day, _, _ in splits for step in (-1, 0))]:
        later = (Fraction(new, old) for owner, ex_date, new, old in splits if owner == row and ex_date > day)
        expected = math.prod(later, start=Fraction(1))
        assert factor(units, row, day) == (expected.numerator, expected.denominator)


def test_no_lots_have_no_factors() -> None:
    numerators, denominators = split_units().factors(np.zeros(0, dtype=np.int64), np.zeros(0, dtype="datetime64[D]"))
    assert (numerators.size, denominators.size) == (0, 0)


def test_a_factor_that_does_not_fit_is_an_error() -> None:
    days = np.array(["2025-01-02", "2025-01-03"], dtype="datetime64[D]")
    with pytest.raises(OverflowError):
        ShareUnits.after(Splits(np.zeros(2, dtype=np.int64), days, np.full(2, 10**12), np.ones(2, dtype=np.int64)))
