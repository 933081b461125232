"""One part at a time: what comes of runs that share snapshots at once, and of one that is started again."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import date
from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from sigmasight_assets.orchestration import portfolio_slices, portfolio_split
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import add_capital_flow
from sigmasight_assets.storage.snapshot_parts import finish_slice, read_announced
from tests.orchestration.books import DAYS, SOLID, enter_books
from tests.orchestration.contents import rows_of, wait_for_statement
from tests.orchestration.portfolio_runs import (
    assert_equal_to_oracle,
    content,
    correct_close,
    next_range,
    portfolio_id,
    run,
    run_gate,
    violations,
)
from tests.orchestration.split_runs import (
    LEDGER,
    broken,
    helpers,
    of_one_run,
    publish_shared,
    shared,
    slices_left,
    split_everything,
    split_run,
)
from tests.orchestration.states import States

# Runs and what each shares: one the session that has no snapshots yet, the others those before it, which are stale.
RUNS = {"A": [DAYS[-1]], "B": [DAYS[-2]], "C": [DAYS[-3]]}
MOST_RANGES = 6


@pytest.fixture(autouse=True)
def _split_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    split_everything(monkeypatch)


@contextmanager
def held_slice(run_id: str) -> Iterator[tuple[threading.Event, threading.Event]]:
    """The first slice that the run has written rows of: when it is, and when the run may go on."""
    held, may_go_on = threading.Event(), threading.Event()

    def finish_once_told(*arguments: Any, run_id: str, **options: Any) -> None:
        if run_id == holder and options["existing"].any() and not held.is_set():
            held.set()
            assert may_go_on.wait(60)
        finish_slice(*arguments, run_id=run_id, **options)

    holder = run_id
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(portfolio_split, "finish_slice", finish_once_told)
        try:
            yield held, may_go_on
        finally:
            may_go_on.set()


def announce_and_die(database: Database, sessions: list[date] = DAYS) -> None:
    """As a run that is killed before it has computed a slice."""

    def killed(*_: Any) -> int:
        raise RuntimeError("killed")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(portfolio_split, "_work", killed)
        with pytest.raises(RuntimeError, match="killed"):
            shared(database, sessions)


def test_a_run_that_is_started_again_while_its_helpers_go_on(
    books: Database, states: States, calendar: SessionCalendar
) -> None:
    """The helper is amid a slice of the part of the run that was killed: what it writes must not be written twice."""
    whole, ledger = of_one_run(books, states, calendar)
    announce_and_die(books)
    with held_slice("helper 0") as (held, may_go_on), helpers(books, 1), ThreadPoolExecutor() as pool:
        assert held.wait(60)
        again = pool.submit(split_run, books)
        wait_for_statement(books)
        may_go_on.set()
        assert again.result(60).published == DAYS
    assert content(books) == whole
    assert [row["session"] for row in rows_of(books, LEDGER)] == [row["session"] for row in ledger]
    assert_equal_to_oracle(books)
    assert (slices_left(books), broken(books)) == ([], [])
    assert next_range(books) is None


def test_a_run_whose_part_was_ended_by_another_publishes_alone(
    books: Database, states: States, calendar: SessionCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, ledger = of_one_run(books, states, calendar)
    work = portfolio_split._work
    others: list[Any] = []

    def work_until_another_announces(plan: Any, part: Any, done: Any, refused: Any) -> int:
        if plan.run_id == "second" and not others:
            others.append(shared(books, run_id="other"))
            assert work(plan, part, done, refused) == 0
        return work(plan, part, done, refused)

    monkeypatch.setattr(portfolio_split, "_work", work_until_another_announces)
    assert split_run(books).published == DAYS
    assert content(books) == whole
    # All rows were the other one's, and nobody had been told.
    assert [row["session"] for row in rows_of(books, LEDGER)] == [row["session"] for row in ledger]
    left = publish_shared(books, DAYS, others[0], run_id="other")
    assert (left.published, left.changed) == (DAYS, 0)
    assert (content(books), slices_left(books), broken(books)) == (whole, [], [])


def test_only_the_newest_part_has_slices_to_take(books: Database) -> None:
    announce_and_die(books, DAYS[:6])
    with books.begin() as connection:
        first = read_announced(connection)
    assert first is not None
    announce_and_die(books)
    with books.begin() as connection:
        second = read_announced(connection)
    assert second is not None
    assert (first.sessions, second.sessions) == (DAYS[:6], DAYS)
    with helpers(books, 1):
        deadline = time.monotonic() + 60
        while len(done := rows_of(books, "SELECT part_id FROM snapshot_slices")) < second.slices:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert {row["part_id"] for row in done} == {second.part_id}


def corrected(states: States, calendar: SessionCalendar, first: date = DAYS[-3]) -> Database:
    """Snapshots up to the last session but one; from the ``first`` on symbols have changed since, at one a book."""

    def fill(database: Database) -> None:
        run(database, DAYS[:-1], run_id="first")
        correct_close(database, SOLID, first, last=DAYS[-2])
        with database.begin() as connection:
            number = portfolio_id(database, "options")
            add_capital_flow(connection, number, flow_date=DAYS[-2], amount=Decimal(125))

    return enter_books(states, calendar, name=f"corrected_{first:%d}", then=fill)


def run_all(database: Database) -> None:
    """What the gate starts until nothing is stale."""
    for _ in range(MOST_RANGES):
        if run_gate(database) is None:
            return
    raise AssertionError(f"the gate has found {MOST_RANGES} ranges one after the other")


@pytest.mark.parametrize(
    ("announced", "published"),
    [*product(("AB", "BA"), repeat=2), *product(("ABC", "CAB"), ("ABC", "BCA", "CBA"))],
)
def test_runs_that_share_neighbouring_sessions_at_once(
    states: States, calendar: SessionCalendar, announced: str, published: str
) -> None:
    """Snapshots of a session, computed from others that change before it is published, must not stay."""
    first = min(RUNS[name][0] for name in announced)
    books = corrected(states, calendar, first)
    run_all(books)
    whole = content(books)
    corrected(states, calendar, first)
    parts = {name: shared(books, RUNS[name], run_id=name) for name in announced}
    for name in published:
        assert publish_shared(books, RUNS[name], parts[name], run_id=name).published == RUNS[name]
    run_all(books)
    assert content(books) == whole
    assert (slices_left(books), broken(books)) == ([], [])


def test_a_session_that_changes_while_a_helper_is_at_the_next_one(states: States, calendar: SessionCalendar) -> None:
    """The helper has written a slice of the new session and not committed it when another run announces its part."""
    books = corrected(states, calendar)
    run_all(books)
    whole = content(books)
    corrected(states, calendar)
    announce_and_die(books, RUNS["A"])
    with held_slice("helper 0") as (held, may_go_on), ThreadPoolExecutor() as pool:
        with helpers(books, 1):
            assert held.wait(60)
            before = pool.submit(shared, books, [*RUNS["C"], *RUNS["B"]], run_id="B")
            wait_for_statement(books)
            may_go_on.set()
            part = before.result(60)
        assert split_run(books, RUNS["A"]).published == RUNS["A"]
        publish_shared(books, [*RUNS["C"], *RUNS["B"]], part, run_id="B")
    run_all(books)
    assert content(books) == whole
    assert (slices_left(books), broken(books)) == ([], [])


def test_of_rows_that_another_run_takes_back_no_slice_counts(
    states: States, calendar: SessionCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One finds the ledger wrong and removes what slices have written of the session, those of the other among it."""
    books = corrected(states, calendar)
    run(books, RUNS["A"])
    whole = content(books)
    corrected(states, calendar)
    first, second = (shared(books, RUNS["A"], run_id=name) for name in ("first", "second"))
    with monkeypatch.context() as patch:
        patch.setattr(portfolio_slices, "identity_violations", violations(DAYS[-1], 1))
        assert publish_shared(books, RUNS["A"], first, run_id="first").failed == RUNS["A"]
    assert rows_of(books, "SELECT FROM portfolio_snapshots WHERE session = :day", day=DAYS[-1]) == []
    assert publish_shared(books, RUNS["A"], second, run_id="second").published == RUNS["A"]
    assert content(books) == whole
    assert (slices_left(books), broken(books)) == ([], [])


def test_runs_of_one_range_at_the_same_time_with_helpers(
    books: Database, states: States, calendar: SessionCalendar
) -> None:
    """As by hand beside the gate's: whoever comes first, each snapshot is written once and all are published."""
    whole, ledger = of_one_run(books, states, calendar)

    def publish(run_id: str) -> list[date]:
        with closing(Database(books.url)) as own:
            return split_run(own, run_id=run_id).published

    with helpers(books, 2), ThreadPoolExecutor() as pool:
        assert list(pool.map(publish, ("first", "second", "third"), timeout=120)) == [DAYS] * 3
    assert content(books) == whole
    assert {row["session"] for row in rows_of(books, LEDGER)} == {row["session"] for row in ledger}
    assert (slices_left(books), broken(books), next_range(books)) == ([], [], None)
