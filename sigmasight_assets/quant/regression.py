"""Exposures of every symbol to the twelve factors, for one session or a range: the entry point of the regressions.

Which regressions exist and how sessions and symbols are cut into blocks is here; the sums are in ``gram``, the
estimators in ``ols`` and ``ridge``. Source: formulas.md section 3.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np

from sigmasight_assets.quant.arrays import BoolArray, FloatArray, IntArray
from sigmasight_assets.quant.factors import FACTOR_ETFS, FACTORS, FactorDefinition, Quality
from sigmasight_assets.quant.gram import Regression, centred_moments, symbol_block
from sigmasight_assets.quant.ols import OlsEstimates, ols_estimates
from sigmasight_assets.quant.ridge import RidgeEstimates, ridge_estimates
from sigmasight_assets.quant.suspect import windows_holding

# Sessions per matrix product: their windows overlap, so together they read the returns fewer times.
BLOCK_SESSIONS = 8
# Symbols, and sessions times symbols, per block: what the block works on stays in the processor's cache, and memory
# stays bounded.
BLOCK_SYMBOLS = 2560
BLOCK_PAIRS = 8192
# More would wait for the memory rather than for the processor, and others run beside this.
MOST_THREADS = 4
# Sessions times symbols for each thread. On two idle cores 5,000 took a little longer than on one, since threads wait
# for each other between the many short steps of the interpreter; 120,000 took four fifths.
THREAD_PAIRS = 16_384

SINGLE = tuple(factor for factor in FACTORS if factor.estimator == "ols" and len(factor.proxies) == 1)
RIDGE = tuple(factor for factor in FACTORS if factor.estimator == "ridge")
SPREADS = tuple(factor for factor in FACTORS if len(factor.proxies) == 2)
# The factors of each regression, in the order of ``SymbolExposures.tables``.
REGRESSIONS = (*((factor,) for factor in SINGLE), RIDGE, *((factor,) for factor in SPREADS))
LONGEST_WINDOW = max(factor.window for factor in FACTORS)

Table: TypeAlias = OlsEstimates | RidgeEstimates


@dataclass(frozen=True)
class SymbolExposures:
    """The estimates of the requested sessions; ridge betas and spreads are in the order of ``FACTORS``."""

    market: OlsEstimates
    rates: OlsEstimates
    ridge: RidgeEstimates
    spreads: tuple[OlsEstimates, OlsEstimates, OlsEstimates, OlsEstimates]

    @property
    def tables(self) -> tuple[Table, ...]:
        """The seven regressions one after the other."""
        return (self.market, self.rates, self.ridge, *self.spreads)


@dataclass(frozen=True)
class _Regressions:
    """The regressions of all factors on one market."""

    single: Regression
    ridge: Regression
    spread: Regression


def estimate_exposures(
    returns: FloatArray, factor_returns: FloatArray, *, rows: IntArray, priced: BoolArray, own: IntArray
) -> SymbolExposures:
    """Estimate all twelve factors of every symbol at every session of ``rows``.

    ``returns`` is (sessions, symbols) and ``factor_returns`` (sessions, 8) in the order of ``FACTOR_ETFS``: daily
    simple returns, not finite where missing. ``rows`` holds ascending positions of sessions; a window that reaches
    before the first session is cut there. ``priced`` (sessions, symbols) tells where a symbol has a valid bar.
    ``own`` (symbols,) is the position in ``FACTOR_ETFS`` of a symbol that is that fund, else -1. The estimates are
    (rows, symbols); those of a symbol do not depend on the others beyond rounding.

    Raises ``ValueError`` when shapes do not fit or ``rows`` is empty or not ascending within the sessions.
    """
    _require_consistent(returns, factor_returns, rows=rows, priced=priced, own=own)
    regressions = _Regressions(
        single=regression_on(factor_returns, [(factor,) for factor in SINGLE]),
        ridge=regression_on(factor_returns, [RIDGE]),
        spread=regression_on(factor_returns, [(factor,) for factor in SPREADS]),
    )
    exposures = _unwritten((len(rows), returns.shape[1]))

    def write_block(block: tuple[slice, slice]) -> None:
        sessions, symbols = block
        here = rows[sessions]
        estimates = _block_exposures(
            regressions, returns[:, symbols], rows=here, priced=priced[here, symbols], own=own[symbols]
        )
        for target, part in zip(exposures.tables, estimates.tables, strict=True):
            for field in fields(part):
                getattr(target, field.name)[sessions, symbols] = getattr(part, field.name)

    _run_in_threads(write_block, list(_blocks(rows, returns.shape[1])), pairs=len(rows) * returns.shape[1])
    return exposures


def mark_suspect(exposures: SymbolExposures, suspect: BoolArray, factor_suspect: BoolArray, *, rows: IntArray) -> None:
    """Give quality ``SUSPECT``, in place, to the estimates whose window holds a bar that waits for a confirmation.

    ``suspect`` (sessions, symbols) marks such bars of the symbols, ``factor_suspect`` (sessions, 8) those of the
    factor funds; ``rows`` are those of the estimates.
    """
    for table, factors in zip(exposures.tables, REGRESSIONS, strict=True):
        held = suspect_windows(factors, suspect, factor_suspect, rows=rows)
        table.quality[held & (table.quality != Quality.NONE)] = Quality.SUSPECT


def suspect_windows(
    factors: Sequence[FactorDefinition], suspect: BoolArray, factor_suspect: BoolArray, *, rows: IntArray
) -> BoolArray:
    """Whether the symbol or a regressor of the factors, which share a window, has a suspect bar in it.

    Arguments as in ``mark_suspect``; the result is (rows, symbols).
    """
    funds = sorted({FACTOR_ETFS.index(proxy) for factor in factors for proxy in factor.proxies})
    # The first return of the window is from the bar before it.
    window = factors[0].window + 1
    of_funds = windows_holding(factor_suspect[:, funds], rows=rows, window=window).any(axis=1, keepdims=True)
    held: BoolArray = windows_holding(suspect, rows=rows, window=window) | of_funds
    return held


def _block_exposures(
    regressions: _Regressions, returns: FloatArray, *, rows: IntArray, priced: BoolArray, own: IntArray
) -> SymbolExposures:
    """Exposures of a block, ``priced`` and the results (rows, symbols)."""
    symbols = symbol_block(returns, start=max(0, rows[0] - LONGEST_WINDOW + 1), end=rows[-1] + 1)
    itself = own == np.array([[FACTOR_ETFS.index(factor.proxies[0])] for factor in SINGLE])

    def ols(regression: Regression, itself: BoolArray) -> tuple[OlsEstimates, ...]:
        moments = centred_moments(regression, symbols, rows=rows)
        return ols_estimates(regression, symbols, moments, rows=rows, priced=priced, itself=itself)

    market, rates = ols(regressions.single, itself)
    first, second, third, fourth = ols(regressions.spread, np.zeros((len(SPREADS), len(own)), dtype=np.bool_))
    ridge_moments = centred_moments(regressions.ridge, symbols, rows=rows)
    ridge = ridge_estimates(regressions.ridge, ridge_moments, priced=priced)
    return SymbolExposures(market, rates, ridge, (first, second, third, fourth))


def regression_on(factor_returns: FloatArray, groups: Sequence[tuple[FactorDefinition, ...]]) -> Regression:
    """The regression of each group of factors, all of which share windows and limits.

    ``factor_returns`` is (sessions, 8) in the order of ``FACTOR_ETFS``, not finite where missing.
    """
    series = np.stack([[_proxy_return(factor_returns, factor) for factor in group] for group in groups], axis=1)
    present: BoolArray = np.all(np.isfinite(series), axis=0)
    limits = groups[0][0]
    return Regression(
        values=np.where(present, series, 0.0),
        present=present,
        window=limits.window,
        min_observations=limits.min_observations,
        full_observations=limits.full_observations,
    )


def _proxy_return(factor_returns: FloatArray, factor: FactorDefinition) -> FloatArray:
    """Return of the fund, or of the first fund less that of the second."""
    legs = [factor_returns[:, FACTOR_ETFS.index(proxy)] for proxy in factor.proxies]
    return legs[0] if len(legs) == 1 else legs[0] - legs[1]


def _blocks(rows: IntArray, symbol_count: int) -> Iterator[tuple[slice, slice]]:
    """Cut positions in ``rows`` and symbols so that a block covers few neighbouring sessions and fits the cache."""
    position = 0
    while position < len(rows):
        end = int(np.searchsorted(rows, rows[position] + BLOCK_SESSIONS))
        most = min(BLOCK_SYMBOLS, BLOCK_PAIRS // (end - position))
        # Of equal widths: one thread would wait for the other's longer block.
        width = _parts(symbol_count, _parts(symbol_count, most))
        for first in range(0, symbol_count, max(1, width)):
            yield slice(position, end), slice(first, first + width)
        position = end


def _run_in_threads(
    write: Callable[[tuple[slice, slice]], None], blocks: Sequence[tuple[slice, slice]], *, pairs: int
) -> None:
    """Write the blocks, whose results do not overlap; numpy leaves the interpreter to other threads meanwhile.

    ``pairs`` is the number of sessions times symbols in all of them.
    The first exception of a block is raised here; blocks not yet begun are dropped.
    """
    threads = min(_cores(), MOST_THREADS, len(blocks), pairs // THREAD_PAIRS)
    if threads < 2:
        for block in blocks:
            write(block)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(write, blocks):
            pass


def _cores() -> int:
    """Processor cores that this process may use."""
    # Not on macOS and Windows.
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _parts(count: int, size: int) -> int:
    """How many parts of at most ``size`` make up ``count``, none where there is nothing."""
    return -(-count // size) if size else 0


def _unwritten(shape: tuple[int, int]) -> SymbolExposures:
    """Exposures of ``shape`` (rows, symbols), to be written block by block."""
    market, rates, first, second, third, fourth = OlsEstimates.unwritten(shape, count=len(SINGLE) + len(SPREADS))
    ridge = RidgeEstimates.unwritten(shape, size=len(RIDGE))
    return SymbolExposures(market, rates, ridge, (first, second, third, fourth))


def _require_consistent(
    returns: FloatArray, factor_returns: FloatArray, *, rows: IntArray, priced: BoolArray, own: IntArray
) -> None:
    sessions, symbols = returns.shape
    if factor_returns.shape != (sessions, len(FACTOR_ETFS)) or priced.shape != returns.shape or own.shape != (symbols,):
        raise ValueError(
            f"shapes do not fit: returns {returns.shape}, factor_returns {factor_returns.shape}, "
            f"priced {priced.shape}, own {own.shape}"
        )
    if len(rows) == 0 or rows[0] < 0 or rows[-1] >= sessions or np.any(np.diff(rows) <= 0):
        raise ValueError(f"rows must be ascending positions within the {sessions} sessions and not empty")
