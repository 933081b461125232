"""Fingerprints of what a derived row was computed from: equal while the inputs are, different once they change.

Source: formulas.md section 9. A return is rounded to a grid, its grid number is scrambled, and the numbers of a window
form a polynomial modulo 2^64, which integers compute exactly: a fingerprint is the same on every platform, in every
process and in any batch.

The grid step is 2^-37 (7.3e-12), one part in 1e9 of a return of 0.7 %. A change below half a step may go unseen. A
price history that is rescaled by a constant keeps its returns up to rounding (about 2e-16), which moves about one
return in 40,000 across a boundary of the grid: such a window is computed again although nothing changed, and comes out
equal. Returns from unchanged prices are exactly 0, in the middle of a cell.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sigmasight_assets.quant.arrays import FloatArray, IntArray

Hashes: TypeAlias = NDArray[np.uint64]

STEPS_PER_UNIT = 2.0**37
# Far outside any real return; beyond it grid numbers would leave 64 bits.
LARGEST_RETURN = 2.0**25
MISSING_STEP = np.iinfo(np.int64).min

# Odd, so that multiplying by it modulo 2^64 loses nothing; its bits are those of the square root of 3.
POLYNOMIAL_BASE = 0xBB67AE8584CAA73B
MODULUS = 2**64


def window_fingerprints(returns: FloatArray, *, rows: IntArray, window: int) -> IntArray:
    """Fingerprint of the last ``window`` returns of every column at each session of ``rows``, (rows, columns).

    ``returns`` is (sessions, columns); a value that is not finite has a code of its own. Sessions before the first
    count as missing, so it makes no difference whether they are absent or hold NaN.
    """
    start = int(rows.min()) + 1 - window
    absent = np.full((max(0, -start), returns.shape[1]), MISSING_STEP)
    steps = np.concatenate([absent, _grid_steps(returns[max(0, start) : int(rows.max()) + 1])])
    base = np.uint64(POLYNOMIAL_BASE)
    base_to_window = np.uint64(pow(POLYNOMIAL_BASE, window, MODULUS))
    prefixes = np.zeros((len(steps) + 1, returns.shape[1]), dtype=np.uint64)
    for position, key in enumerate(_scrambled(steps.view(np.uint64))):
        prefixes[position + 1] = prefixes[position] * base + key
    ends = rows + 1 - start
    return (prefixes[ends] - prefixes[ends - window] * base_to_window).view(np.int64)


def combine(*parts: IntArray | int) -> IntArray:
    """One fingerprint of several, in which their order counts; arrays and integers broadcast against each other."""
    base = np.uint64(POLYNOMIAL_BASE)
    combined = np.zeros(np.broadcast_shapes(*(np.shape(part) for part in parts)), dtype=np.uint64)
    for part in parts:
        combined *= base
        combined += _scrambled(np.asarray(part, dtype=np.int64).view(np.uint64))
        combined = _scrambled(combined)
    return combined.view(np.int64)


def _grid_steps(returns: FloatArray) -> IntArray:
    """Number of the grid point nearest to each return, with one reserved number where a return is missing."""
    known = np.isfinite(returns)
    bounded = np.clip(np.where(known, returns, 0.0), -LARGEST_RETURN, LARGEST_RETURN)
    return np.where(known, np.rint(bounded * STEPS_PER_UNIT).astype(np.int64), MISSING_STEP)


def _scrambled(values: Hashes) -> Hashes:
    """The splitmix64 output function (Steele, Lea and Flood, 2014): each input bit changes half the output bits."""
    # In place, also of a single number: numpy warns of overflow in scalars only, and it is meant here.
    mixed = np.array(values)
    mixed += np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(30)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed
