"""What runs leave in the ledger, written directly: publications, recorded steps, verdicts, consumed sessions."""

from collections.abc import Sequence
from datetime import date, timedelta

import sqlalchemy as sa

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.decisions import record_action
from sigmasight_assets.storage.ledger_tables import batch_runs
from sigmasight_assets.storage.operations import Verdict, finish_batch, record_verdicts, start_batch
from sigmasight_assets.storage.operations_tables import session_decisions
from sigmasight_assets.storage.publications import (
    SYMBOL_PRODUCTS,
    Layer,
    Publication,
    lock_layer,
    next_generation,
    record_publications,
)
from sigmasight_assets.storage.snapshots import record_consumed


def publish(database: Database, *days: date, products: Sequence[str] = SYMBOL_PRODUCTS) -> int:
    """Record the days' symbol products under one generation."""
    with database.bulk() as transaction:
        lock_layer(transaction, "symbol")
        generation = next_generation(transaction)
        rows = [Publication(day, tuple(products), rows_written=1, coverage=1.0, counts={}) for day in days]
        record_publications(transaction, generation, "symbol", rows, run_id="run")
    return generation


def consume(database: Database, generation: int, *days: date) -> None:
    """Record that the days' snapshots exist and were computed from this generation."""
    with database.bulk() as transaction:
        record_consumed(transaction, dict.fromkeys(days, generation), run_id="run")


def judge(database: Database, *verdicts: Verdict, run_id: str = "run", layer: Layer = "symbol") -> None:
    """Record verdicts."""
    with database.begin() as connection:
        record_verdicts(connection, verdicts, layer=layer, run_id=run_id)


def run_step(
    database: Database,
    run_id: str,
    *days: date,
    kind: str = "symbol_products",
    error: str | None = None,
    ended_ago: float | None = 1.0,
    input_hash: str | None = None,
    counts: dict[str, object] | None = None,
) -> None:
    """Record a step that took a minute and ended so many minutes ago, or that began a minute ago and is running."""
    with database.begin() as connection:
        start_batch(connection, run_id=run_id, kind=kind, sessions=days, input_hash=input_hash)
        if ended_ago is not None:
            finish_batch(connection, run_id=run_id, kind=kind, counts=counts or {}, error=error)
        age(connection, run_id, kind, minutes=ended_ago or 0.0)


def decide(database: Database, day: date, kind: str) -> None:
    """Put a waived or closed day in force, as an operator's decision does."""
    with database.begin() as connection:
        action = "waive_session" if kind == "waived" else "close_session"
        number = record_action(connection, kind=action, actor="ann", reason="the vendor has a hole", session=day)
        connection.execute(sa.insert(session_decisions).values(session=day, kind=kind, action_id=number))


def age(connection: sa.Connection, run_id: str, kind: str, *, minutes: float) -> None:
    """Put a recorded step into the past."""
    ended = sa.func.clock_timestamp() - timedelta(minutes=minutes)
    steps = batch_runs.c
    values = {
        "started_at": ended - timedelta(minutes=1),
        "finished_at": sa.case((steps.status == "running", None), else_=ended),
    }
    connection.execute(sa.update(batch_runs).where(steps.run_id == run_id, steps.kind == kind).values(values))
