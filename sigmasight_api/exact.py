"""Exact numbers in requests: decimal texts, and numbers of JSON that are never turned into binary floats."""

import re
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from sigmasight_assets.position_rules import LARGEST_AMOUNT, MONEY

# More than any number that a field can take; longer ones are not worth reading.
LONGEST_NUMBER = 60
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
