"""The job of helpers: runs that take slices of the snapshots which a run of the portfolio layer publishes.

The gate starts them beside it when there is more than one worker (``SIGMASIGHT_PORTFOLIO_WORKERS``), on whatever
executor the orchestrator has. They publish nothing; without them the same comes out, later.
"""

from collections.abc import Callable, Mapping
from datetime import date, timedelta

import dagster as dg
import sqlalchemy as sa

from sigmasight_assets.operations.gate import GateRange
from sigmasight_assets.operations.gate_causes import SIGN_OF_LIFE
from sigmasight_assets.orchestration.jobs import PORTFOLIO_SLICES
from sigmasight_assets.orchestration.lanes import HELPER_TAG
from sigmasight_assets.orchestration.launchpad import PortfolioSlicesOptions
from sigmasight_assets.orchestration.owners import OPERATIONS
from sigmasight_assets.orchestration.pod_resources import pod_resources
from sigmasight_assets.orchestration.portfolio_publication import help_with_snapshots
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.orchestration.run_requests import NIGHTLY_PRIORITY
from sigmasight_assets.orchestration.steps import recorded_step
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.gated_runs import read_gated_run

# Dagster wants another name than the job's.
OP = "slices_of_snapshots"
# For how many the gate has sent, so that the run shares its work wherever it is done and whatever is set there.
WORKERS_TAG = "sigmasight/portfolio_workers"
# A helper that comes first waits so long for the run that it helps.
PATIENCE_SECONDS = 30.0


@dg.op(
    name=OP,
    description="Computes slices of the snapshots that a run of the portfolio layer publishes meanwhile.",
)
def portfolio_slices(context: dg.OpExecutionContext, config: PortfolioSlicesOptions, pipeline: Pipeline) -> None:
    """Help until the run that is helped has ended."""
    newest = pipeline.calendar.last_complete(pipeline.settings.clock())
    sessions = [date.fromisoformat(day) for day in (config.first, config.last) if day] or [newest]
    with recorded_step(context, pipeline, PORTFOLIO_SLICES, sessions=sessions) as step:
        taken = help_with_snapshots(
            step.database,
            pipeline.calendar,
            run_id=step.run_id,
            is_over=_is_over(step.database, config.input_hash),
        )
        step.counts = {"slices": taken}
        context.log.info(f"{taken} slices computed")


@dg.job(
    name=PORTFOLIO_SLICES,
    description="Helps a run of the portfolio layer: computes slices of its snapshots beside it. Started by the sensor "
    "`portfolio_gate` when SIGMASIGHT_PORTFOLIO_WORKERS is more than 1; by hand it helps whatever runs.",
    owners=[OPERATIONS],
    # What a lost helper had in hand is taken by the others.
    tags={
        HELPER_TAG: "true",
        "dagster/max_retries": "0",
        **pod_resources(cpu="1", memory="1Gi", most_memory="2Gi"),
    },
)
def portfolio_slices_job() -> None:
    """The job of helpers."""
    portfolio_slices()


def helper_requests(chosen: GateRange, workers: int) -> list[dg.RunRequest]:
    """One run for each worker but the one that publishes the range."""
    config = {"first": str(chosen.first), "last": str(chosen.last), "input_hash": chosen.input_hash}
    return [
        dg.RunRequest(
            run_key=f"{chosen.run_key}:helper:{number}",
            job_name=PORTFOLIO_SLICES,
            run_config={"ops": {OP: {"config": config}}},
            tags=NIGHTLY_PRIORITY,
        )
        for number in range(1, workers)
    ]


def workers_tags(workers: int) -> dict[str, str]:
    """What tells a run how many it shares its snapshots with, itself included."""
    return {WORKERS_TAG: str(workers)} if workers > 1 else {}


def workers_of(tags: Mapping[str, str]) -> int:
    """How many share a run's snapshots by its tags; a run by hand has no helpers, whatever is set where it is done."""
    told = tags.get(WORKERS_TAG, "")
    return max(1, int(told)) if told.isdecimal() else 1


def _is_over(database: Database, input_hash: str) -> Callable[[float], bool]:
    with database.begin() as connection:
        begun = connection.execute(sa.select(sa.func.now())).scalar_one()

    def is_over(idle_seconds: float) -> bool:
        with database.begin() as connection:
            helped = read_gated_run(connection, input_hash) if input_hash else None
            now = connection.execute(sa.select(sa.func.now())).scalar_one()
        if helped is not None and helped.status == "succeeded":
            return True
        # An earlier attempt at the same ended before.
        if helped is None or (helped.status != "running" and helped.seen_at < begun - timedelta(seconds=1)):
            return idle_seconds > PATIENCE_SECONDS
        return helped.status != "running" or now - helped.seen_at > SIGN_OF_LIFE

    return is_over
