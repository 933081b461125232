"""Start again what is failed right now, because an operator has mended the cause."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from sigmasight_assets.errors import DecisionError, ServiceError
from sigmasight_assets.operations.failure_state import failures_of
from sigmasight_assets.operations.failures import Failure
from sigmasight_assets.operations.gate import GateRange, ready_range
from sigmasight_assets.operations.gate import plan as plan_gate
from sigmasight_assets.operations.gate_state import read_gate_state
from sigmasight_assets.operations.symbol_plan import SymbolState, due_ranges, newest_published
from sigmasight_assets.operations.symbol_plan import plan as plan_symbols
from sigmasight_assets.operations.symbol_state import read_symbol_state
from sigmasight_assets.runs import INPUT_HASH_TAG, REQUESTED_BY_TAG, DagsterClient
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.decisions import record_action, require_reason
from sigmasight_assets.storage.onboarding import requeue

NO_DAGSTER = "Dagster is not running in this home, so no run can be started: `make run`, then again"
# What the audit says when nobody gives a reason.
WITHOUT_REASON = "no reason given"
SYMBOL_LAYER, PORTFOLIO_LAYER = "symbol_layer", "portfolio_layer"


@dataclass(frozen=True, slots=True)
class RetriedRange:
    """Sessions that are run again; ``run_id`` is that of the run which was started."""

    job: str
    first: date
    last: date
    run_id: str = ""
    input_hash: str | None = None


@dataclass(frozen=True)
class Retry:
    """What is, or was, started again; nothing when nothing is failed."""

    ranges: list[RetriedRange] = field(default_factory=list)
    symbols: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.ranges or self.symbols)


def retry(
    database: Database,
    dagster: DagsterClient | None,
    *,
    clock: datetime,
    pause: timedelta,
    actor: str,
    reason: str,
    session: date | None = None,
    symbol: str | None = None,
) -> Retry:
    """Start what is failed, or only what is of one session or symbol, and record who wanted it.

    Raises ``DecisionError`` when the chosen session or symbol is not failed or a run of the symbol layer is under way,
    ``ServiceError`` when Dagster is away, or None, and a run is to be started.
    """
    require_reason(reason)
    planned = plan_retry(database, clock=clock, pause=pause, session=session, symbol=symbol)
    done = Retry(symbols=planned.symbols)
    try:
        for item in planned.ranges:
            done.ranges.append(_launch(dagster, item, actor=actor))
    finally:
        # What was started before Dagster went away is recorded too.
        if done.ranges or (planned and not planned.ranges):
            _record(database, done, actor=actor, reason=reason, session=session, symbol=symbol)
    return done


def _record(
    database: Database, done: Retry, *, actor: str, reason: str, session: date | None, symbol: str | None
) -> None:
    """Ask for the symbols again, and record all that was started."""
    details = {
        "runs": [
            {"job": item.job, "first": str(item.first), "last": str(item.last), "run_id": item.run_id}
            for item in done.ranges
        ],
        "symbols": done.symbols,
    }
    with database.begin() as connection:
        for name in done.symbols:
            requeue(connection, name, requested_by=actor)
        record_action(
            connection, kind="retry", actor=actor, reason=reason, session=session, symbol=symbol, details=details
        )


def plan_retry(
    database: Database, *, clock: datetime, pause: timedelta, session: date | None = None, symbol: str | None = None
) -> Retry:
    """What ``retry`` would start."""
    gate = read_gate_state(database, now=clock)
    decision = plan_gate(gate)
    with database.begin() as connection:
        state = read_symbol_state(connection, clock=clock, pause=pause)
        failures = failures_of(connection, decision, state, plan_symbols(state))
    failed_range = ready_range(gate) if decision.failed_run else None
    if symbol is not None:
        return Retry(symbols=[_failed_symbol(failures, symbol)])
    found = [*_symbol_ranges(state, failures), *_portfolio_range(failed_range)]
    if session is not None:
        return Retry([_of_session(found, session)])
    return Retry(found, [item.symbol for item in failures if item.kind == "onboarding_failed" and item.symbol])


def _symbol_ranges(state: SymbolState, failures: list[Failure]) -> Iterator[RetriedRange]:
    """The sessions that could not be published, in order; the marked symbols come with them, or alone."""
    kinds = {item.kind for item in failures}
    if not kinds & {"session_not_published", "marks_not_settled"}:
        return
    ranges = due_ranges(state) or [_failed_span(state, failures)]
    for run in state.running:
        if any(run.covers(*item) for item in ranges):
            raise DecisionError(f"Run {run.run_id} of these sessions is under way: wait for its end, or cancel it")
    for first, last in ranges:
        yield RetriedRange(SYMBOL_LAYER, first, last)


def _failed_span(state: SymbolState, failures: list[Failure]) -> tuple[date, date]:
    """Where no session is due: what failed before the first publication, or the newest session, which settles marks."""
    failed = [item.session for item in failures if item.kind == "session_not_published" and item.session]
    return (min(failed), max(failed)) if failed else (newest_published(state), newest_published(state))


def _portfolio_range(failed: GateRange | None) -> Iterator[RetriedRange]:
    if failed is not None:
        yield RetriedRange(PORTFOLIO_LAYER, failed.first, failed.last, input_hash=failed.input_hash)


def _of_session(found: list[RetriedRange], session: date) -> RetriedRange:
    for item in found:
        if item.first <= session <= item.last:
            # Snapshots build on each other, so their range stays whole.
            return item if item.job == PORTFOLIO_LAYER else RetriedRange(item.job, session, session)
    raise DecisionError(f"Nothing of {session} is failed; `sigmasight status` tells what is")


def _failed_symbol(failures: list[Failure], symbol: str) -> str:
    if not any(
        item.symbol == symbol and item.kind in ("onboarding_failed", "symbol_without_data") for item in failures
    ):
        raise DecisionError(f"{symbol} is not failed; `sigmasight status` tells what is")
    return symbol


def _launch(dagster: DagsterClient | None, item: RetriedRange, *, actor: str) -> RetriedRange:
    if dagster is None:
        raise ServiceError(NO_DAGSTER)
    tags = {REQUESTED_BY_TAG: actor}
    if item.input_hash is not None:
        tags[INPUT_HASH_TAG] = item.input_hash
    run_id = dagster.launch_range(item.job, first=item.first, last=item.last, tags=tags)
    return replace(item, run_id=run_id)
