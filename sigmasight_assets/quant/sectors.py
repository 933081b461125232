"""How a book is spread over groups, such as sectors. Source: formulas.md section 8."""

from dataclasses import dataclass

import numpy as np

from sigmasight_assets.quant.arrays import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class GroupTotals:
    """Of G groups, each (G,), in the money of the values.

    ``long``, ``short``
        sums of what is held long, and of what is held short, which is negative
    ``gross_share``
        share of each group in the sum of |value| of all; NaN when there is none
    """

    long: FloatArray
    short: FloatArray
    gross_share: FloatArray

    @property
    def gross(self) -> FloatArray:
        """Sum of |value| of each group."""
        return self.long - self.short

    @property
    def net(self) -> FloatArray:
        """Signed sum of each group."""
        return self.long + self.short


def group_totals(values: FloatArray, groups: IntArray, *, count: int) -> GroupTotals:
    """Of positions by signed value (N,), one a symbol, and by the number (N,) of their group below ``count``."""
    long = np.bincount(groups, np.maximum(values, 0.0), minlength=count).astype(np.float64)
    short = np.bincount(groups, np.minimum(values, 0.0), minlength=count).astype(np.float64)
    gross = long - short
    total = gross.sum()
    return GroupTotals(long, short, gross / total if total > 0 else np.full(count, np.nan))
