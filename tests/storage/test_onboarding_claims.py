"""Tests of the work on onboarding requests: who takes them, for how long, and how attempts end."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Barrier
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.invalidations import MARK_SCHEMA, mark_invalid
from sigmasight_assets.storage.onboarding_claims import (
    BACKOFF_SECONDS,
    LEASE_SECONDS,
    LOST,
    LOST_THRICE,
    claim,
    complete_published,
    extend_leases,
    fail_refused,
    hold,
)
from sigmasight_assets.storage.operations import start_batch
from sigmasight_assets.storage.tables import symbol_daily_metrics, symbol_universe
from tests.storage.onboarding_queue import (
    ask,
    claimed,
    failed,
    let_pass,
    publish_a_session,
    requests,
    statuses,
    taken,
)
from tests.storage.rows import ROWS, SESSION


def symbols(database: Database, *, limit: int = 50) -> list[str]:
    return [item.symbol for item in claimed(database, limit=limit)]


def track(database: Database, symbol: str, status: str = "active", *, reason: str | None = None) -> None:
    """A tracked symbol; an active one has a price of the session."""
    row: dict[str, Any] = {"symbol": symbol, "name": symbol, "asset_type": "equity"}
    row |= {"status": status, "status_reason": reason}
    if status == "active":
        row |= {"first_trade_date": SESSION, "last_price_date": SESSION}
    with database.begin() as connection:
        connection.execute(sa.insert(symbol_universe).values(row))


def completed(database: Database, run_id: str) -> list[str]:
    with database.begin() as connection:
        return complete_published(connection, run_id=run_id)


def refused(database: Database, run_id: str) -> list[str]:
    with database.begin() as connection:
        return fail_refused(connection, run_id=run_id)


def start_night(database: Database, kind: str = "symbol_prices") -> None:
    with database.begin() as connection:
        start_batch(connection, run_id="night", kind=kind, sessions=[SESSION])


class TestClaim:
    def test_the_most_urgent_and_then_the_oldest_come_first(self, database: Database) -> None:
        for symbol, priority in (("OLD", 0), ("NEXT", 0), ("URGENT", 9), ("SOON", 5)):
            ask(database, symbol, priority=priority)
        assert [symbols(database, limit=1) for _ in range(4)] == [["URGENT"], ["SOON"], ["OLD"], ["NEXT"]]
        assert symbols(database) == []

    def test_a_claim_counts_an_attempt_and_has_a_lease(self, database: Database) -> None:
        ask(database, "AAA")
        (item,) = claimed(database)
        found = requests(database)["AAA"]
        assert (item.request_id, item.attempt, item.symbol) == (found.request_id, 1, "AAA")
        assert (found.status, found.attempts, found.run_id) == ("processing", 1, None)
        assert found.started_at is not None
        let_pass(database, LEASE_SECONDS - 5)
        assert claimed(database) == []

    def test_a_lease_that_ends_makes_it_due_again_and_says_why(self, database: Database) -> None:
        ask(database, "AAA")
        claimed(database, run_id="r1")
        let_pass(database, LEASE_SECONDS)
        (item,) = claimed(database)
        found = requests(database)["AAA"]
        assert (item.attempt, found.run_id, found.error) == (2, None, LOST)

    def test_a_worker_that_is_lost_three_times_is_the_end(self, database: Database) -> None:
        ask(database, "AAA")
        for _ in range(3):
            assert symbols(database) == ["AAA"]
            let_pass(database, LEASE_SECONDS)
        assert claimed(database) == []
        found = requests(database)["AAA"]
        assert (found.status, found.attempts, found.error) == ("failed", 3, LOST_THRICE)
        assert found.finished_at is not None

    def test_two_at_once_take_different_ones(self, database: Database) -> None:
        ask(database, *(f"S{number:02}" for number in range(20)))
        together = Barrier(4, timeout=30)

        def take_some(_: int) -> list[str]:
            with database.begin() as connection:
                together.wait()
                found = [item.symbol for item in claim(connection, limit=5)]
                # All have chosen before any has committed.
                together.wait()
                return found

        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(take_some, range(4)))
        assert sorted(symbol for each in found for symbol in each) == sorted(statuses(database))
        assert {len(each) for each in found} == {5}

    def test_nobody_waits_for_one_that_another_is_taking(self, database: Database) -> None:
        ask(database, "AAA", priority=1)
        ask(database, "BBB")
        with uncommitted(database), database.begin() as connection:
            connection.exec_driver_sql("SET LOCAL lock_timeout = '1s'")
            assert [item.symbol for item in claim(connection, limit=2)] == ["BBB"]
        assert symbols(database) == ["AAA"]


@contextmanager
def uncommitted(database: Database) -> Iterator[None]:
    """The most urgent request is claimed inside the block, and not after it."""
    with database.engine.connect() as connection:
        claim(connection, limit=1)
        yield
        connection.rollback()


class TestTake:
    def test_a_run_takes_what_was_claimed_for_it(self, database: Database) -> None:
        ask(database, "AAA", "BBB", "CCC")
        claims = claimed(database)
        assert taken(database, claims[:2], run_id="r1") == ["AAA", "BBB"]
        assert {symbol: item.run_id for symbol, item in requests(database).items()} == {
            "AAA": "r1",
            "BBB": "r1",
            "CCC": None,
        }
        assert taken(database, claims, run_id="r2") == ["CCC"]
        assert taken(database, claims[:1], run_id="r1") == ["AAA"]
        assert taken(database, [], run_id="r1") == []

    def test_a_run_that_comes_late_gets_what_nobody_else_has_taken(self, database: Database) -> None:
        ask(database, "AAA", "BBB")
        late = claimed(database)
        let_pass(database, LEASE_SECONDS)
        assert symbols(database, limit=1) == ["AAA"]
        assert taken(database, late, run_id="late") == ["BBB"]
        assert symbols(database) == []

    def test_what_is_finished_is_not_taken(self, database: Database) -> None:
        ask(database, "AAA")
        claims = claimed(database)
        taken(database, claims, run_id="r1")
        failed(database, "r1", is_final=True, AAA="no such ticker")
        assert taken(database, claims, run_id="r1") == []

    def test_claims_are_held_until_their_run_begins(self, database: Database) -> None:
        ask(database, "AAA", "BBB")
        claims = {item.request_id: item.attempt for item in claimed(database)}
        let_pass(database, LEASE_SECONDS - 5)
        with database.begin() as connection:
            hold(connection, claims)
            hold(connection, {})
        let_pass(database, 10)
        assert claimed(database) == []
        with database.begin() as connection:
            # Of an earlier attempt than the one that is under way.
            hold(connection, dict.fromkeys(claims, 0), lease_seconds=1_000)
        let_pass(database, LEASE_SECONDS)
        assert symbols(database) == ["AAA", "BBB"]

    def test_a_run_extends_the_leases_of_what_it_works_on(self, database: Database) -> None:
        ask(database, "MINE", "OTHER", "DONE")
        claims = claimed(database)
        taken(database, claims[:2], run_id="r1")
        taken(database, claims[2:], run_id="r2")
        failed(database, "r1", is_final=True, MINE="no such ticker")
        ask(database, "MINE")
        taken(database, claimed(database), run_id="r1")
        with database.begin() as connection:
            extend_leases(connection, run_id="r1", lease_seconds=3 * LEASE_SECONDS)
        let_pass(database, LEASE_SECONDS)
        assert symbols(database) == ["OTHER"]


class TestFailure:
    def test_attempts_are_made_again_after_growing_pauses_and_then_no_more(self, database: Database) -> None:
        ask(database, "AAA", "BBB")
        for number, pause in enumerate(BACKOFF_SECONDS, start=1):
            claimed(database, run_id="r")
            assert failed(database, "r", AAA=f"away {number}", BBB="away") == []
            found = requests(database)["AAA"]
            assert (found.status, found.error, found.finished_at) == ("pending", f"away {number}", None)
            let_pass(database, pause - 5)
            assert claimed(database) == []
            let_pass(database, 5)
        claimed(database, run_id="r")
        assert failed(database, "r", AAA="away 3", BBB="away") == ["AAA", "BBB"]
        found = requests(database)["AAA"]
        assert (found.status, found.attempts, found.error) == ("failed", 3, "away 3")
        assert found.finished_at is not None
        let_pass(database, 10_000)
        assert claimed(database) == []

    def test_a_final_failure_is_the_end_at_once(self, database: Database) -> None:
        ask(database, "AAA")
        claimed(database, run_id="r1")
        assert failed(database, "r1", is_final=True, AAA="no such ticker") == ["AAA"]
        assert statuses(database) == {"AAA": "failed"}

    def test_only_who_holds_it_can_end_an_attempt(self, database: Database) -> None:
        ask(database, "AAA")
        claimed(database, run_id="r1")
        assert failed(database, "r2", is_final=True, AAA="mine") == []
        let_pass(database, LEASE_SECONDS)
        claimed(database, run_id="r2")
        assert failed(database, "r1", is_final=True, AAA="mine") == []
        assert statuses(database) == {"AAA": "processing"}


class TestCompletion:
    def test_symbols_with_prices_and_nothing_left_to_publish_are_done(self, database: Database) -> None:
        publish_a_session(database)
        for symbol in ("DONE", "MINE", "MARKED", "OTHERS", "BARE"):
            track(database, symbol)
        for symbol in ("UNPRICED", "BAD"):
            track(database, symbol, "pending" if symbol == "UNPRICED" else "error")
        with database.begin() as connection:
            for symbol, generation in (("DONE", 7), ("MINE", 8)):
                row = {**ROWS[symbol_daily_metrics], "symbol": symbol, "generation": generation}
                connection.execute(sa.insert(symbol_daily_metrics).values(row))
        marks = [{"symbol": "MARKED", "first_session": SESSION, "last_session": SESSION, "has_new_returns": True}]
        with database.bulk() as transaction:
            mark_invalid(transaction, pa.Table.from_pylist(marks, schema=MARK_SCHEMA), run_id="prices")
        ask(database, "MINE", priority=2)
        ask(database, "OTHERS", priority=1)
        ask(database, "DONE", "MARKED", "BARE", "UNPRICED", "BAD", "UNTRACKED")
        with database.begin() as connection:
            claim(connection, limit=1, run_id="r1")
            claim(connection, limit=1, run_id="r2")
        assert completed(database, "r1") == ["BARE", "DONE", "MINE"]
        found = requests(database)
        assert {name: item.status for name, item in found.items() if item.status != "pending"} == {
            **dict.fromkeys(("BARE", "DONE", "MINE"), "completed"),
            "OTHERS": "processing",
        }
        assert (found["DONE"].generation, found["MINE"].generation, found["BARE"].generation) == (7, 8, None)
        assert found["DONE"].finished_at is not None
        assert completed(database, "r1") == []

    def test_an_error_of_an_earlier_attempt_is_forgotten(self, database: Database) -> None:
        ask(database, "AAA")
        claimed(database, run_id="r1")
        failed(database, "r1", AAA="away")
        track(database, "AAA")
        completed(database, "night")
        found = requests(database)["AAA"]
        assert (found.status, found.error) == ("completed", None)

    @pytest.mark.parametrize(
        ("status", "reason", "outcome"),
        [
            ("error", "unknown: no such ticker", ("failed", "unknown: no such ticker")),
            ("delisted", "expired on 2025-01-17", ("failed", "expired on 2025-01-17")),
            ("pending", None, ("pending", None)),
            ("active", None, ("pending", None)),
        ],
    )
    def test_a_night_that_has_asked_in_vain_ends_the_request(
        self, database: Database, status: str, reason: str | None, outcome: tuple[str, str | None]
    ) -> None:
        ask(database, "AAA", "UNTRACKED")
        start_night(database)
        track(database, "AAA", status, reason=reason)
        assert refused(database, "night") == (["AAA"] if outcome[0] == "failed" else [])
        found = requests(database)
        assert (found["AAA"].status, found["AAA"].error) == outcome
        assert found["UNTRACKED"].status == "pending"

    def test_a_request_made_after_the_night_has_asked_is_not_ended_by_it(self, database: Database) -> None:
        track(database, "AAA", "error", reason="no such ticker")
        start_night(database)
        ask(database, "AAA")
        assert refused(database, "night") == []

    def test_a_run_that_asked_nobody_ends_nothing(self, database: Database) -> None:
        track(database, "AAA", "error", reason="no such ticker")
        ask(database, "AAA")
        start_night(database, "symbol_products")
        assert refused(database, "night") == []

    def test_what_somebody_works_on_is_left_to_him(self, database: Database) -> None:
        track(database, "AAA", "error", reason="no such ticker")
        ask(database, "AAA")
        claimed(database, run_id="r1")
        start_night(database)
        assert refused(database, "night") == []


def test_pauses_are_measured_from_the_end_of_the_attempt(database: Database) -> None:
    ask(database, "AAA")
    claimed(database, run_id="r1")
    failed(database, "r1", AAA="away")
    found = requests(database)["AAA"]
    with database.begin() as connection:
        now = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
    assert timedelta(0) <= now + timedelta(seconds=BACKOFF_SECONDS[0]) - found.not_before < timedelta(minutes=1)
