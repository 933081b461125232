from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmasight_assets.quant.money import (
    LARGEST_UNITS,
    MONEY_DIGITS,
    PRICE_DIGITS,
    QUANTITY_DIGITS,
    from_units,
    require_representable,
    rounded_to_cents,
    to_units,
)

unit_counts = st.integers(-LARGEST_UNITS, LARGEST_UNITS)


@given(units=unit_counts, digits=st.sampled_from([PRICE_DIGITS, MONEY_DIGITS]))
def test_units_come_back_as_they_went(units: int, digits: int) -> None:
    value = from_units(units, digits)
    assert to_units(value, digits) == units
    assert value == Decimal(units) / 10**digits
    assert value.as_tuple().exponent == -digits


def test_a_price_times_a_quantity_is_money() -> None:
    product = to_units(Decimal("190.1234"), PRICE_DIGITS) * to_units(Decimal("-0.0003"), QUANTITY_DIGITS)
    assert from_units(product, MONEY_DIGITS) == Decimal("190.1234") * Decimal("-0.0003")


def test_numpy_integers_are_taken() -> None:
    assert str(from_units(np.int64(1_250_000), PRICE_DIGITS)) == "125.0000"


@pytest.mark.parametrize(
    ("money", "cents"),
    [
        ("0.005", "0.00"),
        ("0.015", "0.02"),
        ("0.025", "0.02"),
        ("0.02500001", "0.03"),
        ("-0.005", "-0.00"),
        ("-0.015", "-0.02"),
        ("91999999999.99499999", "91999999999.99"),
    ],
)
def test_cents_are_rounded_half_to_even(money: str, cents: str) -> None:
    assert str(rounded_to_cents(to_units(Decimal(money), MONEY_DIGITS))) == cents


def test_the_precision_of_the_caller_does_not_matter() -> None:
    with localcontext(prec=3):
        assert to_units(Decimal("123456.7891"), PRICE_DIGITS) == 1_234_567_891
        assert from_units(1_234_567_891, PRICE_DIGITS) == Decimal("123456.7891")
        assert rounded_to_cents(1_234_567_891_234_567) == Decimal("12345678.91")


@pytest.mark.parametrize(
    "value", ["1.00001", "1E-400", "1E-999999", "0.1234567890123456789012345678901234567890123456789"]
)
def test_a_value_between_units_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="more than 4 decimal places"):
        to_units(Decimal(value), PRICE_DIGITS)


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_a_value_that_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        to_units(Decimal(value), PRICE_DIGITS)


@pytest.mark.parametrize("value", ["92000000000.00000001", "-92000000000.00000001", "1E+999999"])
def test_a_value_that_does_not_fit_is_refused(value: str) -> None:
    with pytest.raises(OverflowError, match=r"beyond 9.2e\+18 units of 1e-8"):
        to_units(Decimal(value), MONEY_DIGITS)


@pytest.mark.parametrize("value", ["0E+999999", "-0", "0.000000000000"])
def test_every_way_to_write_nothing_is_nothing(value: str) -> None:
    assert to_units(Decimal(value), MONEY_DIGITS) == 0


def test_the_first_owner_that_does_not_fit_is_named() -> None:
    require_representable(np.array([0.0, 9.2e18]), "portfolio")
    for too_large in (9.3e18, np.inf, np.nan):
        with pytest.raises(OverflowError, match=r"portfolio 1: .*\(2 in all\)"):
            require_representable(np.array([1.0, too_large, too_large]), "portfolio")
