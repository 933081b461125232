"""Sensors: the gate between the symbol layer and the portfolio layer."""

import dagster as dg

from sigmasight_assets.errors import SigmaSightError
from sigmasight_assets.operations.gate import GateRange, plan
from sigmasight_assets.operations.gate_state import read_gate_state
from sigmasight_assets.orchestration.jobs import PORTFOLIO_LAYER
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.orchestration.steps import INPUT_HASH_TAG
from sigmasight_assets.runs import range_tags

# The daemon's loop takes 5 s: a little less makes every loop count.
INTERVAL_SECONDS = 4


@dg.sensor(
    name="portfolio_gate",
    job_name=PORTFOLIO_LAYER,
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts snapshots once the symbol products they build on are published, exactly once per input.",
)
def portfolio_gate(context: dg.SensorEvaluationContext, pipeline: Pipeline) -> dg.RunRequest | dg.SkipReason:
    """Request the next range, or skip with what it waits for, by name."""
    database = pipeline.database()
    try:
        state = read_gate_state(database, pipeline.calendar, now=pipeline.settings.clock())
    except SigmaSightError as error:
        return dg.SkipReason(str(error))
    finally:
        database.close()
    decision = plan(state)
    if decision.range is None:
        return dg.SkipReason("; ".join(decision.reasons))
    for reason in decision.reasons:
        context.log.info(reason)
    return _request_or_reason(decision.range, _earlier_runs(context.instance, decision.range))


def _earlier_runs(instance: dg.DagsterInstance, chosen: GateRange) -> list[dg.DagsterRun]:
    """Runs that were started for these inputs, newest first."""
    return list(instance.get_runs(filters=dg.RunsFilter(tags={INPUT_HASH_TAG: chosen.input_hash})))


def _request_or_reason(chosen: GateRange, earlier: list[dg.DagsterRun]) -> dg.RunRequest | dg.SkipReason:
    """Request the range unless a run for the same inputs is under way or failed; a canceled one is started anew."""
    span = f"{chosen.first} to {chosen.last}"
    if earlier and not earlier[0].is_finished:
        return dg.SkipReason(f"{span}: run {earlier[0].run_id} is under way")
    if earlier and earlier[0].is_failure and earlier[0].tags.get("dagster/will_retry") != "true":
        return dg.SkipReason(
            f"{span}: run {earlier[0].run_id} failed for these same inputs; mend the cause, then re-execute that run"
        )
    # A run key is used once; each canceled run of these inputs calls for another.
    canceled = sum(run.status == dg.DagsterRunStatus.CANCELED for run in earlier)
    return _request(chosen, run_key=f"{chosen.run_key}:{canceled}" if canceled else chosen.run_key)


def _request(chosen: GateRange, *, run_key: str) -> dg.RunRequest:
    tags = {INPUT_HASH_TAG: chosen.input_hash}
    if chosen.first == chosen.last:
        return dg.RunRequest(run_key=run_key, partition_key=str(chosen.first), tags=tags)
    return dg.RunRequest(run_key=run_key, tags={**tags, **range_tags(chosen.first, chosen.last)})
