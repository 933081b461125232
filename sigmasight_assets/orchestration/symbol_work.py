"""What a transaction knows of its sessions before it writes: what is stored, what is stale, and that computed anew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sigmasight_assets.orchestration.symbol_figures import KeptBetas, SymbolFigures, compute_figures
from sigmasight_assets.orchestration.symbol_fingerprints import REGRESSIONS, Fingerprints, fingerprints
from sigmasight_assets.orchestration.symbol_selection import Block, covering_blocks, stale_cells
from sigmasight_assets.orchestration.symbol_states import SymbolStates, symbol_states
from sigmasight_assets.orchestration.symbol_window import SymbolWindow
from sigmasight_assets.quant.arrays import BoolArray, CodeArray, FloatArray
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.figures import PRODUCT_TABLES, StoredFigures, read_stored_figures


@dataclass(frozen=True)
class Part:
    """A rectangle of the target cells and its figures."""

    block: Block
    figures: SymbolFigures


@dataclass(frozen=True)
class SymbolWork:
    """T target sessions x S symbols: ``stored`` and ``stale`` (T, S) by product, and the ``parts`` computed anew.

    ``stale`` holds the chosen products with a row per symbol. What is not stale is what a computation would give.
    """

    window: SymbolWindow
    states: SymbolStates
    prints: Fingerprints
    stored: Mapping[str, StoredFigures]
    stale: Mapping[str, BoolArray]
    parts: Sequence[Part]

    @property
    def shape(self) -> tuple[int, int]:
        """Number of target sessions and of symbols."""
        return self.window.targets.shape

    @property
    def cells_computed(self) -> int:
        """Number of cells (session, symbol) whose figures were computed."""
        return sum(len(part.block.rows) * len(part.block.columns) for part in self.parts)

    @property
    def is_computed(self) -> BoolArray:
        """Which cells (T, S) were computed."""
        computed = np.zeros(self.shape, dtype=np.bool_)
        for part in self.parts:
            computed[part.block.cells] = True
        return computed

    @property
    def market_betas(self) -> FloatArray:
        """Market Betas (T, S) as they are once this is published, NaN where there is none."""
        betas = self.stored["market_beta"].betas[:, :, 0].copy()
        for part in self.parts:
            betas[part.block.cells] = part.figures.betas[:, :, 0]
        return betas

    def present(self, product: str) -> BoolArray:
        """Where (T, S) there is a row once this is published."""
        present = self.stored[product].present.copy()
        for part in self.parts:
            # A fresh cell that lies in the rectangle by chance stays as it is.
            due = self.stale[product][part.block.cells]
            computed = part.figures.tables[product].present
            present[part.block.cells] = np.where(due, computed, present[part.block.cells])
        return present

    def exclusions(self, product: str) -> CodeArray:
        """Why (T, S) there is no row, as codes in ``EXCLUSION_LABELS``; 0 where there is one or none is due."""
        codes = self.states.absence.copy()
        for part in self.parts:
            inside = codes[part.block.cells]
            codes[part.block.cells] = np.where(inside == 0, part.figures.reasons[product], inside)
        return np.where(self.present(product) | ~self.states.counted, np.int8(0), codes)


def prepare_work(
    transaction: BulkTransaction, window: SymbolWindow, *, products: Sequence[str], force: bool = False
) -> SymbolWork:
    """Read what is stored of the window's targets and compute what is stale of the chosen products."""
    return build_work(window, read_stored(transaction, window, products), products=products, force=force)


def read_stored(
    transaction: BulkTransaction, window: SymbolWindow, products: Sequence[str]
) -> dict[str, StoredFigures]:
    """What is stored of the window's targets, of the chosen products and of all exposures."""
    return {
        name: read_stored_figures(transaction, window.targets, name)
        for name in PRODUCT_TABLES
        if name in REGRESSIONS or name in products
    }


def build_work(
    window: SymbolWindow, stored: Mapping[str, StoredFigures], *, products: Sequence[str], force: bool = False
) -> SymbolWork:
    """Compute what is stale of the chosen products, given what is stored of those and of all exposures."""
    states, prints = symbol_states(window), fingerprints(window)
    stale = {
        name: stale_cells(each, prints.products[name], possible=_possible(window, states, name), force=force)
        for name, each in stored.items()
    }
    chosen = {name: cells for name, cells in stale.items() if name in products}
    due = np.logical_or.reduce([*chosen.values(), np.zeros(window.targets.shape, dtype=np.bool_)])
    parts = []
    for block in covering_blocks(due):
        kept = _kept_betas(stored, stale, block)
        part = window.part(block.rows, block.columns)
        parts.append(Part(block, compute_figures(part, prints.part(block.rows, block.columns), kept)))
    return SymbolWork(window, states, prints, stored, chosen, parts)


def _possible(window: SymbolWindow, states: SymbolStates, product: str) -> BoolArray:
    """Cells (T, S) that may have a row of the product."""
    return states.priced & window.is_regressed if product in REGRESSIONS else states.priced


def _kept_betas(stored: Mapping[str, StoredFigures], stale: Mapping[str, BoolArray], block: Block) -> KeptBetas:
    """The betas of exposures that are fresh; a missing row is never fresh where one is possible."""
    values = [stored[name].betas[block.cells] for name in REGRESSIONS]
    fresh = [~stale[name][block.cells][:, :, None] for name in REGRESSIONS]
    is_kept = [np.broadcast_to(each, betas.shape) for each, betas in zip(fresh, values, strict=True)]
    return KeptBetas(np.concatenate(values, axis=2), np.concatenate(is_kept, axis=2))
