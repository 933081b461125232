"""Sensors: the gate between the symbol layer and the portfolio layer."""

import dagster as dg

from sigmasight_assets.errors import SigmaSightError
from sigmasight_assets.operations.gate import GateDecision, plan, ready_range
from sigmasight_assets.operations.gate_state import read_gate_state
from sigmasight_assets.orchestration.jobs import JOBS, PORTFOLIO_LAYER
from sigmasight_assets.orchestration.launched_runs import read_same_inputs, read_unfinished
from sigmasight_assets.orchestration.owners import OPERATIONS
from sigmasight_assets.orchestration.portfolio_help import helper_requests, portfolio_slices_job, workers_tags
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.orchestration.run_requests import NIGHTLY_PRIORITY, range_request
from sigmasight_assets.runs import INPUT_HASH_TAG

# The daemon's loop takes 5 s: a little less makes every loop count.
INTERVAL_SECONDS = 4


@dg.sensor(
    name="portfolio_gate",
    jobs=[next(job for job in JOBS if job.name == PORTFOLIO_LAYER), portfolio_slices_job],
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts snapshots once the symbol products they build on are published, exactly once per input. "
    "Each tick says what it waits for, by name; what failed for the same inputs waits for `sigmasight retry`.",
    tags={"sigmasight/layer": "portfolio"},
    owners=[OPERATIONS],
)
def portfolio_gate(context: dg.SensorEvaluationContext, pipeline: Pipeline) -> list[dg.RunRequest] | dg.SkipReason:
    """Request the next range, with helpers where there are workers for them, or skip with what it waits for."""
    try:
        decision = _decide(context.instance, pipeline)
    except SigmaSightError as error:
        return dg.SkipReason(str(error))
    chosen = decision.range
    if chosen is None:
        return dg.SkipReason("; ".join(decision.reasons))
    for reason in decision.reasons:
        context.log.info(reason)
    workers = pipeline.settings.portfolio_workers
    request = range_request(
        chosen.first,
        chosen.last,
        run_key=chosen.run_key,
        tags={**NIGHTLY_PRIORITY, INPUT_HASH_TAG: chosen.input_hash, **workers_tags(workers)},
        job=PORTFOLIO_LAYER,
    )
    return [request, *helper_requests(chosen, workers)]


def _decide(instance: dg.DagsterInstance, pipeline: Pipeline) -> GateDecision:
    # Before the state: whatever is finished by then shows in the state.
    unfinished = read_unfinished(instance)
    database = pipeline.database()
    try:
        state = read_gate_state(database, now=pipeline.settings.clock())
    finally:
        database.close()
    chosen = ready_range(state)
    return plan(state, [*unfinished, *read_same_inputs(instance, chosen.input_hash)] if chosen else unfinished)
