"""Concentration against its definition in exact fractions, and the cases that are known by hand."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmasight_assets.quant.concentration import concentration, weights

VALUES = st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=40).filter(any)


@given(VALUES)
def test_every_number_is_that_of_exact_fractions(values: list[int]) -> None:
    gross = sum(map(abs, values))
    shares = sorted((Fraction(abs(value), gross) for value in values), reverse=True)
    index = sum(share**2 for share in shares)
    found = concentration(np.array(values, dtype=np.float64))
    assert found.herfindahl == pytest.approx(float(index * 10_000), rel=1e-12)
    assert found.effective_positions == pytest.approx(float(1 / index), rel=1e-12)
    assert found.top_3 == pytest.approx(float(sum(shares[:3])), rel=1e-12)
    assert found.top_10 == pytest.approx(float(sum(shares[:10])), rel=1e-12)


@pytest.mark.parametrize("count", [1, 2, 3, 10, 250])
def test_equal_positions_count_as_many_as_they_are(count: int) -> None:
    found = concentration(np.full(count, -7.5))
    assert found.herfindahl == pytest.approx(10_000 / count, rel=1e-14)
    assert found.effective_positions == pytest.approx(count, rel=1e-14)
    assert found.top_3 == pytest.approx(min(1, 3 / count))
    assert found.top_10 == pytest.approx(min(1, 10 / count))


def test_short_positions_weigh_as_long_ones_do() -> None:
    values = np.array([60.0, 30.0, 10.0])
    assert concentration(values * [1, -1, 1]) == concentration(values)
    assert weights(np.array([-60.0, 30.0, 10.0])).tolist() == [0.6, 0.3, 0.1]


@pytest.mark.parametrize("values", [[], [0.0, 0.0], [1.0, np.nan], [np.inf]])
def test_what_has_no_concentration_is_an_error(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite values that are not all zero"):
        concentration(np.array(values))
