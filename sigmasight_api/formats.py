"""How numbers are written in answers: money and prices as exact decimal text, missing numbers as None."""

import math
from decimal import ROUND_HALF_EVEN, Context, Decimal

from sigmasight_assets.quant.money import MONEY_DIGITS, PRICE_DIGITS, from_units

CENT = Decimal("0.01")
FOUR_DECIMALS = Decimal("0.0001")
# NUMERIC(28,8) sums and any finite float in dollars have fewer digits than this after rounding to the cent. One context
# for all threads: making one for each number takes as long as the rounding, and only its flags ever change.
CONTEXT = Context(prec=400, rounding=ROUND_HALF_EVEN)


def cents(amount: Decimal | float) -> str:
    """USD rounded half-even to the cent; a float is taken at its exact binary value and must be finite."""
    if isinstance(amount, float) and math.isfinite(amount):
        # Exact and half-even too, in a quarter of the time.
        text = f"{float(amount):.2f}"
        return "0.00" if text == "-0.00" else text
    # Adding zero turns -0.00 into 0.00.
    return str(CONTEXT.add(CONTEXT.quantize(Decimal(amount), CENT), 0))


def optional_cents(amount: Decimal | float | None) -> str | None:
    """As ``cents``; None for None and NaN."""
    return None if amount is None or math.isnan(amount) else cents(amount)


def units_in_cents(units: int) -> str:
    """As ``cents``, from units of 1e-8."""
    return cents(from_units(units, MONEY_DIGITS))


def four_decimals(value: Decimal) -> str:
    """A stored price or quantity with all its four decimals."""
    return str(CONTEXT.quantize(value, FOUR_DECIMALS))


def price(units: int) -> str:
    """USD with all four stored decimals, from units of 1e-4."""
    return str(from_units(units, PRICE_DIGITS))


def optional_number(value: float) -> float | None:
    """The number, None for NaN."""
    return None if math.isnan(value) else float(value)
