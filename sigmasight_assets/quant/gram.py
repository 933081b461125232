"""Centred second moments of many windowed regressions at once, by masked matrix products.

A pair is one symbol with one group of regressors in the window of one session; its moments are taken over the rows
where the symbol and every regressor of the group have a return, so they never depend on other symbols. One product of
window matrices (masks, regressors, their cross products) with symbol matrices (mask, returns, squared returns) gives
the sums of all pairs of several sessions. Each window is summed from scratch: a running sum stays wrong after a bad
value has left it. Estimators built on the moments are in ``ols`` and ``ridge``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from sigmasight_assets.quant.arrays import BoolArray, FloatArray, IntArray

# Regressors are summed about the mean of more rows than the pair has, returns about zero, from which their mean is not
# far. When the pair's own sum of squares is a smaller share of that than this, digits have cancelled and the pair is
# summed again about its own means.
CANCELLATION = 0.1
# A column is constant when its standard deviation is below this share of its root mean square: rounding leaves about
# 1e-15 of a constant that binary floats cannot represent.
CONSTANT = 1e-10
# Windows gathered at a time by the row-wise path, which bounds its memory.
GATHERED = 4096


@dataclass(frozen=True)
class Regression:
    """Several regressions of the same window (the groups), each on ``size`` regressors of its own.

    ``values`` is (size, groups, sessions), 0 where missing; ``present`` is (groups, sessions), true where all
    regressors of the group have a return. Windows and observations count returns.
    """

    values: FloatArray
    present: BoolArray
    window: int
    min_observations: int
    full_observations: int

    @property
    def size(self) -> int:
        """Number of regressors in each group."""
        return len(self.values)

    @property
    def groups(self) -> int:
        """Number of separate regressions."""
        return len(self.present)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Regressor pairs in the order of ``Moments.sxx``."""
        return list(combinations_with_replacement(range(self.size), 2))


@dataclass(frozen=True)
class SymbolBlock:
    """The returns of some symbols over the span of sessions that one block of rows needs.

    ``returns`` is (all sessions, symbols) with NaN where missing; the matrices ``present``, ``values`` and ``squared``
    are (span, symbols), 0 where missing.
    """

    returns: FloatArray
    present: FloatArray
    values: FloatArray
    squared: FloatArray


@dataclass(frozen=True)
class Moments:
    """Means and centred sums of products of the pairs; each array ends with the axes (groups, rows, symbols).

    ``mean_x`` and ``sxy`` have a leading axis of regressors, ``sxx`` one of regressor pairs. The means are those of
    the data as given; where ``n`` is 0 they mean nothing.
    """

    n: FloatArray
    mean_x: FloatArray
    mean_y: FloatArray
    sxx: FloatArray
    sxy: FloatArray
    syy: FloatArray


@dataclass(frozen=True)
class AlignedRows:
    """Rows of selected pairs: ``x`` (regressors, pairs, window), ``y`` and ``used`` (pairs, window)."""

    x: FloatArray
    y: FloatArray
    used: BoolArray


def symbol_block(returns: FloatArray, *, start: int, end: int) -> SymbolBlock:
    """Prepare the sessions ``[start, end)`` of ``returns`` (sessions, symbols) for the products."""
    window = returns[start:end]
    # In one piece: glibc keeps twice the largest block that was freed, and gives the rest back to the system. Three
    # pieces were given back and zeroed anew for every block of symbols, which took a third of the time.
    present, values, squared = np.empty((3, *window.shape))
    np.isfinite(window, out=present)
    values.fill(0.0)
    np.copyto(values, window, where=present != 0.0)
    np.multiply(values, values, out=squared)
    return SymbolBlock(returns, present, values, squared)


def centred_moments(regression: Regression, symbols: SymbolBlock, *, rows: IntArray) -> Moments:
    """Moments of every pair of the ascending sessions ``rows``, the last of which ends the symbol block.

    Pairs in which digits cancelled are summed again row by row, so a shift of the data or an outlier that the pair
    does not use costs no accuracy.
    """
    moments, lost = _moments_by_product(regression, symbols, rows)
    for selected in selected_pairs(lost & (moments.n >= regression.min_observations)):
        aligned = aligned_rows(regression, symbols, rows=rows, selected=selected)
        _replace_moments(moments, selected, aligned, regression.pairs)
    return moments


def selected_pairs(chosen: BoolArray) -> Iterator[tuple[IntArray, IntArray, IntArray]]:
    """Indices (group, row, symbol) of the true cells of ``chosen`` (groups, rows, symbols), in bounded portions."""
    if not chosen.any():
        # The usual case, and a tenth of the time of finding the cells.
        return
    group, row, symbol = np.nonzero(chosen)
    for first in range(0, len(group), GATHERED):
        portion = slice(first, first + GATHERED)
        yield group[portion], row[portion], symbol[portion]


def aligned_rows(
    regression: Regression, symbols: SymbolBlock, *, rows: IntArray, selected: tuple[IntArray, IntArray, IntArray]
) -> AlignedRows:
    """The window rows of the selected pairs, 0 where a row is not used."""
    group, row, symbol = selected
    index = _window_index(rows[row], regression.window)
    inside = np.maximum(index, 0)
    y = symbols.returns[inside, symbol[:, None]]
    used = regression.present[group[:, None], inside] & (index >= 0) & np.isfinite(y)
    x = regression.values[:, group[:, None], inside]
    return AlignedRows(np.where(used, x, 0.0), np.where(used, y, 0.0), used)


def is_constant(sum_of_squares: FloatArray, mean: FloatArray, n: FloatArray) -> BoolArray:
    """Whether a column with this centred sum of squares does not vary, seen against its own size."""
    constant: BoolArray = sum_of_squares <= CONSTANT**2 * (sum_of_squares + n * mean * mean)
    return constant


def _moments_by_product(regression: Regression, symbols: SymbolBlock, rows: IntArray) -> tuple[Moments, BoolArray]:
    """Moments of all pairs, and which of them (groups, rows, symbols) lost digits."""
    band, centre_x = _window_band(regression, rows)
    n, sx, sxx, sy, sxy, syy = _sums(regression, band, symbols)
    count = np.maximum(n, 1.0)
    mean_x = sx / count
    mean_y = sy / count
    diagonal = [position for position, (first, second) in enumerate(regression.pairs) if first == second]
    about = [sxx[position] * CANCELLATION for position in diagonal]
    about_y = syy * CANCELLATION
    for position, (first, second) in enumerate(regression.pairs):
        sxx[position] -= sx[first] * mean_x[second]
    sxy -= sx * mean_y
    syy -= sy * mean_y
    lost = syy < about_y
    for position, bound in zip(diagonal, about, strict=True):
        lost |= sxx[position] < bound
    mean_x += centre_x[..., None]
    return Moments(n, mean_x, mean_y, sxx, sxy, syy), lost


def _window_band(regression: Regression, rows: IntArray) -> tuple[FloatArray, FloatArray]:
    """Window matrices of the rows, shifted into one common span of sessions, and the centres of the regressors.

    The band is (groups x (1 + size + pairs), rows, span): masks, centred regressors, their products. The centres are
    (size, groups, rows).
    """
    index = _window_index(rows, regression.window)
    inside = np.maximum(index, 0)
    used = regression.present[:, inside] & (index >= 0)
    x = np.where(used, regression.values[:, :, inside], 0.0)
    centre = x.sum(axis=-1) / np.maximum(used.sum(axis=-1), 1)
    x = np.where(used, x - centre[..., None], 0.0)
    products = [x[first] * x[second] for first, second in regression.pairs]
    entries = np.concatenate([used, x.reshape(-1, *used.shape[1:]), *products])
    first = index[0, 0]
    band = np.zeros((len(entries), len(rows), rows[-1] - first + 1))
    band[:, np.arange(len(rows))[:, None], index - first] = entries
    return band[..., max(0, -first) :], centre


def _sums(regression: Regression, band: FloatArray, symbols: SymbolBlock) -> tuple[FloatArray, ...]:
    """Sums n, x, xx, y, xy, yy of the pairs, with axes as in ``Moments``."""
    groups, size = regression.groups, regression.size
    row_count, span = band.shape[1:]

    def product(entries: int, matrix: FloatArray) -> FloatArray:
        factors = band[:entries].reshape(-1, span)
        sums: FloatArray = (factors @ matrix[len(matrix) - span :]).reshape(-1, groups, row_count, matrix.shape[1])
        return sums

    masked = product(len(band), symbols.present)
    crossed = product(groups * (1 + size), symbols.values)
    squared = product(groups, symbols.squared)
    return masked[0], masked[1 : 1 + size], masked[1 + size :], crossed[0], crossed[1:], squared[0]


def _replace_moments(
    moments: Moments,
    selected: tuple[IntArray, IntArray, IntArray],
    aligned: AlignedRows,
    pairs: list[tuple[int, int]],
) -> None:
    """Overwrite the moments of the selected pairs by those about their own means."""
    count = aligned.used.sum(axis=-1)
    mean_x, x = _centred(aligned.x, aligned.used, count)
    mean_y, y = _centred(aligned.y, aligned.used, count)
    everywhere = (slice(None), *selected)
    moments.mean_x[everywhere] = mean_x
    moments.mean_y[selected] = mean_y
    moments.sxx[everywhere] = [(x[first] * x[second]).sum(axis=-1) for first, second in pairs]
    moments.sxy[everywhere] = (x * y).sum(axis=-1)
    moments.syy[selected] = (y * y).sum(axis=-1)


def _centred(values: FloatArray, used: BoolArray, count: IntArray) -> tuple[FloatArray, FloatArray]:
    """Means over the used rows, and the values less them, 0 where unused."""
    mean = values.sum(axis=-1) / count
    return mean, np.where(used, values - mean[..., None], 0.0)


def _window_index(rows: IntArray, window: int) -> IntArray:
    """Sessions of the window that ends at each row, (rows, window); negative before the first session."""
    index: IntArray = rows[:, None] + np.arange(1 - window, 1)
    return index
