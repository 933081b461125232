"""Runs of the portfolio layer as this orchestrator knows them, for the gate."""

import dagster as dg

from sigmasight_assets.operations.gate_runs import LaunchedRun
from sigmasight_assets.orchestration.jobs import PORTFOLIO_LAYER
from sigmasight_assets.runs import INPUT_HASH_TAG

FINISHED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
UNFINISHED = [status for status in dg.DagsterRunStatus if status not in FINISHED]
RUN_KEY_TAG = "dagster/run_key"
# Those that the orchestrator may be about to start again are among the newest.
NEWEST_FAILURES = 5


def read_unfinished(instance: dg.DagsterInstance) -> list[LaunchedRun]:
    """Runs that have not finished, whatever their inputs, and failed ones about to be started again."""
    unfinished = dg.RunsFilter(job_name=PORTFOLIO_LAYER, statuses=UNFINISHED)
    failed = dg.RunsFilter(job_name=PORTFOLIO_LAYER, statuses=[dg.DagsterRunStatus.FAILURE])
    retried = [_launched(record) for record in instance.get_run_records(failed, limit=NEWEST_FAILURES)]
    return [
        *(_launched(record) for record in instance.get_run_records(unfinished)),
        *(run for run in retried if run.will_be_retried),
    ]


def read_same_inputs(instance: dg.DagsterInstance, input_hash: str) -> list[LaunchedRun]:
    """Every run for these inputs, newest first."""
    records = instance.get_run_records(dg.RunsFilter(tags={INPUT_HASH_TAG: input_hash}))
    return [_launched(record) for record in records]


def _launched(record: dg.RunRecord) -> LaunchedRun:
    run = record.dagster_run
    return LaunchedRun(
        run_id=run.run_id,
        status=run.status.value,
        created_at=record.create_timestamp,
        ended_at=record.update_timestamp,
        input_hash=run.tags.get(INPUT_HASH_TAG),
        run_key=run.tags.get(RUN_KEY_TAG),
        is_reexecution=run.parent_run_id is not None,
        will_be_retried=run.is_complete_and_waiting_to_retry,
    )
