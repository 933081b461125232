"""Tests of exact numbers: every digit is kept, and whatever is no plain finite number is refused."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from sigmasight_api.exact import Usd, Worth, decimal_text, json_number, plain_float, whole_number


@given(st.decimals(min_value=-(10**14), max_value=10**14, places=8))
def test_a_number_of_json_keeps_its_value(number: Decimal) -> None:
    text = f"{number:f}"
    if number:
        assert Decimal(decimal_text(json_number(text))) == number
        assert Decimal(decimal_text(json_number(f"{number:e}"))) == number


@pytest.mark.parametrize(
    ("sent", "text"),
    [("1.50000000", "1.5"), ("100", "100"), ("1E+2", "100"), ("100.0", "100"), ("0.0", "0"), ("-0.50", "-0.5")],
)
def test_zeros_at_the_end_are_no_decimal_places(sent: str, text: str) -> None:
    assert decimal_text(json_number(sent)) == text


@pytest.mark.parametrize(
    "text", ["1e400", "-1e-400", "1e" + "9" * 50, "9" * 100, "NaN", "Infinity", "-Infinity", "-0", "-0e5"]
)
def test_other_numbers_of_json_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        decimal_text(json_number(text))


@pytest.mark.parametrize("value", [True, None, 1.5, [], {}, b"1", "-0", "-0.00"])
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="must"):
        decimal_text(value)


@pytest.mark.parametrize("text", ["50000000000.00000001", "0.000000001", "1e3", " 1", "+1", "\u0661", "", ".5"])
def test_amounts_are_plain_and_within_bounds(text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Usd).validate_python(text)


def test_amounts_are_decimals_and_worth_is_not_negative() -> None:
    assert TypeAdapter(Usd).validate_python("-50000000000") == Decimal(-50_000_000_000)
    assert TypeAdapter(Worth).validate_python("0.00000001") == Decimal("0.00000001")
    with pytest.raises(ValidationError, match="must not be negative"):
        TypeAdapter(Worth).validate_python("-0.00000001")


@pytest.mark.parametrize("text", ["0", "-0.1", "1", "0.1234567890123456", "5e-324", "1e2", "0.10000000000000001"])
def test_a_float_is_taken_as_it_stands(text: str) -> None:
    assert plain_float(json_number(text)) == float(text)


@pytest.mark.parametrize(
    "text",
    [
        "-0",
        "-0.0",
        "-0e5",
        "1e-400",
        "-1e-400",
        "0." + "1" * 40,
        "9" * 70,
        "NaN",
        "1e999999",
        "1e9999999",
        "-1e-9999999",
        "0.1" + "0" * 36 + "1",
    ],
)
def test_what_no_float_stands_for_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        plain_float(json_number(text))


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("-7", -7), ("1.0", 1), ("1e2", 100)])
def test_a_whole_number_is_taken(text: str, number: int) -> None:
    assert whole_number(json_number(text)) == number


@pytest.mark.parametrize(
    "value", [*map(json_number, ("-0", "1e-400", "1.5", "NaN", "Infinity", "1e3000000")), True, "1"]
)
def test_what_is_no_whole_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="must"):
        whole_number(value)
