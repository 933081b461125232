"""Bring stored prices up to date: ask only for what each symbol lacks, validate, store, log what changed.

No Dagster here; the asset in ``assets.prices`` calls this.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pyarrow as pa

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.protocol import BarRequest, MarketSource, SymbolOutcome
from sigmasight_assets.market_data.validation import ValidatedBars, validate_bars
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.prices import (
    PriceWindow,
    PriceWrite,
    changed_bars,
    dense_window,
    quarantine_bars,
    read_other_sources,
    read_price_window,
    replace_changed_bars,
)
from sigmasight_assets.storage.publications import lock_layer
from sigmasight_assets.storage.universe import PROGRESS_SCHEMA, TrackedSymbol, read_universe, record_progress

# Sessions of history a symbol needs before the first session asked for.
HISTORY_SESSIONS = 400
# The newest sessions are asked for again, because vendors correct them.
REREAD_SESSIONS = 5
# Symbols per vendor request and transaction: what is stored stays stored when a later batch fails.
BATCH_SYMBOLS = 1_000


@dataclass
class PriceUpdate:
    """Counts of one update, and the vendor's answer for each symbol that is not in order."""

    requested: int = 0
    already_there: int = 0
    inserted: int = 0
    restated: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    problems: dict[str, str] = field(default_factory=dict)
    changed_symbols: int = 0
    restated_sessions: set[date] = field(default_factory=set)

    def add(self, write: PriceWrite, validated: ValidatedBars, *, again: bool) -> None:
        """Count one batch; bars asked for ``again``, because later ones were restated, count where they differ."""
        self.inserted += write.inserted
        self.restated += write.restated
        self.restated_sessions.update(write.restated_sessions)
        if not again:
            self.already_there += write.unchanged
            self.changed_symbols += len(write.symbols)
            self.rejected.update(validated.counts)


def update_prices(
    database: Database,
    source: MarketSource,
    calendar: SessionCalendar,
    *,
    sessions: Sequence[date],
    history_start: date,
    run_id: str,
) -> PriceUpdate:
    """Fetch and store what the tracked symbols lack up to the last of ``sessions``.

    Raises ``MarketDataError`` when nothing is tracked or the source cannot answer at all.
    """
    with database.begin() as connection:
        tracked = read_universe(connection)
    if not tracked:
        raise MarketDataError("No symbol is tracked: run `sigmasight universe import FILE` or `universe add SYMBOL`")
    window = _needed_sessions(calendar, sessions, history_start=history_start)
    with database.bulk(read_only=True) as transaction:
        _require_one_source(transaction, source, window)
    update = PriceUpdate()
    for batch in _batches(tracked):
        grid = Grid(window, tuple(item.symbol for item in batch))
        with database.bulk(read_only=True) as transaction:
            stored = read_price_window(transaction, grid)
        requests = plan_requests(batch, stored)
        update.requested += len(requests)
        fetched = source.fetch_bars(requests)
        validated = validate_bars(fetched.bars, requests, calendar)
        incoming = dense_window(validated.valid, grid)
        histories = _restated_histories(batch, stored, incoming, source, calendar)
        with database.bulk() as transaction:
            lock_layer(transaction, "prices")
            for bars, sent in ((validated, incoming), *histories):
                current = read_price_window(transaction, sent.grid)
                write = replace_changed_bars(transaction, current, sent, source=source.name, run_id=run_id)
                quarantine_bars(transaction, bars.rejected, source=source.name)
                update.add(write, bars, again=bars is not validated)
            record_progress(transaction, _progress(grid, incoming, fetched.outcomes))
        update.problems.update(_problems(fetched.outcomes))
    return update


def _require_one_source(
    transaction: BulkTransaction, source: MarketSource, window: np.ndarray[tuple[int, ...], np.dtype[np.datetime64]]
) -> None:
    """Bars of two markets must not meet in one regression."""
    others = read_other_sources(transaction, source.name, first=window[0].item(), last=window[-1].item())
    if others:
        raise MarketDataError(
            f"This database holds bars of the {', '.join(others)} market, and SIGMASIGHT_MARKET is {source.name}: "
            "set it back, or use another SIGMASIGHT_HOME or SIGMASIGHT_DATABASE_URL for this market"
        )


def _restated_histories(
    batch: Sequence[TrackedSymbol],
    stored: PriceWindow,
    incoming: PriceWindow,
    source: MarketSource,
    calendar: SessionCalendar,
) -> list[tuple[ValidatedBars, PriceWindow]]:
    """All stored history of the symbols whose re-read bars differ: a split or dividend changes every earlier one."""
    columns = np.flatnonzero(changed_bars(stored, incoming).any(axis=0)).tolist()
    if not columns:
        return []
    last = stored.grid.sessions[-1].item()
    starts = {batch[column].symbol: batch[column].first_trade_date or last for column in columns}
    requests = [BarRequest(symbol, first=start, last=last) for symbol, start in starts.items()]
    sessions = calendar.sessions[calendar.index(min(starts.values())) : calendar.index(last) + 1]
    history = validate_bars(source.fetch_bars(requests).bars, requests, calendar)
    return [(history, dense_window(history.valid, Grid(sessions, tuple(starts))))]


def plan_requests(batch: Sequence[TrackedSymbol], stored: PriceWindow) -> list[BarRequest]:
    """One window per symbol: from the first session it lacks, or the re-read of the newest, to the last session.

    A symbol is not asked again for sessions before its first trade once the source was asked that far back.
    """
    sessions = stored.grid.sessions
    reread = max(0, len(sessions) - REREAD_SESSIONS)
    requests = []
    for column, item in enumerate(batch):
        start = _first_needed(item, sessions)
        missing = np.flatnonzero(~stored.has_bar[start:, column])
        first = min(reread, start + int(missing[0])) if missing.size else reread
        requests.append(BarRequest(item.symbol, first=sessions[first].item(), last=sessions[-1].item()))
    return requests


def _first_needed(item: TrackedSymbol, sessions: np.ndarray[tuple[int, ...], np.dtype[np.datetime64]]) -> int:
    """Position of the first session the symbol should have a bar for."""
    asked = item.history_from is not None and np.datetime64(item.history_from, "D") <= sessions[0]
    if item.first_trade_date is None or not asked:
        return 0
    return int(np.searchsorted(sessions, np.datetime64(item.first_trade_date, "D")))


def _needed_sessions(
    calendar: SessionCalendar, sessions: Sequence[date], *, history_start: date
) -> np.ndarray[tuple[int, ...], np.dtype[np.datetime64]]:
    first = max(0, calendar.index(sessions[0]) - HISTORY_SESSIONS)
    window = calendar.sessions[first : calendar.index(sessions[-1]) + 1]
    window = window[window >= np.datetime64(history_start, "D")]
    if not window.size:
        raise MarketDataError(
            f"{sessions[-1]} is before SIGMASIGHT_HISTORY_START {history_start}: no price is asked for; set it earlier"
        )
    return window


def _batches(tracked: Sequence[TrackedSymbol]) -> Iterator[Sequence[TrackedSymbol]]:
    for first in range(0, len(tracked), BATCH_SYMBOLS):
        yield tracked[first : first + BATCH_SYMBOLS]


def _progress(grid: Grid, incoming: PriceWindow, outcomes: dict[str, SymbolOutcome]) -> pa.Table:
    present = incoming.has_bar
    found = present.any(axis=0)
    first = grid.sessions[present.argmax(axis=0)]
    last = grid.sessions[len(grid.sessions) - 1 - present[::-1].argmax(axis=0)]
    problems = _problems(outcomes)
    return pa.table(
        {
            "symbol": pa.array(grid.symbols, pa.string()),
            "asked_from": pa.repeat(pa.scalar(grid.sessions[0].item(), pa.date32()), len(grid.symbols)),
            "first_date": pa.array(first, mask=~found),
            "last_date": pa.array(last, mask=~found),
            "problem": pa.array([problems.get(symbol) for symbol in grid.symbols], pa.string()),
        },
        schema=PROGRESS_SCHEMA,
    )


def _problems(outcomes: dict[str, SymbolOutcome]) -> dict[str, str]:
    return {
        symbol: f"{answer.outcome.value}: {answer.detail}" if answer.detail else answer.outcome.value
        for symbol, answer in outcomes.items()
        if answer.outcome.value != "ok"
    }
