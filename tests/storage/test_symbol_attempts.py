"""Tests of what is told of the attempts to publish a session: newest verdicts, and the newest run's steps."""

from datetime import date, timedelta

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.operations import Verdict, finish_batch, record_verdicts, start_batch
from sigmasight_assets.storage.publications import Layer
from sigmasight_assets.storage.symbol_attempts import Refusal, SymbolStep, read_newest_attempts, read_refusals
from tests.storage.conftest import SESSIONS

FIRST, SECOND, THIRD = SESSIONS[:3]
KINDS = ("symbol_prices", "symbol_products")


def judge(database: Database, *verdicts: Verdict, run_id: str, layer: Layer = "symbol") -> None:
    with database.begin() as connection:
        record_verdicts(connection, verdicts, layer=layer, run_id=run_id)


def step(database: Database, run_id: str, kind: str, days: list[date], error: str | None = None) -> None:
    with database.begin() as connection:
        start_batch(connection, run_id=run_id, kind=kind, sessions=days)
    with database.begin() as connection:
        finish_batch(connection, run_id=run_id, kind=kind, counts={}, error=error)


def refusals(database: Database, *days: date) -> dict[date, list[Refusal]]:
    with database.begin() as connection:
        return read_refusals(connection, days)


def attempts(database: Database, *days: date) -> dict[date, list[SymbolStep]]:
    with database.begin() as connection:
        return read_newest_attempts(connection, days, kinds=KINDS)


class TestRefusals:
    def test_the_newest_verdict_of_each_check_counts(self, database: Database) -> None:
        judge(
            database,
            Verdict("coverage", FIRST, passed=False, detail="10 of 500"),
            Verdict("factor_etfs_priced", FIRST, passed=False, detail="no bar of SPY"),
            Verdict("coverage", SECOND, passed=False, detail="1 of 500"),
            Verdict("coverage", THIRD, passed=False, detail="2 of 500"),
            run_id="r1",
        )
        judge(database, Verdict("coverage", FIRST, passed=True, detail="500 of 500"), run_id="r2")
        judge(database, Verdict("curious", FIRST, passed=False, detail="noted only", is_blocking=False), run_id="r3")
        judge(database, Verdict("ledger_identity", FIRST, passed=False, detail="x"), run_id="r4", layer="portfolio")
        found = refusals(database, FIRST, THIRD)
        assert {day: [(item.check, item.detail) for item in items] for day, items in found.items()} == {
            FIRST: [("factor_etfs_priced", "no bar of SPY")],
            THIRD: [("coverage", "2 of 500")],
        }
        assert all(item.judged_at.tzinfo is not None for items in found.values() for item in items)

    def test_of_no_session_there_is_none(self, database: Database) -> None:
        judge(database, Verdict("coverage", FIRST, passed=False, detail="10 of 500"), run_id="r1")
        assert refusals(database) == {}


class TestAttempts:
    def test_the_steps_of_the_newest_run_that_covered_a_session(self, database: Database) -> None:
        step(database, "r1", "symbol_prices", [FIRST, SECOND, THIRD])
        step(database, "r1", "symbol_products", [FIRST, SECOND, THIRD], "not published")
        step(database, "r2", "symbol_prices", [SECOND], "no answer")
        step(database, "r3", "onboarded_symbols", [FIRST, SECOND, THIRD], "of no session")
        found = attempts(database, FIRST, SECOND)
        assert {day: [(item.run_id, item.kind, item.error) for item in items] for day, items in found.items()} == {
            FIRST: [("r1", "symbol_products", "not published"), ("r1", "symbol_prices", None)],
            SECOND: [("r2", "symbol_prices", "no answer")],
        }
        newest = found[SECOND][0]
        assert newest.status == "failed"
        assert timedelta(0) <= newest.seen_at - newest.started_at < timedelta(minutes=5)

    def test_a_session_nobody_tried_has_none(self, database: Database) -> None:
        step(database, "r1", "symbol_prices", [SECOND])
        assert attempts(database, FIRST, THIRD) == {}
        assert attempts(database) == {}
