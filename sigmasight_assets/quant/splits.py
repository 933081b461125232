"""The rational factor that splits put between the share units of two dates.

Source: formulas.md section 5, "Units". Which splits there are is for the caller to say.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from sigmasight_assets.quant.arrays import DateArray, IntArray
from sigmasight_assets.quant.money import LARGEST_UNITS, AmountOverflowError

# More days than any date is away from 1970.
_AFTER_ALL = 2**31


@dataclass(frozen=True, eq=False)
class Splits:
    """One row per split (D,), in any order: index of the symbol, ex-date, new shares (numerator) per old share.

    Raises ``ValueError`` when the columns differ in length, an ex-date is missing or a ratio is not positive.
    """

    symbol: IntArray
    ex_date: DateArray
    numerator: IntArray
    denominator: IntArray

    def __post_init__(self) -> None:
        shapes = {self.symbol.shape, self.ex_date.shape, self.numerator.shape, self.denominator.shape}
        if len(shapes) > 1:
            raise ValueError(f"the columns of Splits differ in length: {sorted(shapes)}")
        if np.isnat(self.ex_date).any():
            raise ValueError(f"split {int(np.isnat(self.ex_date).argmax())}: it has no ex-date")
        wrong = (self.numerator < 1) | (self.denominator < 1)
        if wrong.any():
            raise ValueError(f"split {int(wrong.argmax())}: its ratio is not positive")

    def __len__(self) -> int:
        return self.symbol.size


def split_factors(
    splits: Splits, symbol: IntArray, after: DateArray, until: DateArray | None = None
) -> tuple[IntArray, IntArray]:
    """Return the reduced numerators and denominators (L,) of how many shares one share of ``after`` became.

    Row by row it is the product of the ratios of the splits of ``symbol`` (L,) with ``after`` < ex-date, and
    ex-date <= ``until`` where that is given and not NaT; 1/1 without any. All known splits count, also those to come.
    Raises ``ValueError``, naming the row, where ``after`` is NaT, and ``AmountOverflowError`` where a factor goes
    beyond 9.2e18.
    """
    if np.isnat(after).any():
        raise ValueError(f"row {int(np.isnat(after).argmax())}: the date of its share units is missing")
    numerator, denominator = np.ones(symbol.size, dtype=np.int64), np.ones(symbol.size, dtype=np.int64)
    rows = np.flatnonzero(np.isin(symbol, splits.symbol))
    order = np.lexsort((splits.ex_date, splits.symbol))
    keys = _keys(splits.symbol, splits.ex_date)[order]
    first = np.searchsorted(keys, _keys(symbol[rows], after[rows]), side="right")
    end_dates = np.full(rows.size, np.datetime64("NaT", "D")) if until is None else until[rows]
    last = np.searchsorted(keys, _keys(symbol[rows], end_dates), side="right")
    # Rows with the same splits between their dates share one product; there are few of those.
    spans, span_of_row = np.unique(np.stack([first, last], axis=1), axis=0, return_inverse=True)
    for span, (start, end) in enumerate(spans.tolist()):
        factor = _product(splits, order[start:end])
        if max(factor.numerator, factor.denominator) > LARGEST_UNITS:
            offenders = rows[span_of_row == span]
            message = f"row {offenders[0]}: its split factor {factor} goes beyond {LARGEST_UNITS:.1e}"
            raise AmountOverflowError(message, offenders)
        spans[span] = factor.numerator, factor.denominator
    numerator[rows], denominator[rows] = spans[span_of_row].T
    return numerator, denominator


def _keys(symbol: IntArray, dates: DateArray) -> IntArray:
    """Integers that ascend by symbol, then by date; NaT comes after every date of its symbol."""
    days = np.where(np.isnat(dates), _AFTER_ALL, dates.astype("datetime64[D]").astype(np.int64))
    return symbol * (2 * _AFTER_ALL) + days


def _product(splits: Splits, chosen: IntArray) -> Fraction:
    ratios = zip(splits.numerator[chosen].tolist(), splits.denominator[chosen].tolist(), strict=True)
    return math.prod((Fraction(*ratio) for ratio in ratios), start=Fraction(1))
