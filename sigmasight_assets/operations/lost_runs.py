"""The reconciler's planner: which runs have lost their worker, from signs of life. A pure function.

A worker that is killed together with the code server that started it leaves its run under way for ever, and a worker
that is killed alone leaves its steps recorded as running. Time is the database's.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sigmasight_assets.storage.step_lives import StepLife

# A running step gives a sign every ten seconds.
SILENT = timedelta(seconds=40)
# Between steps, and before the first, nothing of ours runs: the orchestrator writes an event per asset and session,
# 15 s for nine assets and 950 sessions on an idle machine.
SILENT_BETWEEN_STEPS = timedelta(minutes=5)
# The orchestrator itself says that the run is over: its steps may end earlier than a run may.
SILENT_AFTER_END = timedelta(seconds=30)
# Long enough for a sign of every live worker, after the database or the whole machine was away.
SECOND_LOOK = timedelta(seconds=12)


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A silent run: its last sign of life, and when its silence was noticed."""

    last_sign: datetime
    since: datetime


@dataclass(frozen=True)
class LifeState:
    """What is known of runs at an instant.

    ``open_runs`` are those the orchestrator takes for under way, with the last change it knows of; ``steps`` are the
    recorded ones of these, and the running ones of any. ``suspicions`` are those of the look before.
    """

    now: datetime
    open_runs: Mapping[str, datetime]
    steps: Sequence[StepLife]
    suspicions: Mapping[str, Suspicion] = field(default_factory=dict)


@dataclass(frozen=True)
class LostRuns:
    """Runs to end, with the reason; runs that are over and whose steps are to be ended; and who is silent so far."""

    lost: Mapping[str, str]
    over: Sequence[str]
    suspicions: Mapping[str, Suspicion]


def plan(state: LifeState) -> LostRuns:
    """Decide which runs are lost: silent for longer than they may be, and still so at a second look."""
    steps: dict[str, list[StepLife]] = {run_id: [] for run_id in state.open_runs}
    for step in state.steps:
        steps.setdefault(step.run_id, []).append(step)
    suspicions = dict(_suspicions(state, steps))
    lost = {
        run_id: _reason(found, steps[run_id])
        for run_id, found in suspicions.items()
        if state.now - found.since >= SECOND_LOOK
    }
    over = [
        run_id
        for run_id, of_run in steps.items()
        if run_id not in state.open_runs
        and state.now - max(step.last_sign for step in of_run if step.is_running) > SILENT_AFTER_END
    ]
    return LostRuns(lost, over, {run_id: found for run_id, found in suspicions.items() if run_id not in lost})


def _suspicions(state: LifeState, steps: Mapping[str, Sequence[StepLife]]) -> Iterator[tuple[str, Suspicion]]:
    """Open runs that are silent; one that was so at the look before keeps that instant."""
    for run_id, last_change in state.open_runs.items():
        running = [step.last_sign for step in steps[run_id] if step.is_running]
        allowed = SILENT if running else SILENT_BETWEEN_STEPS
        last_sign = max(running or [last_change, *(step.last_sign for step in steps[run_id])])
        if state.now - last_sign > allowed:
            before = state.suspicions.get(run_id)
            known = before is not None and before.last_sign == last_sign
            yield run_id, before if known and before else Suspicion(last_sign, state.now)


def _reason(found: Suspicion, steps: Sequence[StepLife]) -> str:
    running = ", ".join(step.kind for step in steps if step.is_running)
    where = f"the step {running}" if running else "the run, between its steps," if steps else "the run, before a step,"
    return f"The worker was lost: {where} has given no sign of life since {found.last_sign:%Y-%m-%d %H:%M:%S} UTC."
