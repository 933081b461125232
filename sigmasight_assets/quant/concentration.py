"""How much of a book lies in how few positions. Source: formulas.md section 8."""

from dataclasses import dataclass

import numpy as np

from sigmasight_assets.quant.arrays import FloatArray

# Of weights in percent, as the index is usually stated: 10,000 is a single position.
HERFINDAHL_SCALE = 10_000.0


@dataclass(frozen=True, slots=True)
class Concentration:
    """Herfindahl index (0 to 10,000), how many equal positions would have it, shares of the largest 3 and 10."""

    herfindahl: float
    effective_positions: float
    top_3: float
    top_10: float


def weights(values: FloatArray) -> FloatArray:
    """Share of each position (N,) in the sum of |value|; ``values`` are signed, in one currency, and not all 0."""
    gross = np.abs(values)
    shares: FloatArray = gross / gross.sum()
    return shares


def concentration(values: FloatArray) -> Concentration:
    """Of positions (N,) by signed value, one a symbol.

    Raises ``ValueError`` when a value is missing, or there is none but 0: nothing is concentrated in nothing.
    """
    if not np.isfinite(values).all() or not np.any(values):
        raise ValueError("concentration needs finite values that are not all zero")
    largest = np.sort(weights(values))[::-1]
    squares = float(np.sum(largest**2))
    return Concentration(
        herfindahl=squares * HERFINDAHL_SCALE,
        effective_positions=1.0 / squares,
        top_3=float(largest[:3].sum()),
        top_10=float(largest[:10].sum()),
    )
