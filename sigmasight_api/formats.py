"""How numbers are written in answers: money and prices as exact decimal text, missing numbers as None."""

import math
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

from sigmasight_assets.quant.money import PRICE_DIGITS, from_units

CENT = Decimal("0.01")
# NUMERIC(28,8) sums and any finite float in dollars have fewer digits than this after rounding to the cent.
PRECISION = 400


def cents(amount: Decimal | float) -> str:
    """USD rounded half-even to the cent; a float is taken at its exact binary value."""
    with localcontext(prec=PRECISION):
        # Adding zero turns -0.00 into 0.00.
        return str(Decimal(amount).quantize(CENT, rounding=ROUND_HALF_EVEN) + 0)


def optional_cents(amount: Decimal | float | None) -> str | None:
    """As ``cents``; None for None and NaN."""
    return None if amount is None or math.isnan(amount) else cents(amount)


def price(units: int) -> str:
    """USD with all four stored decimals, from units of 1e-4."""
    return str(from_units(units, PRICE_DIGITS))


def optional_number(value: float) -> float | None:
    """The number, None for NaN."""
    return None if math.isnan(value) else float(value)
