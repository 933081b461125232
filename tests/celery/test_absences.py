"""The main machine, the database, or every worker is away for a while: all is done once in the end."""

import time
from pathlib import Path

import pytest

from sigmasight_assets.orchestration.jobs import SYMBOL_LAYER
from tests.celery.conftest import Cluster, running_cluster
from tests.celery.test_losses import held_night
from tests.conftest import NewDatabase
from tests.e2e.conftest import Compare, comparison
from tests.e2e.market import Disturbances
from tests.e2e.world import DAYS, PUBLISHED, TONIGHT
from tests.faults.own_server import own_server
from tests.orchestration.contents import published_generations

pytestmark = [pytest.mark.e2e, pytest.mark.long]

SERVICES = ("dagster-daemon", "dagster-webserver", "dagster-code-server")
WAIT_SECONDS = 120.0
# Longer than Dagster's monitor takes to ask for the worker of a run.
MONITORED_SECONDS = 35.0


def test_a_run_is_done_to_its_end_while_the_main_machine_is_away(cluster: Cluster, compare: Compare) -> None:
    stack = cluster.stack
    with cluster.workers(1):
        nightly = held_night(cluster)
        for service in SERVICES:
            stack.kill(service, with_workers=True)
        stack.disturb(Disturbances())
        deadline = time.monotonic() + WAIT_SECONDS
        while TONIGHT not in published_generations(stack.database, "symbol"):
            assert time.monotonic() < deadline
            time.sleep(0.5)
        # The gate is on the main machine; whoever waits looks after its services again.
        stack.wait_for_snapshots(TONIGHT)
        compare(DAYS[:61])
    assert [(run.run_id, run.status) for run in stack.runs(SYMBOL_LAYER)] == [(nightly, "SUCCESS")]
    assert {run.status for run in stack.runs()} == {"SUCCESS"}


def test_runs_wait_while_there_is_no_worker(cluster: Cluster, compare: Compare) -> None:
    stack = cluster.stack
    with cluster.workers(1) as (worker,):
        nightly = held_night(cluster)
        worker.stop()
    by_hand = stack.launch(DAYS[30])
    # The night's second attempt, and the other run.
    stack.until(lambda: len(cluster.broker.waiting()) == 2, "two runs to wait", told=stack.runs)
    stack.disturb(Disturbances())
    time.sleep(MONITORED_SECONDS)
    assert [run.status for run in stack.runs(SYMBOL_LAYER)] == ["FAILURE", "STARTING", "STARTING"]
    with cluster.workers(1):
        stack.wait_for_publication(TONIGHT)
        stack.succeed(by_hand)
        compare(DAYS[:61])
    runs = {run.run_id: run.status for run in stack.runs(SYMBOL_LAYER)}
    assert (runs.pop(nightly), set(runs.values()), len(runs)) == ("FAILURE", {"SUCCESS"}, 2)


@pytest.mark.parametrize("away", [0.0, 15.0])
def test_the_database_is_away_in_the_middle_of_a_run(
    new_database: NewDatabase, schema_template: str, open_directory: Path, tmp_path: Path, away: float
) -> None:
    with (
        own_server(open_directory) as server,
        server.migrated() as url,
        running_cluster(tmp_path, url) as cluster,
        cluster.workers(2),
    ):
        stack = cluster.stack
        stack.begin("published", PUBLISHED[-1])
        held_night(cluster)
        server.restart_at_once(away=away)
        stack.disturb(Disturbances())
        stack.wait_for_publication(TONIGHT)
        stack.wait_for_snapshots(TONIGHT)
        comparison(stack, new_database, schema_template)(DAYS[:61])
        assert stack.runs(SYMBOL_LAYER)[-1].status == "SUCCESS"
