"""The reconciler's ticks: silent runs end at the second look, all others go on."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from sigmasight_assets.operations import lost_runs as planner
from sigmasight_assets.orchestration.celery_launcher import WorkerRunLauncher
from sigmasight_assets.orchestration.sensors.lost_runs import lost_runs
from sigmasight_assets.services.ports import LOOPBACK
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.operations import start_batch
from tests.orchestration.contents import execute, rows_of
from tests.orchestration.sensors.ticks import Tick, open_run, tick
from tests.orchestration.test_celery_launcher import instance_of_workers

pytestmark = pytest.mark.usefixtures("evening")

STARTED, CANCELING = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING
RECORDS = "SELECT run_id, status, error FROM batch_runs ORDER BY run_id"


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """An orchestrator; the second look follows as soon as a test takes it."""
    monkeypatch.setattr(planner, "SECOND_LOOK", timedelta(microseconds=1))
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def record_step(database: Database, run_id: str, *, silent_minutes: float = 0.0) -> None:
    with database.begin() as connection:
        start_batch(connection, run_id=run_id, kind="symbol_prices", sessions=[date(2025, 6, 2)])
    execute(
        database,
        "UPDATE batch_runs SET seen_at = now() - make_interval(secs => :silent) WHERE run_id = :run_id",
        silent=60 * silent_minutes,
        run_id=run_id,
    )


def status(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


def look_twice(database: Database, instance: dg.DagsterInstance) -> Tick:
    first = tick(lost_runs, database.url, instance)
    return tick(lost_runs, database.url, instance, cursor=first.cursor)


@pytest.mark.parametrize(
    ("before", "after"),
    [(STARTED, dg.DagsterRunStatus.FAILURE), (CANCELING, dg.DagsterRunStatus.CANCELED)],
    ids=["started", "canceling"],
)
def test_a_silent_run_is_ended_and_its_record_says_why(
    database: Database, instance: dg.DagsterInstance, before: dg.DagsterRunStatus, after: dg.DagsterRunStatus
) -> None:
    run = open_run(instance, before)
    record_step(database, run.run_id, silent_minutes=1)
    first = tick(lost_runs, database.url, instance)
    assert first.said == f"1 runs are under way, silent: {run.run_id}"
    assert status(instance, run) == before
    second = tick(lost_runs, database.url, instance, cursor=first.cursor)
    assert second.said == f"ended {run.run_id}: the worker was lost"
    assert status(instance, run) == after
    assert rows_of(database, RECORDS) == [
        {"run_id": run.run_id, "status": "failed", "error": "interrupted: its worker was lost"}
    ]
    (event,) = [
        entry.dagster_event
        for entry in instance.all_logs(run.run_id)
        if entry.dagster_event and "worker was lost" in (entry.dagster_event.message or "")
    ]
    assert "the step symbol_prices has given no sign of life since" in str(event.message)
    assert tick(lost_runs, database.url, instance, cursor=second.cursor).said == "0 runs are under way"


def test_a_run_that_lives_goes_on(database: Database, instance: dg.DagsterInstance) -> None:
    working, launched = open_run(instance, STARTED), open_run(instance, dg.DagsterRunStatus.STARTING)
    record_step(database, working.run_id)
    assert look_twice(database, instance) == Tick("2 runs are under way", "{}")
    assert status(instance, working) == STARTED
    assert status(instance, launched) == dg.DagsterRunStatus.STARTING
    assert [row["status"] for row in rows_of(database, RECORDS)] == ["running"]


def test_a_sign_after_the_first_look_saves_it(database: Database, instance: dg.DagsterInstance) -> None:
    run = open_run(instance, STARTED)
    record_step(database, run.run_id, silent_minutes=10)
    first = tick(lost_runs, database.url, instance)
    execute(database, "UPDATE batch_runs SET seen_at = now()")
    assert tick(lost_runs, database.url, instance, cursor=first.cursor) == Tick("1 runs are under way", "{}")
    assert status(instance, run) == STARTED


def test_a_run_that_ends_just_now_keeps_its_own_end(
    database: Database, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at it and its end by the reconciler, the run has succeeded."""
    run = open_run(instance, STARTED)
    record_step(database, run.run_id, silent_minutes=10)
    first = tick(lost_runs, database.url, instance)
    looked = dg.DagsterInstance.get_run_by_id

    def ended_meanwhile(self: dg.DagsterInstance, run_id: str) -> dg.DagsterRun | None:
        monkeypatch.setattr(dg.DagsterInstance, "get_run_by_id", looked)
        self.report_dagster_event(
            dg.DagsterEvent(event_type_value=dg.DagsterEventType.RUN_SUCCESS.value, job_name="idle"), run_id=run_id
        )
        return self.get_run_by_id(run_id)

    monkeypatch.setattr(dg.DagsterInstance, "get_run_by_id", ended_meanwhile)
    tick(lost_runs, database.url, instance, cursor=first.cursor)
    assert status(instance, run) == dg.DagsterRunStatus.SUCCESS


def test_steps_of_runs_that_are_over_or_unknown_are_ended_at_once(
    database: Database, instance: dg.DagsterInstance
) -> None:
    over = open_run(instance, dg.DagsterRunStatus.FAILURE)
    record_step(database, over.run_id, silent_minutes=1)
    record_step(database, "purged", silent_minutes=1)
    record_step(database, "ends just now", silent_minutes=0)
    said = tick(lost_runs, database.url, instance).said
    assert said == f"ended {', '.join(sorted([over.run_id, 'purged']))}: the worker was lost"
    found = {row["run_id"]: row["status"] for row in rows_of(database, RECORDS)}
    assert found == {over.run_id: "failed", "purged": "failed", "ends just now": "running"}


def test_runs_of_another_code_location_are_not_judged(
    database: Database, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have no records here, and would look lost after five minutes."""
    monkeypatch.setattr(planner, "SILENT_BETWEEN_STEPS", planner.SILENT_BETWEEN_STEPS * 0)
    run = open_run(instance, STARTED)
    time.sleep(0.01)
    with monkeypatch.context() as patch:
        patch.setattr("sigmasight_assets.orchestration.run_origin._location", lambda _: "elsewhere")
        assert look_twice(database, instance).said == "0 runs are under way"
    assert status(instance, run) == STARTED
    assert look_twice(database, instance).said == f"ended {run.run_id}: the worker was lost"


def test_a_database_that_is_away_is_a_reason(instance: dg.DagsterInstance) -> None:
    said = tick(lost_runs, "postgresql+psycopg2://someone:secret@127.0.0.1:9/nothing", instance).said
    assert "127.0.0.1:9/nothing does not answer" in said
    assert "secret" not in said


def test_a_broker_that_never_answers_is_asked_once_a_tick(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for one run after the other it would take the time that a tick has, and no lost worker would be ended."""
    monkeypatch.setattr(planner, "SECOND_LOOK", timedelta(microseconds=1))
    with silent_broker() as (url, callers), monkeypatch.context() as patch:
        patch.setenv("SIGMASIGHT_BROKER_URL", url)
        with instance_of_workers(tmp_path / "instance", socket_timeout=0.5) as instance:
            waiting = [open_run(instance, dg.DagsterRunStatus.STARTING) for _ in range(4)]
            for number, run in enumerate(waiting[1:]):
                instance.add_run_tags(run.run_id, {DAGSTER_CELERY_TASK_ID_TAG: f"task {number}"})
            lost = open_run(instance, STARTED)
            record_step(database, lost.run_id, silent_minutes=1)
            launcher = instance.run_launcher
            assert isinstance(launcher, WorkerRunLauncher)
            assert launcher.waiting_runs(waiting[:1]) == {waiting[0].run_id}
            calls_of_one_look = len(callers)
            assert calls_of_one_look > 0
            # Nobody else would be spared.
            patch.setattr(planner, "SILENT_BETWEEN_STEPS", timedelta(0))
            assert look_twice(database, instance).said == f"ended {lost.run_id}: the worker was lost"
            assert len(callers) == 3 * calls_of_one_look
            assert status(instance, lost) == dg.DagsterRunStatus.FAILURE
            assert {status(instance, run) for run in waiting} == {dg.DagsterRunStatus.STARTING}


@contextmanager
def silent_broker() -> Iterator[tuple[str, list[socket.socket]]]:
    """The address of one that takes every call and says nothing, and who has called."""
    callers: list[socket.socket] = []
    with socket.create_server((LOOPBACK, 0)) as listener:

        def accept() -> None:
            # Ends when the listener is shut down.
            with suppress(OSError):
                while True:
                    callers.append(listener.accept()[0])

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield f"redis://:password@{LOOPBACK}:{listener.getsockname()[1]}/0", callers
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join(10)
            for caller in callers:
                caller.close()
