"""Exact sums over, and values spread to, the runs of a sorted index: the rows of each portfolio."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sigmasight_assets.quant.arrays import BoolArray, FloatArray, IntArray

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Segments:
    """Rows grouped by owner; owner ``i`` has the rows ``bounds[i]`` to ``bounds[i + 1]``, perhaps none."""

    bounds: IntArray
    counts: IntArray

    @classmethod
    def of(cls, owner: IntArray, owners: int) -> "Segments":
        """Group the rows of the ascending index ``owner`` (N,); raise ``ValueError`` where it is not that."""
        if owner.size and (owner[0] < 0 or owner[-1] >= owners or np.any(owner[1:] < owner[:-1])):
            raise ValueError(f"the owner index must be ascending and within 0 to {owners - 1}")
        bounds = np.searchsorted(owner, np.arange(owners + 1))
        return cls(bounds=bounds, counts=np.diff(bounds))

    def totals(self, values: IntArray | BoolArray) -> IntArray:
        """Exact sum of ``values`` (N,) per owner (owners,), 0 for an owner without rows.

        The running sum may wrap around; the difference of two of its values is right all the same whenever the
        owner's own sum fits in int64. It takes half the time of ``np.add.reduceat``.
        """
        running = np.empty(values.size + 1, dtype=np.int64)
        running[0] = 0
        np.cumsum(values, out=running[1:])
        return np.diff(running[self.bounds])

    def magnitudes(self, values: FloatArray) -> FloatArray:
        """Sum of non-negative floats (N,) per owner (owners,), each owner added up on its own."""
        sums = np.zeros(self.counts.size)
        filled = self.counts > 0
        if filled.any():
            sums[filled] = np.add.reduceat(values, self.bounds[:-1][filled])
        return sums

    def spread(self, values: NDArray[Scalar]) -> NDArray[Scalar]:
        """Give every row (N,) the value of its owner (owners,)."""
        return np.repeat(values, self.counts)
