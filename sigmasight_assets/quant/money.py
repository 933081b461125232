"""Exact money: decimals to scaled integers and back, rounding for answers, and the check that no integer overflows.

A price is held in units of 1e-4, a quantity in units of 1e-4, and what they multiply to, money, in units of 1e-8,
all as int64. Source: formulas.md section 5.
"""

from decimal import ROUND_HALF_EVEN, Decimal, localcontext

import numpy as np

from sigmasight_assets.quant.arrays import FloatArray, IntArray

PRICE_DIGITS = 4
QUANTITY_DIGITS = 4
MONEY_DIGITS = 8

# A little below 2**63, so that a magnitude added up in binary floats cannot slip past it by its rounding.
LARGEST_UNITS = 9_200_000_000_000_000_000

_CENT = Decimal("0.01")
# An int64 has 19 digits; the default context of 28 is an accident of the caller's thread.
_PRECISION = 40


class AmountOverflowError(OverflowError):
    """Amounts that do not fit in int64; ``offenders`` are the indices of their owners, ascending."""

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


def require_representable(magnitudes: FloatArray, owner: str) -> None:
    """Raise ``AmountOverflowError`` naming the first ``owner`` (its index) whose magnitude exceeds 9.2e18 units.

    ``magnitudes`` are absolute amounts in units, added up in floats from the exact integers: they say whether the
    integers fit in int64 and are used for nothing else.
    """
    offenders = np.flatnonzero(~(magnitudes <= LARGEST_UNITS))
    if offenders.size:
        first = int(offenders[0])
        raise AmountOverflowError(
            f"{owner} {first}: {magnitudes[first]:.4g} units of money are beyond the {LARGEST_UNITS:.1e} "
            f"that fit ({offenders.size} in all)",
            offenders,
        )
