"""Raises an alert for each run that failed for good, and delivers what is to be told to the webhook.

A sensor of its own instead of the orchestrator's run failure sensor: that one moves on when it fails itself, ticks
only for further failures, and cannot reconsider a run whose announced retry never came.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from sigmasight_assets.errors import SigmaSightError
from sigmasight_assets.operations.alerts import deliver_alerts
from sigmasight_assets.operations.failed_runs import FailedRun, alert_key, raise_failure
from sigmasight_assets.orchestration.owners import OPERATIONS
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.orchestration.run_origin import is_of_this_location
from sigmasight_assets.orchestration.steps import started_by
from sigmasight_assets.storage.alerts import read_raised
from sigmasight_assets.storage.database import Database

# A little less than two loops of the daemon.
INTERVAL_SECONDS = 9
# Longer than a weekend without services; what was raised before is not raised again.
LOOK_BACK = timedelta(days=4)
WILL_RETRY_TAG = "dagster/will_retry"
PARTITION_TAG = "dagster/partition"
RANGE_TAGS = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


@dg.sensor(
    name="failed_runs",
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells the webhook (`SIGMASIGHT_WEBHOOK_URL`) which run failed, of which sessions, why, and who the "
    "offenders are; without one the alerts are kept.",
    tags={"sigmasight/layer": "all"},
    owners=[OPERATIONS],
)
def failed_runs(context: dg.SensorEvaluationContext, pipeline: Pipeline) -> dg.SkipReason:
    """Raise and deliver; the reason of the tick says how many."""
    database = pipeline.database()
    try:
        raised = _raise_failures(context, database)
        delivered = deliver_alerts(database, pipeline.settings.webhook_url)
    except SigmaSightError as error:
        return dg.SkipReason(str(error))
    finally:
        database.close()
    for run_id in raised:
        context.log.info(f"raised the alert of run {run_id}")
    return dg.SkipReason(f"{len(raised)} alerts raised, {delivered} delivered")


def _raise_failures(context: dg.SensorEvaluationContext, database: Database) -> list[str]:
    """Raise the alert of every failed run that has none yet; their ids."""
    failed = _failed_for_good(context)
    with database.begin() as connection:
        known = read_raised(connection, [alert_key(record.dagster_run.run_id) for record in failed])
    fresh = [record for record in failed if alert_key(record.dagster_run.run_id) not in known]
    raised = []
    for record in fresh:
        run = _describe(context.instance, record)
        with database.begin() as connection:
            if raise_failure(connection, run):
                raised.append(run.run_id)
    return raised


def _failed_for_good(context: dg.SensorEvaluationContext) -> Sequence[dg.RunRecord]:
    """Failed runs of this code location that the orchestrator does not try again, oldest first."""
    since = datetime.now(UTC) - LOOK_BACK
    filters = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since)
    records = context.instance.get_run_records(filters, ascending=True)
    # The tag comes a moment after the failure, when runs are tried again at all.
    undecided = "true" if context.instance.run_retries_enabled else "false"
    return [
        record
        for record in records
        if is_of_this_location(record.dagster_run, context)
        and record.dagster_run.tags.get(WILL_RETRY_TAG, undecided) == "false"
    ]


def _describe(instance: dg.DagsterInstance, record: dg.RunRecord) -> FailedRun:
    run = record.dagster_run
    partition = run.tags.get(PARTITION_TAG)
    first, last = (run.tags.get(name, partition) for name in RANGE_TAGS)
    ended_at = record.end_time or record.update_timestamp.timestamp()
    steps = [event.step_key for event in _events(instance, run, dg.DagsterEventType.STEP_FAILURE)]
    return FailedRun(
        run_id=run.run_id,
        job=run.job_name,
        first_session=first,
        last_session=last,
        started_by=started_by(run.tags),
        failed_at=datetime.fromtimestamp(ended_at, UTC),
        steps=tuple(step for step in steps if step is not None),
        message="\n".join(_words(event) for event in _events(instance, run, dg.DagsterEventType.RUN_FAILURE)),
    )


def _events(instance: dg.DagsterInstance, run: dg.DagsterRun, kind: dg.DagsterEventType) -> list[dg.DagsterEvent]:
    logged = instance.all_logs(run.run_id, of_type=kind)
    return [entry.dagster_event for entry in logged if entry.dagster_event is not None]


def _words(event: dg.DagsterEvent) -> str:
    """The orchestrator's message, and the error behind it if there is one."""
    data = event.event_specific_data
    error = getattr(data, "error", None)
    return "\n".join(text.strip() for text in (event.message or "", error.message if error else "") if text)
