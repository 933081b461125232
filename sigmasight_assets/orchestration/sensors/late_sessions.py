"""The sensor that brings late sessions up to date, tells people of them, and reports the standing checks."""

import hashlib
import json
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from sigmasight_assets.errors import SigmaSightError
from sigmasight_assets.operations.alerts import deliver_alerts
from sigmasight_assets.operations.broken_invariants import raise_broken
from sigmasight_assets.operations.failure_state import read_failures
from sigmasight_assets.operations.late_sessions import raise_late
from sigmasight_assets.operations.symbol_plan import SymbolRange, SymbolState, UnderWay, local, plan
from sigmasight_assets.operations.symbol_state import read_symbol_state
from sigmasight_assets.orchestration.jobs import ONBOARDING, SYMBOL_LAYER
from sigmasight_assets.orchestration.launched_runs import RUN_KEY_TAG, UNFINISHED
from sigmasight_assets.orchestration.owners import OPERATIONS
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.orchestration.run_requests import NIGHTLY_SYMBOLS, range_request
from sigmasight_assets.orchestration.standing_checks import INVARIANTS_HOLD, Judgement, read_judgements
from sigmasight_assets.runs import range_tags
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS

NOT_STARTED = dg.DagsterRunStatus.NOT_STARTED
INTERVAL_SECONDS = 30
# After a start the schedule, and whoever started the services, act first.
STARTED = time.monotonic()
GRACE_SECONDS = 60.0
# Standing checks are reported when they change, and every hour so that people see that somebody looks.
REPORT_EVERY = timedelta(hours=1)
ATTEMPT_TAG = "sigmasight/attempt"
# A run that was created, or died and is to be tried again, is launched by the orchestrator in seconds, if at all.
LAUNCH_TAKES = timedelta(minutes=10)


@dg.sensor(
    name="late_sessions",
    job_name=SYMBOL_LAYER,
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Runs sessions that were not published and figures that were marked again, half an hour after the last "
    "attempt and until 06:00 New York, and tells of what is late at 23:00 and missed at 06:00. It reports the checks "
    "`sessions_current`, `nothing_failed_now` and `invariants_hold`.",
    tags={"sigmasight/layer": "symbol"},
    owners=[OPERATIONS],
)
def late_sessions(context: dg.SensorEvaluationContext, pipeline: Pipeline) -> dg.SensorResult:
    """Request the next attempt, or skip with what it waits for; report the standing checks that changed."""
    # Before the state: whatever has ended by then shows in the state.
    under_way = _under_way(context.instance)
    try:
        with closing(pipeline.database()) as database:
            answer = _act(context, pipeline, database, under_way)
            judgements = _judge(context, pipeline, database)
    except SigmaSightError as error:
        return dg.SensorResult(skip_reason=str(error))
    cursor, due = to_report(context.cursor, judgements, datetime.now(UTC))
    events = [item.evaluation for item in due]
    if isinstance(answer, dg.RunRequest):
        return dg.SensorResult(run_requests=[answer], cursor=cursor, asset_events=events)
    return dg.SensorResult(skip_reason=answer, cursor=cursor, asset_events=events)


def _judge(context: dg.SensorEvaluationContext, pipeline: Pipeline, database: Database) -> Sequence[Judgement]:
    """The standing checks; none when they cannot be read, which must not cost the next attempt.

    Published rows that break an invariant are told to people too: not everybody looks at checks.
    """
    judgements: Sequence[Judgement] = ()
    try:
        judgements = read_judgements(database, pipeline.settings)
        broken = [line for item in judgements if item.key == INVARIANTS_HOLD for line in item.broken]
        with database.begin() as connection:
            key = raise_broken(connection, broken, clock=pipeline.settings.clock())
        if key is not None:
            context.log.info(f"raised the alert {key}")
    except SigmaSightError as error:
        context.log.warning(f"the standing checks could not be judged: {error}")
    return judgements


def to_report(cursor: str | None, judgements: Sequence[Judgement], now: datetime) -> tuple[str, Sequence[Judgement]]:
    """The judgements that have changed since they were reported or not been for an hour, and what was reported when.

    A cursor that is lost costs nothing but reporting them once more.
    """
    known = _reported(cursor)
    due = [
        item
        for item in judgements
        if (last := known.get(_name(item))) is None
        or last[0] != _digest(item)
        or now.timestamp() - last[1] >= REPORT_EVERY.total_seconds()
    ]
    known |= {_name(item): (_digest(item), now.timestamp()) for item in due}
    return json.dumps(known), due


def _act(
    context: dg.SensorEvaluationContext, pipeline: Pipeline, database: Database, under_way: Sequence[UnderWay]
) -> dg.RunRequest | str:
    """Tell of what is late; the request of the next attempt, or why there is none."""
    settings = pipeline.settings
    with database.begin() as connection:
        state = read_symbol_state(connection, clock=settings.clock(), pause=settings.retry_pause)
    state = replace(state, running=[*state.running, *under_way])
    decision = plan(state)
    if time.monotonic() - STARTED < GRACE_SECONDS:
        return "the services have just started: the schedule acts first"
    if decision.late:
        failures = read_failures(database, clock=settings.clock(), pause=settings.retry_pause)
        with database.begin() as connection:
            for key in raise_late(connection, decision.late, failures):
                context.log.info(f"raised the alert {key}")
    deliver_alerts(database, settings.webhook_url)
    if decision.chosen is None:
        return "; ".join(decision.reasons)
    for reason in decision.reasons:
        context.log.info(reason)
    return _request(context.instance, decision.chosen, state)


def _under_way(instance: dg.DagsterInstance) -> list[UnderWay]:
    """Runs of the symbol layer, and onboardings, that are queued, at work or about to be tried again."""
    records: list[dg.RunRecord] = []
    for job in (SYMBOL_LAYER, ONBOARDING):
        failed = dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.FAILURE])
        records += instance.get_run_records(dg.RunsFilter(job_name=job, statuses=UNFINISHED))
        records += instance.get_run_records(failed, limit=1)
    return [_as_under_way(record.dagster_run) for record in records if _is_under_way(record)]


def _is_under_way(record: dg.RunRecord) -> bool:
    """Whether a run will start or go on; what this sensor had created is requested again, which launches it."""
    run = record.dagster_run
    if run.is_finished:
        return run.is_complete_and_waiting_to_retry and _is_recent(record.update_timestamp)
    return run.status != NOT_STARTED or (ATTEMPT_TAG not in run.tags and _is_recent(record.create_timestamp))


def _as_under_way(run: dg.DagsterRun) -> UnderWay:
    """The run with its sessions, if it tells them; whoever launches one may name a partition that is no date."""
    partition = run.tags.get("dagster/partition", "")
    first, last = (run.tags.get(name, partition) for name in range_tags(date.min, date.max))
    with suppress(ValueError):
        return UnderWay(run.run_id, date.fromisoformat(first), date.fromisoformat(last))
    return UnderWay(run.run_id)


def _is_recent(instant: datetime) -> bool:
    return datetime.now(UTC) - instant < LAUNCH_TAKES


def _request(instance: dg.DagsterInstance, chosen: SymbolRange, state: SymbolState) -> dg.RunRequest | str:
    """The request of an attempt under its own key.

    Runs that died before their first step are not among the recorded attempts: after the pause, the next has a longer
    key.
    """
    earlier = instance.get_run_records(dg.RunsFilter(tags={ATTEMPT_TAG: chosen.run_key}))
    ended = [record for record in earlier if record.dagster_run.is_finished]
    run_key = chosen.run_key
    if earlier and not ended:
        run_key = earlier[0].dagster_run.tags.get(RUN_KEY_TAG, run_key)
    elif ended:
        again = max(record.update_timestamp for record in ended) + state.pause
        if again > state.now:
            return f"run {ended[0].dagster_run.run_id} died before its first step: next attempt at {local(again)}"
        run_key = f"{run_key}:{len(ended)}"
    return range_request(
        chosen.first,
        chosen.last,
        run_key=run_key,
        tags={**NIGHTLY_SYMBOLS, ATTEMPT_TAG: chosen.run_key},
        assets=SYMBOL_PRODUCTS if chosen.settles else None,
    )


def _reported(cursor: str | None) -> dict[str, tuple[str, float]]:
    with suppress(TypeError, ValueError, AttributeError):
        return {name: (str(digest), float(at)) for name, (digest, at) in json.loads(cursor or "{}").items()}
    return {}


def _name(item: Judgement) -> str:
    return item.key.to_user_string()


def _digest(item: Judgement) -> str:
    content = [item.severity, item.text, {name: str(value.value) for name, value in item.metadata.items()}]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
