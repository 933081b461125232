"""The splits of a view in the form that answers need: what one share of any date has become, found in microseconds.

The mathematics is in ``quant.splits``; it is done once, when the view is loaded.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from sigmasight_assets.quant.arrays import DateArray, IntArray
from sigmasight_assets.quant.splits import Splits, split_factors

ONE_DAY = np.timedelta64(1, "D")
# More days than lie between any two dates.
DAYS_PER_ROW = 2**32


@dataclass(frozen=True, eq=False)
class ShareUnits:
    """One row per split (D,), ascending by symbol and ex-date.

    ``keys``
        the symbol's row in the view and the ex-date, in one integer
    ``numerators``, ``denominators``
        how many shares of today one share of the day before the split has become
    """

    keys: IntArray
    numerators: IntArray
    denominators: IntArray

    @classmethod
    def after(cls, splits: Splits) -> Self:
        """The units that prices are in after all of these splits.

        Raises ``OverflowError`` where a factor goes beyond 9.2e18.
        """
        keys = _keys(splits.symbol, splits.ex_date)
        order = np.argsort(keys)
        numerators, denominators = split_factors(splits, splits.symbol[order], splits.ex_date[order] - ONE_DAY)
        return cls(keys[order], numerators, denominators)

    def merged(self, rows: IntArray, other: Self, other_rows: IntArray) -> Self:
        """Both together, renumbered: new rows of the symbols (S,) of this one and of the other; -1 leaves one out."""
        columns = []
        for units, numbered in ((self, rows), (other, other_rows)):
            row = numbered[units.keys // DAYS_PER_ROW]
            stays = row >= 0
            keys = row[stays] * DAYS_PER_ROW + units.keys[stays] % DAYS_PER_ROW
            columns.append((keys, units.numerators[stays], units.denominators[stays]))
        keys, numerators, denominators = (np.concatenate(pair) for pair in zip(*columns, strict=True))
        order = np.argsort(keys)
        return type(self)(keys[order], numerators[order], denominators[order])

    def factors(self, rows: IntArray, dates: DateArray) -> tuple[IntArray, IntArray]:
        """Numerators and denominators (L,) of what one share of the symbol (L,) at the date (L,) has become."""
        # The first later split of the symbol, if it has one, stands for all that follow.
        place = np.searchsorted(self.keys, _keys(rows, dates), side="right")
        has_split = place < self.keys.size
        has_split[has_split] = self.keys[place[has_split]] // DAYS_PER_ROW == rows[has_split]
        numerators, denominators = np.ones(rows.size, dtype=np.int64), np.ones(rows.size, dtype=np.int64)
        numerators[has_split] = self.numerators[place[has_split]]
        denominators[has_split] = self.denominators[place[has_split]]
        return numerators, denominators


def _keys(rows: IntArray, dates: DateArray) -> IntArray:
    # Floor division gives the row back for days before 1970 too when they are counted from the year 1.
    return rows * DAYS_PER_ROW + (dates.astype("datetime64[D]") - np.datetime64("0001-01-01", "D")).astype(np.int64)
