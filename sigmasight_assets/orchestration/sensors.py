"""Sensors: the gate between the symbol layer and the portfolio layer."""

import dagster as dg

from sigmasight_assets.errors import SigmaSightError
from sigmasight_assets.orchestration.gate import GateRange, plan
from sigmasight_assets.orchestration.gate_state import read_gate_state
from sigmasight_assets.orchestration.jobs import PORTFOLIO_LAYER
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.orchestration.steps import INPUT_HASH_TAG

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
    return _request(decision.range)


def _request(chosen: GateRange) -> dg.RunRequest:
    tags = {INPUT_HASH_TAG: chosen.input_hash}
    if chosen.first == chosen.last:
        return dg.RunRequest(run_key=chosen.run_key, partition_key=str(chosen.first), tags=tags)
    tags["dagster/asset_partition_range_start"] = str(chosen.first)
    tags["dagster/asset_partition_range_end"] = str(chosen.last)
    return dg.RunRequest(run_key=chosen.run_key, tags=tags)
