"""Tells by the prices around a split whether the vendor restated the history before it, and puts right what is wrong.

A vendor that states its prices in the units after a split may publish the split before it restates its history, or
restate it twice. Both show as a leap of the split's own size on its ex-date. No vendor is known here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

import numpy as np

from sigmasight_assets.quant.arrays import DateArray, FloatArray

# A smaller split moves prices no more than markets do; what it would be off by stays.
SMALLEST_RATIO = 1.5
# How far, as a share of the split's own size in logarithms, the leap may be off it.
TOLERANCE = 0.25


@dataclass(frozen=True, slots=True)
class UnitError:
    """A split before which prices are in wrong units: not restated, or restated twice."""

    ex_date: date
    ratio: Fraction
    is_twice: bool

    @property
    def factor(self) -> Fraction:
        """What prices before the ex-date must be multiplied by."""
        return self.ratio if self.is_twice else 1 / self.ratio

    def __str__(self) -> str:
        done = "restated twice" if self.is_twice else "not restated"
        return f"prices before the split {self.ratio.numerator}:{self.ratio.denominator} of {self.ex_date} came {done}"


def find_unit_errors(
    days: DateArray, closes: FloatArray, splits: Sequence[tuple[date, Fraction]]
) -> tuple[UnitError, ...]:
    """The splits (ex-date, new shares per old one) whose history is in wrong units.

    ``days`` and ``closes`` are (N,), in any order; closes that are NaN, infinite or not positive do not count. A split
    counts as wrong when the close on or next after its ex-date, against the last one before, leaps by its own ratio or
    its inverse, to a quarter of its size: for 4:1 to between 0.18 and 0.35, or 2.8 and 5.7. Splits from 2:3 to 3:2,
    and those without prices on both sides, are never wrong.
    """
    known = np.isfinite(closes) & (closes > 0)
    order = np.argsort(days[known], kind="stable")
    days, closes = days[known][order], closes[known][order]
    found = []
    for ex_date, ratio in splits:
        size = abs(float(np.log(float(ratio))))
        row = int(np.searchsorted(days, np.datetime64(ex_date, "D")))
        if size < np.log(SMALLEST_RATIO) - 1e-12 or row in (0, len(days)):
            continue
        leap = float(np.log(closes[row] / closes[row - 1])) / float(np.log(float(ratio)))
        if abs(abs(leap) - 1) <= TOLERANCE:
            found.append(UnitError(ex_date, ratio, is_twice=leap > 0))
    return tuple(found)


def unit_factors(days: DateArray, errors: Sequence[UnitError]) -> FloatArray:
    """What a price of each day (N,) must be multiplied by to be in the units after the last split; 1 without errors."""
    factors = np.ones(len(days))
    for error in errors:
        factors[days < np.datetime64(error.ex_date, "D")] *= float(error.factor)
    return factors
