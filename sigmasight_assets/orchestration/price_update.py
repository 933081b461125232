"""Bring stored prices and corporate actions up to date: ask, judge, and store per batch what differs, all or nothing.

No Dagster here; the asset in ``assets.market`` calls this.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from sigmasight_assets.errors import MarketSetupError
from sigmasight_assets.market_data.protocol import MarketSource, in_parts, second_of, source_names
from sigmasight_assets.orchestration.cross_check import cross_check
from sigmasight_assets.orchestration.price_answers import Answer, ask
from sigmasight_assets.orchestration.price_changes import (
    StoredFacts,
    change_reasons,
    compare_actions,
    find_marks,
    late_actions,
)
from sigmasight_assets.orchestration.price_counts import PriceUpdate
from sigmasight_assets.orchestration.price_requests import PricePlan, needed_sessions, plan_histories, plan_requests
from sigmasight_assets.orchestration.second_answers import (
    rows_to_read_again,
    served_before,
    settled,
    without_stored,
)
from sigmasight_assets.quant.arrays import DateArray
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.actions import ActionChange, log_changed_actions, read_stated_actions, replace_actions
from sigmasight_assets.storage.bar_decisions import read_bar_decisions_in_bulk
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.calendar import require_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.invalidations import mark_invalid, newest_published_session
from sigmasight_assets.storage.portfolios import read_contracts_held_after
from sigmasight_assets.storage.prices import (
    REREAD,
    quarantine_bars,
    read_bars_of,
    read_other_sources,
    read_price_window,
    replace_changed_bars,
)
from sigmasight_assets.storage.publications import lock_layer
from sigmasight_assets.storage.universe import PROGRESS_SCHEMA, TrackedSymbol, read_universe, record_progress

# Symbols that are planned together, and that are asked for and stored together where a source answers for many at once:
# what is stored stays stored when a later batch fails.
BATCH_SYMBOLS = 1_000
# A run that goes on where another was ended does not read again what that one has read, where each symbol is a call.
ANSWER_IS_FRESH = timedelta(hours=6)
# Told how many symbols have been asked for, and of how many.
Progress = Callable[[int, int], None]

HISTORY_MISSING = "nothing of it is stored before its whole history is, which changed"


def nobody_watches(done: int, total: int) -> None:
    """Progress that is shown to nobody."""


@dataclass(frozen=True)
class _Update:
    """An update under way: what it works with, the sessions it needs and the counts it leaves."""

    database: Database
    source: MarketSource
    calendar: SessionCalendar
    sessions: DateArray
    run_id: str
    now: datetime
    counts: PriceUpdate = field(default_factory=PriceUpdate)

    @property
    def second(self) -> frozenset[str]:
        """Names of the market that serves when the first is down; empty when there is none."""
        second = second_of(self.source)
        return frozenset() if second is None else source_names(second)

    @property
    def symbols_at_once(self) -> int:
        """How many symbols are asked for and stored together.

        A source that is asked about one symbol at a time takes its time for each: nothing that it has sent is risked.
        """
        return BATCH_SYMBOLS if self.source.symbols_per_call > 1 else 1

    @property
    def answered_at(self) -> datetime | None:
        """What is noted of symbols that are asked for one at a time; others are read again by every run."""
        return self.now if self.symbols_at_once == 1 else None

    @property
    def fresh_since(self) -> datetime | None:
        """From when on an answer is not asked for again."""
        return self.answered_at and self.answered_at - ANSWER_IS_FRESH


def update_prices(
    database: Database,
    source: MarketSource,
    calendar: SessionCalendar,
    *,
    sessions: Sequence[date],
    history_start: date,
    run_id: str,
    now: datetime | None = None,
    symbols: Collection[str] | None = None,
    progress: Progress = nobody_watches,
) -> PriceUpdate:
    """Fetch and store what the tracked symbols, or only ``symbols`` of them, lack up to the last of ``sessions``.

    All that an answer changes of a batch of symbols is one transaction: bars, corporate actions, the log of
    restatements, what is known of the symbols, and the marks of published figures that rest on what changed. A symbol
    whose stored bars or corporate actions turn out to be stated otherwise has its whole history fetched again. Symbols
    whose calls failed are asked for once more after all others. ``progress`` is told how many symbols are asked for
    and how many of them have been.

    Raises ``MarketSetupError`` when nothing is tracked, ``MarketDataError`` when the source cannot answer at all.
    """
    with database.begin() as connection:
        tracked = [item for item in read_universe(connection) if symbols is None or item.symbol in symbols]
        if symbols is None and source.symbols_per_call == 1:
            tracked = _without_closed_contracts(connection, tracked, first=sessions[0])
    if not tracked:
        raise MarketSetupError("No symbol is tracked: run `sigmasight universe import FILE` or `universe add SYMBOL`")
    window = needed_sessions(calendar, sessions, history_start=history_start)
    with database.bulk(read_only=True) as transaction:
        _require_one_source(transaction, source, window)
    # Contracts last: where they are asked for at another pace, shares do not wait for them.
    tracked.sort(key=lambda item: item.asset_type == "option")
    update = _Update(database, source, calendar, window, run_id, now or datetime.now(UTC))
    _update_all(update, tracked, progress)
    again = [item.symbol for item in tracked if item.symbol in update.counts.failed]
    if again:
        update.counts.forget_failures()
        with database.begin() as connection:
            items = [item for item in read_universe(connection) if item.symbol in again]
        _update_all(update, items, progress)
    second = second_of(source)
    if second is not None:
        update.counts.check = cross_check(database, second, calendar, tracked, sessions=window, run_id=run_id)
        update.counts.marked |= update.counts.check.marked
    return update.counts


def _without_closed_contracts(
    connection: sa.Connection, tracked: Sequence[TrackedSymbol], *, first: date
) -> list[TrackedSymbol]:
    """The symbols less the contracts that nobody holds any more: each would cost a call."""
    held = read_contracts_held_after(connection, first)
    return [item for item in tracked if item.asset_type != "option" or item.symbol in held]


def _require_one_source(transaction: BulkTransaction, source: MarketSource, window: DateArray) -> None:
    """Bars of two markets must not meet in one regression, but for those of the market and the second behind it."""
    others = read_other_sources(transaction, source_names(source), first=window[0].item(), last=window[-1].item())
    if others:
        raise MarketSetupError(
            f"This database holds bars of the {', '.join(others)} market, and SIGMASIGHT_MARKET is {source.name}: "
            "set it back (or SIGMASIGHT_SECOND_MARKET), or use another SIGMASIGHT_HOME or SIGMASIGHT_DATABASE_URL for "
            "this market"
        )


def _update_all(update: _Update, tracked: Sequence[TrackedSymbol], progress: Progress) -> None:
    """Plan for all symbols first, so that it can be told how many will be asked for."""
    parts = [part for batch in in_parts(tracked, BATCH_SYMBOLS) for part in _planned(update, batch)]
    total, done = sum(len(part.plan.requests) for part in parts), 0
    progress(done, total)
    for part in parts:
        _update_part(update, part.items, part.plan)
        if part.plan.requests:
            done += len(part.plan.requests)
            progress(done, total)


@dataclass(frozen=True)
class _Part:
    """Symbols that are asked for and stored together, with what is asked."""

    items: Sequence[TrackedSymbol]
    plan: PricePlan


def _planned(update: _Update, batch: Sequence[TrackedSymbol]) -> Iterator[_Part]:
    """The batch in parts; symbols of which nothing is asked are together."""
    grid = Grid(update.sessions, tuple(item.symbol for item in batch))
    with update.database.bulk(read_only=True) as transaction:
        stored = _read_stored(transaction, grid, update.second)
        again = rows_to_read_again(transaction, stored) if update.second else None
    plan = plan_requests(batch, stored.bars, again=again, fresh_since=update.fresh_since)
    if update.symbols_at_once >= len(batch):
        yield _Part(batch, plan)
        return
    asked = {request.symbol: request for request in plan.requests}
    for items in in_parts([item for item in batch if item.symbol in asked], update.symbols_at_once):
        yield _Part(items, plan.only([asked[item.symbol] for item in items]))
    yield _Part([item for item in batch if item.symbol not in asked], plan.without_requests())


def _update_part(update: _Update, batch: Sequence[TrackedSymbol], plan: PricePlan) -> None:
    if not plan.requests:
        with update.database.bulk() as transaction:
            lock_layer(transaction, "prices")
            record_progress(transaction, _unasked_progress(plan))
        update.counts.add_plan(plan, symbols=len(batch))
        return
    grid = Grid(update.sessions, tuple(item.symbol for item in batch))
    with update.database.bulk(read_only=True) as transaction:
        stored = _read_stored(transaction, grid, update.second)
    answer = ask(update.source, update.calendar, plan.requests, grid).without_rejected(stored.rejections)
    answer = settled(answer, stored, update.second, begun={item.symbol for item in batch if item.first_trade_date})
    answers = _with_histories(update, batch, stored, answer)
    contracts = {item.symbol for item in batch if item.asset_type == "option"}
    with update.database.bulk() as transaction:
        lock_layer(transaction, "prices")
        require_calendar(transaction, update.calendar)
        for each in answers:
            kept = _store(update, transaction, each, contracts=contracts)
            progress = _progress(
                kept,
                plan,
                first=update.sessions[0].item(),
                second=update.second,
                answered_at=update.answered_at,
            )
            record_progress(transaction, progress)
        record_progress(transaction, _unasked_progress(plan))
    update.counts.add_plan(plan, symbols=len(batch))
    update.counts.add_answers(answer, answers, second=update.second)


def _read_stored(transaction: BulkTransaction, grid: Grid, second: Collection[str]) -> StoredFacts:
    return StoredFacts(
        bars=read_price_window(transaction, grid),
        actions=read_stated_actions(transaction, first=date.min, last=date.max, symbols=grid.symbols),
        newest_published=newest_published_session(transaction),
        rejections=read_bar_decisions_in_bulk(transaction, grid, verdict="rejected"),
        of_second=read_bars_of(transaction, grid, second) if second else None,
    )


def _with_histories(
    update: _Update, batch: Sequence[TrackedSymbol], stored: StoredFacts, answer: Answer
) -> list[Answer]:
    """The answer, and in place of some of its symbols one that brings their whole history.

    These are the symbols whose re-read bars differ, or whose actions changed after their first bar: a split or a
    dividend changes every earlier bar. When the history does not come, nothing of the symbol is stored, for its new
    bars may be in other units than the stored ones.
    """
    restated = stored.restated(answer.window)
    served = answer.served_by(update.second)
    begun = {item.symbol: item.first_trade_date for item in batch if item.first_trade_date is not None}
    for change in _changed_actions(update, stored, answer):
        if change.symbol in begun and begun[change.symbol] < change.ex_date and change.symbol not in served:
            restated.add(change.symbol)
    if not restated:
        return [answer]
    items = [item for item in batch if item.symbol in restated]
    requests = plan_histories(items, answer.requests, _first_actions(stored.actions, restated))
    first, last = min(item.first for item in requests), max(item.last for item in requests)
    # An ex-date may be a date that has been closed since.
    sessions = np.array(update.calendar.between(first, last), dtype="datetime64[D]")
    history = ask(update.source, update.calendar, requests, Grid(sessions, tuple(item.symbol for item in requests)))
    missing = _missing(history) | {
        symbol: f"only {name} has answered" for symbol, name in history.served_by(update.second).items()
    }
    update.counts.problems.update({symbol: f"{said}; {HISTORY_MISSING}" for symbol, said in missing.items()})
    return [answer.without(restated), history.without(missing)]


def _changed_actions(update: _Update, stored: StoredFacts, answer: Answer) -> list[ActionChange]:
    """How the answer's actions differ from those stated; none where the market does not supply any.

    A second market's may only be new ones.
    """
    if not update.source.supplies_corporate_actions:
        return []
    unreadable, served = {symbol for symbol, _ in answer.actions.problems}, answer.served_by(update.second)
    changes = compare_actions(stored.actions, answer.actions.valid, since=answer.answered_from, kept=unreadable)
    return [item for item in changes if item.old is None or item.symbol not in served]


def _first_actions(stated: pa.Table, symbols: set[str]) -> dict[str, date]:
    """The oldest ex-date stated of each symbol that has one; ``stated`` is by symbol and ex-date."""
    found: dict[str, date] = {}
    for symbol, ex_date in zip(stated.column("symbol").to_pylist(), stated.column("ex_date").to_pylist(), strict=True):
        if symbol in symbols:
            found.setdefault(symbol, ex_date)
    return found


def _missing(history: Answer) -> dict[str, str]:
    """What the source said of the symbols whose history did not come."""
    has_bar = np.asarray(history.window.has_bar.any(axis=0)).tolist()
    silent = {symbol: "no valid bar" for symbol, found in zip(history.requests, has_bar, strict=True) if not found}
    return {**silent, **history.problems}


def _store(update: _Update, transaction: BulkTransaction, answer: Answer, *, contracts: set[str]) -> Answer:
    """Write one answer against what is stored now, which others may have changed since it was planned.

    Returns the answer without the bars that an operator has rejected by now.
    """
    stored = _read_stored(transaction, answer.window.grid, update.second)
    answer = without_stored(answer.without_rejected(stored.rejections), stored.bars, update.second)
    changes = _changed_actions(update, stored, answer)
    source, sources = update.source.name, answer.sources
    write = replace_changed_bars(
        transaction,
        stored.bars,
        answer.window,
        source=source,
        run_id=update.run_id,
        reasons=served_before(stored, source, update.second) | change_reasons(changes),
        sources=sources,
        of_others=stored.of_second,
    )
    replace_actions(transaction, changes, source=source, run_id=update.run_id, sources=sources)
    log_changed_actions(transaction, late_actions(changes, stored.bars), reason=REREAD, run_id=update.run_id)
    quarantine_bars(transaction, answer.bars.rejected, source=source, sources=sources)
    # Options leap as a matter of course, and no figure waits for one of their bars to be confirmed.
    marks = find_marks(stored, answer.window, changes, without_moves=contracts)
    mark_invalid(transaction, marks, run_id=update.run_id)
    update.counts.add(write, changes, marks)
    return answer


def _progress(
    answer: Answer, plan: PricePlan, *, first: date, second: Collection[str], answered_at: datetime | None
) -> pa.Table:
    """What is learnt of each symbol that was asked for; ``first`` is the first session that was looked at.

    What only the second market has told is asked for again.
    """
    served = answer.served_by(second)
    sessions, present = answer.window.grid.sessions.tolist(), answer.window.has_bar
    ended = {**answer.delisted, **plan.expired}
    reasons = {**answer.problems, **ended}
    rows = []
    for column, symbol in enumerate(answer.window.grid.symbols):
        # Of a call that failed nothing was learnt, and what it asked for counts as never asked for.
        if symbol in answer.requests and symbol not in answer.failed:
            request, found = answer.requests[symbol], np.flatnonzero(present[:, column])
            rows.append(
                {
                    "symbol": symbol,
                    "asked_from": None if symbol in served else min(first, request.first),
                    "asked_to": None if symbol in served else request.last,
                    "first_date": sessions[found[0]] if found.size else None,
                    "last_date": sessions[found[-1]] if found.size else None,
                    "has_ended": symbol in ended,
                    "is_unknown": symbol in answer.unknown,
                    "answered_at": None if symbol in served else answered_at,
                    "reason": reasons.get(symbol),
                }
            )
    return pa.Table.from_pylist(rows, schema=PROGRESS_SCHEMA)


def _unasked_progress(plan: PricePlan) -> pa.Table:
    """The symbols that are never asked for, and those that were over before the window."""
    asked = {item.symbol for item in plan.requests}
    unasked = {symbol: reason for symbol, reason in plan.expired.items() if symbol not in asked}
    rows = [
        {"symbol": symbol, "has_ended": symbol in unasked, "reason": reason}
        for symbol, reason in {**plan.refused, **unasked}.items()
    ]
    return pa.Table.from_pylist(rows, schema=PROGRESS_SCHEMA)
