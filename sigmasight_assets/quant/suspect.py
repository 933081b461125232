"""Moves that no corporate action explains, and closes that two sources state otherwise: bars that wait to be confirmed.

Source: formulas.md section 3 (quality) and faults.md row 11. Which of the bars still wait is the caller's to say.
"""

import numpy as np

from sigmasight_assets.quant.arrays import BoolArray, IntArray

# One part in so many of a close.
LARGEST_DISAGREEMENT = 100


def unexplained_moves(closes: IntArray, has_action: BoolArray) -> BoolArray:
    """Where a close lies more than 50 % off the symbol's previous available one without a corporate action.

    ``closes`` (sessions, symbols) is in 1e-4 USD, 0 where there is no bar; ``has_action`` (sessions, symbols) marks
    the ex-dates of splits and dividends. Returns (sessions, symbols), false where there is no bar or no earlier one.
    However many sessions lie between two bars, the later is measured against the earlier, and an ex-date among them
    explains it. The comparison is exact. Raises ``ValueError`` when the shapes differ.
    """
    if closes.shape != has_action.shape:
        raise ValueError(f"shapes do not fit: closes {closes.shape}, has_action {has_action.shape}")
    before = _previous_bars(closes)
    previous = np.where(before >= 0, np.take_along_axis(closes, np.maximum(before, 0), axis=0), 0)
    actions = np.cumsum(has_action, axis=0)
    since: IntArray = actions - np.take_along_axis(actions, np.maximum(before, 0), axis=0)
    # The bound of one half without a division.
    moved = 2 * np.abs(closes - previous) > previous
    unexplained: BoolArray = moved & (closes > 0) & (previous > 0) & (since == 0)
    return unexplained


def disagreeing(closes: IntArray, others: IntArray) -> BoolArray:
    """Where the close of another source lies more than 1 % off, of the first one's.

    Both in 1e-4 USD and of one shape, 0 where there is none: there they do not disagree. The comparison is exact.
    """
    apart: BoolArray = (closes > 0) & (others > 0) & (LARGEST_DISAGREEMENT * np.abs(closes - others) > closes)
    return apart


def agreeing(closes: IntArray, others: IntArray) -> BoolArray:
    """Where both sources have a close, and they do not disagree; arguments as in ``disagreeing``."""
    together: BoolArray = (closes > 0) & (others > 0) & ~disagreeing(closes, others)
    return together


def windows_holding(marks: BoolArray, *, rows: IntArray, window: int) -> BoolArray:
    """Whether the ``window`` sessions that end at each of ``rows`` hold a mark, (rows, columns).

    ``marks`` is (sessions, columns); a window that reaches before the first session is cut there.
    """
    counts = np.zeros((len(marks) + 1, marks.shape[1]), dtype=np.int64)
    np.cumsum(marks, axis=0, out=counts[1:])
    held: BoolArray = counts[rows + 1] > counts[np.maximum(rows + 1 - window, 0)]
    return held


def _previous_bars(closes: IntArray) -> IntArray:
    """Row of the last bar before each session (sessions, symbols), -1 where there is none."""
    rows = np.where(closes > 0, np.arange(len(closes))[:, None], -1)
    previous = np.full(closes.shape, -1)
    previous[1:] = np.maximum.accumulate(rows, axis=0)[:-1]
    return previous
