"""Workers that reach the broker and not the database: none takes more than the one run that it then keeps."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sigmasight_assets.orchestration.jobs import SYMBOL_LAYER
from sigmasight_assets.runs import FORCE_TAG
from sigmasight_assets.services.processes import exit_code
from tests.celery.conftest import Cluster, running_cluster
from tests.celery.relay import relay
from tests.celery.test_losses import held_night
from tests.celery.workers import Worker, running_workers
from tests.conftest import NewDatabase
from tests.e2e.conftest import Compare, comparison
from tests.e2e.market import Disturbances
from tests.e2e.world import DAYS, PUBLISHED, TONIGHT
from tests.faults.own_server import own_server

pytestmark = [pytest.mark.e2e, pytest.mark.long]

KEEPS = "is not begun before the database can be reached"
WAIT_SECONDS = 120.0
# Several attempts to reach the database.
AWAY_SECONDS = 12.0


def test_a_worker_that_does_not_reach_the_database_keeps_one_run(cluster: Cluster, compare: Compare) -> None:
    """The other worker is busy at first: whoever is idle would take all that wait."""
    stack = cluster.stack
    with relay(stack.database.url) as way, cluster.workers(1) as (healthy,):
        nightly = held_night(cluster)
        with running_workers([cluster.worker("apart", way.url)]) as (apart,):
            way.close()
            for day in DAYS[30:32]:
                stack.launch(day)
            stack.until(lambda: KEEPS in apart.said(), "a run to be kept", told=apart.said)
            stack.until(lambda: len(cluster.broker.waiting()) == 1, "the other run to wait", told=stack.runs)
            stack.disturb(Disturbances())
            stack.succeed(nightly)
            stack.until(lambda: "FAILURE" in statuses(cluster), "the kept run to be missed", told=stack.runs)
            stack.settle()
            stack.wait_for_snapshots(TONIGHT)
            compare(DAYS[:61])
            assert statuses(cluster) == ["FAILURE", "SUCCESS", "SUCCESS", "SUCCESS"]

            way.open()
            stack.until(lambda: apart.tasks_ended() == 1, "it to lay down what it kept", told=apart.said)
            assert statuses(cluster) == ["FAILURE", "SUCCESS", "SUCCESS", "SUCCESS"]
            healthy.stop()
            later = stack.launch(DAYS[30], tags={FORCE_TAG: "true"})
            stack.succeed(later)
            assert cluster.owner(later, [healthy, apart]) is apart
            compare(DAYS[:61])


def test_a_worker_that_finds_no_database_at_its_start_ends(cluster: Cluster) -> None:
    """And leaves what waits to others."""
    stack = cluster.stack
    waiting = stack.launch(DAYS[30])
    stack.until(lambda: len(cluster.broker.waiting()) == 1, "a run to wait", told=stack.runs)
    with relay(stack.database.url) as way:
        way.close()
        apart = cluster.worker("lost", way.url)
        try:
            apart.start()
            assert apart.record is not None
            pid = apart.record.pid
            stack.until(lambda: exit_code(pid) is not None, "the worker to end", told=apart.said)
            assert exit_code(pid) != 0
        finally:
            apart.end()
    assert "too many retries for DB connection" in apart.said()
    assert len(cluster.broker.waiting()) == 1
    with cluster.workers(1):
        stack.succeed(waiting)


@pytest.mark.parametrize("alone", [False, True], ids=["by systemd", "by hand"])
def test_a_worker_that_keeps_a_run_can_be_stopped(cluster: Cluster, compare: Compare, alone: bool) -> None:
    stack = cluster.stack
    with (
        relay(stack.database.url) as way,
        running_workers([cluster.worker("apart", way.url)]) as (apart,),
    ):
        way.close()
        kept = stack.launch(DAYS[30])
        stack.until(lambda: KEEPS in apart.said(), "a run to be kept", told=apart.said)
        apart.stop(alone=alone)
    with cluster.workers(1):
        stack.until(lambda: cluster.run(kept).status == "FAILURE", "the kept run to be missed", told=stack.runs)
        stack.settle()
        compare(PUBLISHED)
    assert statuses(cluster) == ["FAILURE", "SUCCESS"]


def test_no_run_that_waits_is_lost_while_the_database_is_away(
    new_database: NewDatabase, schema_template: str, open_directory: Path, tmp_path: Path
) -> None:
    with (
        own_server(open_directory) as server,
        server.migrated() as url,
        running_cluster(tmp_path, url) as cluster,
        cluster.workers(1) as (worker,),
    ):
        stack = cluster.stack
        stack.begin("published", PUBLISHED[-1])
        nightly = held_night(cluster)
        by_hand = [stack.launch(day) for day in DAYS[30:32]]
        stack.until(lambda: len(cluster.broker.waiting()) == 2, "two runs to wait", told=stack.runs)
        server.end_at_once()
        # The worker is free, and has the whole queue before it.
        worker.kill_run()
        until(lambda: KEEPS in worker.said(), worker)
        time.sleep(AWAY_SECONDS)
        assert len(cluster.broker.waiting()) == 1
        server.start()
        stack.disturb(Disturbances())
        stack.wait_for_publication(TONIGHT)
        stack.succeed(*by_hand)
        stack.wait_for_snapshots(TONIGHT)
        comparison(stack, new_database, schema_template)(DAYS[:61])
        assert cluster.run(nightly).status == "FAILURE"
        assert statuses(cluster) == ["FAILURE", "SUCCESS", "SUCCESS", "SUCCESS"]


def statuses(cluster: Cluster) -> list[str]:
    """Those of all runs of the symbol layer, sorted."""
    return sorted(run.status for run in cluster.stack.runs(SYMBOL_LAYER))


def until(condition: Callable[[], bool], worker: Worker) -> None:
    """Wait while nothing can be asked of the services."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, worker.said()
        time.sleep(0.2)
