"""Workers and the broker are lost in the middle of things; everything is done once in the end."""

import time

import pytest

from sigmasight_assets.orchestration.jobs import SYMBOL_LAYER
from tests.celery.broker import PASSWORD
from tests.celery.conftest import Cluster
from tests.celery.workers import WORKER_TAG
from tests.e2e.conftest import Compare
from tests.e2e.market import Disturbances
from tests.e2e.world import DAYS, TONIGHT, buy
from tests.faults.campaign import Tally
from tests.orchestration.contents import rows_of

pytestmark = [pytest.mark.e2e, pytest.mark.long]

STEPS = "SELECT run_id, kind FROM batch_runs WHERE status = 'running'"
FAILED = "SELECT error FROM batch_runs WHERE run_id = :run AND status = 'failed'"
HELD = Disturbances(held_above=20)
# More than that old is what the broker has on disk.
ON_DISK_SECONDS = 3.0


@pytest.mark.parametrize("beside", ["", "dagster-daemon"], ids=["alone", "with the daemon"])
def test_a_killed_worker(cluster: Cluster, compare: Compare, tally: Tally, beside: str) -> None:
    stack = cluster.stack
    with cluster.workers(2) as workers:
        nightly = held_night(cluster)
        lost = cluster.owner(nightly, workers)
        lost.kill()
        killed = time.monotonic()
        if beside:
            stack.kill(beside)
        stack.disturb(Disturbances())
        stack.wait_for_publication(TONIGHT)
        tally.survive(recovery=time.monotonic() - killed)
        compare(DAYS[:61])
    first, second = stack.runs(SYMBOL_LAYER)
    assert (first.run_id, first.status, second.status) == (nightly, "FAILURE", "SUCCESS")
    assert first.tags[WORKER_TAG] != second.tags[WORKER_TAG]
    assert "The worker was lost" in stack.client.failure_reason(nightly)
    assert rows_of(stack.database, STEPS) == []


def test_a_run_whose_process_alone_is_killed(cluster: Cluster, compare: Compare) -> None:
    """As the kernel does when memory runs out; the worker itself goes on and takes the next run."""
    stack = cluster.stack
    with cluster.workers(1) as (worker,):
        nightly = held_night(cluster)
        worker.kill_run()
        stack.disturb(Disturbances())
        stack.wait_for_publication(TONIGHT)
        compare(DAYS[:61])
    assert [run.status for run in stack.runs(SYMBOL_LAYER)] == ["FAILURE", "SUCCESS"]
    assert stack.runs(SYMBOL_LAYER)[0].run_id == nightly


def test_a_worker_that_is_stopped_gives_its_run_to_another(cluster: Cluster, compare: Compare) -> None:
    stack = cluster.stack
    with cluster.workers(2) as workers:
        nightly = held_night(cluster)
        stopped = cluster.owner(nightly, workers)
        stopped.stop()
        stack.disturb(Disturbances())
        stack.wait_for_publication(TONIGHT)
        compare(DAYS[:61])
    first, second = stack.runs(SYMBOL_LAYER)
    assert (first.run_id, first.status, second.status) == (nightly, "FAILURE", "SUCCESS")
    assert first.tags[WORKER_TAG] != second.tags[WORKER_TAG]
    errors = rows_of(
        stack.database, "SELECT error FROM batch_runs WHERE run_id = :run AND status = 'failed'", run=nightly
    )
    assert [row["error"] for row in errors] == ["interrupted: DagsterExecutionInterruptedError"]


def test_the_broker_is_lost_and_comes_back(cluster: Cluster, compare: Compare) -> None:
    stack = cluster.stack
    with cluster.workers(1):
        nightly = held_night(cluster)
        buy(stack.database, "RUXI")
        stack.until(lambda: len(cluster.broker.waiting()) == 1, "snapshots to wait for the worker", told=stack.runs)
        (task,) = cluster.broker.waiting()
        assert PASSWORD.encode() not in task
        time.sleep(ON_DISK_SECONDS)
        cluster.broker.end_at_once()
        by_hand = stack.launch(DAYS[30])
        stack.until(
            lambda: count_events(cluster, by_hand, "PIPELINE_ENQUEUED") > 1, "a run to be taken back", told=stack.runs
        )
        cluster.broker.start()
        assert cluster.broker.waiting() == [task]
        stack.disturb(Disturbances())
        stack.succeed(nightly, by_hand)
        compare(DAYS[:61])
    assert {run.status for run in stack.runs()} == {"SUCCESS"}


def test_the_broker_forgets_everything(cluster: Cluster, compare: Compare) -> None:
    """A run under way goes on; one that waited is done again."""
    stack = cluster.stack
    with cluster.workers(1):
        nightly = held_night(cluster)
        by_hand = stack.launch(DAYS[30])
        stack.until(lambda: len(cluster.broker.waiting()) == 1, "a run to wait for the worker", told=stack.runs)
        with cluster.broker.client() as client:
            client.flushall()
        stack.until(lambda: cluster.run(by_hand).status == "FAILURE", "the lost run to end", told=stack.runs)
        # Longer than Dagster's monitor takes to ask for its worker.
        time.sleep(35)
        assert cluster.run(nightly).status == "STARTED"
        stack.disturb(Disturbances())
        stack.succeed(nightly)
        stack.settle()
        compare(DAYS[:61])
    assert [run.status for run in stack.runs(SYMBOL_LAYER)] == ["SUCCESS", "FAILURE", "SUCCESS"]
    assert "before a step" in stack.client.failure_reason(by_hand)


def test_a_task_that_is_delivered_twice_is_done_once(cluster: Cluster, compare: Compare) -> None:
    """As when the answer of Redis was lost and the command sent again; both workers take it at the same moment."""
    stack = cluster.stack
    stack.set_clock(TONIGHT)
    nightly = stack.nightly(TONIGHT)
    stack.until(lambda: len(cluster.broker.waiting()) == 1, "the night to wait for a worker", told=stack.runs)
    with cluster.broker.client() as client:
        client.lpush("dagster", *cluster.broker.waiting())
    with cluster.workers(2) as workers:
        stack.succeed(nightly)
        stack.wait_for_snapshots(TONIGHT)
        compare(DAYS[:61])
        # The night's two, and the snapshots.
        stack.until(lambda: sum(worker.tasks_ended() for worker in workers) == 3, "three tasks", told=stack.runs)
    assert count_events(cluster, nightly, "PIPELINE_START") == 1
    assert {run.status for run in stack.runs()} == {"SUCCESS"}


def held_night(cluster: Cluster) -> str:
    """A night whose vendor does not answer, and which has asked it."""
    cluster.stack.set_clock(TONIGHT)
    cluster.stack.disturb(HELD)
    nightly = cluster.stack.nightly(TONIGHT)
    cluster.stack.wait_for_step(nightly, "symbol_prices")
    return nightly


def count_events(cluster: Cluster, run_id: str, kind: str) -> int:
    """How many events of a kind a run has."""
    query = "SELECT 1 FROM dagster.event_logs WHERE run_id = :run AND dagster_event_type = :kind"
    return len(rows_of(cluster.stack.database, query, run=run_id, kind=kind))
