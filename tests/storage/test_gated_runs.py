"""Tests of what the gate reads of recorded runs."""

from datetime import date

import pytest
import sqlalchemy as sa

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.gated_runs import GatedRun, RunningStep, read_gated_run, read_running_steps
from sigmasight_assets.storage.ledger_tables import batch_runs
from sigmasight_assets.storage.operations import finish_batch, start_batch
from tests.storage.conftest import SESSIONS

FIRST, SECOND = SESSIONS[:2]
STEP = "portfolio_products"


def start(database: Database, run_id: str, input_hash: str | None, *, kind: str = STEP) -> None:
    with database.begin() as connection:
        start_batch(connection, run_id=run_id, kind=kind, sessions=[FIRST, SECOND], input_hash=input_hash)


def end(database: Database, run_id: str, error: str | None = None) -> None:
    with database.begin() as connection:
        finish_batch(connection, run_id=run_id, kind=STEP, counts={}, error=error)


def gated(database: Database, input_hash: str = "abc") -> GatedRun:
    with database.begin() as connection:
        run = read_gated_run(connection, input_hash)
    assert run is not None
    return run


def running(database: Database) -> list[RunningStep]:
    with database.begin() as connection:
        return read_running_steps(connection)


def test_the_newest_run_of_each_inputs_is_told(database: Database) -> None:
    for run_id, input_hash, error in (("r1", "abc", "full"), ("r2", "abc", "full again"), ("r3", "def", None)):
        start(database, run_id, input_hash)
        end(database, run_id, error)
    start(database, "by hand", None)
    found = [gated(database, input_hash) for input_hash in ("abc", "def")]
    assert [(run.run_id, run.status, run.error, run.recorded) for run in found] == [
        ("r2", "failed", "full again", 2),
        ("r3", "succeeded", None, 1),
    ]
    assert all(run.started_at.tzinfo and run.seen_at >= run.started_at for run in found)
    with database.begin() as connection:
        assert read_gated_run(connection, "ghi") is None


@pytest.mark.parametrize(
    ("error", "is_interrupted"), [("interrupted: KeyboardInterrupt", True), ("the disk is full", False), (None, False)]
)
def test_a_run_stopped_from_outside_has_not_failed(database: Database, error: str | None, is_interrupted: bool) -> None:
    start(database, "r1", "abc")
    end(database, "r1", error)
    assert gated(database).is_interrupted is is_interrupted


def test_a_running_step_is_not_interrupted_by_its_last_error(database: Database) -> None:
    start(database, "r1", "abc")
    with database.begin() as connection:
        connection.execute(sa.update(batch_runs).values(error="interrupted: by a lock"))
    assert not gated(database).is_interrupted


def test_running_steps_of_either_layer_newest_first(database: Database) -> None:
    start(database, "r1", None, kind="symbol_prices")
    start(database, "r2", "abc")
    start(database, "r3", None)
    end(database, "r2")
    assert [(step.run_id, step.kind) for step in running(database)] == [("r3", STEP), ("r1", "symbol_prices")]
    newest = running(database)[0]
    assert (newest.first_session, newest.last_session) == (FIRST, SECOND)
    assert isinstance(newest.first_session, date)
