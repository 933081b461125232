from decimal import ROUND_UP, Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmasight_assets.quant.money import (
    DIVIDEND_DIGITS,
    LARGEST_UNITS,
    MONEY_DIGITS,
    PRICE_DIGITS,
    QUANTITY_DIGITS,
    AmountOverflowError,
    from_units,
    rational_product,
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


def test_units_are_those_of_the_stored_columns() -> None:
    assert (PRICE_DIGITS, QUANTITY_DIGITS, MONEY_DIGITS, DIVIDEND_DIGITS) == (4, 4, 8, 6)


def test_precision_and_rounding_of_the_caller_do_not_matter() -> None:
    with localcontext(prec=3, rounding=ROUND_UP):
        assert to_units(Decimal("123456.7891"), PRICE_DIGITS) == 1_234_567_891
        assert from_units(1_234_567_891, PRICE_DIGITS) == Decimal("123456.7891")
        assert rounded_to_cents(1_234_567_891_234_567) == Decimal("12345678.91")
        assert rounded_to_cents(-1_234_567_891_234_567) == Decimal("-12345678.91")


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


def _products(*rows: tuple[int, int, int, int]) -> list[int]:
    products: list[int] = rational_product(*np.array(rows, dtype=np.int64).reshape(-1, 4).T).tolist()
    return products


small = st.integers(-1_000, 1_000)
sizes = st.one_of(small, st.integers(-(10**13), 10**13))
parts = st.one_of(st.integers(1, 40), st.integers(1, 10**5))


@given(rows=st.lists(st.tuples(sizes, st.one_of(small, st.integers(0, 10**5)), st.integers(1, 9), parts), max_size=8))
def test_a_rational_product_is_that_of_fractions_rounded_half_even(rows: list[tuple[int, int, int, int]]) -> None:
    expected = [round(Fraction(quantity * price * up, down)) for quantity, price, up, down in rows]
    assert _products(*rows) == expected
    assert _products(*((-quantity, price, up, down) for quantity, price, up, down in rows)) == [-n for n in expected]


def test_halves_go_to_the_even_neighbour() -> None:
    assert _products(*((n, 1, 1, 2) for n in (-5, -3, -1, 1, 3, 5))) == [-2, -2, 0, 0, 2, 2]
    assert _products((1, 3, 3, 2), (1, 1, 5, 10), (7, 1, 1, 3), (8, 1, 1, 3)) == [4, 0, 2, 3]


def test_the_denominator_takes_no_room_from_the_product() -> None:
    # 9e18 times a thousand would not fit, a thousandth of it does.
    assert _products((9 * 10**15 + 1, 10**6, 1, 10**3)) == [9 * 10**18 + 10**3]
    assert _products((-(9 * 10**15) - 1, 10**6, 1, 10**3)) == [-9 * 10**18 - 10**3]


@pytest.mark.parametrize(
    "row",
    [
        pytest.param((10**10, 10**9, 1, 1), id="the product"),
        pytest.param((10**10, -(10**9), 1, 1), id="a negative product"),
        # 2**64 and a little: the wrapped product would look like a small amount.
        pytest.param((2**32 + 1, 2**32, 1, 1), id="a product that wraps around to a small one"),
        pytest.param((10**18, 1, 10, 10**6), id="quantity times numerator"),
        pytest.param((2**33, 1, 2**31, 2**62), id="quantity times numerator that wraps around to 0"),
        pytest.param((10**9, 10**12, 1, 10**9), id="price times denominator"),
    ],
)
def test_a_rational_product_that_does_not_fit_is_refused_by_row(row: tuple[int, int, int, int]) -> None:
    with pytest.raises(AmountOverflowError, match=r"row 1: .* beyond the 9.2e\+18 that fit \(2 in all\)") as refused:
        _products((1, 1, 1, 1), row, (1, 1, 1, 1), row)
    assert refused.value.offenders.tolist() == [1, 3]
    # Of no session.
    assert refused.value.row is None


@pytest.mark.parametrize("denominator", [0, -2])
def test_a_denominator_that_is_not_positive_is_refused_by_row(denominator: int) -> None:
    with pytest.raises(ValueError, match="row 1: its denominator is not positive"):
        _products((1, 1, 1, 1), (1, 1, 1, denominator))
