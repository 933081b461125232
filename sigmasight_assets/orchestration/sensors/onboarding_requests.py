"""The sensor that starts runs for the symbols that were asked for."""

import dagster as dg

from sigmasight_assets.errors import SigmaSightError
from sigmasight_assets.orchestration.jobs import ONBOARDING
from sigmasight_assets.orchestration.onboarding import BATCH_REQUESTS, CLAIMS_TAG, claims_of, claims_tag
from sigmasight_assets.orchestration.owners import OPERATIONS
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.onboarding import count_open_requests
from sigmasight_assets.storage.onboarding_claims import Claim, claim, hold

# The daemon's loop takes 5 s: a little less makes every loop count.
INTERVAL_SECONDS = 4
# Between its request and its first step a run holds no lease of its own.
NOT_BEGUN = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING]


@dg.sensor(
    name="onboarding_requests",
    job_name=ONBOARDING,
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts one run for all symbols that were asked for, within seconds; a run that is lost "
    "loses no request.",
    tags={"sigmasight/layer": "onboarding"},
    owners=[OPERATIONS],
)
def onboarding_requests(context: dg.SensorEvaluationContext, pipeline: Pipeline) -> dg.RunRequest | dg.SkipReason:
    """Claim what is due and request its run, or skip with how many requests there are."""
    database = pipeline.database()
    try:
        claims, open_requests = _claim(database, context.instance)
    except SigmaSightError as error:
        return dg.SkipReason(str(error))
    finally:
        database.close()
    if not claims:
        return dg.SkipReason(f"no request is due; {open_requests} are under way or wait for their next attempt")
    tag = claims_tag(claims)
    return dg.RunRequest(run_key=f"onboarding:{tag}", tags={CLAIMS_TAG: tag})


def _claim(database: Database, instance: dg.DagsterInstance) -> tuple[list[Claim], int]:
    """What was claimed now, and how many requests are open in all."""
    with database.begin() as connection:
        open_requests = count_open_requests(connection)
    if not open_requests:
        return [], 0
    waiting = instance.get_runs(filters=dg.RunsFilter(job_name=ONBOARDING, statuses=NOT_BEGUN))
    with database.begin() as connection:
        for run in waiting:
            hold(connection, claims_of(run.tags) or {})
        return claim(connection, limit=BATCH_REQUESTS), open_requests
