"""Runs that people and limits end: under way and waiting."""

import pytest

from sigmasight_assets.orchestration.jobs import SYMBOL_LAYER
from tests.celery.conftest import Cluster
from tests.celery.test_losses import held_night
from tests.celery.workers import WORKER_TAG
from tests.e2e.conftest import Compare
from tests.e2e.market import Disturbances
from tests.e2e.world import DAYS, TONIGHT
from tests.orchestration.contents import rows_of

pytestmark = [pytest.mark.e2e, pytest.mark.long]

TERMINATE = """
mutation Terminate($runId: String!, $policy: TerminateRunPolicy) {
  terminateRun(runId: $runId, terminatePolicy: $policy) { __typename ... on TerminateRunFailure { message } }
}
"""
TIMED_OUT = "SELECT id FROM dagster.event_logs WHERE run_id = :run AND event LIKE '%Exceeded maximum runtime of 25 s%'"
FAILED = "SELECT kind, error FROM batch_runs WHERE run_id = :run AND status = 'failed' ORDER BY kind"


def cancel(cluster: Cluster, run_id: str, policy: str = "SAFE_TERMINATE") -> None:
    """What the UI's dialogue does; its second policy is the one for runs that have not begun."""
    answer = cluster.stack.client.query(TERMINATE, {"runId": run_id, "policy": policy}, "terminateRun")
    assert answer["__typename"] == "TerminateRunSuccess", answer


def await_status(cluster: Cluster, run_id: str, status: str) -> None:
    cluster.stack.until(lambda: cluster.run(run_id).status == status, f"{run_id} {status}", told=cluster.stack.runs)


def test_a_run_under_way_is_canceled_and_not_tried_again(cluster: Cluster, compare: Compare) -> None:
    stack = cluster.stack
    with cluster.workers(1) as (worker,):
        nightly = held_night(cluster)
        cancel(cluster, nightly)
        await_status(cluster, nightly, "CANCELED")
        assert rows_of(stack.database, FAILED, run=nightly) == [
            {"kind": "symbol_prices", "error": "interrupted: DagsterExecutionInterruptedError"}
        ]
        stack.disturb(Disturbances())
        # The same process takes the next one.
        stack.succeed(stack.launch(TONIGHT))
        compare(DAYS[:61])
        assert worker.tasks_ended() >= 2
    assert [run.status for run in stack.runs(SYMBOL_LAYER)] == ["CANCELED", "SUCCESS"]


def test_a_run_that_waits_is_canceled_at_once_and_never_begun(cluster: Cluster, compare: Compare) -> None:
    stack = cluster.stack
    with cluster.workers(1):
        nightly = held_night(cluster)
        by_hand = stack.launch(DAYS[30])
        stack.until(lambda: len(cluster.broker.waiting()) == 1, "a run to wait for the worker", told=stack.runs)
        cancel(cluster, by_hand, "MARK_AS_CANCELED_IMMEDIATELY")
        assert cluster.run(by_hand).status == "CANCELED"
        stack.disturb(Disturbances())
        stack.succeed(nightly)
        stack.until(lambda: cluster.broker.waiting() == [], "the task to be thrown away", told=stack.runs)
        compare(DAYS[:61])
    assert cluster.run(by_hand).status == "CANCELED"
    assert rows_of(stack.database, "SELECT 1 FROM batch_runs WHERE run_id = :run", run=by_hand) == []


def test_a_run_beyond_its_time_is_ended_and_done_again(cluster: Cluster, compare: Compare) -> None:
    stack = cluster.stack
    with cluster.workers(1):
        stack.set_clock(TONIGHT)
        stack.disturb(Disturbances(held_above=20))
        endless = stack.launch(TONIGHT, tags={"dagster/max_runtime": "25"})
        # Its worker may be the last to write: that it was canceled, after Dagster has put it down as failed.
        stack.until(lambda: len(stack.runs(SYMBOL_LAYER)) == 2, "the run to be done again", told=stack.runs)
        stack.disturb(Disturbances())
        stack.wait_for_publication(TONIGHT)
        compare(DAYS[:61])
    assert [run.status for run in stack.runs(SYMBOL_LAYER)][1] == "SUCCESS"
    assert rows_of(stack.database, TIMED_OUT, run=endless)
    assert [row["kind"] for row in rows_of(stack.database, FAILED, run=endless)] == ["symbol_prices"]
    assert WORKER_TAG in cluster.run(endless).tags
