"""Snapshots whose slices several runs compute: the same as of one run, whoever helps, dies, or edits meanwhile."""

import multiprocessing
import os
import threading
import time
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from sigmasight_assets.orchestration import portfolio_publication, portfolio_slices, portfolio_split
from sigmasight_assets.orchestration.portfolio_publication import PortfolioPublication, help_with_snapshots
from sigmasight_assets.quant.ledger_identity import identity_violations
from sigmasight_assets.sessions import SessionCalendar, exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import add_capital_flow
from sigmasight_assets.storage.publications import read_newest_portfolio_generation
from sigmasight_assets.storage.snapshot_parts import HASHED, Slice, read_announced, read_members
from tests.orchestration.books import DAYS, EXPECTED_PORTFOLIOS, SOLID, enter_books, publish_symbols
from tests.orchestration.contents import PORTFOLIO_TABLES, contents, rows_of
from tests.orchestration.portfolio_runs import (
    assert_equal_to_oracle,
    content,
    correct_close,
    next_range,
    portfolio_id,
    run,
    violations,
)
from tests.orchestration.split_runs import (
    LEDGER,
    WORKERS,
    broken,
    helpers,
    let_happen_after_slices,
    of_one_run,
    shared,
    slices_left,
    split_everything,
    split_run,
)
from tests.orchestration.states import States


@pytest.fixture(autouse=True)
def _split_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    split_everything(monkeypatch)


@pytest.mark.parametrize("helping", [0, 1, 3])
def test_slices_come_to_the_same_as_one_run(
    books: Database, states: States, calendar: SessionCalendar, helping: int
) -> None:
    alone = run(books)
    whole, ledger = content(books), rows_of(books, LEDGER)
    enter_books(states, calendar)
    with helpers(books, helping) as taken:
        outcome = split_run(books)
    assert content(books) == whole
    assert rows_of(books, LEDGER) == ledger
    assert_equal_to_oracle(books)
    for name in ("published", "failed", "portfolios", "snapshots", "changed", "partial", "computed"):
        assert getattr(outcome, name) == getattr(alone, name), name
    assert [(item.check, item.session, item.passed, item.detail) for item in outcome.verdicts] == [
        (item.check, item.session, item.passed, item.detail) for item in alone.verdicts
    ]
    assert sum(taken) <= portfolio_split.SLICES_A_WORKER * WORKERS
    assert slices_left(books) == []
    assert broken(books) == []
    assert next_range(books) is None


def test_a_restatement_comes_to_the_same(books: Database, states: States, calendar: SessionCalendar) -> None:
    """Of sessions that have snapshots only what changed is computed, and written under a new generation."""

    def lives(published: Any) -> Any:
        published(books)
        correct_close(books, SOLID, DAYS[3])
        with books.begin() as connection:
            number = portfolio_id(books, "options")
            add_capital_flow(connection, number, flow_date=DAYS[2], amount=Decimal(125))
        publish_symbols(books, [DAYS[3]])
        chosen = next_range(books)
        assert chosen is not None
        published(books, calendar.between(chosen.first, chosen.last))
        return content(books)

    whole = lives(run)
    enter_books(states, calendar)
    with helpers(books, 2):
        assert lives(split_run) == whole
    assert broken(books) == []
    assert next_range(books) is None


def test_what_is_split_again_changes_nothing(done: Database) -> None:
    before = contents(done, PORTFOLIO_TABLES)
    outcome = split_run(done)
    assert (outcome.generation, outcome.changed, outcome.computed) == (None, 0, 0)
    assert contents(done, PORTFOLIO_TABLES) == before
    assert slices_left(done) == []


def test_slices_under_way_are_no_publication_that_the_gate_knows(books: Database) -> None:
    """A run that dies before it publishes is started again for the same range."""
    asked = next_range(books)
    assert asked is not None
    with books.begin() as connection:
        assert read_newest_portfolio_generation(connection) == 0
    part = shared(books)
    assert part is not None
    with books.begin() as connection:
        assert read_newest_portfolio_generation(connection) == 0
        assert read_announced(connection) == part
    again = next_range(books)
    assert again is not None
    assert (again.first, again.last) == (asked.first, asked.last) == (DAYS[0], DAYS[-1])


def test_a_run_that_died_before_it_published_is_done_again(
    books: Database, states: States, calendar: SessionCalendar
) -> None:
    whole, ledger = of_one_run(books, states, calendar)
    shared(books)
    assert split_run(books).published == DAYS
    assert content(books) == whole
    # All rows were there; whoever has read of these sessions meanwhile is told that they are something else.
    assert [row["session"] for row in rows_of(books, LEDGER)] == [row["session"] for row in ledger]
    assert (slices_left(books), broken(books)) == ([], [])


def test_an_edit_that_a_dead_run_took_in_is_published_by_the_next(done: Database) -> None:
    """Nothing is stale any more by then, but for what nobody was told of."""
    newest = (
        f"SELECT max(generation) AS newest FROM ({LEDGER.replace('session, ', 'generation, session, ', 1)}) AS told"
    )
    (before,) = rows_of(done, newest)
    with done.begin() as connection:
        add_capital_flow(connection, portfolio_id(done, "options"), flow_date=DAYS[-1], amount=Decimal(125))
    shared(done, [DAYS[-1]])
    assert rows_of(done, "SELECT FROM portfolios WHERE stale_from IS NOT NULL") == []
    chosen = next_range(done)
    assert chosen is not None
    assert (chosen.first, chosen.last) == (DAYS[-1], DAYS[-1])
    split_run(done, [DAYS[-1]])
    (after,) = rows_of(done, newest)
    assert after["newest"] > before["newest"]
    assert_equal_to_oracle(done)
    assert next_range(done) is None


def test_a_portfolio_edited_between_its_slice_and_publication_is_computed_again(
    books: Database, states: States, calendar: SessionCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    def edit() -> None:
        with books.begin() as connection:
            number = portfolio_id(books, "options")
            add_capital_flow(connection, number, flow_date=DAYS[2], amount=Decimal(125))

    edit()
    run(books)
    whole = content(books)
    enter_books(states, calendar)

    let_happen_after_slices(monkeypatch, edit)
    split_run(books)
    assert content(books) == whole
    assert_equal_to_oracle(books)
    assert next_range(books) is None


def test_symbols_published_between_slice_and_publication_are_used(
    books: Database, states: States, calendar: SessionCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    def correct() -> None:
        correct_close(books, SOLID, DAYS[3])
        publish_symbols(books, [DAYS[3]])

    correct()
    run(books)
    whole = content(books)
    enter_books(states, calendar)

    let_happen_after_slices(monkeypatch, correct)
    split_run(books)
    assert content(books) == whole
    assert next_range(books) is None


def test_what_slices_have_changed_is_told_of_though_they_do_not_count(
    done: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The publication computes it again and finds nothing that differs from what slices have written."""
    (before,) = rows_of(done, "SELECT max(generation) AS newest FROM publications")
    with done.begin() as connection:
        add_capital_flow(connection, portfolio_id(done, "options"), flow_date=DAYS[3], amount=Decimal(125))

    def correct() -> None:
        correct_close(done, SOLID, DAYS[-1])

    let_happen_after_slices(monkeypatch, correct)
    assert split_run(done, DAYS[3:]).published == DAYS[3:]
    newer = LEDGER.replace("ORDER BY", "AND generation > :before ORDER BY")
    told = [row["session"] for row in rows_of(done, newer, before=before["newest"])]
    assert told == DAYS[3:]
    assert_equal_to_oracle(done)
    assert (slices_left(done), broken(done), next_range(done)) == ([], [], None)


@pytest.mark.parametrize("lost", ["other symbols", "another part"])
def test_without_slices_that_count_a_run_computes_what_fits_one(
    books: Database, states: States, calendar: SessionCalendar, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """The part was cut for all workers; others wait for no longer than for what one computes."""
    monkeypatch.setattr(portfolio_publication, "SLICE_CELLS", 3 * len(EXPECTED_PORTFOLIOS))
    correct_close(books, SOLID, DAYS[3])
    run(books)
    whole = content(books)
    enter_books(states, calendar)
    sizes = []
    publish = portfolio_slices.publish_slice

    def publish_and_note(transaction: Any, plan: Any, inputs: Any, **options: Any) -> Any:
        sizes.append(len(inputs.sessions))
        return publish(transaction, plan, inputs, **options)

    def lose() -> None:
        if lost == "other symbols":
            correct_close(books, SOLID, DAYS[3])
        elif not sizes:
            shared(books)

    if lost == "another part":
        correct_close(books, SOLID, DAYS[3])
    monkeypatch.setattr(portfolio_publication, "publish_slice", publish_and_note)
    let_happen_after_slices(monkeypatch, lose)
    assert split_run(books).published == DAYS
    assert sizes == [3, 3, 3, 3]
    assert content(books) == whole
    assert (slices_left(books), broken(books)) == ([], [])


def test_of_a_wrong_session_no_slice_stays(books: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices are written before it is known that the ledger of a portfolio in another one does not add up."""
    wrong = portfolio_id(books, "options")
    real = identity_violations

    def violated(lots: Any, portfolios: Any, *arguments: Any, **options: Any) -> Any:
        if portfolios_at_work[-1].tolist().count(wrong) == 0:
            return real(lots, portfolios, *arguments, **options)
        place = portfolios_at_work[-1].tolist().index(wrong)
        return violations(DAYS[3], place)(lots, portfolios, *arguments, **options)

    portfolios_at_work: list[Any] = []
    judge = portfolio_slices._judge

    def judged(rows: Any, *arguments: Any) -> None:
        portfolios_at_work.append(rows.books.portfolio_ids)
        judge(rows, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(portfolio_slices, "identity_violations", violated)
        patch.setattr(portfolio_slices, "_judge", judged)
        outcome = split_run(books)
    assert (outcome.published, outcome.failed) == (DAYS[:3], DAYS[3:])
    assert any(wrong not in ids for ids in portfolios_at_work)
    assert_equal_to_oracle(books, DAYS[:3])
    assert split_run(books, DAYS[3:]).failed == []
    assert_equal_to_oracle(books)
    assert broken(books) == []


@pytest.mark.fault(2)
def test_a_helper_that_is_killed_holds_nobody_up(
    books: Database, states: States, calendar: SessionCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection goes, and with it the lock on its slice and all that it had written."""
    run(books)
    whole = content(books)
    enter_books(states, calendar)
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    victim = context.Process(target=hold_a_slice, args=(books.url, held))
    victim.start()
    work = portfolio_split._work

    def work_once_one_is_held(*arguments: Any) -> int:
        assert held.wait(60)
        return work(*arguments)

    monkeypatch.setattr(portfolio_split, "_work", work_once_one_is_held)
    results: list[PortfolioPublication] = []
    own = Database(books.url)
    main = threading.Thread(target=lambda: results.append(split_run(own)))
    main.start()
    try:
        deadline = time.monotonic() + 60
        # All but the one that is held are done by then.
        while len(rows_of(books, "SELECT FROM snapshot_slices")) < portfolio_split.SLICES_A_WORKER * WORKERS - 1:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert main.is_alive()
    finally:
        victim.kill()
        victim.join(10)
        main.join(60)
        own.close()
    assert results[0].published == DAYS
    assert content(books) == whole
    assert (slices_left(books), broken(books)) == ([], [])


def hold_a_slice(url: str, held: Any) -> None:
    """Take a slice that is announced, say so when its rows are written, and never finish it."""

    def stop(*_: Any, **__: Any) -> None:
        held.set()
        time.sleep(600)
        os._exit(1)

    vars(portfolio_split)["finish_slice"] = stop
    help_with_snapshots(Database(url), exchange_calendar(), run_id="victim", is_over=lambda _: False)


@pytest.mark.parametrize("count", [1, 2, 3, 16, 256])
def test_each_portfolio_is_in_one_slice(done: Database, count: int) -> None:
    with done.bulk() as transaction:
        each = [read_members(transaction, [number], count).tolist() for number in range(count)]
        everybody = read_members(transaction, range(count), count).tolist()
    assert sorted(member for members in each for member in members) == everybody
    assert len(everybody) == len(EXPECTED_PORTFOLIOS)
    with done.begin() as connection:
        for number, members in enumerate(each[:3]):
            text = f"SELECT portfolio_id FROM portfolios WHERE {Slice(number, count).condition} ORDER BY 1"
            assert connection.execute(sa.text(text)).scalars().all() == members


@pytest.mark.parametrize("key", ["number", "16 * number", "number << 20"])
def test_slices_are_about_equal(database: Database, key: str) -> None:
    """Whatever the keys have in common."""
    numbers = f"SELECT {key} AS portfolio_id FROM generate_series(1::bigint, 16000) AS number"
    with database.begin() as connection:
        counts = [
            connection.execute(sa.text(f"SELECT count(*) FROM ({numbers}) AS keys WHERE {Slice(each, 16).condition}"))
            for each in range(16)
        ]
        sizes = [count.scalar_one() for count in counts]
    assert sum(sizes) == 16_000
    assert 800 < min(sizes) <= max(sizes) < 1200


def test_a_portfolio_stays_in_its_slice(database: Database) -> None:
    """On every server and in every version: rows that are partitioned by hash rest on the same function."""
    with database.begin() as connection:
        numbers = connection.execute(
            sa.text(f"SELECT {HASHED} % 16 FROM generate_series(1::bigint, 8) AS portfolio_id")
        )
        assert numbers.scalars().all() == [6, 6, 7, 11, 12, 0, 15, 4]
