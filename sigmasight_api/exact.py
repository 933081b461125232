"""Exact numbers in requests: decimal texts, and numbers of JSON that are never turned into binary floats."""

import math
import re
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from sigmasight_assets.position_rules import LARGEST_AMOUNT, MONEY

# More than any number that a field can take; longer ones are not worth reading.
LONGEST_NUMBER = 60
# Any float can be written with so many digits.
MOST_DIGITS = 17
# Beyond any float; arithmetic with such a number may take for ever, or leave the context of decimals.
LARGEST_EXPONENT = 400
NOT_A_NUMBER = Decimal("NaN")
NEGATIVE_ZERO = re.compile(r"-[0.]+")


def json_number(text: str) -> Decimal:
    """A number as it stands in a JSON document; NaN for one that no field can take."""
    try:
        return Decimal(text) if len(text) <= LONGEST_NUMBER else NOT_A_NUMBER
    except InvalidOperation:
        return NOT_A_NUMBER


def decimal_text(value: Any) -> str:
    """The plain text of a number that was sent as text or as a number of JSON; ``ValueError`` for anything else."""
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) <= LONGEST_NUMBER:
        value = f"{value:f}"
        value = value.rstrip("0").rstrip(".") if "." in value else value
    if not isinstance(value, str):
        # Not a TypeError: pydantic takes that for a mistake of the validator.
        raise ValueError("must be a finite number, or its decimal text")  # noqa: TRY004
    if NEGATIVE_ZERO.fullmatch(value):
        raise ValueError("must not be a negative zero")
    return value


def plain_float(value: Any) -> Any:
    """A number of JSON as the float that it stands for; ``ValueError`` for one that no float stands for.

    Anything else is left to the field's own type.
    """
    if not isinstance(value, Decimal):
        return value
    if not value.is_finite() or abs(value.adjusted()) > LARGEST_EXPONENT or _digits(value) > MOST_DIGITS:
        raise ValueError(f"must be a number with at most {MOST_DIGITS} digits, of a size that floats have")
    number = float(value)
    if math.isinf(number):
        raise ValueError("must not be larger than numbers are")
    if number == 0.0 and (value != 0 or value.is_signed()):
        raise ValueError("must not be a negative zero, or so small that it would count as zero")
    return number


def _digits(value: Decimal) -> int:
    """How many digits a number has between its first and its last that is not 0."""
    return len("".join(map(str, value.as_tuple().digits)).strip("0"))


def whole_number(value: Any) -> Any:
    """A number of JSON as a whole one; ``ValueError`` for a fraction, a negative zero, true, false and text."""
    if isinstance(value, bool | str):
        raise ValueError("must be a number")  # noqa: TRY004 - a TypeError would not be a refusal
    if not isinstance(value, Decimal):
        return value
    if not value.is_finite() or abs(value.adjusted()) > LONGEST_NUMBER:
        raise ValueError("must be a whole number of a size that can be taken")
    if value != value.to_integral_value() or (value == 0 and value.is_signed()):
        raise ValueError("must be a whole number, and no negative zero")
    return int(value)


def _usd(value: Any) -> Decimal:
    text = decimal_text(value)
    if not MONEY.fullmatch(text):
        raise ValueError("must be a number with at most 8 decimal places")
    amount = Decimal(text)
    if abs(amount) > LARGEST_AMOUNT:
        raise ValueError(f"must be at most {LARGEST_AMOUNT:,}")
    return amount


def _not_negative(value: Any) -> Decimal:
    amount = _usd(value)
    if amount < 0:
        raise ValueError("must not be negative")
    return amount


def _schema(pattern: str, example: str, *, smallest: int | None = None) -> WithJsonSchema:
    number: dict[str, Any] = {"type": "number"} if smallest is None else {"type": "number", "minimum": smallest}
    return WithJsonSchema({"anyOf": [{"type": "string", "pattern": pattern}, number], "examples": [example]})


# Their decimal places and signs are judged together with the other terms of a lot.
QuantityText = Annotated[
    str, BeforeValidator(decimal_text), _schema(r"^-?\d{1,14}(\.\d{1,4})?$", "-12.5"), Field(max_length=LONGEST_NUMBER)
]
PriceText = Annotated[
    str,
    BeforeValidator(decimal_text),
    _schema(r"^\d{1,10}(\.\d{1,4})?$", "187.15", smallest=0),
    Field(max_length=LONGEST_NUMBER),
]
ValueText = Annotated[
    str,
    BeforeValidator(decimal_text),
    _schema(r"^\d{1,14}(\.\d{1,8})?$", "410000", smallest=0),
    Field(max_length=LONGEST_NUMBER),
]
Usd = Annotated[Decimal, BeforeValidator(_usd), _schema(r"^-?\d{1,14}(\.\d{1,8})?$", "100000.00")]
Worth = Annotated[Decimal, BeforeValidator(_not_negative), _schema(r"^\d{1,14}(\.\d{1,8})?$", "410000", smallest=0)]
