"""The state of sessions, runs and requests in one document, for the command line and the API.

From our own tables alone: the orchestrator's history may be purged, and nothing here changes.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

import sqlalchemy as sa

from sigmasight_assets.operations.failure_state import failures_of
from sigmasight_assets.operations.failures import Failure, failure_cause, next_step_of_symbols
from sigmasight_assets.operations.freshness import Freshness, read_freshness
from sigmasight_assets.operations.gate import GateDecision, GateState
from sigmasight_assets.operations.gate import plan as plan_gate
from sigmasight_assets.operations.gate_causes import Hole
from sigmasight_assets.operations.gate_state import read_gate_state
from sigmasight_assets.operations.run_status import RunStatus, describe_run
from sigmasight_assets.operations.symbol_plan import (
    CATCH_UP_SESSIONS,
    SymbolDecision,
    SymbolState,
    due_sessions,
    lateness,
)
from sigmasight_assets.operations.symbol_plan import plan as plan_symbols
from sigmasight_assets.operations.symbol_state import read_holes, read_symbol_state
from sigmasight_assets.storage.alerts import read_undelivered
from sigmasight_assets.storage.calendar import read_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.decisions import read_closures
from sigmasight_assets.storage.onboarding import OnboardingRequest
from sigmasight_assets.storage.publications import read_coverage
from sigmasight_assets.storage.recorded_runs import read_recorded_runs
from sigmasight_assets.storage.symbol_troubles import read_open_requests

State = Literal["published", "due", "failed", "late", "missed", "waived", "closed", "not_published"]
LAST_RUNS = 10
EVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """One session.

    ``coverage`` is the share of active symbols with data, ``symbol_generation`` is None until every product is
    published, ``stale_symbols`` counts those whose published figures are older than their prices. ``failed``,
    ``waived`` and ``closed`` are the reasons of what applies; ``next_step`` is None where nothing is to come.
    """

    session: date
    state: State
    coverage: float | None
    symbol_generation: int | None
    published_at: datetime | None
    stale_symbols: int
    snapshots: Literal["none", "stale", "current"]
    failed: str | None
    waived: str | None
    closed: str | None
    next_step: str | None


@dataclass(frozen=True, slots=True)
class SystemStatus:
    """Everything operators ask first, newest first in every list.

    ``sessions`` are those to show. ``judged`` are those that the verdict goes by, always the same window whatever is
    shown. ``without_snapshots`` and ``stale_snapshots`` are published sessions of any age that portfolios need
    snapshots of: those that have none, and those whose snapshots are older than their inputs while nothing under way
    mends that. ``next_snapshots`` and ``next_symbols`` tell in words what the gate and the symbol layer do next.
    """

    clock: datetime
    sessions: list[SessionStatus]
    judged: list[SessionStatus]
    without_snapshots: list[date]
    stale_snapshots: list[date]
    running: list[RunStatus]
    runs: list[RunStatus]
    failures: list[Failure]
    freshness: list[Freshness]
    onboarding: list[OnboardingRequest]
    alerts_undelivered: int
    next_snapshots: str
    next_symbols: str


@dataclass(frozen=True)
class _Plans:
    """What both planners know and decide."""

    gate: GateState
    snapshots: GateDecision
    symbols: SymbolState
    figures: SymbolDecision


def read_status(database: Database, *, clock: datetime, pause: timedelta, sessions: int) -> SystemStatus:
    """The status at this instant with the newest ``sessions`` complete sessions; ``pause`` is that between attempts."""
    gate = read_gate_state(database, now=clock)
    with database.begin() as connection:
        symbols = read_symbol_state(connection, clock=clock, pause=pause)
        plans = _Plans(gate, plan_gate(gate), symbols, plan_symbols(symbols))
        known = _read_sessions(connection, plans, clock=clock, count=max(sessions, CATCH_UP_SESSIONS))
        return SystemStatus(
            clock=clock,
            sessions=_newest(known, sessions),
            judged=_newest(known, CATCH_UP_SESSIONS),
            without_snapshots=_lacking(plans, "none"),
            # What has just been edited or published again is about to be mended, and no gap.
            stale_snapshots=[] if plans.snapshots.is_pending else _lacking(plans, "stale"),
            running=[describe_run(run, now=symbols.now) for run in read_recorded_runs(connection, alive_at=EVER)],
            runs=[describe_run(run, now=symbols.now) for run in read_recorded_runs(connection, limit=LAST_RUNS)],
            failures=failures_of(connection, plans.snapshots, symbols, plans.figures),
            freshness=read_freshness(connection, clock=clock),
            onboarding=read_open_requests(connection),
            alerts_undelivered=len(read_undelivered(connection)),
            next_snapshots=_next_snapshots(plans.snapshots),
            next_symbols=_next_symbols(plans.figures),
        )


def _read_sessions(connection: sa.Connection, plans: _Plans, *, clock: datetime, count: int) -> list[SessionStatus]:
    """The newest complete sessions, newest first, and the dates between them on which the exchange was closed."""
    calendar, closures, coverage = read_calendar(connection), read_closures(connection), read_coverage(connection)
    newest = calendar.last_complete(clock)
    first = calendar.offset(newest, 1 - count)
    known = plans.gate.symbol_generations
    holes = read_holes(connection, [day for day in calendar.between(first, newest) if day not in known])
    days = {*calendar.between(first, newest), *(day for day in closures if first <= day <= clock.date())}
    return [
        _closed(day, closures[day]) if day in closures else _session(plans, day, coverage.get(day), holes.get(day))
        for day in sorted(days, reverse=True)
    ]


def _newest(items: list[SessionStatus], count: int) -> list[SessionStatus]:
    """The newest ``count`` sessions of the items, newest first, and the closed dates between them and after them."""
    sessions = [item.session for item in items if item.state != "closed"]
    return [item for item in items if item.session >= sessions[count - 1]]


def _lacking(plans: _Plans, snapshots: Literal["none", "stale"]) -> list[date]:
    """The published sessions whose snapshots the gate would make, now or once nothing holds them back."""
    gate = plans.gate
    published = [day for day in reversed(gate.needed) if day in gate.symbol_generations]
    return [day for day in published if _snapshots(gate, day) == snapshots]


def _session(plans: _Plans, day: date, coverage: float | None, hole: Hole | None) -> SessionStatus:
    gate = plans.gate
    generation = gate.symbol_generations.get(day)
    failed = None if hole is None else failure_cause(hole)
    return SessionStatus(
        session=day,
        state=_state(plans, day, has_failed=failed is not None),
        coverage=coverage,
        symbol_generation=generation,
        published_at=gate.published_at.get(day),
        stale_symbols=sum(since <= day for since in gate.marked.values()) if generation is not None else 0,
        snapshots=_snapshots(gate, day),
        failed=failed,
        waived=gate.waived.get(day),
        closed=None,
        next_step=_next_step(plans, day),
    )


def _closed(day: date, reason: str) -> SessionStatus:
    return SessionStatus(day, "closed", None, None, None, 0, "none", None, None, reason, None)


def _state(plans: _Plans, day: date, *, has_failed: bool) -> State:
    symbols = plans.symbols
    if day in symbols.published:
        return "published"
    if day in symbols.waived:
        return "waived"
    how_late = lateness(day, symbols.clock) if day in symbols.sessions else None
    if how_late is not None:
        return how_late
    if has_failed:
        return "failed"
    return "due" if day in symbols.sessions else "not_published"


def _snapshots(gate: GateState, day: date) -> Literal["none", "stale", "current"]:
    if day not in gate.consumed:
        return "none"
    return "stale" if day in gate.symbol_generations and gate.is_stale(day) else "current"


def _next_step(plans: _Plans, day: date) -> str | None:
    """What happens next to the session, in words."""
    if day in due_sessions(plans.symbols):
        return next_step_of_symbols(plans.figures)
    chosen = plans.snapshots.range
    if chosen is not None and chosen.first <= day <= chosen.last and day in plans.gate.symbol_generations:
        return "the gate starts its snapshots"
    return plans.snapshots.blocked.get(day)


def _next_snapshots(decision: GateDecision) -> str:
    if decision.range is not None:
        return f"the gate starts snapshots of {decision.range.first} to {decision.range.last}"
    return "; ".join(decision.reasons)


def _next_symbols(decision: SymbolDecision) -> str:
    chosen = decision.chosen
    if chosen is None:
        return "; ".join(decision.reasons)
    what = "republishes what is marked, at" if chosen.settles else "runs"
    return f"the sensor late_sessions {what} {chosen.span}"
