"""One tick of a sensor on a database and an orchestrator of the test's own."""

from dataclasses import dataclass
from typing import Any

import dagster as dg

from sigmasight_assets.orchestration.resources import Pipeline


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


def open_run(instance: dg.DagsterInstance, status: dg.DagsterRunStatus) -> dg.DagsterRun:
    """A run that nobody works on."""

    @dg.op
    def nothing() -> None:
        """Do nothing."""

    @dg.job
    def idle() -> None:
        nothing()

    return instance.create_run_for_job(idle, status=status)
