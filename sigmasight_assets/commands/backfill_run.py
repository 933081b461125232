"""A backfill: one symbol layer run over a range, followed to its end, and the portfolio run that the gate starts."""

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sigmasight_assets.commands.common import DONE_WITH_GAPS, FAILED
from sigmasight_assets.commands.output import result
from sigmasight_assets.commands.progress import Progress, as_progress
from sigmasight_assets.errors import ServiceError, SessionError
from sigmasight_assets.operations.gate import GateDecision, plan
from sigmasight_assets.operations.gate_state import read_gate_state
from sigmasight_assets.runs import FORCE_TAG, DagsterClient, RunSummary
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.settings import Settings
from sigmasight_assets.storage.calendar import read_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.figures import count_exclusions
from sigmasight_assets.storage.operations import read_refused_sessions, read_run_errors
from sigmasight_assets.storage.publications import read_symbol_generations
from sigmasight_assets.storage.run_progress import LAYERS, PRICES, read_step_progress
from sigmasight_assets.storage.snapshots import count_snapshots, read_consumed

POLL_SECONDS = 0.5
# The gate ticks every few seconds; a run it starts takes minutes at most. Without any progress for so long, give up.
GATE_PATIENCE_SECONDS = 300

# The status of a run that was asked for, while it is not known whether Dagster has started it.
ASKED_FOR = "ASKED_FOR"

Report = Callable[[str], None]


@dataclass
class BackfillOutcome:
    """What a backfill came to."""

    sessions: int
    sessions_published: int = 0
    sessions_failed: list[str] = field(default_factory=list)
    snapshots: int = 0
    symbol_run: str = ""
    symbol_run_status: str = ""
    failure: str = ""
    portfolio_layer: str = ""
    portfolio_layer_failed: bool = False
    without_value: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        """0 done, 1 nothing published, 3 done but for what is named."""
        symbols_done = self.sessions_published == self.sessions and self.symbol_run_status == "SUCCESS"
        if symbols_done and not self.portfolio_layer_failed:
            return 0
        return DONE_WITH_GAPS if self.sessions_published else FAILED


def requested_sessions(calendar: SessionCalendar, settings: Settings, first: date, last: date) -> list[date]:
    """The sessions of the range; ``SessionError`` when there is none or the last is not complete."""
    if first > last:
        raise SessionError(f"The range is reversed: --from {first} is after --to {last}")
    sessions = calendar.between(first, last)
    if not sessions:
        raise SessionError(f"There is no session from {first} to {last}: the exchange was closed")
    calendar.require_complete(sessions[-1], settings.clock())
    if sessions[0] < settings.history_start:
        raise SessionError(
            f"{sessions[0]} is before SIGMASIGHT_HISTORY_START {settings.history_start}: set it earlier first"
        )
    return sessions


def run_backfill(
    database: Database,
    settings: Settings,
    graphql_url: str,
    sessions: list[date],
    *,
    force: bool = False,
    runs: int = 1,
    report: Report,
    outcome: BackfillOutcome | None = None,
) -> BackfillOutcome:
    """Launch the symbol layer over the range, follow it, and wait until the gate has nothing left to start.

    The range is cut into so many ``runs``, which the orchestrator may place side by side.

    ``outcome`` is filled as things become known, for whoever is interrupted; ``report`` gets stages and, if it can show
    them, counts.
    """
    started = time.monotonic()
    client = DagsterClient(graphql_url)
    outcome = outcome or BackfillOutcome(sessions=len(sessions))
    told = RunProgress(database, as_progress(report))
    tags = {FORCE_TAG: "true"} if force else {}
    outcome.symbol_run_status = ASKED_FOR
    launched, parts = [], parts_of(sessions, runs)
    for part in parts:
        launched.append(client.launch_range("symbol_layer", first=part[0], last=part[-1], tags=tags))
        outcome.symbol_run = ", ".join(launched)
        report(f"symbol layer: {len(part)} sessions, run {launched[-1]}")
    followed = [_follow_run(client, run_id, told) for run_id in launched]
    ends = {each.status for each in followed}
    run_ids = [each.run_id for each in followed]
    outcome.symbol_run = ", ".join(run_ids)
    # Of several runs the worst end: one that has not succeeded is what has to be looked at.
    outcome.symbol_run_status = max(ends, key=lambda status: (status != "SUCCESS", status))
    with database.begin() as connection:
        errors = [error for run_id in run_ids for error in read_run_errors(connection, run_id)]
        judged = [read_refused_sessions(connection, run_id) for run_id in run_ids]
        published = read_symbol_generations(connection, since=sessions[0])
        outcome.without_value = count_exclusions(connection, first=sessions[0], last=sessions[-1])
    if outcome.symbol_run_status != "SUCCESS":
        # A run that ended before its first step left nothing in our own records.
        reasons = [client.failure_reason(each.run_id) for each in followed if each.status != "SUCCESS"]
        outcome.failure = "\n".join(errors or filter(None, reasons))
    done: set[date] = set()
    for part, run, refused in zip(parts, followed, judged, strict=True):
        # A run that ended before it judged any session published nothing: what is there is of earlier runs.
        if run.status == "SUCCESS" or refused is not None:
            done |= (set(part) & set(published)) - (refused or set())
    outcome.sessions_published = sum(day in done for day in sessions)
    outcome.sessions_failed = [str(day) for day in sessions if day not in done]
    report("portfolio layer: waiting for the gate")
    decision = wait_for_gate(database, settings, client, told)
    outcome.portfolio_layer = "; ".join(decision.reasons)
    outcome.portfolio_layer_failed = decision.failed_run is not None
    with database.begin() as connection:
        outcome.snapshots = count_snapshots(connection, first=sessions[0], last=sessions[-1])
    outcome.seconds = round(time.monotonic() - started, 1)
    return outcome


def parts_of(sessions: list[date], runs: int) -> list[list[date]]:
    """The sessions in order, cut into so many parts of about the same length, or one for each session if fewer."""
    count = min(runs, len(sessions))
    bounds = [len(sessions) * number // count for number in range(count + 1)]
    return [sessions[first:last] for first, last in itertools.pairwise(bounds)]


def print_outcome(outcome: BackfillOutcome) -> None:
    """Tell people how it ended."""
    result(
        f"{outcome.sessions_published} of {outcome.sessions} sessions published, {outcome.snapshots} portfolio "
        f"snapshots, {outcome.seconds} s; symbol run {outcome.symbol_run} {outcome.symbol_run_status}"
    )
    for item in outcome.without_value:
        names = ", ".join(item["symbols"])
        result(f"  without {item['product']}: {item['reason']}, {item['symbol_sessions']} rows: {names}")
    result(f"portfolio layer: {outcome.portfolio_layer}")
    if outcome.failure:
        result(outcome.failure)


class RunProgress:
    """Tells stages, and how far the runs have come by what they have stored."""

    def __init__(self, database: Database, shown: Progress) -> None:
        self._database = database
        self._shown = shown

    def __call__(self, text: str) -> None:
        """Tell a stage."""
        self._shown(text)

    def look(self, run_id: str) -> None:
        """Tell how far the run's step is."""
        with self._database.begin() as connection:
            step = read_step_progress(connection, run_id)
            if step is None or step.done is None:
                return
            total = step.symbols
            if step.kind != PRICES:
                total = len(read_calendar(connection).between(step.first_session, step.last_session))
        if step.kind == PRICES:
            self._shown.count("symbol layer, prices", step.done, total, "symbols")
        else:
            self._shown.count(f"{LAYERS[step.kind]} layer", step.done, total, "sessions")


def _follow_run(client: DagsterClient, run_id: str, report: Report) -> RunSummary:
    """Wait for the end of the run, or of the one that Dagster starts in its place when its worker is lost."""
    look = report.look if isinstance(report, RunProgress) else _nothing
    while True:
        summary = client.run(run_id)
        if summary.retried_as is not None:
            run_id = summary.retried_as
            report(f"symbol layer: run {summary.run_id} was lost, run {run_id} takes its place")
        elif summary.is_finished and not summary.will_be_retried:
            return summary
        look(run_id)
        time.sleep(POLL_SECONDS)


def _nothing(_run_id: str) -> None:
    """Show no progress."""


def wait_for_gate(database: Database, settings: Settings, client: DagsterClient, report: Report) -> GateDecision:
    """Wait until the planner has nothing to start, now or soon, and no run is under way; what the planner says then."""
    last_change = time.monotonic()
    seen: object = None
    look = report.look if isinstance(report, RunProgress) else _nothing
    while True:
        decision = plan(read_gate_state(database, now=settings.clock()))
        unfinished = [run.run_id for run in client.runs("portfolio_layer") if not run.is_finished]
        if decision.range is None and not decision.is_pending and not unfinished:
            return decision
        with database.begin() as connection:
            progress = (decision.range, unfinished, len(read_consumed(connection)))
        if progress != seen:
            seen, last_change = progress, time.monotonic()
            if decision.range is not None:
                report(f"portfolio layer: {decision.range.first} to {decision.range.last}")
        for run_id in unfinished:
            look(run_id)
        if time.monotonic() - last_change > GATE_PATIENCE_SECONDS:
            due = f"a run for {decision.range.span}" if decision.range else "; ".join(decision.reasons)
            waiting = f"runs {', '.join(unfinished)}" if unfinished else due
            raise ServiceError(
                f"The portfolio layer has made no progress for {GATE_PATIENCE_SECONDS} s, waiting for {waiting}: "
                "see the sensor portfolio_gate and its runs in the Dagster UI"
            )
        time.sleep(POLL_SECONDS)
