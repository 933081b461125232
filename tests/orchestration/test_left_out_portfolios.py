"""A portfolio that outgrows what can be held exactly: left out and named, the others published; and its return."""

import inspect
from contextlib import AbstractContextManager
from datetime import date, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import Any
from uuid import UUID

import pytest

from sigmasight_assets.operations.failure_state import read_failures
from sigmasight_assets.operations.gate import plan
from sigmasight_assets.operations.gate_state import read_gate_state
from sigmasight_assets.orchestration import portfolio_publication, portfolio_slices
from sigmasight_assets.orchestration.portfolio_slices import PortfolioRun, PublishedSlice
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.left_out import leave_out
from sigmasight_assets.storage.lots import add_lot, delete_lot
from sigmasight_assets.storage.portfolio_edits import restate_equity
from sigmasight_assets.storage.portfolios import NewLot, create_portfolio, mark_edited, read_lots
from tests.orchestration.books import CALL, DAYS, SOLID, publish_symbols
from tests.orchestration.contents import PORTFOLIO_TABLES, Contents, assert_same_figures, contents, execute, rows_of
from tests.orchestration.portfolio_runs import (
    NOT_CONTENT,
    NOW,
    ROW_TABLES,
    SNAPSHOT_TABLES,
    assert_equal_to_oracle,
    content,
    correct_close,
    next_range,
    portfolio_id,
    run,
    run_gate,
)

GIANT = "giant"
# The calls expire on it.
SETTLED = date(2025, 5, 23)
LIMIT = Decimal(92_000_000_000)
BAR = (
    "SELECT close_price, high_price, adj_close_price FROM symbol_prices_daily "
    "WHERE symbol = :symbol AND price_date = :day"
)
TREBLED = (
    "UPDATE symbol_prices_daily SET close_price = 3 * close_price, high_price = 3 * high_price, "
    "adj_close_price = 3 * adj_close_price WHERE symbol = :symbol AND price_date = :day"
)
RESTORED = (
    "UPDATE symbol_prices_daily SET close_price = :close_price, high_price = :high_price, "
    "adj_close_price = :adj_close_price WHERE symbol = :symbol AND price_date = :day"
)


def closes(database: Database) -> dict[date, Decimal]:
    sql = "SELECT metrics_date, close_price FROM symbol_daily_metrics WHERE symbol = :symbol ORDER BY metrics_date"
    return {row["metrics_date"]: row["close_price"] for row in rows_of(database, sql, symbol=SOLID)}


def outgrowing(database: Database) -> tuple[date, Decimal]:
    """A session at which the price is higher than ever before, and the shares that are too many from then on."""
    found = closes(database)
    highest = found[DAYS[0]]
    for day in DAYS[1:]:
        if found[day] > highest and DAYS.index(day) >= 2:
            return day, (2 * LIMIT / (highest + found[day])).quantize(Decimal(1))
        highest = max(highest, found[day])
    raise AssertionError("the price never rises")


def open_giant(database: Database, quantity: Decimal, *, name: str = GIANT) -> int:
    with database.begin() as connection:
        lot = NewLot(SOLID, quantity, Decimal(1), DAYS[0])
        create_portfolio(connection, user="ann", name=name, equity=Decimal(1000), as_of=DAYS[0], lots=[lot])
    return portfolio_id(database, name)


def sessions_of(database: Database, number: int) -> list[date]:
    sql = "SELECT session FROM portfolio_snapshots WHERE portfolio_id = :number ORDER BY session"
    return [row["session"] for row in rows_of(database, sql, number=number)]


def others(database: Database, number: int) -> Contents:
    return {
        table: {key: row for key, row in rows.items() if key[0] != number} for table, rows in content(database).items()
    }


def figures(database: Database) -> Contents:
    """All but fingerprints, which tell the last bits of betas apart."""
    tables = {name: PORTFOLIO_TABLES[name] for name in ROW_TABLES}
    return contents(database, tables, ignoring=[*NOT_CONTENT, "fingerprint"])


def left_out(database: Database) -> dict[int, date]:
    sql = "SELECT portfolio_id, left_out_from FROM portfolios WHERE left_out_from IS NOT NULL"
    return {row["portfolio_id"]: row["left_out_from"] for row in rows_of(database, sql)}


def told(database: Database) -> list[tuple[str, str]]:
    found = read_failures(database, clock=NOW, pause=timedelta(minutes=30))
    return [(item.severity, item.subject) for item in found if item.kind == "portfolio_left_out"]


def public_id(database: Database, number: int) -> UUID:
    (row,) = rows_of(database, "SELECT public_id FROM portfolios WHERE portfolio_id = :number", number=number)
    found: UUID = row["public_id"]
    return found


@pytest.mark.parametrize("cells", [1, 20, 1_000_000])
def test_it_keeps_what_it_had_until_then_and_the_others_are_published(
    books: Database, monkeypatch: pytest.MonkeyPatch, cells: int
) -> None:
    """However the sessions are cut into transactions."""
    monkeypatch.setattr(portfolio_publication, "SLICE_CELLS", cells)
    day, quantity = outgrowing(books)
    number = open_giant(books, quantity)
    outcome = run(books)
    assert (outcome.published, outcome.failed) == (DAYS, [])
    assert outcome.left_out == left_out(books) == {number: day}
    assert sessions_of(books, number) == DAYS[: DAYS.index(day)]
    warned = [item for item in outcome.verdicts if item.check == "amounts_fit" and not item.passed]
    assert [item.session for item in warned] == DAYS[DAYS.index(day) :]
    assert {(item.is_blocking, item.offender_count) for item in warned} == {(False, 1)}
    assert f"portfolios [{number}]" in warned[0].detail
    assert next_range(books) is None
    reasons = plan(read_gate_state(books, now=NOW)).reasons
    assert any(f"portfolio {number} from {day} on" in reason for reason in reasons)
    assert told(books) == [("warning", f"portfolio {public_id(books, number)}")]
    without = others(books, number)
    for table in ROW_TABLES:
        assert without[table], table
    monkeypatch.setattr(portfolio_publication, "SLICE_CELLS", 1_000_000)
    again = run(books)
    assert (again.generation, again.changed, again.left_out) == (None, 0, {number: day})


def test_it_comes_back_when_its_owner_has_corrected_it(books: Database) -> None:
    number = open_giant(books, outgrowing(books)[1])
    run(books)
    with books.begin() as connection:
        (lot,) = read_lots(connection, number)
        add_lot(connection, number, NewLot(SOLID, Decimal(5), Decimal(1), DAYS[0]))
        delete_lot(connection, lot.position_id)
    chosen = run_gate(books)
    assert chosen is not None
    assert (chosen.first, chosen.last) == (DAYS[0], DAYS[-1])
    assert (left_out(books), told(books), next_range(books)) == ({}, [], None)
    assert sessions_of(books, number) == DAYS
    assert_equal_to_oracle(books)


def test_a_wrong_price_makes_it_too_large_and_the_right_one_brings_it_back(books: Database) -> None:
    """All that it had is published again as it was."""
    found = closes(books)
    day = max(found, key=lambda each: found[each])
    (bar,) = rows_of(books, BAR, symbol=SOLID, day=day)
    number = open_giant(books, (LIMIT / (found[day] * Decimal("1.005"))).quantize(Decimal(1)))
    run(books)
    before = figures(books)
    assert sessions_of(books, number) == DAYS
    correct_close(books, SOLID, day)
    assert run_gate(books) is not None
    assert left_out(books) == {number: day}
    assert sessions_of(books, number) == [each for each in DAYS if each < day]
    execute(books, RESTORED, symbol=SOLID, day=day, **bar)
    publish_symbols(books, [each for each in DAYS if each >= day])
    assert run_gate(books) is not None
    assert (left_out(books), next_range(books)) == ({}, None)
    assert_same_figures(figures(books), before)


def test_an_edit_makes_it_too_large_and_its_snapshots_from_then_on_are_gone(done: Database) -> None:
    number = portfolio_id(done, "late")
    before = others(done, number)
    had = sessions_of(done, number)
    with done.begin() as connection:
        connection.exec_driver_sql(f"UPDATE positions SET quantity = 1000000000000 WHERE portfolio_id = {number}")
        mark_edited(connection, number, edited_from=DAYS[5])
    generation = rows_of(done, "SELECT max(generation) AS newest FROM publications")[0]["newest"]
    assert run_gate(done) is not None
    assert left_out(done) == {number: DAYS[5]}
    assert sessions_of(done, number) == [day for day in had if day < DAYS[5]]
    assert others(done, number) == before
    for table in SNAPSHOT_TABLES:
        assert [key for key in content(done)[table] if key[0] == number and key[1] >= DAYS[5]] == []
    # Whoever keeps answers by generation hears of it, of every session that lost a snapshot.
    sql = "SELECT session FROM publications WHERE generation > :generation ORDER BY session"
    assert [row["session"] for row in rows_of(done, sql, generation=generation)] == DAYS[5:]
    assert next_range(done) is None


def settled_call(database: Database) -> tuple[int, dict[str, object]]:
    """A portfolio of calls that a wrong close at their settlement makes too large, and the right bar there."""
    day = SETTLED
    (bar,) = rows_of(database, BAR, symbol=SOLID, day=day)
    execute(database, TREBLED, symbol=SOLID, day=day)
    publish_symbols(database, [each for each in DAYS if each >= day])
    worth = 100 * (2 * bar["close_price"] - 20)
    with database.begin() as connection:
        lot = NewLot(CALL, (LIMIT / worth).quantize(Decimal(1)), Decimal(1), DAYS[0], investment_class="OPTIONS")
        create_portfolio(connection, user="ann", name=GIANT, equity=Decimal(1000), as_of=DAYS[0], lots=[lot])
    return portfolio_id(database, GIANT), dict(bar)


def put_right(database: Database, day: date, bar: dict[str, object]) -> None:
    execute(database, RESTORED, symbol=SOLID, day=day, **bar)
    publish_symbols(database, [each for each in DAYS if each >= day])


def cut_off(database: Database, number: int, first: date) -> None:
    """As if the portfolio had been found too large for a reason of no session."""
    sql = "SELECT book_version FROM portfolios WHERE portfolio_id = :number"
    (row,) = rows_of(database, sql, number=number)
    with database.bulk() as transaction:
        leave_out(transaction, {number: row["book_version"]}, first=first)


def test_an_edit_dated_after_its_end_has_it_tried_again(books: Database) -> None:
    """Once: whatever it was that made it too large, the edit may have been the cure."""
    day, quantity = outgrowing(books)
    number = open_giant(books, quantity)
    run(books)
    with books.begin() as connection:
        add_lot(connection, number, NewLot(SOLID, Decimal(5), Decimal(1), DAYS[-1]))
    chosen = run_gate(books)
    assert chosen is not None
    assert (chosen.first, left_out(books), next_range(books)) == (day, {number: day}, None)


@pytest.mark.parametrize("sessions_later", [-1, 0, 1, 2])
def test_it_comes_back_when_its_owner_states_another_first_session(books: Database, sessions_later: int) -> None:
    day, quantity = outgrowing(books)
    number = open_giant(books, quantity)
    run(books)
    as_of = DAYS[DAYS.index(day) + sessions_later]
    with books.begin() as connection:
        connection.exec_driver_sql(f"UPDATE positions SET quantity = 5 WHERE portfolio_id = {number}")
        restate_equity(connection, number, equity=Decimal(1000), as_of=as_of)
    assert run_gate(books) is not None
    assert (left_out(books), told(books), next_range(books)) == ({}, [], None)
    assert sessions_of(books, number) == [each for each in DAYS if each >= as_of]
    assert_equal_to_oracle(books)


@pytest.mark.parametrize("entered", [DAYS[3], DAYS[6]])
def test_a_lot_that_costs_too_much_ends_it_where_it_was_entered_and_may_be_deleted(
    books: Database, entered: date
) -> None:
    """However early the range begins."""
    with books.begin() as connection:
        lot = NewLot(SOLID, Decimal(100_000_000), Decimal(1_000_000), entered)
        create_portfolio(connection, user="ann", name=GIANT, equity=Decimal(1000), as_of=DAYS[3], lots=[lot])
    number = portfolio_id(books, GIANT)
    outcome = run(books)
    assert (outcome.published, outcome.failed, outcome.left_out) == (DAYS, [], {number: entered})
    assert sessions_of(books, number) == [day for day in DAYS if DAYS[3] <= day < entered]
    with books.begin() as connection:
        delete_lot(connection, read_lots(connection, number)[0].position_id)
    assert run_gate(books) is not None
    assert (left_out(books), next_range(books)) == ({}, None)
    assert sessions_of(books, number) == DAYS[3:]
    assert_equal_to_oracle(books)


def test_what_was_brought_in_by_too_large_a_sale_counts_from_the_sale_on(books: Database) -> None:
    with books.begin() as connection:
        sale = {"exit_price": Decimal(1_000_000), "exit_date": DAYS[6]}
        lot = NewLot(SOLID, Decimal(100_000_000), Decimal(1), DAYS[0], **sale)  # type: ignore[arg-type]
        create_portfolio(connection, user="ann", name=GIANT, equity=Decimal(1000), as_of=DAYS[0], lots=[lot])
    number = portfolio_id(books, GIANT)
    assert run(books).left_out == {number: DAYS[6]}
    assert sessions_of(books, number) == DAYS[:6]


@pytest.mark.parametrize("begins", [0, 3, 4])
def test_a_wrong_close_at_a_settlement_ends_it_there_until_it_is_put_right(books: Database, begins: int) -> None:
    """However many sessions are published at once."""
    number, bar = settled_call(books)
    run(books, DAYS[:begins])
    assert run(books, DAYS[begins:]).left_out == {number: SETTLED}
    assert sessions_of(books, number) == [day for day in DAYS if day < SETTLED]
    assert next_range(books) is None
    put_right(books, SETTLED, bar)
    assert run_gate(books) is not None
    assert (left_out(books), next_range(books)) == ({}, None)
    assert sessions_of(books, number) == DAYS
    assert_equal_to_oracle(books)


def test_a_symbol_that_changes_after_its_end_has_it_tried_again_by_the_next_run(done: Database) -> None:
    """What it was too large for may lie before the first session that the correction concerns."""
    number, other = portfolio_id(done, "mixed"), portfolio_id(done, "empty")
    before = figures(done)
    for each in (number, other):
        cut_off(done, each, DAYS[2])
    assert next_range(done) is None
    (bar,) = rows_of(done, BAR, symbol=SOLID, day=DAYS[6])
    correct_close(done, SOLID, DAYS[6])
    put_right(done, DAYS[6], dict(bar))
    chosen = [run_gate(done), run_gate(done)]
    assert [each and each.first for each in chosen] == [DAYS[6], DAYS[2]]
    assert (left_out(done), next_range(done)) == ({other: DAYS[2]}, None)
    with done.begin() as connection:
        mark_edited(connection, other, edited_from=DAYS[-1])
    run_gate(done)
    assert (left_out(done), next_range(done)) == ({}, None)
    assert_same_figures(figures(done), before)


def test_a_new_session_has_nobody_tried_again(books: Database) -> None:
    run(books, DAYS[:6])
    number = portfolio_id(books, "mixed")
    cut_off(books, number, DAYS[2])
    run(books, DAYS[6:])
    assert (left_out(books), next_range(books)) == ({number: DAYS[2]}, None)
    assert sessions_of(books, number) == DAYS[:2]


def test_an_edit_that_comes_in_meanwhile_has_it_tried_again(books: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    day, quantity = outgrowing(books)
    number = open_giant(books, quantity)

    def edited(*arguments: Any, **options: Any) -> dict[date, int]:
        with books.begin() as connection:
            add_lot(connection, number, NewLot(SOLID, Decimal(5), Decimal(1), DAYS[-1]))
        return leave_out(*arguments, **options)

    monkeypatch.setattr(portfolio_slices, "leave_out", edited)
    assert run(books).left_out == {}
    monkeypatch.undo()
    chosen = run_gate(books)
    assert chosen is not None
    assert (chosen.first, left_out(books), next_range(books)) == (day, {number: day}, None)


def test_a_price_that_is_put_right_between_two_tries_leaves_nobody_out(
    books: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, bar = settled_call(books)
    tried = 0
    transaction = PortfolioRun.transaction

    def later(self: PortfolioRun) -> AbstractContextManager[BulkTransaction]:
        nonlocal tried
        tried += 1
        if tried == 2:
            put_right(books, SETTLED, bar)
        return transaction(self)

    run(books, DAYS[: DAYS.index(SETTLED)])
    monkeypatch.setattr(PortfolioRun, "transaction", later)
    assert run(books, [SETTLED]).left_out == {}
    assert tried == 2
    monkeypatch.undo()
    run_gate(books)
    assert (left_out(books), next_range(books)) == ({}, None)
    assert sessions_of(books, number) == DAYS


def test_who_is_known_to_be_too_large_is_not_computed_to_fail_again(
    books: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One failed try for each session at which some become too large, none of them within another."""
    highs = list(accumulate((closes(books)[day] for day in DAYS), max))
    rising = [place for place in range(1, len(DAYS)) if highs[place] > highs[place - 1]]
    assert len(rising) >= 2
    ends = {}
    for place in rising:
        quantity = (2 * LIMIT / (highs[place - 1] + highs[place])).quantize(Decimal(1))
        ends[open_giant(books, quantity, name=f"giant {place}")] = DAYS[place]
    tries: list[tuple[date, int]] = []
    published = portfolio_slices.publish_slice

    def counted(transaction: BulkTransaction, run: PortfolioRun, inputs: Any, **options: Any) -> PublishedSlice:
        tries.append((inputs.sessions[0], len(inspect.stack(0))))
        return published(transaction, run, inputs, **options)

    monkeypatch.setattr(portfolio_publication, "publish_slice", counted)
    assert run(books).left_out == ends
    assert len(tries) == 2 * len(rising) + 1
    assert len({depth for _, depth in tries}) == 1
    assert next_range(books) is None
