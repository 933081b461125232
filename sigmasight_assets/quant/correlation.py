"""Correlations between symbols, and what they say of a book. Source: formulas.md section 8."""

from dataclasses import dataclass

import numpy as np

from sigmasight_assets.quant.arrays import BoolArray, FloatArray, IntArray

MIN_JOINT = 30
# What is left of a constant series after its mean is taken away, relative to its size.
ROUNDING = 1e-13
# Eigenvalues may be this much below 0 by rounding alone, relative to the order of the matrix.
EIGENVALUE_ROUNDING = 1e-12
REPAIR_TOLERANCE = 1e-10
REPAIR_STEPS = 1_000


@dataclass(frozen=True, slots=True)
class Mutual:
    """Means over the pairs of different symbols that have a correlation; None without any."""

    signed: float | None
    absolute: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Diversification:
    """What needs a complete and possible matrix; None where there is none.

    ``places``
        ascending, of the symbols whose correlations with each other are all known: the numbers contain these
    ``is_repaired``
        whether missing returns had made the matrix impossible, and the nearest possible one was taken
    ``effective_bets``, ``ratio``
        see the functions of these names; the ratio is None too where the whole does not vary
    """

    places: IntArray
    is_repaired: bool
    effective_bets: float | None
    ratio: float | None


def correlation_matrix(returns: FloatArray) -> FloatArray:
    """Pearson correlations (N, N) of returns (T, N), each pair over the sessions on which both have one.

    NaN where these are fewer than 30 or one of the two does not vary over them; so is the diagonal of such a symbol,
    else it is 1.
    """
    known = np.isfinite(returns)
    mask = known.astype(np.float64)
    x = _centred(returns, known)
    joint = mask.T @ mask
    # Over the joint sessions of a pair (i, j): sums of x_i, of x_i squared, and of x_i x_j.
    sums, squares, products = x.T @ mask, (x * x).T @ mask, x.T @ x
    with np.errstate(invalid="ignore"):
        variations = squares - sums**2 / joint
        # Of a difference that is all rounding nothing is left.
        variations[variations <= ROUNDING * squares] = np.nan
        matrix: FloatArray = (products - sums * sums.T / joint) / np.sqrt(variations * variations.T)
    matrix = np.clip((matrix + matrix.T) / 2.0, -1.0, 1.0)
    matrix[joint < MIN_JOINT] = np.nan
    diagonal = np.einsum("ii->i", matrix)
    diagonal[np.isfinite(diagonal)] = 1.0
    return matrix


def mutual_correlation(matrix: FloatArray) -> Mutual:
    """Mean correlation and mean |correlation| of the pairs of a matrix (N, N) with NaN where there is none."""
    pairs = matrix[np.triu_indices(len(matrix), k=1)]
    pairs = pairs[np.isfinite(pairs)]
    if not pairs.size:
        return Mutual(None, None)
    return Mutual(float(pairs.mean()), float(np.abs(pairs).mean()))


def diversification(matrix: FloatArray, returns: FloatArray, values: FloatArray) -> Diversification:
    """How far a book is from a single bet, by its correlations (N, N) of returns (T, N) and signed values (N,)."""
    places = complete_part(matrix)
    if not places.size:
        return Diversification(places, is_repaired=False, effective_bets=None, ratio=None)
    complete = matrix[np.ix_(places, places)]
    possible = nearest_correlation(complete)
    deviations = np.nanstd(returns[:, places], axis=0, ddof=1)
    return Diversification(
        places,
        is_repaired=possible is not complete,
        effective_bets=effective_bets(possible),
        ratio=diversification_ratio(possible, values[places], deviations),
    )


def complete_part(matrix: FloatArray) -> IntArray:
    """Places, ascending, of symbols of a matrix (N, N) that all have a correlation with each other.

    The symbol that lacks most is left out until nobody lacks one; of equals the last.
    """
    missing = np.isnan(matrix)
    places = np.arange(len(matrix))
    while missing.any():
        lacking = missing.sum(axis=1)
        worst = len(lacking) - 1 - int(np.argmax(lacking[::-1]))
        keep: BoolArray = np.arange(len(lacking)) != worst
        missing, places = missing[np.ix_(keep, keep)], places[keep]
    return places


def nearest_correlation(matrix: FloatArray) -> FloatArray:
    """The correlation matrix (N, N) that is nearest to a symmetric one without NaN, in the Frobenius norm.

    A matrix without negative eigenvalues is returned as it is. Otherwise alternating projections onto the matrices
    without negative eigenvalues and those with a diagonal of 1, with Dykstra's correction: N. J. Higham, Computing the
    nearest correlation matrix - a problem from finance, IMA Journal of Numerical Analysis 22 (2002), algorithm 3.3.
    Raises ``ArithmeticError`` when 1,000 steps do not lead there.
    """
    if np.linalg.eigvalsh(matrix)[0] >= -EIGENVALUE_ROUNDING * len(matrix):
        return matrix
    nearest: FloatArray = matrix
    correction = np.zeros_like(matrix)
    for _ in range(REPAIR_STEPS):
        corrected = nearest - correction
        values, vectors = np.linalg.eigh(corrected)
        projected = (vectors * np.maximum(values, 0.0)) @ vectors.T
        correction = projected - corrected
        previous, nearest = nearest, projected.copy()
        np.fill_diagonal(nearest, 1.0)
        changes = np.linalg.norm(nearest - previous), np.linalg.norm(nearest - projected)
        if max(changes) <= REPAIR_TOLERANCE * np.linalg.norm(nearest):
            return nearest
    raise ArithmeticError(f"no nearest correlation matrix within {REPAIR_STEPS} steps")


def effective_bets(matrix: FloatArray) -> float:
    """How many uncorrelated bets the correlations (N, N), without NaN and repaired, leave: 1 to N.

    Exponential of the entropy of the eigenvalues / N. Source: O. Roy and M. Vetterli, The effective rank, EUSIPCO 2007.
    """
    shares = np.maximum(np.linalg.eigvalsh(matrix), 0.0)
    shares = shares[shares > 0] / shares.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def diversification_ratio(matrix: FloatArray, values: FloatArray, volatilities: FloatArray) -> float | None:
    """Sum of |value| x volatility / volatility of the whole, at least 1; None where the whole does not vary.

    ``matrix`` (N, N) is without NaN and repaired, ``values`` (N,) are signed, ``volatilities`` (N,) of their returns;
    the units of both cancel. Source: Y. Choueifaty and Y. Coignard, Toward Maximum Diversification, Journal of
    Portfolio Management 35 (2008).
    """
    parts = values * volatilities
    apart = float(np.abs(parts).sum())
    together = float(parts @ matrix @ parts)
    if together <= EIGENVALUE_ROUNDING * len(matrix) * apart**2:
        return None
    return apart / float(np.sqrt(together))


def _centred(returns: FloatArray, known: BoolArray) -> FloatArray:
    """Returns less each symbol's own mean, 0 where missing and all over for a symbol that does not vary.

    It keeps the differences of sums below from losing digits.
    """
    x = np.where(known, returns, 0.0)
    sizes = np.abs(x).max(axis=0, initial=0.0)
    x -= x.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    x[~known] = 0.0
    x[:, np.abs(x).max(axis=0, initial=0.0) <= ROUNDING * sizes] = 0.0
    return x
