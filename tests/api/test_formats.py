"""Tests of how numbers are written: exact, half-even, never -0.00 and never NaN."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmasight_api.formats import cents, four_decimals, optional_cents, optional_number, price, units_in_cents


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0.005", "0.00"),
        ("0.015", "0.02"),
        ("-0.015", "-0.02"),
        ("-0.001", "0.00"),
        ("1E+3", "1000.00"),
        ("99999999999999999999.99500000", "100000000000000000000.00"),
    ],
)
def test_cents_round_half_even(amount: str, text: str) -> None:
    assert cents(Decimal(amount)) == text


@given(st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**20), max_value=10**20))
def test_cents_are_never_more_than_half_a_cent_away(amount: Decimal) -> None:
    assert abs(Fraction(cents(amount)) - Fraction(amount)) <= Fraction(1, 200)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_float_has_cents(amount: float) -> None:
    assert abs(Fraction(cents(amount)) - Fraction(amount)) <= Fraction(1, 200)
    assert cents(amount) == cents(Decimal(amount))


@pytest.mark.parametrize(
    ("amount", "text"), [(0.125, "0.12"), (0.375, "0.38"), (-0.125, "-0.12"), (2.675, "2.67"), (-0.004, "0.00")]
)
def test_cents_of_a_float_are_those_of_its_exact_value(amount: float, text: str) -> None:
    assert cents(amount) == cents(np.float64(amount)) == cents(Decimal(amount)) == text


@pytest.mark.fault(26)
@pytest.mark.parametrize("amount", [float("inf"), float("-inf")])
def test_what_is_infinite_has_no_cents(amount: float) -> None:
    with pytest.raises(ArithmeticError):
        cents(amount)


@pytest.mark.fault(26)
def test_missing_numbers_are_none() -> None:
    assert optional_cents(None) is None
    assert optional_cents(float("nan")) is None
    assert optional_number(float("nan")) is None
    assert optional_number(0.0) == 0.0


@given(st.integers(-(10**28), 10**28))
def test_units_of_money_are_written_as_the_amount_they_stand_for(units: int) -> None:
    assert units_in_cents(units) == cents(Decimal(f"{units}E-8"))


@pytest.mark.parametrize(
    ("value", "text"),
    [("10", "10.0000"), ("-0.0001", "-0.0001"), ("99999999999999.9999", "99999999999999.9999"), ("0", "0.0000")],
)
def test_stored_decimals_keep_all_four(value: str, text: str) -> None:
    assert four_decimals(Decimal(value)) == text


def test_prices_keep_their_four_decimals() -> None:
    assert price(1) == "0.0001"
    assert price(1_871_500) == "187.1500"
    assert price(99_999_999_999_999) == "9999999999.9999"
