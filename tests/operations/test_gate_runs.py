"""The table of what earlier runs mean for a start: our records and the orchestrator's, in every combination."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import product

import pytest

from sigmasight_assets.operations.gate_runs import Clearance, Earlier, LaunchedRun, clear
from sigmasight_assets.storage.gated_runs import GatedRun, RunningStep

NOW = datetime(2025, 7, 26, 2, 0, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
KEY, HASH = "portfolio:2025-07-25:2025-07-25:0123456789abcdef", "0123456789abcdef"


def recorded(status: str, error: str | None = None, *, run_id: str = "r1", silent: timedelta = SECOND) -> GatedRun:
    return GatedRun(run_id, status, error, started_at=NOW - 20 * MINUTE, seen_at=NOW - silent)


FAILED = recorded("failed", "the disk is full")
INTERRUPTED = recorded("failed", "interrupted: DagsterExecutionInterruptedError")
SUCCEEDED = recorded("succeeded")
SILENT = recorded("running", silent=5 * MINUTE)


def launched(status: str, *, run_id: str = "r1", ago: timedelta = 20 * MINUTE, attempt: int = 0) -> LaunchedRun:
    run_key = f"{KEY}:{attempt}" if attempt else KEY
    return LaunchedRun(run_id, status, NOW - ago, NOW - ago + MINUTE, HASH, run_key)


def at_work(run: GatedRun, kind: str = "portfolio_products") -> RunningStep:
    day = date(2025, 7, 25)
    return RunningStep(run.run_id, kind, day, day, run.started_at, run.seen_at)


def decide(
    known: GatedRun | None = None, runs: Sequence[LaunchedRun] = (), steps: Sequence[RunningStep] = ()
) -> Clearance:
    running = [*steps, *([at_work(known)] if known is not None and known.status == "running" else [])]
    return clear(Earlier(known, running, runs), input_hash=HASH, run_key=KEY, now=NOW)


@dataclass(frozen=True)
class Case:
    """What is known, which attempt may start (None: none), and the words of the reason."""

    name: str
    recorded: GatedRun | None
    launched: tuple[LaunchedRun, ...]
    attempt: int | None
    says: str = ""
    failed_run: str | None = None
    is_pending: bool = False


FAILS = "run r1 failed for these same inputs: the disk is full; mend the cause, then `sigmasight retry`"
LIFELESS = "run r1 has given no sign of life since 2025-07-25 21:55:00 New York; mend the cause"
CASES = [
    Case("nothing is known", None, (), 0),
    # Only our records: the orchestrator's history was purged, or its instance is another one.
    Case("forgotten, failed", FAILED, (), None, FAILS, "r1"),
    Case("forgotten, interrupted", INTERRUPTED, (), 0),
    Case("forgotten, without a sign of life", SILENT, (), None, LIFELESS, "r1"),
    Case("forgotten, at work", recorded("running"), (), None, "run r1 is under way", is_pending=True),
    Case("forgotten, succeeded and still stale", SUCCEEDED, (), 0),
    Case(
        "forgotten, succeeded three times and still stale",
        replace(SUCCEEDED, recorded=3),
        (),
        None,
        "run r1 is the last of 3 for these same inputs that came to nothing; mend the cause, then `sigmasight retry`",
        "r1",
    ),
    # Only the orchestrator: the run died before its first step.
    Case("died first thing", None, (launched("FAILURE"),), 1),
    Case(
        "died first thing, just now",
        None,
        (launched("FAILURE", ago=MINUTE + 59 * SECOND),),
        None,
        "run r1 died before its first step, it is started again at 2025-07-25 22:00:01 New York",
        is_pending=True,
    ),
    Case(
        "died first thing, for the third time",
        None,
        (
            launched("FAILURE", run_id="r3", ago=4 * MINUTE, attempt=2),
            launched("FAILURE", run_id="r2", ago=9 * MINUTE, attempt=1),
            launched("FAILURE", run_id="r1", ago=12 * MINUTE),
        ),
        None,
        "run r3 died before its first step, it is started again at 2025-07-25 22:01:00 New York",
        is_pending=True,
    ),
    Case("canceled in the queue", None, (launched("CANCELED", ago=2 * SECOND),), 1),
    Case("succeeded, then our storage was restored", None, (launched("SUCCESS"),), 1),
    # Both.
    Case("failed", FAILED, (launched("FAILURE"),), None, FAILS, "r1"),
    Case("a step failed and the run goes on", FAILED, (launched("STARTED"),), None, "run r1 is under way", None, True),
    Case("canceled", INTERRUPTED, (launched("CANCELED"),), 1),
    Case("canceled while it failed", FAILED, (launched("CANCELED"),), 1),
    Case("canceled, its worker was killed", SILENT, (launched("CANCELED"),), 1),
    Case(
        "canceled, its worker is at work", recorded("running"), (launched("CANCELED"),), None, "under way", None, True
    ),
    Case("stopped from outside, and failed for it", INTERRUPTED, (launched("FAILURE"),), None, "interrupted", "r1"),
    Case("killed", SILENT, (launched("FAILURE"),), None, LIFELESS, "r1"),
    Case("killed with its server", SILENT, (launched("STARTED"),), None, "run r1 is under way", None, True),
    Case("died at its very end", SUCCEEDED, (launched("FAILURE"),), 1),
    # Several runs: the newest counts.
    Case(
        "the retry of a failed run is under way", FAILED, (launched("QUEUED", run_id="r2"),), None, "run r2", None, True
    ),
    Case(
        "the retry of a failed run was canceled",
        FAILED,
        (launched("CANCELED", run_id="r2", ago=MINUTE), launched("FAILURE")),
        2,
    ),
    Case(
        "the retry of a failed run died first thing",
        FAILED,
        (launched("FAILURE", run_id="r2", ago=3 * MINUTE), launched("FAILURE")),
        2,
    ),
    Case(
        "the retry of a failed run died first thing, just now",
        FAILED,
        (launched("FAILURE", run_id="r2", ago=MINUTE + 30 * SECOND), launched("FAILURE")),
        None,
        # They share a key, so one start of the gate has died: a minute after its end.
        "run r2 died before its first step, it is started again at 2025-07-25 22:00:30 New York",
        is_pending=True,
    ),
    Case(
        "the retry of a canceled run failed, and only we know of it",
        FAILED,
        (launched("CANCELED", run_id="r0", ago=30 * MINUTE),),
        None,
        FAILS,
        "r1",
    ),
    Case(
        "canceled three times",
        replace(INTERRUPTED, recorded=3),
        tuple(launched("CANCELED", run_id=f"r{number}", attempt=number) for number in (1, 2, 0)),
        None,
        "run r1 is the last of 3 for these same inputs that came to nothing",
        "r1",
    ),
    Case(
        "canceled three times in the queue",
        None,
        tuple(launched("CANCELED", run_id=f"r{number}", attempt=number) for number in (2, 1, 0)),
        3,
    ),
    Case(
        "the history was purged in part: its key is not used again",
        None,
        (launched("CANCELED", run_id="r2", attempt=1),),
        2,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_cases(case: Case) -> None:
    cleared = decide(case.recorded, case.launched)
    assert cleared.attempt == case.attempt
    assert case.says in cleared.reason
    assert bool(cleared.reason) == (case.attempt is None)
    assert cleared.failed_run == case.failed_run
    assert cleared.is_pending is case.is_pending


def test_in_every_combination_a_start_is_one_nobody_else_makes() -> None:
    """A run starts only when none is at work, and a key is never used twice."""
    ours = [None, FAILED, INTERRUPTED, SUCCEEDED, SILENT, recorded("running")]
    statuses = ["QUEUED", "STARTING", "STARTED", "CANCELING", "SUCCESS", "FAILURE", "CANCELED", "NOT_STARTED"]
    theirs: list[tuple[LaunchedRun, ...]] = [(), *((launched(status),) for status in statuses)]
    theirs += [
        (launched(first, run_id="r2", ago=10 * MINUTE, attempt=1), launched(second))
        for first, second in product(statuses, ["SUCCESS", "FAILURE", "CANCELED"])
    ]
    for known, runs in product(ours, theirs):
        cleared = decide(known, runs)
        unfinished = [run for run in runs if not run.is_finished]
        left = [run for run in unfinished if run.status == "NOT_STARTED"]
        is_running = known is not None and known.status == "running" and known is not SILENT
        if is_running or len(unfinished) > len(left):
            assert cleared.attempt is None
            assert cleared.is_pending
        elif left:
            assert cleared.attempt == (1 if left[0].run_id == "r2" else 0)
        elif cleared.attempt is not None:
            assert (f"{KEY}:{cleared.attempt}" if cleared.attempt else KEY) not in {run.run_key for run in runs}
        else:
            assert cleared.is_pending or cleared.failed_run in {"r1", "r2"}


@pytest.mark.parametrize("status", ["QUEUED", "STARTING", "STARTED", "CANCELING", "MANAGED", "SUSPENDED"])
def test_an_unfinished_run_of_other_inputs_is_waited_for(status: str) -> None:
    other = LaunchedRun("r9", status, NOW - 90 * MINUTE, NOW - 90 * MINUTE, "fedcba9876543210", "portfolio:other")
    assert decide(None, [other]) == Clearance(None, "run r9 is under way", is_pending=True)
    assert decide(None, [replace(other, input_hash=None, run_key=None)]).reason == "run r9 is under way"


@pytest.mark.parametrize("status", ["SUCCESS", "FAILURE", "CANCELED"])
def test_a_finished_run_of_other_inputs_does_not_matter(status: str) -> None:
    other = LaunchedRun("r9", status, NOW - MINUTE, NOW, "fedcba9876543210", "portfolio:other")
    assert decide(None, [other]) == Clearance(0)


class TestCreatedAndNeverLaunched:
    """The daemon or the webserver died between creating a run and launching it."""

    def test_a_run_of_the_gate_is_requested_again_under_its_own_key(self) -> None:
        assert decide(None, [launched("NOT_STARTED", ago=2 * SECOND)]).attempt == 0
        assert decide(None, [launched("NOT_STARTED", attempt=2), launched("CANCELED")]).attempt == 2

    def test_one_of_other_inputs_does_not_matter(self) -> None:
        other = replace(launched("NOT_STARTED", ago=SECOND), input_hash="fedcba9876543210", run_key="portfolio:other")
        assert decide(None, [other]) == Clearance(0)

    @pytest.mark.parametrize(
        "changes", [{"run_key": None}, {"run_key": None, "input_hash": None}, {"is_reexecution": True}]
    )
    def test_one_that_somebody_else_creates_is_waited_for_a_while(self, changes: dict[str, object]) -> None:
        just_now = replace(launched("NOT_STARTED", ago=9 * MINUTE), **changes)  # type: ignore[arg-type]
        assert decide(None, [just_now]) == Clearance(None, "run r1 is being launched", is_pending=True)
        assert decide(None, [replace(just_now, created_at=NOW - 10 * MINUTE)]).attempt == 0


class TestRetriedByTheOrchestrator:
    """Crashed workers: the orchestrator starts their runs again by itself."""

    DIED = replace(launched("FAILURE", ago=2 * MINUTE), will_be_retried=True)

    @pytest.mark.parametrize("known", [None, SILENT, INTERRUPTED])
    def test_it_is_waited_for(self, known: GatedRun | None) -> None:
        cleared = decide(known, [self.DIED])
        reason = "run r1 died and is about to be started again by the orchestrator"
        assert cleared == Clearance(None, reason, is_pending=True)

    def test_whatever_its_inputs(self) -> None:
        assert decide(None, [replace(self.DIED, input_hash="fedcba9876543210")]).is_pending

    def test_not_for_ever(self) -> None:
        late = replace(self.DIED, ended_at=NOW - 10 * MINUTE)
        assert decide(None, [late]).attempt == 1
        assert decide(SILENT, [late]).failed_run == "r1"


def test_the_pause_after_a_death_grows_up_to_an_hour() -> None:
    def ready_after(deaths: int) -> timedelta:
        runs = [launched("FAILURE", run_id=f"r{number}", attempt=number) for number in reversed(range(deaths))]
        newest = runs[0]
        for minutes in range(1, 100):
            later = [replace(newest, ended_at=NOW - minutes * MINUTE), *runs[1:]]
            if decide(None, later).attempt is not None:
                return minutes * MINUTE
        raise AssertionError("never")

    assert [ready_after(deaths) / MINUTE for deaths in (1, 2, 3, 6, 7, 20)] == [1, 2, 4, 32, 60, 60]


def test_retries_by_the_orchestrator_do_not_lengthen_the_pause() -> None:
    """They share the key of the run they repeat."""
    runs = [replace(launched("FAILURE", run_id=f"r{number}"), is_reexecution=number > 0) for number in (2, 1, 0)]
    assert decide(None, [replace(runs[0], ended_at=NOW - MINUTE), *runs[1:]]).attempt == 3


def test_runs_that_operators_started_are_no_starts_of_the_gate() -> None:
    by_hand = [replace(launched("CANCELED", run_id=f"r{number}"), run_key=None) for number in (4, 3, 2, 1)]
    assert decide(None, by_hand).attempt == 4


def test_a_step_without_a_sign_of_life_is_nobody_at_work() -> None:
    steps = [at_work(SILENT), at_work(recorded("running"), kind="symbol_products")]
    assert decide(None, (), steps) == Clearance(0)


def test_two_minutes_without_a_sign_of_life_are_too_many() -> None:
    steps = [at_work(recorded("running", silent=2 * MINUTE))]
    assert decide(None, (), steps) == Clearance(0)
    assert decide(None, (), [at_work(recorded("running", silent=2 * MINUTE - SECOND))]).is_pending


def test_of_two_runs_of_the_same_instant_the_orchestrators_counts() -> None:
    assert decide(FAILED, [launched("CANCELED", run_id="r2")]) == Clearance(1)
    assert decide(FAILED, [launched("CANCELED", run_id="r2", ago=20 * MINUTE + SECOND)]).failed_run == "r1"


def test_a_failure_without_a_word_says_so() -> None:
    assert "failed for these same inputs: no error given; mend" in decide(recorded("failed")).reason


def test_long_errors_are_shortened() -> None:
    cleared = decide(recorded("failed", "line one\nline two " + "x" * 1000))
    assert "line one line two" in cleared.reason
    assert len(cleared.reason) < 600
