"""Tests of what is kept of runs and of the checks' verdicts."""

from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.operations import (
    BatchRun,
    Verdict,
    as_counts,
    finish_batch,
    read_batches,
    read_failed_input_hashes,
    read_failed_verdicts,
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


class TestInputHashes:
    def failed(self, database: Database) -> dict[str, str]:
        with database.begin() as connection:
            return read_failed_input_hashes(connection)

    def test_the_newest_run_of_the_same_inputs_counts(self, database: Database) -> None:
        start(database, "r1", input_hash="aa")
        assert self.failed(database) == {}
        finish(database, "r1", error="boom")
        start(database, "r2", input_hash="bb")
        finish(database, "r2", error="boom")
        start(database, "r3")
        finish(database, "r3", error="boom")
        assert self.failed(database) == {"aa": "r1", "bb": "r2"}
        start(database, "r4", input_hash="aa")
        assert self.failed(database) == {"bb": "r2"}
        finish(database, "r4")
        assert self.failed(database) == {"bb": "r2"}

    def test_the_same_run_tried_again_with_success_counts_too(self, database: Database) -> None:
        start(database, "r1", input_hash="aa")
        finish(database, "r1", error="boom")
        start(database, "r1", input_hash="aa")
        finish(database, "r1")
        assert self.failed(database) == {}


class TestVerdicts:
    def judge(self, database: Database, *verdicts: Verdict, layer: str = "symbol") -> None:
        with database.begin() as connection:
            record_verdicts(connection, verdicts, layer=layer, run_id="r1")  # type: ignore[arg-type]

    def failed(self, database: Database) -> dict[date, list[Verdict]]:
        with database.begin() as connection:
            return read_failed_verdicts(connection, "symbol")

    def test_blocking_ones_that_did_not_pass_are_named(self, database: Database) -> None:
        coverage = Verdict("coverage", FIRST, passed=False, detail="0.5: AAA")
        finite = Verdict("betas_finite", FIRST, passed=False, detail="BBB")
        later = Verdict("coverage", SECOND, passed=False, detail="0.6")
        self.judge(
            database,
            later,
            coverage,
            finite,
            Verdict("bars_valid", FIRST, passed=True, detail="fine"),
            Verdict("drift", SECOND, passed=False, detail="0.11", is_blocking=False),
        )
        self.judge(database, Verdict("identity", FIRST, passed=False, detail="7"), layer="portfolio")
        assert self.failed(database) == {FIRST: [finite, coverage], SECOND: [later]}

    @pytest.mark.parametrize("passes_last", [True, False])
    def test_the_newest_judgement_counts_and_the_others_stay(self, database: Database, passes_last: bool) -> None:
        for passed in (not passes_last, passes_last):
            self.judge(database, Verdict("coverage", FIRST, passed=passed, detail=str(passed)))
        assert self.failed(database) == (
            {} if passes_last else {FIRST: [Verdict("coverage", FIRST, passed=False, detail="False")]}
        )
        with database.begin() as connection:
            kept = connection.execute(sa.text("SELECT count(*) FROM data_quality_results")).scalar_one()
        assert kept == 2

    def test_no_verdict_is_no_change(self, database: Database) -> None:
        self.judge(database)
        assert self.failed(database) == {}


def test_counts_are_plain_json() -> None:
    assert as_counts({"session": FIRST, "rows": 5, "by_reason": {"no_price": 1}}) == {
        "session": FIRST.isoformat(),
        "rows": 5,
        "by_reason": {"no_price": 1},
    }
