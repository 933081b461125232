"""A week at the gate that is published and consumed, with what a test changes."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from sigmasight_assets.operations.gate import GateDecision, GateRange, GateState
from sigmasight_assets.operations.gate_causes import Hole
from sigmasight_assets.storage.gated_runs import RunningStep
from sigmasight_assets.storage.symbol_attempts import Refusal, SymbolStep

MON, TUE, WED, THU, FRI = (date(2025, 7, day) for day in range(21, 26))
WEEK = (MON, TUE, WED, THU, FRI)
ALL_PUBLISHED = {day: 10 + position for position, day in enumerate(WEEK)}
# 22:00 in New York.
NOW = datetime(2025, 7, 26, 2, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def state(**changes: object) -> GateState:
    """A week of sessions that is published and consumed, with what a case changes."""
    current = GateState(NOW, sessions=WEEK, symbol_generations=ALL_PUBLISHED, consumed=ALL_PUBLISHED)
    return replace(current, **changes)  # type: ignore[arg-type]


def without(*days: date) -> dict[date, int]:
    return {day: generation for day, generation in ALL_PUBLISHED.items() if day not in days}


def refused(check: str, detail: str) -> Hole:
    return Hole(refusals=(Refusal(check, detail, NOW - timedelta(minutes=5)),))


def step(kind: str, status: str, error: str | None = None, *, silent: timedelta = SECOND) -> SymbolStep:
    return SymbolStep("run-3", kind, status, error, started_at=NOW - timedelta(minutes=5), seen_at=NOW - silent)


def running(kind: str, *, silent: timedelta = SECOND) -> RunningStep:
    return RunningStep("run-5", kind, MON, FRI, started_at=NOW - timedelta(minutes=5), seen_at=NOW - silent)


def bounds(decision: GateDecision) -> tuple[date, date] | None:
    return (decision.range.first, decision.range.last) if decision.range else None


def required(decision: GateDecision) -> GateRange:
    assert decision.range is not None
    return decision.range
