"""What the launcher makes of a broker that waits, forgets, or is away; whole runs are in ``tests/celery``."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_QUEUE_TAG, DAGSTER_CELERY_TASK_ID_TAG
from dagster_shared.yaml_utils import load_yaml_from_path

from sigmasight_assets.orchestration.celery_launcher import WorkerRunLauncher
from tests.celery.broker import SHIPPED, Broker, broker
from tests.orchestration.sensors.ticks import open_run

STARTED, STARTING = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING
RUNNING = WorkerStatus.RUNNING


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Broker]:
    with broker(tmp_path / "redis") as running:
        yield running


@pytest.fixture
def instance(redis: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("SIGMASIGHT_BROKER_URL", redis.url)
    with instance_of_workers(tmp_path / "instance") as own:
        yield own


@contextmanager
def instance_of_workers(directory: Path, **transport: float) -> Iterator[dg.DagsterInstance]:
    """An instance with the launcher that is shipped, whose records are files; ``transport`` is other than shipped."""
    shipped = load_yaml_from_path(str(SHIPPED / "dagster.yaml"))
    assert isinstance(shipped, dict)
    options = shipped["run_launcher"]["config"]["config_source"]["broker_transport_options"]
    assert transport.keys() <= options.keys()
    options.update(transport)
    directory.mkdir()
    with dg.DagsterInstance.local_temp(str(directory), overrides={"run_launcher": shipped["run_launcher"]}) as own:
        yield own


def launcher_of(instance: dg.DagsterInstance) -> WorkerRunLauncher:
    assert isinstance(instance.run_launcher, WorkerRunLauncher)
    return instance.run_launcher


def handed_over(instance: dg.DagsterInstance, status: dg.DagsterRunStatus, queue: str = "dagster") -> dg.DagsterRun:
    """A run with a task in the broker's queue, which nobody works on."""
    run = open_run(instance, status)
    task = launcher_of(instance).celery.send_task("execute_job", priority=0, queue=queue)
    instance.add_run_tags(run.run_id, {DAGSTER_CELERY_TASK_ID_TAG: task.id})
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found


def test_a_run_waits_for_as_long_as_its_task_is_in_the_queue(instance: dg.DagsterInstance, redis: Broker) -> None:
    first, second = handed_over(instance, STARTING), handed_over(instance, STARTING)
    launcher, runs = launcher_of(instance), [first, second]
    assert launcher.waiting_runs(runs) == {first.run_id, second.run_id}
    with redis.client() as client:
        # The oldest task is the one that a worker takes.
        client.rpop("dagster")
    assert launcher.waiting_runs(runs) == {second.run_id}
    assert launcher.waiting_runs([first]) == launcher.waiting_runs([]) == set()


def test_a_run_waits_in_the_queue_that_it_names(instance: dg.DagsterInstance) -> None:
    launcher, tag = launcher_of(instance), {DAGSTER_CELERY_QUEUE_TAG: "elsewhere"}
    here, elsewhere, lost = (handed_over(instance, STARTING, queue) for queue in ("dagster", "elsewhere", "elsewhere"))
    for run in (elsewhere, lost):
        instance.add_run_tags(run.run_id, tag)
    instance.add_run_tags(lost.run_id, {DAGSTER_CELERY_TASK_ID_TAG: "forgotten"})
    runs = instance.get_runs(dg.RunsFilter(statuses=[STARTING]))
    assert launcher.waiting_runs(runs) == {here.run_id, elsewhere.run_id}


def test_a_run_that_was_never_handed_over_does_not_wait(instance: dg.DagsterInstance) -> None:
    assert launcher_of(instance).waiting_runs([open_run(instance, STARTING)]) == set()


def test_while_the_broker_is_away_nothing_is_taken_for_lost(instance: dg.DagsterInstance, redis: Broker) -> None:
    waiting, working = handed_over(instance, STARTING), handed_over(instance, STARTED)
    redis.end_at_once()
    launcher = launcher_of(instance)
    assert launcher.waiting_runs([waiting]) == {waiting.run_id}
    health = launcher.check_run_worker_health(working)
    assert (health.status, health.msg) == (RUNNING, "the broker cannot be asked; signs of life in the database decide")


def test_a_task_that_the_broker_has_forgotten_ends_no_run(instance: dg.DagsterInstance, redis: Broker) -> None:
    run = handed_over(instance, STARTED)
    with redis.client() as client:
        client.flushall()
    assert launcher_of(instance).check_run_worker_health(run).status == RUNNING


# redis 8, of a call that celery 5.7 makes.
@pytest.mark.filterwarnings("ignore:Call to deprecated setex")
@pytest.mark.parametrize(
    ("state", "status"),
    [("STARTED", RUNNING), ("SUCCESS", WorkerStatus.SUCCESS), ("FAILURE", WorkerStatus.FAILED), ("REVOKED", RUNNING)],
)
def test_what_the_broker_knows_is_believed(instance: dg.DagsterInstance, state: str, status: WorkerStatus) -> None:
    run = handed_over(instance, STARTED)
    result = RuntimeError("the worker's process died") if state == "FAILURE" else None
    launcher = launcher_of(instance)
    launcher.celery.backend.store_result(run.tags[DAGSTER_CELERY_TASK_ID_TAG], result, state)
    assert launcher.check_run_worker_health(run).status == status


def test_a_run_under_way_is_canceling_before_its_worker_is_told(instance: dg.DagsterInstance) -> None:
    run = handed_over(instance, STARTED)
    assert instance.run_launcher.terminate(run.run_id)
    assert status_of(instance, run) == dg.DagsterRunStatus.CANCELING


def test_a_worker_that_cannot_be_told_leaves_the_end_to_the_monitor(
    instance: dg.DagsterInstance, redis: Broker
) -> None:
    run = handed_over(instance, STARTED)
    redis.end_at_once()
    assert not instance.run_launcher.terminate(run.run_id)
    assert status_of(instance, run) == dg.DagsterRunStatus.CANCELING
    events = [entry.dagster_event for entry in instance.all_logs(run.run_id)]
    assert any("The worker cannot be told" in (event.message or "") for event in events if event)


def test_a_run_that_is_over_is_left_as_it_is(instance: dg.DagsterInstance) -> None:
    run = open_run(instance, dg.DagsterRunStatus.SUCCESS)
    assert not instance.run_launcher.terminate(run.run_id)
    assert status_of(instance, run) == dg.DagsterRunStatus.SUCCESS


def test_dagsters_own_launcher_still_needs_what_this_one_adds(instance: dg.DagsterInstance) -> None:
    """When it no longer does, the part that fails here can go, and its row in decision 14."""
    run = handed_over(instance, STARTED)
    assert CeleryRunLauncher.terminate(launcher_of(instance), run.run_id)
    assert status_of(instance, run) == STARTED
    assert CeleryRunLauncher.check_run_worker_health(launcher_of(instance), run).status == WorkerStatus.UNKNOWN


def status_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status
