"""The reconciler: ends runs whose worker is gone, which the orchestrator would take for under way for ever."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg

from sigmasight_assets.errors import SigmaSightError
from sigmasight_assets.operations.lost_runs import LifeState, LostRuns, Suspicion, plan
from sigmasight_assets.orchestration.owners import OPERATIONS
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.orchestration.run_origin import is_of_this_location
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.step_lives import end_lost_steps, read_step_lives

# The daemon's loop takes 5 s: a little less makes every loop count. With the silence that is allowed and the second
# look a lost worker is missed within a minute.
INTERVAL_SECONDS = 4
UNDER_WAY = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


@dg.sensor(
    name="lost_runs",
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends runs whose worker gives no sign of life for 40 s and still gives none 12 s later; "
    "the orchestrator then tries them again.",
    tags={"sigmasight/layer": "all"},
    owners=[OPERATIONS],
)
def lost_runs(context: dg.SensorEvaluationContext, pipeline: Pipeline) -> dg.SkipReason:
    """End what is lost; the reason of the tick says what was ended, or how many runs are under way."""
    database = pipeline.database()
    try:
        open_runs = _open_runs(context)
        found = _look(database, open_runs, _suspicions(context.cursor))
        ended = _end_steps(database, found)
    except SigmaSightError as error:
        return dg.SkipReason(str(error))
    finally:
        database.close()
    for run_id, reason in found.lost.items():
        _end_run(context.instance, run_id, reason)
    context.update_cursor(_cursor(found.suspicions))
    if ended:
        return dg.SkipReason(f"ended {', '.join(ended)}: the worker was lost")
    silent = f", silent: {', '.join(found.suspicions)}" if found.suspicions else ""
    return dg.SkipReason(f"{len(open_runs)} runs are under way{silent}")


def _open_runs(context: dg.SensorEvaluationContext) -> dict[str, datetime]:
    """Runs of this code location that are under way, with the orchestrator's last news of each."""
    records = context.instance.get_run_records(dg.RunsFilter(statuses=UNDER_WAY))
    ours = [record for record in records if is_of_this_location(record.dagster_run, context)]
    waiting = _waiting(context.instance, [record.dagster_run for record in ours])
    return {
        record.dagster_run.run_id: record.update_timestamp.astimezone(UTC)
        for record in ours
        if record.dagster_run.run_id not in waiting
    }


def _waiting(instance: dg.DagsterInstance, runs: Sequence[dg.DagsterRun]) -> set[str]:
    """Those in the queue of a launcher that has one (celery_launcher): they have no worker yet to lose."""
    waiting_runs = getattr(instance.run_launcher, "waiting_runs", None)
    if waiting_runs is None:
        return set()
    return set(waiting_runs([run for run in runs if run.status == dg.DagsterRunStatus.STARTING]))


def _look(database: Database, open_runs: Mapping[str, datetime], suspicions: Mapping[str, Suspicion]) -> LostRuns:
    with database.begin() as connection:
        now, steps = read_step_lives(connection, open_runs)
    return plan(LifeState(now, open_runs, steps, suspicions))


def _end_steps(database: Database, found: LostRuns) -> list[str]:
    """First our own records, so that whoever hears of the end finds its cause; the runs that were ended."""
    ended = sorted({*found.lost, *found.over})
    if ended:
        with database.begin() as connection:
            end_lost_steps(connection, ended)
    return ended


def _end_run(instance: dg.DagsterInstance, run_id: str, reason: str) -> None:
    """Report the end of a run that is still under way: a cancellation has come to its end, all else has failed."""
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:
        return
    if run.status == dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, reason)
    else:
        instance.report_run_failed(run, reason)


def _suspicions(cursor: str | None) -> dict[str, Suspicion]:
    """What the tick before noticed; a lost cursor costs one more tick."""
    noticed = json.loads(cursor) if cursor else {}
    return {
        run_id: Suspicion(datetime.fromisoformat(last_sign), datetime.fromisoformat(since))
        for run_id, (last_sign, since) in noticed.items()
    }


def _cursor(suspicions: Mapping[str, Suspicion]) -> str:
    noticed = {run_id: (found.last_sign.isoformat(), found.since.isoformat()) for run_id, found in suspicions.items()}
    return json.dumps(noticed)
