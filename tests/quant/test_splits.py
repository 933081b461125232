import math
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmasight_assets.quant.arrays import DateArray
from sigmasight_assets.quant.money import LARGEST_UNITS, AmountOverflowError
from sigmasight_assets.quant.splits import Splits, split_factors

MONDAY = date(2024, 3, 4)


def _dates(*offsets: int | None) -> DateArray:
    days = [None if offset is None else MONDAY + timedelta(days=offset) for offset in offsets]
    return np.array(days, dtype="datetime64[D]")


def _splits(*rows: tuple[int, int, int, int]) -> Splits:
    """Rows of symbol, days after the Monday, new shares, old shares."""
    symbol, offset, numerator, denominator = zip(*rows, strict=True)
    return Splits(np.array(symbol), _dates(*offset), np.array(numerator), np.array(denominator))


NONE = Splits(np.zeros(0, dtype=np.int64), _dates(), np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))


def _factors(splits: Splits, symbol: list[int], *bounds: DateArray) -> list[Fraction]:
    numerator, denominator = split_factors(splits, np.array(symbol, dtype=np.int64), *bounds)
    assert all(math.gcd(*pair) == 1 for pair in zip(numerator.tolist(), denominator.tolist(), strict=True))
    return [Fraction(*pair) for pair in zip(numerator.tolist(), denominator.tolist(), strict=True)]


def test_splits_after_the_date_count_and_one_on_it_does_not() -> None:
    splits = _splits((1, 5, 3, 2), (1, 0, 4, 1))
    assert _factors(splits, [1, 1, 1, 1], _dates(-1, 0, 4, 5)) == [6, Fraction(3, 2), Fraction(3, 2), 1]


def test_splits_until_a_date_count_and_so_does_one_on_it() -> None:
    splits = _splits((1, 5, 3, 2), (1, 0, 4, 1))
    after = _dates(-1, -1, -1, -1, 5)
    assert _factors(splits, [1] * 5, after, _dates(0, 4, 5, None, 0)) == [4, 4, 6, 6, 1]


def test_each_symbol_has_its_own_splits_and_most_have_none() -> None:
    splits = _splits((7, 1, 10, 1), (2, 1, 1, 10))
    assert _factors(splits, [0, 2, 3, 7, 9, -1], _dates(*[0] * 6)) == [1, Fraction(1, 10), 1, 10, 1, 1]
    assert _factors(NONE, [0, 1], _dates(0, 0)) == [1, 1]
    assert _factors(splits, [], _dates()) == []


def test_factors_are_reduced() -> None:
    numerator, denominator = split_factors(_splits((0, 1, 4, 2), (0, 2, 3, 6)), np.array([0]), _dates(0))
    assert (numerator.tolist(), denominator.tolist()) == ([1], [1])


rows = st.tuples(st.integers(0, 3), st.integers(-3, 12), st.integers(1, 20), st.integers(1, 20))
queries = st.tuples(st.integers(0, 4), st.integers(-5, 14), st.none() | st.integers(-5, 14))


@given(splits=st.lists(rows, min_size=1, max_size=8), asked=st.lists(queries, max_size=10))
def test_factors_are_the_products_of_fractions(splits: list[tuple[int, int, int, int]], asked: list[Any]) -> None:
    expected = [
        math.prod(
            (
                Fraction(numerator, denominator)
                for owner, day, numerator, denominator in splits
                if owner == symbol and day > after and (until is None or day <= until)
            ),
            start=Fraction(1),
        )
        for symbol, after, until in asked
    ]
    symbols = [symbol for symbol, _, _ in asked]
    after, until = _dates(*(row[1] for row in asked)), _dates(*(row[2] for row in asked))
    assert _factors(_splits(*splits), symbols, after, until) == expected


def test_a_factor_that_does_not_fit_is_refused_by_row() -> None:
    splits = _splits(*((3, day, 10**6, 1) for day in range(1, 5)))
    assert _factors(splits, [3], _dates(1)) == [10**18]
    with pytest.raises(
        AmountOverflowError, match="row 2: its split factor 1000000000000000000000000 goes beyond"
    ) as refused:
        split_factors(splits, np.array([0, 3, 3, 3]), _dates(0, 1, 0, 0))
    assert refused.value.offenders.tolist() == [2, 3]


def test_the_largest_factor_that_fits_is_exact() -> None:
    largest = _splits((0, 1, 92 * 10**8, 1), (0, 2, 10**9, 1))
    assert _factors(largest, [0], _dates(0)) == [LARGEST_UNITS]


def test_a_date_that_is_missing_is_refused_by_row() -> None:
    with pytest.raises(ValueError, match="row 1: the date of its share units is missing"):
        split_factors(NONE, np.array([0, 0]), _dates(0, None))


def test_splits_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="split 1: its ratio is not positive"):
        _splits((0, 0, 1, 1), (0, 0, 0, 1))
    with pytest.raises(ValueError, match="split 0: its ratio is not positive"):
        _splits((0, 0, 1, -2))
    with pytest.raises(ValueError, match="split 0: it has no ex-date"):
        Splits(np.array([0]), _dates(None), np.array([1]), np.array([1]))
    with pytest.raises(ValueError, match="the columns of Splits differ in length"):
        Splits(np.array([0, 1]), _dates(0), np.array([1]), np.array([1]))
    assert len(_splits((0, 0, 1, 1))) == 1
