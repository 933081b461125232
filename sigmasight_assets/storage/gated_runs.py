"""What the gate must know of runs, as recorded: those it has started for some inputs, and those now at work."""

from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa

from sigmasight_assets.storage.ledger_tables import batch_runs

PORTFOLIO_STEP = "portfolio_products"
# How the error of a step begins that was stopped from outside: it has not failed.
INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class GatedRun:
    """The newest run started for some inputs; ``recorded`` counts the runs that were, this one among them."""

    run_id: str
    status: str
    error: str | None
    started_at: datetime
    seen_at: datetime
    recorded: int = 1

    @property
    def is_interrupted(self) -> bool:
        """Whether it was stopped from outside."""
        return self.status == "failed" and (self.error or "").startswith(INTERRUPTED)


@dataclass(frozen=True, slots=True)
class RunningStep:
    """A step that has not ended, or was killed when ``seen_at`` is long ago."""

    run_id: str
    kind: str
    first_session: date
    last_session: date
    started_at: datetime
    seen_at: datetime


def read_gated_run(connection: sa.Connection, input_hash: str) -> GatedRun | None:
    """The newest recorded run that was started for these inputs, if any."""
    columns = [batch_runs.c[name] for name in GatedRun.__dataclass_fields__ if name != "recorded"]
    same = sa.select(*columns, sa.func.count().over()).where(
        batch_runs.c.input_hash == input_hash, batch_runs.c.kind == PORTFOLIO_STEP
    )
    row = connection.execute(same.order_by(batch_runs.c.started_at.desc()).limit(1)).one_or_none()
    return None if row is None else GatedRun(*tuple(row))


def read_running_steps(connection: sa.Connection) -> list[RunningStep]:
    """The steps of either layer recorded as running, newest first."""
    columns = [batch_runs.c[name] for name in RunningStep.__dataclass_fields__]
    running = sa.select(*columns).where(batch_runs.c.status == "running").order_by(batch_runs.c.started_at.desc())
    return [RunningStep(*row) for row in connection.execute(running)]
