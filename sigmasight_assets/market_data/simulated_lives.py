"""When the symbols of the simulated market trade: listings, delistings and halts; and which bars go wrong on their way.

The dates of one kind of event are spread evenly: the fractional parts of multiples of an irrational number, so that a
market of 500 stocks has no long spell without one. A stock's dates depend on its position only, not on how many stocks
there are. Sessions are positions, counted from the first one of the market.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sigmasight_assets.market_data.simulated_model import SESSIONS_PER_YEAR, Floats
from sigmasight_assets.quant.factors import FACTOR_ETFS

Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

# The position of what does not happen.
NEVER = 2**40
# The first stocks are listed all the time and have every bar on time, right at once: demonstrations and tests hold
# them. The stock after them is always listed too, and is halted again and again.
QUIET_STOCKS = 45
HALTING_STOCK = 45
HALTING_PERIOD, HALTING_LENGTH = 21, 2

YEARS = 21
LATE_LISTED_SHARE = 0.10
DELISTED_PER_YEAR = 0.016
HALTS_PER_YEAR = 0.05
HALT_LENGTHS = (2, 8)
RECLASSIFIED_SHARE = 0.10
# A stock trades for a year at least: one that would not is listed from the first session on, or never delisted.
SHORTEST_LIFE = SESSIONS_PER_YEAR

MISSING_SHARE, LATE_SHARE, RESTATED_SHARE = 1 / 4_000, 1 / 1_000, 1 / 2_000
# A restated bar is off by this much at least and at most, and right from this many sessions on.
SMALLEST_ERROR, LARGEST_ERROR = 0.003, 0.01
CORRECTED_AFTER = 2


@dataclass(frozen=True, slots=True)
class Lives:
    """When S symbols trade, one row each, the eight funds first; all positions of sessions.

    ``first`` and ``last`` (S,) sessions, ``last`` NEVER while it goes on. Halted are the sessions whose distance from
    ``halt_phase`` modulo ``halt_period`` is below ``halt_length``, but never the first and the last. ``reclassified``
    is the session from which sector and industry are others. ``is_quiet``: every bar arrives, on time and right.
    """

    first: Integers
    last: Integers
    halt_phase: Integers
    halt_period: Integers
    halt_length: Integers
    reclassified: Integers
    is_quiet: Mask

    def trades(self, rows: Integers, start: int, stop: int) -> Mask:
        """Whether each symbol trades at each session from ``start`` to ``stop`` (exclusive), (S, stop - start)."""
        sessions = np.arange(start, stop)
        first, last = self.first[rows, None], self.last[rows, None]
        listed: Mask = (sessions >= first) & (sessions <= last)
        listed &= ~self.halted(rows, start, stop)
        return listed

    def halted(self, rows: Integers, start: int, stop: int) -> Mask:
        """Whether trading is halted, while the symbol is listed; shape as ``trades``."""
        sessions = np.arange(start, stop)
        distance = (sessions - self.halt_phase[rows, None]) % self.halt_period[rows, None]
        inside = (sessions > self.first[rows, None]) & (sessions < self.last[rows, None])
        halted: Mask = (distance < self.halt_length[rows, None]) & inside
        return halted


@dataclass(frozen=True, slots=True)
class Defects:
    """What goes wrong with the bars, (S, T) each: missing for good, late by a session, first known with an error.

    ``error`` is the relative error of the close, 0 where there is none.
    """

    missing: Mask
    late: Mask
    error: Floats


def spread(stride: float, offset: float, count: int) -> Floats:
    """``count`` numbers in [0, 1), the fractional parts of offset + k x stride."""
    return np.mod(offset + stride * np.arange(count, dtype=np.float64), 1.0)


# One stride for each kind of event; quadratic irrationals leave no large gaps.
_DELISTING, _LISTING, _HALT, _RECLASSIFICATION = (math.sqrt(number) % 1.0 for number in (5, 10, 2, 13))


def draw_lives(generator: np.random.Generator, stocks: int) -> Lives:
    """The lives of the eight funds, which always trade, and of the stocks."""
    offsets = generator.random(4)
    shortest, longest = HALT_LENGTHS
    lengths = shortest + (generator.random(stocks) * (longest - shortest + 1)).astype(np.int64)
    ordinary = max(0, stocks - HALTING_STOCK - 1)
    steady = len(FACTOR_ETFS) + stocks - ordinary

    ends = (spread(_DELISTING, offsets[1], ordinary) / DELISTED_PER_YEAR * SESSIONS_PER_YEAR).astype(np.int64)
    last = np.where(ends >= SHORTEST_LIFE, ends, NEVER)
    first = _chosen(spread(_LISTING, offsets[0], ordinary), LATE_LISTED_SHARE, otherwise=0)
    first = np.where(last >= first + SHORTEST_LIFE, first, 0)
    period = round(SESSIONS_PER_YEAR / HALTS_PER_YEAR)
    phase = (spread(_HALT, offsets[2], ordinary) * period).astype(np.int64)
    changed = _chosen(spread(_RECLASSIFICATION, offsets[3], stocks), RECLASSIFIED_SHARE, otherwise=NEVER)
    halts = {
        "halt_phase": np.append(np.zeros(steady, np.int64), phase),
        "halt_period": np.append(np.ones(steady, np.int64), np.full(ordinary, period)),
        "halt_length": np.append(np.zeros(steady, np.int64), lengths[HALTING_STOCK + 1 :]),
    }
    if stocks > HALTING_STOCK:
        halting = len(FACTOR_ETFS) + HALTING_STOCK
        halts["halt_period"][halting], halts["halt_length"][halting] = HALTING_PERIOD, HALTING_LENGTH
    return Lives(
        first=np.append(np.zeros(steady, np.int64), first),
        last=np.append(np.full(steady, NEVER), last),
        reclassified=np.append(np.full(len(FACTOR_ETFS), NEVER), changed),
        is_quiet=np.arange(len(FACTOR_ETFS) + stocks) < len(FACTOR_ETFS) + QUIET_STOCKS,
        **halts,
    )


def defects(uniforms: Floats, is_quiet: Mask) -> Defects:
    """What goes wrong with the bars, from one uniform number (S, T) each; nothing with the bars of quiet symbols."""
    number = np.where(is_quiet[:, None], 1.0, uniforms)
    late_until = MISSING_SHARE + LATE_SHARE
    where = (number - late_until) / RESTATED_SHARE
    size = SMALLEST_ERROR + (LARGEST_ERROR - SMALLEST_ERROR) * np.abs(2 * where - 1)
    wrong = (where >= 0) & (where < 1)
    return Defects(
        missing=number < MISSING_SHARE,
        late=(number >= MISSING_SHARE) & (number < late_until),
        error=np.where(wrong, np.copysign(size, 2 * where - 1), 0.0),
    )


def _chosen(numbers: Floats, share: float, *, otherwise: int) -> Integers:
    """Positions spread over all years for the given share of the symbols, ``otherwise`` for the others."""
    positions = (numbers / share * YEARS * SESSIONS_PER_YEAR).astype(np.int64)
    return np.where(numbers < share, positions, otherwise)
