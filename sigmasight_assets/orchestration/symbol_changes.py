"""What differs from the stored figures in the sessions that may change, and the writing of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from sigmasight_assets.orchestration.symbol_selection import Block
from sigmasight_assets.orchestration.symbol_states import EXCLUSION_LABELS
from sigmasight_assets.orchestration.symbol_work import SymbolWork
from sigmasight_assets.quant.arrays import BoolArray, IntArray
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.figures import FigureChange, figure_change, replace_exclusions, write_change
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.universe import record_factor_date, withdraw_factor_date


@dataclass(frozen=True)
class SymbolChanges:
    """Changes of each rectangle and product, of T target sessions.

    ``differing`` (T,) counts by product the rows that are new, changed or gone, ``computed`` those that are new or
    changed.
    """

    changes: list[tuple[Block, FigureChange]]
    differing: dict[str, IntArray]
    computed: dict[str, IntArray]

    def cells(self, shape: tuple[int, int], *products: str) -> BoolArray:
        """Where (T, S) a row is new, changed or gone, of the products given or of any."""
        changed = np.zeros(shape, dtype=np.bool_)
        for block, change in self.changes:
            if not products or change.figures.product in products:
                changed[block.cells] |= change.write | change.delete
        return changed


def find_changes(work: SymbolWork, good: Mapping[str, BoolArray]) -> SymbolChanges:
    """The changes of the products in ``good``, which marks by product the sessions (T,) that may change."""
    sessions = work.shape[0]
    found = SymbolChanges(
        [],
        differing={name: np.zeros(sessions, dtype=np.int64) for name in good},
        computed={name: np.zeros(sessions, dtype=np.int64) for name in good},
    )
    for part in work.parts:
        for name, may_change in good.items():
            cells = (work.stale[name] & may_change[:, None])[part.block.cells]
            stored = work.stored[name].part(part.block.cells)
            change = figure_change(part.figures.tables[name], stored, cells=cells)
            found.changes.append((part.block, change))
            found.differing[name][part.block.rows] += change.by_session
            found.computed[name][part.block.rows] += change.write.sum(axis=1)
    return found


def write_exclusions(transaction: BulkTransaction, work: SymbolWork, good: Mapping[str, BoolArray]) -> None:
    """Keep the reasons of the cells without a row, in the good sessions of each product."""
    reasons = {name: work.exclusions(name) for name in good}
    replace_exclusions(transaction, work.window.targets, reasons, labels=EXCLUSION_LABELS, good=good)


def write_changes(transaction: BulkTransaction, work: SymbolWork, changes: SymbolChanges, *, generation: int) -> None:
    """Write the rows and keep the newest session with exposures of each symbol up to date."""
    targets = work.window.targets
    for block, change in changes.changes:
        names = tuple(targets.symbols[column] for column in block.columns)
        grid = Grid(targets.sessions[block.rows], names)
        write_change(transaction, grid, change, generation=generation)
    _record_factor_dates(transaction, work, changes)


def _record_factor_dates(transaction: BulkTransaction, work: SymbolWork, changes: SymbolChanges) -> None:
    """Move the newest session with exposures of the symbols whose Market Beta was written or is gone."""
    written, gone = np.zeros((2, *work.shape), dtype=np.bool_)
    for block, change in changes.changes:
        if change.figures.product == "market_beta":
            written[block.cells], gone[block.cells] = change.write, change.delete
    for cells, record in ((written, record_factor_date), (gone, withdraw_factor_date)):
        last = len(cells) - 1 - cells[::-1].argmax(axis=0)
        for row in np.unique(last[cells.any(axis=0)]):
            selected = np.flatnonzero(cells.any(axis=0) & (last == row))
            record(transaction, work.window.targets.sessions[row].item(), _names(work, selected))


def _names(work: SymbolWork, columns: Iterable[int]) -> list[str]:
    return [work.window.grid.symbols[column] for column in columns]
