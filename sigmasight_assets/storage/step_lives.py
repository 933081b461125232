"""Which recorded steps are alive, by the database's clock, and the end of those that are not."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from sigmasight_assets.storage.gated_runs import INTERRUPTED
from sigmasight_assets.storage.ledger_tables import batch_runs

WORKER_LOST = f"{INTERRUPTED}: its worker was lost"


@dataclass(frozen=True, slots=True)
class StepLife:
    """A recorded step; ``last_sign`` is its last sign of life while it is running, else its end."""

    run_id: str
    kind: str
    is_running: bool
    last_sign: datetime


def read_step_lives(connection: sa.Connection, run_ids: Collection[str]) -> tuple[datetime, list[StepLife]]:
    """The database's time, and every step of these runs and every running step of any other."""
    steps = batch_runs.c
    is_running = (steps.status == "running").label("is_running")
    last_sign = sa.case((is_running, steps.seen_at), else_=steps.finished_at)
    query = sa.select(steps.run_id, steps.kind, is_running, last_sign).where(
        sa.or_(is_running, steps.run_id.in_(run_ids))
    )
    lives = [StepLife(*row) for row in connection.execute(query.order_by(steps.started_at))]
    now: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
    return now, lives


def end_lost_steps(connection: sa.Connection, run_ids: Collection[str] | None = None) -> list[str]:
    """Record that running steps of these runs, or of all, lost their worker; the runs that had any."""
    lost = sa.update(batch_runs).where(batch_runs.c.status == "running")
    if run_ids is not None:
        lost = lost.where(batch_runs.c.run_id.in_(run_ids))
    ended = lost.values(status="failed", error=WORKER_LOST, finished_at=sa.func.clock_timestamp())
    return sorted(set(connection.execute(ended.returning(batch_runs.c.run_id)).scalars()))
