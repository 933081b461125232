"""What a publication of symbol products came to, for people and for the orchestrator."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from sigmasight_assets.orchestration.part_times import PartTimes
from sigmasight_assets.orchestration.symbol_checks import coverage
from sigmasight_assets.orchestration.symbol_slices import PublishedSlice
from sigmasight_assets.orchestration.symbol_states import EXCLUSION_LABELS, NOT_TRADED
from sigmasight_assets.orchestration.symbol_work import SymbolWork
from sigmasight_assets.quant.arrays import BoolArray, IntArray
from sigmasight_assets.storage.operations import Verdict


@dataclass
class SymbolPublication:
    """Of the asked sessions: rows are those of published sessions, computed or fresh, and exclusions by reason.

    ``active`` and ``present`` have the symbols active at each published session, and the rows of each product of them.
    ``rows_computed`` counts by product the rows that are new or changed, ``cells_computed`` the cells (session,
    symbol) whose figures were computed at all. ``republished_sessions``, ``republished_symbols`` and
    ``rows_republished`` tell what was done because facts behind published sessions had changed; ``unsettled`` are the
    symbols for which that failed. ``times`` are those of the slices.
    """

    published: list[date] = field(default_factory=list)
    failed: list[date] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    rows_present: Counter[str] = field(default_factory=Counter)
    rows_computed: Counter[str] = field(default_factory=Counter)
    cells_computed: int = 0
    exclusions: dict[str, Counter[str]] = field(default_factory=dict)
    coverage: list[float] = field(default_factory=list)
    active: dict[date, int] = field(default_factory=dict)
    present: dict[date, dict[str, int]] = field(default_factory=dict)
    generation: int | None = None
    republished_sessions: set[date] = field(default_factory=set)
    republished_symbols: set[str] = field(default_factory=set)
    rows_republished: Counter[str] = field(default_factory=Counter)
    unsettled: set[str] = field(default_factory=set)
    times: PartTimes = field(default_factory=PartTimes)

    @property
    def failures(self) -> list[Verdict]:
        """Blocking verdicts that did not pass, each once."""
        return list(dict.fromkeys(item for item in self.verdicts if item.is_blocking and not item.passed))

    def failed_rows(self, product: str) -> int:
        """Rows that are missing of symbols that traded at their sessions."""
        return sum(count for reason, count in self.exclusions[product].items() if reason not in NOT_TRADED)

    def add(self, published: PublishedSlice) -> None:
        """Count a slice of the asked sessions."""
        judged = published.judged
        work, good = judged.work, judged.good
        self.verdicts += judged.verdicts
        self.generation = published.generation or self.generation
        self.cells_computed += work.cells_computed
        for row, session in enumerate(work.window.targets.sessions.tolist()):
            (self.published if good[row] else self.failed).append(session)
            self.coverage.append(coverage(work, row))
        self._count_active(work, good)
        for name, counts in judged.changes.computed.items():
            self.rows_computed[name] += int(counts.sum())
            self._count_present(name, work, good)
            codes = work.exclusions(name)[good]
            counter = self.exclusions.setdefault(name, Counter())
            for code in np.unique(codes[codes > 0]).tolist():
                counter[EXCLUSION_LABELS[code]] += int((codes == code).sum())
        if judged.covariances is not None:
            self.rows_computed["factor_covariances"] += int((judged.covariances.written & good).sum())
            self.rows_present["factor_covariances"] += int((judged.covariances.present & good).sum())

    def _count_active(self, work: SymbolWork, good: BoolArray) -> None:
        sessions, active = work.window.targets.sessions, work.states.active.sum(axis=1)
        for day, count in zip(sessions[good].tolist(), active[good].tolist(), strict=True):
            self.active[day], self.present[day] = count, {}

    def _count_present(self, name: str, work: SymbolWork, good: BoolArray) -> None:
        """Rows of a product; of active symbols by session, which are those that coverage is about."""
        present = work.present(name)
        self.rows_present[name] += int(present[good].sum())
        counts = (present & work.states.active).sum(axis=1)
        for day, count in zip(work.window.targets.sessions[good].tolist(), counts[good].tolist(), strict=True):
            self.present[day][name] = count

    def add_republished(
        self, generation: int, sessions: Iterable[date], *, symbols: Iterable[str], rows: Mapping[str, IntArray]
    ) -> None:
        """Count what was published again of sessions that were published before; ``rows`` by product and session."""
        self.generation = generation
        self.republished_sessions.update(sessions)
        self.republished_symbols.update(symbols)
        self.rows_republished.update({name: int(counts.sum()) for name, counts in rows.items()})

    def add_republished_slice(self, published: PublishedSlice, symbols: Iterable[str]) -> None:
        """Count a slice that was published again because of these symbols, and what kept sessions of it from that."""
        judged = published.judged
        self.verdicts += [item for item in judged.verdicts if not item.passed]
        self.cells_computed += judged.work.cells_computed
        if published.generation is not None:
            rows = judged.differing
            differs = np.sum(list(rows.values()), axis=0) > 0
            days = judged.work.window.targets.sessions[differs].tolist()
            self.add_republished(published.generation, days, symbols=symbols, rows=rows)
