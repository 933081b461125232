"""The nightly schedule: every evening at 21:00 New York, the session of that day if there is one."""

from datetime import UTC, datetime

import dagster as dg

from sigmasight_assets.errors import SessionError
from sigmasight_assets.orchestration.jobs import SYMBOL_LAYER
from sigmasight_assets.sessions import COMPLETE_AT, NEW_YORK, exchange_calendar


@dg.schedule(
    name="nightly_symbols",
    job_name=SYMBOL_LAYER,
    cron_schedule=f"{COMPLETE_AT.minute} {COMPLETE_AT.hour} * * *",
    execution_timezone=NEW_YORK.key,
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Runs the symbol layer for the session that has just completed.",
)
def nightly_symbols(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Request the run of the evening's session, once; skip with the reason when the exchange was closed."""
    instant = context.scheduled_execution_time or datetime.now(UTC)
    day = instant.astimezone(NEW_YORK).date()
    try:
        exchange_calendar().index(day)
    except SessionError as reason:
        return dg.SkipReason(str(reason))
    return dg.RunRequest(run_key=f"daily:{day}", partition_key=str(day))
