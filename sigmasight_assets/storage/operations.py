"""What ran and how it was judged: ``batch_runs`` and ``data_quality_results``."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from sigmasight_assets.storage.ledger_tables import batch_runs, data_quality_results
from sigmasight_assets.storage.publications import Layer

# Offenders of a session that are kept with their reasons; the others are counted.
NAMED_OFFENDERS = 20


@dataclass(frozen=True, slots=True)
class Offender:
    """A symbol or portfolio that keeps a check from passing: why, and the numbers with their units, in words."""

    name: str
    reason: str
    measured: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """One check's judgement of one session; ``detail`` holds the measured value and names the offenders.

    ``offenders`` are the first of them one by one and ``offender_count`` is how many there are: for
    whoever looks at the run, and not stored.
    """

    check: str
    session: date
    passed: bool
    detail: str
    is_blocking: bool = True
    offenders: tuple[Offender, ...] = field(default=(), compare=False)
    offender_count: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class BatchRun:
    """A recorded step of a run."""

    run_id: str
    kind: str
    first_session: date
    last_session: date
    status: str
    input_hash: str | None
    counts: dict[str, Any] | None
    error: str | None
    started_at: datetime
    finished_at: datetime | None


def start_batch(
    connection: sa.Connection,
    *,
    run_id: str,
    kind: str,
    sessions: Sequence[date],
    input_hash: str | None = None,
    started_by: str = "manual",
) -> None:
    """Record that a step of a run has begun; a retried step begins again."""
    fresh = {
        "first_session": sessions[0],
        "last_session": sessions[-1],
        "input_hash": input_hash,
        "status": "running",
        "started_by": started_by,
        "started_at": sa.func.now(),
        "seen_at": sa.func.now(),
        "finished_at": None,
        "counts": None,
        "error": None,
    }
    statement = insert(batch_runs).values(run_id=run_id, kind=kind, **fresh)
    connection.execute(statement.on_conflict_do_update(index_elements=["run_id", "kind"], set_=fresh))


def finish_batch(
    connection: sa.Connection, *, run_id: str, kind: str, counts: dict[str, Any] | None, error: str | None = None
) -> None:
    """Record how a step ended."""
    connection.execute(
        sa.update(batch_runs)
        .where(batch_runs.c.run_id == run_id, batch_runs.c.kind == kind)
        .values(
            status="failed" if error else "succeeded", counts=counts, error=error, finished_at=sa.func.clock_timestamp()
        )
    )


def record_retry(connection: sa.Connection, *, run_id: str, kind: str, counts: dict[str, Any], error: str) -> None:
    """Record why the last attempt of a step failed that goes on running, to be tried again."""
    connection.execute(
        sa.update(batch_runs)
        .where(batch_runs.c.run_id == run_id, batch_runs.c.kind == kind)
        .values(counts=counts, error=error, seen_at=sa.func.now())
    )


def record_verdicts(connection: sa.Connection, verdicts: Sequence[Verdict], *, layer: Layer, run_id: str) -> None:
    """Keep the verdicts; those of earlier runs stay for the history."""
    if verdicts:
        connection.execute(
            sa.insert(data_quality_results),
            [
                {
                    "run_id": run_id,
                    "layer": layer,
                    "check_name": item.check,
                    "session": item.session,
                    "passed": item.passed,
                    "is_blocking": item.is_blocking,
                    "detail": item.detail,
                }
                for item in verdicts
            ],
        )


def read_batches(connection: sa.Connection, *, limit: int = 20) -> list[BatchRun]:
    """The newest recorded steps, newest first."""
    columns = [batch_runs.c[name] for name in BatchRun.__dataclass_fields__]
    rows = connection.execute(sa.select(*columns).order_by(batch_runs.c.started_at.desc()).limit(limit))
    return [BatchRun(*row) for row in rows]


def read_run_errors(connection: sa.Connection, run_id: str) -> list[str]:
    """Why the failed steps of a run failed, in the order they began."""
    query = sa.select(batch_runs.c.kind, batch_runs.c.error).where(
        batch_runs.c.run_id == run_id, batch_runs.c.status == "failed"
    )
    return [f"{row.kind}: {row.error}" for row in connection.execute(query.order_by(batch_runs.c.started_at))]


def read_refused_sessions(connection: sa.Connection, run_id: str) -> set[date] | None:
    """Sessions that a run judged and did not publish; None when it judged none at all."""
    columns = data_quality_results.c
    rows = connection.execute(
        sa.select(columns.session, columns.passed, columns.is_blocking).where(columns.run_id == run_id)
    ).all()
    return {row.session for row in rows if row.is_blocking and not row.passed} if rows else None


def as_counts(values: dict[str, Any]) -> dict[str, Any]:
    """Counts as plain JSON values."""
    plain: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return plain
