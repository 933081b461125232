"""The nightly schedule: every evening at 21:00 New York, the session of that day and what was missed before it."""

from datetime import UTC, date, datetime

import dagster as dg

from sigmasight_assets.errors import SigmaSightError
from sigmasight_assets.operations.symbol_plan import due_ranges
from sigmasight_assets.operations.symbol_state import read_symbol_state
from sigmasight_assets.orchestration.jobs import SYMBOL_LAYER
from sigmasight_assets.orchestration.owners import OPERATIONS
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.orchestration.run_requests import NIGHTLY_SYMBOLS, range_request
from sigmasight_assets.sessions import COMPLETE_AT, NEW_YORK
from sigmasight_assets.storage.calendar import read_calendar
from sigmasight_assets.storage.decisions import read_waived

Answer = list[dg.RunRequest] | dg.SkipReason


@dg.schedule(
    name="nightly_symbols",
    job_name=SYMBOL_LAYER,
    cron_schedule=f"{COMPLETE_AT.minute} {COMPLETE_AT.hour} * * *",
    execution_timezone=NEW_YORK.key,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Runs the symbol layer for the session that has just completed, and for what was missed "
    "before it, as one "
    "range. On days without a session it skips with the reason. What fails is taken up by the sensor `late_sessions`.",
    tags={"sigmasight/layer": "symbol"},
    owners=[OPERATIONS],
)
def nightly_symbols(context: dg.ScheduleEvaluationContext, pipeline: Pipeline) -> Answer:
    """Request the run of the evening's session, once, in one range with the missed ones; else skip with the reason."""
    instant = context.scheduled_execution_time or datetime.now(UTC)
    try:
        return _requests(pipeline, instant)
    except SigmaSightError as reason:
        return dg.SkipReason(str(reason))


def _requests(pipeline: Pipeline, instant: datetime) -> Answer:
    settings = pipeline.settings
    day = instant.astimezone(NEW_YORK).date()
    # The tick itself tells that the evening has come, unless the clock is held still.
    clock = settings.clock() if settings.now else max(settings.clock(), instant)
    database = pipeline.database()
    try:
        with database.begin() as connection:
            read_calendar(connection).require_complete(day, clock)
            waived = read_waived(connection).get(day)
            state = read_symbol_state(connection, clock=min(clock, instant), pause=settings.retry_pause)
    finally:
        database.close()
    ranges = due_ranges(state)
    if waived is None and day not in [last for _, last in ranges]:
        ranges.append((day, day))
    if not ranges:
        return dg.SkipReason(f"{day} is waived: {waived}")
    return [_request(first, last, evening=day) for first, last in ranges]


def _request(first: date, last: date, *, evening: date) -> dg.RunRequest:
    """One run for the range; only ranges that a waived session separates from the evening's need a longer key."""
    run_key = f"daily:{evening}" if last == evening else f"daily:{evening}:{first}"
    return range_request(first, last, run_key=run_key, tags=NIGHTLY_SYMBOLS)
