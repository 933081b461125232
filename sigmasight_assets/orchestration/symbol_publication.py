"""Compute, judge and publish the symbol products of a range, slice by slice; no Dagster here.

A slice is one transaction: it takes the layer's lock, reads its window, and commits the rows of every good session
together with the ledger rows.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pyarrow as pa

from sigmasight_assets.orchestration.symbol_checks import good_sessions, judge_sessions
from sigmasight_assets.orchestration.symbol_figures import EXCLUSION_LABELS, SymbolFigures, compute_figures
from sigmasight_assets.orchestration.symbol_window import SymbolWindow, read_symbol_window
from sigmasight_assets.quant.arrays import BoolArray, FloatArray, IntArray
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.bulk import BulkTransaction, numpy_column
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.figures import find_changes, replace_exclusions, write_changes
from sigmasight_assets.storage.operations import Verdict, record_verdicts
from sigmasight_assets.storage.publications import (
    SYMBOL_PRODUCTS,
    Publication,
    lock_layer,
    next_generation,
    read_products,
    record_publications,
)
from sigmasight_assets.storage.tables import factor_covariances as covariance_table
from sigmasight_assets.storage.universe import read_universe, record_factor_date

# Cells (sessions x symbols) computed at a time: bounds the memory of a long backfill to about 1 GB.
SLICE_CELLS = 640_000
SLICE_SESSIONS = 128


@dataclass
class SymbolPublication:
    """What a range came to, for people and for the orchestrator; rows and exclusions are of published sessions."""

    published: list[date] = field(default_factory=list)
    failed: list[date] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    rows_present: Counter[str] = field(default_factory=Counter)
    rows_written: Counter[str] = field(default_factory=Counter)
    exclusions: dict[str, Counter[str]] = field(default_factory=dict)
    coverage: list[float] = field(default_factory=list)
    generation: int | None = None

    @property
    def failures(self) -> list[Verdict]:
        """Blocking verdicts that did not pass."""
        return [item for item in self.verdicts if item.is_blocking and not item.passed]


def publish_symbol_products(
    database: Database,
    calendar: SessionCalendar,
    *,
    sessions: Sequence[date],
    products: Sequence[str] = SYMBOL_PRODUCTS,
    min_coverage: float,
    run_id: str,
    force: bool = False,
) -> SymbolPublication:
    """Bring the chosen products of the sessions up to date; sessions that fail a check stay as they were.

    Rows whose fingerprint is stored already are left alone (unless ``force``), and a range in which nothing differs
    takes no generation.
    """
    with database.begin() as connection:
        symbols = read_universe(connection)
    outcome = SymbolPublication()
    for slice_sessions in _slices(sessions, max(1, len(symbols))):
        with database.bulk() as transaction:
            lock_layer(transaction, "symbol")
            lock_layer(transaction, "prices")
            window = read_symbol_window(transaction, calendar, symbols, sessions=slice_sessions)
            figures = compute_figures(window)
            verdicts = judge_sessions(
                window,
                figures,
                min_coverage=min_coverage,
                previous_betas=_previous_betas(transaction, window),
            )
            good = good_sessions(window, verdicts)
            _publish_slice(
                transaction, window, figures, outcome, good=good, products=products, run_id=run_id, force=force
            )
        with database.begin() as connection:
            record_verdicts(connection, verdicts, layer="symbol", run_id=run_id)
        outcome.verdicts += verdicts
        _count(outcome, window, figures, good=good, products=products)
    return outcome


def _slices(sessions: Sequence[date], symbols: int) -> Iterator[Sequence[date]]:
    size = max(1, min(SLICE_SESSIONS, SLICE_CELLS // symbols))
    for first in range(0, len(sessions), size):
        yield sessions[first : first + size]


def _previous_betas(transaction: BulkTransaction, window: SymbolWindow) -> FloatArray:
    """Market Betas (S,) of the newest published session before the slice, NaN where there is none."""
    first = window.targets.sessions[0].item()
    rows = transaction.read(
        "SELECT symbol, beta FROM symbol_market_beta "
        "WHERE session = (SELECT max(session) FROM symbol_market_beta WHERE session < $1)",
        (first,),
    )
    by_symbol = dict(zip(rows.column("symbol").to_pylist(), rows.column("beta").to_pylist(), strict=True))
    return np.array([by_symbol.get(symbol, np.nan) for symbol in window.grid.symbols], dtype=np.float64)


def _publish_slice(
    transaction: BulkTransaction,
    window: SymbolWindow,
    figures: SymbolFigures,
    outcome: SymbolPublication,
    *,
    good: BoolArray,
    products: Sequence[str],
    run_id: str,
    force: bool,
) -> None:
    grid = window.targets
    changes = {
        name: find_changes(transaction, grid, table, good=good, force=force)
        for name, table in figures.tables.items()
        if name in products
    }
    covariance_rows = np.zeros_like(good)
    if "factor_covariances" in products:
        covariance_rows = _covariance_changes(transaction, window, figures, good=good, force=force)
    written = {name: change.by_session for name, change in changes.items()}
    written["factor_covariances"] = covariance_rows.astype(np.int64)
    affected = _affected_sessions(transaction, window, written, good=good, products=products)
    for name, counts in written.items():
        outcome.rows_written[name] += int(counts.sum())
    reasons = {name: codes for name, codes in figures.exclusions.items() if name in products}
    replace_exclusions(transaction, grid, reasons, labels=EXCLUSION_LABELS, good=good)
    if not affected.any():
        return
    outcome.generation = next_generation(transaction)
    for change in changes.values():
        write_changes(transaction, grid, change, generation=outcome.generation)
    _write_covariances(transaction, window, figures, covariance_rows, generation=outcome.generation)
    _record_factor_dates(transaction, window, figures, affected)
    ledger = _ledger_rows(window, figures, written, affected, products)
    record_publications(transaction, outcome.generation, "symbol", ledger, run_id=run_id)


def _affected_sessions(
    transaction: BulkTransaction,
    window: SymbolWindow,
    written: dict[str, IntArray],
    *,
    good: BoolArray,
    products: Sequence[str],
) -> BoolArray:
    """Good sessions (T,) with changed rows or with a product that was never published."""
    published = read_products(transaction, "symbol")
    affected = np.sum(list(written.values()), axis=0) > 0
    for row, session in enumerate(window.targets.sessions.tolist()):
        affected[row] |= not set(products) <= published.get(session, set())
    return np.asarray(affected & good)


def _covariance_changes(
    transaction: BulkTransaction, window: SymbolWindow, figures: SymbolFigures, *, good: BoolArray, force: bool
) -> BoolArray:
    """Sessions (T,) whose covariance differs from the stored one."""
    sessions = window.targets.sessions
    rows = transaction.read(
        "SELECT session, fingerprint FROM factor_covariances WHERE session BETWEEN $1 AND $2",
        (sessions[0].item(), sessions[-1].item()),
    )
    stored = dict(zip(rows.column("session").to_pylist(), numpy_column(rows, "fingerprint").tolist(), strict=True))
    fresh = [
        stored.get(day) == fingerprint
        for day, fingerprint in zip(sessions.tolist(), figures.covariance_fingerprint.tolist(), strict=True)
    ]
    known = np.isfinite(figures.covariances).all(axis=(1, 2))
    return np.asarray(known & (force | ~np.array(fresh)) & good)


def _write_covariances(
    transaction: BulkTransaction, window: SymbolWindow, figures: SymbolFigures, selected: BoolArray, *, generation: int
) -> None:
    keys = pa.table({"session": pa.array(window.targets.sessions[selected])})
    count = keys.num_rows
    matrices = figures.covariances[selected].reshape(count, len(FACTOR_ETFS) ** 2)
    rows = keys.append_column("factors", pa.array([list(FACTOR_ETFS)] * count, pa.list_(pa.string())))
    rows = rows.append_column("covariance", pa.array(matrices.tolist(), pa.list_(pa.float64())))
    rows = rows.append_column("n_obs", pa.array(figures.covariance_rows[selected].astype(np.int16)))
    rows = rows.append_column("fingerprint", pa.array(figures.covariance_fingerprint[selected]))
    rows = rows.append_column("generation", pa.repeat(pa.scalar(generation, pa.int64()), count))
    transaction.replace(covariance_table, keys, rows)


def _record_factor_dates(
    transaction: BulkTransaction, window: SymbolWindow, figures: SymbolFigures, affected: BoolArray
) -> None:
    present = figures.tables["market_beta"].present & affected[:, None]
    last = len(affected) - 1 - present[::-1].argmax(axis=0)
    for row in np.unique(last[present.any(axis=0)]):
        selected = present.any(axis=0) & (last == row)
        names = [window.grid.symbols[position] for position in np.flatnonzero(selected)]
        record_factor_date(transaction, window.targets.sessions[row].item(), names)


def _ledger_rows(
    window: SymbolWindow,
    figures: SymbolFigures,
    written: dict[str, IntArray],
    affected: BoolArray,
    products: Sequence[str],
) -> list[Publication]:
    sessions = window.targets.sessions.tolist()
    return [
        Publication(
            session=sessions[row],
            products=tuple(products),
            rows_written=sum(int(counts[row]) for counts in written.values()),
            coverage=_coverage(figures, row),
            counts={name: int(counts[row]) for name, counts in written.items()},
        )
        for row in np.flatnonzero(affected).tolist()
    ]


def _coverage(figures: SymbolFigures, row: int) -> float:
    active = figures.active[row]
    return float((active & figures.priced[row]).sum() / max(1, active.sum()))


def _count(
    outcome: SymbolPublication,
    window: SymbolWindow,
    figures: SymbolFigures,
    *,
    good: BoolArray,
    products: Sequence[str],
) -> None:
    for row, session in enumerate(window.targets.sessions.tolist()):
        (outcome.published if good[row] else outcome.failed).append(session)
        outcome.coverage.append(_coverage(figures, row))
    for name in (name for name in products if name in figures.tables):
        outcome.rows_present[name] += int(figures.tables[name].present[good].sum())
        codes = figures.exclusions[name][good]
        counter = outcome.exclusions.setdefault(name, Counter())
        for code in np.unique(codes[codes > 0]).tolist():
            counter[EXCLUSION_LABELS[code]] += int((codes == code).sum())
    if "factor_covariances" in products:
        known = np.asarray(np.isfinite(figures.covariances).all(axis=(1, 2)))
        outcome.rows_present["factor_covariances"] += int(known[good].sum())
