"""Which recorded steps are alive, and the end of those that are not."""

from datetime import UTC, date, datetime

import pytest

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.operations import finish_batch, start_batch
from sigmasight_assets.storage.step_lives import StepLife, end_lost_steps, read_step_lives
from tests.orchestration.contents import execute, rows_of

DAY = date(2025, 6, 2)
SEEN, ENDED = datetime(2025, 6, 2, 21, 5, tzinfo=UTC), datetime(2025, 6, 2, 21, 6, tzinfo=UTC)


@pytest.fixture
def recorded(database: Database) -> Database:
    """A run with an ended and a running step, one that is over, and one that is running elsewhere."""
    for run_id, kind in (("a", "universe"), ("a", "prices"), ("b", "prices"), ("c", "portfolios")):
        with database.begin() as connection:
            start_batch(connection, run_id=run_id, kind=kind, sessions=[DAY])
            if (run_id, kind) in {("a", "universe"), ("b", "prices")}:
                finish_batch(connection, run_id=run_id, kind=kind, counts={"rows": 1})
    execute(database, "UPDATE batch_runs SET seen_at = :seen", seen=SEEN)
    execute(database, "UPDATE batch_runs SET finished_at = :ended WHERE finished_at IS NOT NULL", ended=ENDED)
    return database


def test_a_life_is_the_last_sign_of_a_running_step_and_the_end_of_another(recorded: Database) -> None:
    with recorded.begin() as connection:
        now, lives = read_step_lives(connection, ["a"])
    assert lives == [
        StepLife("a", "universe", is_running=False, last_sign=ENDED),
        StepLife("a", "prices", is_running=True, last_sign=SEEN),
        StepLife("c", "portfolios", is_running=True, last_sign=SEEN),
    ]
    assert now.tzinfo is not None
    assert abs(now - datetime.now(UTC)).total_seconds() < 60


@pytest.mark.parametrize(
    ("run_ids", "ended"), [(["a", "b", "unknown"], ["a"]), (None, ["a", "c"]), ([], [])], ids=["some", "all", "none"]
)
def test_running_steps_end_with_their_reason(recorded: Database, run_ids: list[str] | None, ended: list[str]) -> None:
    with recorded.begin() as connection:
        assert end_lost_steps(connection, run_ids) == ended
    rows = rows_of(recorded, "SELECT run_id, kind, status, error, finished_at FROM batch_runs ORDER BY started_at")
    lost = [row for row in rows if row["error"]]
    assert sorted(row["run_id"] for row in lost) == ended
    assert {(row["status"], row["error"]) for row in lost} <= {("failed", "interrupted: its worker was lost")}
    assert all(row["finished_at"] > ENDED for row in lost)
    others = {(row["run_id"], row["kind"]): row["status"] for row in rows if not row["error"]}
    assert (others["a", "universe"], others["b", "prices"]) == ("succeeded", "succeeded")
