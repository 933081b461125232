"""Which cells (session, symbol) have to be computed, and the few rectangles that cover them."""

from dataclasses import dataclass

import numpy as np

from sigmasight_assets.quant.arrays import BoolArray, IntArray
from sigmasight_assets.storage.figures import StoredFigures


@dataclass(frozen=True)
class Block:
    """A rectangle of cells: positions of target sessions and of symbols, both ascending."""

    rows: IntArray
    columns: IntArray

    @property
    def cells(self) -> tuple[IntArray, IntArray]:
        """Index of the rectangle in an array (T, S)."""
        rows, columns = np.ix_(self.rows, self.columns)
        return rows, columns


def stale_cells(stored: StoredFigures, fingerprint: IntArray, *, possible: BoolArray, force: bool = False) -> BoolArray:
    """Cells (T, S) whose stored row may not be what a computation gives.

    Where a row is ``possible``: without a row, or with another fingerprint, or all with ``force``. Where none is: with
    a row. A possible row that is missing for a reason that the inputs alone do not tell (too few returns, a constant
    one) is among them.
    """
    differs = ~stored.present | (stored.fingerprint != fingerprint)
    return np.where(possible, differs | force, stored.present)


def covering_blocks(cells: BoolArray) -> list[Block]:
    """At most two rectangles that cover the cells (T, S).

    Sessions in which half of the symbols or more are due are computed for all symbols; what is due in the others is
    covered by its sessions times its symbols.
    """
    dense = 2 * cells.sum(axis=1) >= max(1, cells.shape[1])
    everything = Block(np.flatnonzero(dense), np.arange(cells.shape[1]))
    sparse = cells & ~dense[:, None]
    few = Block(np.flatnonzero(sparse.any(axis=1)), np.flatnonzero(sparse.any(axis=0)))
    return [block for block in (everything, few) if block.rows.size and block.columns.size]
