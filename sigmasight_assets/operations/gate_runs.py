"""What earlier runs mean for the one that the gate wants to start: a table of cases, decided here.

Two witnesses tell of earlier runs: our own records, from the first step of a run on, and the orchestrator, whose
history may have been purged. The newest run for the same inputs counts, whoever started it:

| recorded | orchestrator | then |
| --- | --- | --- |
| any | not finished, or about to retry by itself | wait |
| running, with a recent sign of life | any | wait |
| not | created by the gate, never launched | request it again under the same key, which launches it |
| not | none | start |
| not | failed: it died before its first step | start again after a pause that grows |
| not | canceled or succeeded | start again |
| any | canceled | start again |
| failed, or running without a sign of life | failed or forgotten | report: nobody but an operator starts it again |
| interrupted | failed | report |
| interrupted | forgotten | start again |
| succeeded, and yet the snapshots are stale | finished or forgotten | start again |

After three recorded runs that came to nothing an operator has to act. A run for other inputs that is not finished is
waited for too: its sessions would otherwise be computed twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sigmasight_assets.operations.gate_causes import SIGN_OF_LIFE, in_words, shortened
from sigmasight_assets.runs import FINISHED
from sigmasight_assets.storage.gated_runs import PORTFOLIO_STEP, GatedRun, RunningStep

# A run that is created takes this long at most until it is launched; the orchestrator's own retry comes in seconds.
LAUNCH_TAKES = timedelta(minutes=10)
RETRY_TAKES = timedelta(minutes=10)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
MOST_STARTS = 3
WAY_OUT = "mend the cause, then `sigmasight retry`"


@dataclass(frozen=True, slots=True)
class LaunchedRun:
    """A run of the portfolio layer as the orchestrator knows it; ``status`` is in its words.

    ``run_key`` is that of the gate's request, which a re-execution inherits; ``will_be_retried`` tells that the
    orchestrator is about to start a failed one again.
    """

    run_id: str
    status: str
    created_at: datetime
    ended_at: datetime
    input_hash: str | None = None
    run_key: str | None = None
    is_reexecution: bool = False
    will_be_retried: bool = False

    @property
    def is_finished(self) -> bool:
        """Whether it has ended, well or not."""
        return self.status in FINISHED

    @property
    def was_left_by_the_gate(self) -> bool:
        """Whether the gate's request created it and nothing has launched it."""
        return self.status == "NOT_STARTED" and self.run_key is not None and not self.is_reexecution


@dataclass(frozen=True, slots=True)
class Earlier:
    """All that is known of earlier runs.

    ``recorded`` is the newest one for the same inputs, ``running`` are steps of any. ``launched`` are those the
    orchestrator knows: unfinished ones, ones about to be retried, and all for the same inputs, newest first.
    """

    recorded: GatedRun | None
    running: Sequence[RunningStep]
    launched: Sequence[LaunchedRun]


@dataclass(frozen=True, slots=True)
class Clearance:
    """Whether a run may start, as which ``attempt``; else in words why not.

    ``failed_run`` is the run that somebody has to look at; ``is_pending`` tells that things move on by themselves.
    """

    attempt: int | None
    reason: str = ""
    failed_run: str | None = None
    is_pending: bool = False


def clear(earlier: Earlier, *, input_hash: str, run_key: str, now: datetime) -> Clearance:
    """Decide on a start for these inputs; ``run_key`` is the key of their first run."""
    at_work = _at_work(earlier, now)
    if at_work:
        return Clearance(None, at_work, is_pending=True)
    same = [run for run in earlier.launched if run.input_hash == input_hash]
    left = next((run for run in same if run.was_left_by_the_gate), None)
    if left is not None:
        return Clearance(_attempt(left, run_key))
    return _after_newest(earlier.recorded, [run for run in same if run.is_finished], run_key, now)


def _at_work(earlier: Earlier, now: datetime) -> str:
    for run in earlier.launched:
        if run.is_finished:
            if run.will_be_retried and now - run.ended_at < RETRY_TAKES:
                return f"run {run.run_id} died and is about to be started again by the orchestrator"
        elif run.status != "NOT_STARTED":
            return f"run {run.run_id} is under way"
        elif not run.was_left_by_the_gate and now - run.created_at < LAUNCH_TAKES:
            return f"run {run.run_id} is being launched"
    for step in earlier.running:
        if step.kind == PORTFOLIO_STEP and now - step.seen_at < SIGN_OF_LIFE:
            return f"run {step.run_id} is under way"
    return ""


def _after_newest(recorded: GatedRun | None, ended: Sequence[LaunchedRun], run_key: str, now: datetime) -> Clearance:
    """What follows from the newest run for the same inputs; none of them is at work."""
    last = ended[0] if ended else None
    if last is not None and recorded is not None and recorded.run_id != last.run_id:
        if recorded.started_at > last.created_at:
            last = None
        else:
            recorded = None
    attempt = max([len(ended), *(_attempt(run, run_key) + 1 for run in ended)])
    if recorded is None and last is not None and last.status == "FAILURE":
        return _after_pause(last, attempt, starts=len({run.run_key for run in ended if run.run_key}), now=now)
    if recorded is not None and (failure := _failure(recorded, last)):
        return Clearance(None, f"run {recorded.run_id} {failure}; {WAY_OUT}", failed_run=recorded.run_id)
    return Clearance(attempt)


def _after_pause(last: LaunchedRun, attempt: int, *, starts: int, now: datetime) -> Clearance:
    """A run that died before its first step has tried nothing of the inputs; ``starts`` of the gate have ended so."""
    pause = min(FIRST_PAUSE * 2 ** min(max(starts - 1, 0), 10), LONGEST_PAUSE)
    if now - last.ended_at >= pause:
        return Clearance(attempt)
    again = in_words(last.ended_at + pause)
    return Clearance(
        None, f"run {last.run_id} died before its first step, it is started again at {again}", is_pending=True
    )


def _failure(recorded: GatedRun, last: LaunchedRun | None) -> str:
    """What a recorded run failed of, ``last`` as the orchestrator knows it; empty when it may be started again."""
    if last is None or last.status == "FAILURE":
        if recorded.status == "running":
            return f"has given no sign of life since {in_words(recorded.seen_at)}"
        if recorded.status == "failed" and (last is not None or not recorded.is_interrupted):
            return f"failed for these same inputs: {shortened(recorded.error or 'no error given')}"
    if recorded.recorded >= MOST_STARTS:
        return f"is the last of {recorded.recorded} for these same inputs that came to nothing"
    return ""


def _attempt(run: LaunchedRun, run_key: str) -> int:
    """Which attempt a run was by its key: 0 for the first, and for one without a key of these inputs."""
    suffix = (run.run_key or "").removeprefix(f"{run_key}:")
    return int(suffix) if suffix.isdecimal() else 0
