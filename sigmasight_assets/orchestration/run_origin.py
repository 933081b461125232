"""Whose run it is: an orchestrator may serve other code locations beside this one."""

import dagster as dg


def is_of_this_location(run: dg.DagsterRun, context: dg.SensorEvaluationContext) -> bool:
    """Whether the run is one of the code location that the sensor is in."""
    return _location(run) == (context.code_location_origin.location_name if context.code_location_origin else None)


def _location(run: dg.DagsterRun) -> str | None:
    origin = run.remote_job_origin
    return origin.repository_origin.code_location_origin.location_name if origin else None
