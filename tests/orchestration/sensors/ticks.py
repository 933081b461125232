"""One tick of a sensor on a database and an orchestrator of the test's own."""

from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.definitions.sensor_definition import SensorExecutionData

from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.storage.database import Database
from tests.orchestration.deployments import load_definitions


@dataclass(frozen=True)
class Tick:
    """What a sensor that requests nothing said, and the cursor it left."""

    said: str
    cursor: str | None


def tick(sensor: Any, url: str, instance: dg.DagsterInstance, *, cursor: str | None = None) -> Tick:
    """Evaluate the sensor once."""
    resources = {"pipeline": Pipeline(database_url=url)}
    with dg.build_sensor_context(instance=instance, resources=resources, cursor=cursor) as context:
        answer = sensor(context)
        assert isinstance(answer, dg.SkipReason)
        return Tick(answer.skip_message or "", context.cursor)


def evaluated(
    database: Database, instance: dg.DagsterInstance, *, cursor: str | None = None, sensor: str = "late_sessions"
) -> SensorExecutionData:
    """A tick as the daemon evaluates it, with what it requests and reports."""
    definitions = load_definitions(database)
    pipeline = Pipeline(database_url=database.url)
    with dg.build_sensor_context(
        instance=instance, cursor=cursor, definitions=definitions, resources={"pipeline": pipeline}
    ) as context:
        return definitions.resolve_sensor_def(sensor).evaluate_tick(context)


def open_run(instance: dg.DagsterInstance, status: dg.DagsterRunStatus) -> dg.DagsterRun:
    """A run that nobody works on."""

    @dg.op
    def nothing() -> None:
        """Do nothing."""

    @dg.job
    def idle() -> None:
        nothing()

    return instance.create_run_for_job(idle, status=status)
