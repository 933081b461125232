"""Exact money: decimals to scaled integers and back, products with rational factors, rounding, and no overflow.

A price is held in units of 1e-4, a quantity in units of 1e-4, and what they multiply to, money, in units of 1e-8,
all as int64. Source: formulas.md section 5.
"""

from decimal import ROUND_HALF_EVEN, Decimal, localcontext

import numpy as np

from sigmasight_assets.quant.arrays import BoolArray, FloatArray, IntArray

PRICE_DIGITS = 4
QUANTITY_DIGITS = 4
MONEY_DIGITS = 8
DIVIDEND_DIGITS = 6

# A little below 2**63, so that a magnitude added up in binary floats cannot slip past it by its rounding.
LARGEST_UNITS = 9_200_000_000_000_000_000

_CENT = Decimal("0.01")
# An int64 has 19 digits; the default context of 28 is an accident of the caller's thread.
_PRECISION = 40


class AmountOverflowError(OverflowError):
    """Amounts that do not fit in int64; ``offenders`` are the indices of their owners, ascending.

    ``row`` is the position of the session they belong to, None for those of none.
    """

    row: int | None = None

    def __init__(self, message: str, offenders: IntArray) -> None:
        super().__init__(message)
        self.offenders = offenders


def to_units(value: Decimal, digits: int) -> int:
    """Return ``value`` as a whole number of units of 10**-digits, exactly.

    Raises ``ValueError`` for a value that is not finite or has more decimal places than ``digits``, and
    ``OverflowError`` for one beyond 9.2e18 units.
    """
    if not value.is_finite():
        raise ValueError(f"{value} is not a finite number")
    # The exponent decides first: converting 1e1000000 digit by digit would take for ever.
    if value and value.adjusted() + digits >= len(str(LARGEST_UNITS)):
        raise OverflowError(f"{value} is beyond {LARGEST_UNITS:.1e} units of 1e-{digits}")
    if value and value.adjusted() + digits < 0:
        raise ValueError(f"{value} has more than {digits} decimal places")
    with localcontext(prec=len(value.as_tuple().digits) + _PRECISION):
        scaled = value.scaleb(digits)
    units = int(scaled)
    if units != scaled:
        raise ValueError(f"{value} has more than {digits} decimal places")
    if abs(units) > LARGEST_UNITS:
        raise OverflowError(f"{value} is beyond {LARGEST_UNITS:.1e} units of 1e-{digits}")
    return units


def from_units(units: int | np.int64, digits: int) -> Decimal:
    """Return ``units`` of 10**-digits as the decimal that equals it, with all its ``digits`` places."""
    with localcontext(prec=_PRECISION):
        return Decimal(int(units)).scaleb(-digits)


def rounded_to_cents(money_units: int | np.int64) -> Decimal:
    """Return money in units of 1e-8 rounded half-even to the cent; for answers, never for storage."""
    with localcontext(prec=_PRECISION):
        return from_units(money_units, MONEY_DIGITS).quantize(_CENT, rounding=ROUND_HALF_EVEN)


def rational_product(quantity: IntArray, price: IntArray, numerator: IntArray, denominator: IntArray) -> IntArray:
    """Return ``quantity * price * numerator / denominator`` (L,), rounded half-even to whole units, exactly.

    The four (L,) are whole numbers, the first two in units that multiply to the unit wanted; denominators are
    positive. Half-even makes the product of a negative quantity the negative of that of the positive one.
    Raises ``ValueError`` for a denominator below 1 and ``AmountOverflowError``, naming the first row, where
    quantity x numerator, the product or price x denominator goes beyond 9.2e18.
    """
    if np.any(denominator < 1):
        raise ValueError(f"row {int(np.argmax(denominator < 1))}: its denominator is not positive")
    size = np.abs(quantity.astype(np.float64) * numerator)
    price_size = np.abs(price.astype(np.float64))
    require_representable(
        np.maximum(size, np.maximum(size * price_size / denominator, price_size * denominator)), "row"
    )
    # With the units split into whole and part, no factor of the denominator comes into the large product.
    whole, part = np.divmod(quantity * numerator, denominator)
    quotient, remainder = np.divmod(part * price, denominator)
    below = whole * price + quotient
    missing = denominator - remainder
    rounded_up: BoolArray = (remainder > missing) | ((remainder == missing) & (below % 2 == 1))
    return below + rounded_up


def require_representable(magnitudes: FloatArray, owner: str) -> None:
    """Raise ``AmountOverflowError`` naming the first ``owner`` (its index) whose magnitude exceeds 9.2e18 units.

    ``magnitudes`` are absolute amounts in units, added up in floats from the exact integers: they say whether the
    integers fit in int64 and are used for nothing else.
    """
    offenders = np.flatnonzero(~(magnitudes <= LARGEST_UNITS))
    if offenders.size:
        first = int(offenders[0])
        raise AmountOverflowError(
            f"{owner} {first}: {magnitudes[first]:.4g} units are beyond the {LARGEST_UNITS:.1e} "
            f"that fit ({offenders.size} in all)",
            offenders,
        )
