"""Tests of what is kept of runs and of the checks' verdicts."""

from datetime import timedelta

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.operations import (
    BatchRun,
    Verdict,
    as_counts,
    finish_batch,
    read_batches,
    record_verdicts,
    start_batch,
)
from tests.storage.conftest import SESSIONS

FIRST, SECOND = SESSIONS[:2]


def start(database: Database, run_id: str, *, kind: str = "prices", input_hash: str | None = None) -> None:
    with database.begin() as connection:
        start_batch(connection, run_id=run_id, kind=kind, sessions=[FIRST, SECOND], input_hash=input_hash)


def finish(database: Database, run_id: str, *, kind: str = "prices", error: str | None = None) -> None:
    with database.begin() as connection:
        finish_batch(connection, run_id=run_id, kind=kind, counts={"rows": 5}, error=error)


def batches(database: Database, **options: int) -> list[BatchRun]:
    with database.begin() as connection:
        return read_batches(connection, **options)


class TestBatches:
    def test_a_step_runs_and_ends(self, database: Database) -> None:
        start(database, "r1")
        (running,) = batches(database)
        assert (running.status, running.counts, running.error, running.finished_at) == ("running", None, None, None)
        assert (running.first_session, running.last_session, running.input_hash) == (FIRST, SECOND, None)
        finish(database, "r1")
        (done,) = batches(database)
        assert (done.status, done.counts, done.error) == ("succeeded", {"rows": 5}, None)
        assert done.finished_at is not None
        assert timedelta(0) < done.finished_at - done.started_at < timedelta(minutes=5)

    def test_a_step_that_fails_says_why(self, database: Database) -> None:
        start(database, "r1")
        finish(database, "r1", error="the vendor is away")
        (failed,) = batches(database)
        assert (failed.status, failed.error) == ("failed", "the vendor is away")

    def test_a_step_that_is_tried_again_begins_again(self, database: Database) -> None:
        start(database, "r1")
        finish(database, "r1", error="away")
        (failed,) = batches(database)
        start(database, "r1")
        (again,) = batches(database)
        assert (again.status, again.counts, again.error, again.finished_at) == ("running", None, None, None)
        assert again.started_at > failed.started_at

    def test_steps_of_one_run_end_each_on_its_own(self, database: Database) -> None:
        start(database, "r1")
        start(database, "r1", kind="symbol_products")
        finish(database, "r1", error="away")
        assert {item.kind: item.status for item in batches(database)} == {
            "prices": "failed",
            "symbol_products": "running",
        }

    def test_the_newest_come_first_and_no_more_than_asked(self, database: Database) -> None:
        for number in range(4):
            start(database, f"r{number}")
        assert [item.run_id for item in batches(database, limit=3)] == ["r3", "r2", "r1"]


class TestVerdicts:
    def judge(self, database: Database, *verdicts: Verdict) -> None:
        with database.begin() as connection:
            record_verdicts(connection, verdicts, layer="symbol", run_id="r1")

    def kept(self, database: Database) -> list[tuple[object, ...]]:
        query = (
            "SELECT run_id, layer, check_name, session, passed, is_blocking, detail "
            "FROM data_quality_results ORDER BY result_id"
        )
        with database.begin() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(query)]

    def test_all_are_kept_those_of_earlier_judgements_too(self, database: Database) -> None:
        self.judge(database, Verdict("coverage", FIRST, passed=False, detail="0.5: AAA"))
        self.judge(
            database,
            Verdict("coverage", FIRST, passed=True, detail="1.0"),
            Verdict("drift", SECOND, passed=False, detail="0.11", is_blocking=False),
        )
        assert self.kept(database) == [
            ("r1", "symbol", "coverage", FIRST, False, True, "0.5: AAA"),
            ("r1", "symbol", "coverage", FIRST, True, True, "1.0"),
            ("r1", "symbol", "drift", SECOND, False, False, "0.11"),
        ]

    def test_no_verdict_is_no_change(self, database: Database) -> None:
        self.judge(database)
        assert self.kept(database) == []


def test_counts_are_plain_json() -> None:
    assert as_counts({"session": FIRST, "rows": 5, "by_reason": {"no_price": 1}}) == {
        "session": FIRST.isoformat(),
        "rows": 5,
        "by_reason": {"no_price": 1},
    }
