"""Only portfolios that a change concerns are computed, and the outcome is that of computing all of them."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from sigmasight_assets.orchestration import portfolio_publication
from sigmasight_assets.orchestration.portfolio_publication import PortfolioPublication
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import NewLot, add_capital_flow
from tests.orchestration.books import CALL, DAYS, FADING, HALTING, MOVING, PUT, RUNNING, SHORTED, SOLID, publish_symbols
from tests.orchestration.contents import changed_keys, execute, rows_of
from tests.orchestration.portfolio_runs import (
    ROW_TABLES,
    assert_equal_to_oracle,
    content,
    correct_close,
    forget_symbols,
    next_range,
    portfolio_id,
    run,
    run_gate,
    waive,
)
from tests.orchestration.published_market import BOUGHT, lot, own
from tests.orchestration.symbol_runs import delete_bars, mark

SOLID_HOLDERS = {"mixed", "late", "options", "private"}


def names(database: Database, outcome: PortfolioPublication) -> set[str]:
    found = rows_of(database, "SELECT portfolio_id, name FROM portfolios")
    by_number = {row["portfolio_id"]: row["name"] for row in found}
    return {by_number[number] for number in outcome.computed_ids.tolist()}


def own_current(database: Database, name: str, *lots: NewLot, as_of: date = DAYS[0]) -> None:
    """A portfolio whose snapshots are made."""
    own(database, name, *lots, as_of=as_of)
    assert names(database, run(database)) == {name}


def option(symbol: str, entry_date: date = BOUGHT, **columns: Any) -> NewLot:
    return lot(symbol, "1", "3", entry_date, investment_class="OPTIONS", **columns)


def computed(database: Database, sessions: Sequence[date] = DAYS) -> set[str]:
    """Bring everything up to date, and check that it is; the portfolios that were computed."""
    outcome = run(database, sessions)
    assert_equal_to_oracle(database)
    assert next_range(database) is None
    return names(database, outcome)


class TestRestatedCloses:
    def test_holders_are_computed_and_nobody_else(self, done: Database) -> None:
        correct_close(done, SOLID, DAYS[6])
        before = content(done)
        outcome = run(done)
        assert names(done, outcome) == SOLID_HOLDERS
        assert (outcome.portfolios, outcome.snapshots) == (8, len(before["portfolio_snapshots"]))
        assert outcome.changed == len(changed_keys(before, content(done), "portfolio_snapshots")) == 4 * 6
        assert_equal_to_oracle(done)
        again = run(done)
        assert (again.computed, again.changed, again.generation) == (0, 0, None)

    def test_a_symbol_that_nobody_holds(self, done: Database) -> None:
        execute(done, "UPDATE symbol_prices_daily SET volume = volume + 9 WHERE symbol = 'IWM'")
        publish_symbols(done, DAYS[-1:])
        assert computed(done) == set()

    def test_holders_of_closed_lots(self, done: Database) -> None:
        own_current(done, "sold before", lot(SOLID, "5", "50", sold=("51", DAYS[5])), lot(MOVING, "1", "90"))
        own_current(done, "sold on the day", lot(SOLID, "5", "50", sold=("51", DAYS[6])))
        own_current(done, "sold after", lot(SOLID, "5", "50", sold=("51", DAYS[8])))
        correct_close(done, SOLID, DAYS[6])
        before = content(done)
        assert computed(done) == SOLID_HOLDERS | {"sold on the day", "sold after"}
        written = {key[0] for key in changed_keys(before, content(done), "portfolio_snapshots")}
        assert portfolio_id(done, "sold after") in written
        assert portfolio_id(done, "sold on the day") not in written

    def test_holders_by_contract(self, done: Database) -> None:
        """The close of the share counts where the contract settles, that of the contract while it is held."""
        own_current(done, "settled", option(CALL))
        own_current(done, "sold before it settled", option(CALL, sold=("4", DAYS[4])))
        own_current(done, "running", option(RUNNING))
        own_current(done, "of another share", option(PUT))
        correct_close(done, SOLID, DAYS[4])
        assert computed(done) == SOLID_HOLDERS | {"settled"}
        correct_close(done, SOLID, DAYS[5])
        assert computed(done) == SOLID_HOLDERS
        correct_close(done, CALL, DAYS[2])
        assert computed(done) == {"options", "settled", "sold before it settled"}
        correct_close(done, SHORTED, DAYS[4])
        assert computed(done) == {"mixed", "broke", "moving", "options", "of another share"}

    def test_edited_portfolios_are_computed_with_the_holders(self, done: Database) -> None:
        correct_close(done, HALTING, DAYS[6])
        with done.begin() as connection:
            for name, day in (("empty", DAYS[8]), ("broke", date(2025, 6, 9))):
                add_capital_flow(connection, portfolio_id(done, name), flow_date=day, amount=Decimal(5))
        assert computed(done) == {"mixed", "late", "empty"}

    def test_all_are_computed_when_any_symbol_may_have_changed(self, done: Database) -> None:
        correct_close(done, SOLID, DAYS[6])
        execute(done, "UPDATE publications SET symbols = NULL WHERE session = :day", day=DAYS[8])
        assert len(computed(done)) == 8

    def test_the_symbol_of_a_session_that_went_before_counts_in_the_next_run(self, done: Database) -> None:
        """Two publications, neither of which the snapshots have seen."""
        correct_close(done, SOLID, DAYS[6])
        correct_close(done, MOVING, DAYS[6])
        assert computed(done) == SOLID_HOLDERS | {"moving"}

    def test_a_night_computes_the_past_for_holders_and_the_new_session_for_all(self, done: Database) -> None:
        newest = DAYS[-1]
        for table in ROW_TABLES:
            execute(done, f"DELETE FROM {table} WHERE session = :day", day=newest)
        execute(done, "DELETE FROM snapshot_inputs WHERE session = :day", day=newest)
        correct_close(done, SOLID, DAYS[6])
        outcome = run(done, DAYS[6:])
        assert (outcome.published, len(names(done, outcome))) == (DAYS[6:], 8)
        judged = rows_of(
            done,
            "SELECT session, detail FROM data_quality_results "
            "WHERE run_id = 'second' AND check_name = 'ledger_identity' ORDER BY result_id",
        )
        details = {row["session"]: row["detail"] for row in judged}
        assert details == dict.fromkeys(DAYS[6:-1], "4 portfolios") | {newest: "8 portfolios"}
        assert_equal_to_oracle(done)


class TestCarriedFigures:
    """HALTING has no close at the fourth and fifth session, when its last one is carried."""

    @pytest.fixture
    def holder(self, done: Database) -> Database:
        """A portfolio that holds it then and at no other time."""
        own_current(done, "while halted", lot(HALTING, "5", "71", DAYS[3], sold=("72.5", DAYS[4])))
        return done

    def test_of_a_restated_close(self, holder: Database) -> None:
        before = content(holder)
        correct_close(holder, HALTING, DAYS[2], last=DAYS[2])
        assert computed(holder) == {"mixed", "while halted"}
        changed = changed_keys(before, content(holder), "portfolio_snapshots")
        number = portfolio_id(holder, "while halted")
        assert {day for key, day in changed if key == number} == set(DAYS[3:5])

    def test_in_runs_of_single_sessions(self, holder: Database) -> None:
        correct_close(holder, HALTING, DAYS[2], last=DAYS[2])
        for day in DAYS[2:5]:
            run(holder, [day])
        run_gate(holder)
        assert_equal_to_oracle(holder)
        assert next_range(holder) is None

    def test_of_a_bar_that_was_withdrawn(self, holder: Database) -> None:
        delete_bars(holder, DAYS[2], HALTING)
        mark(holder, HALTING, DAYS[2], has_new_returns=True)
        publish_symbols(holder, DAYS[-1:])
        assert computed(holder) == {"mixed", "late", "while halted"}

    def test_of_a_session_without_snapshots(self, books: Database) -> None:
        """The first snapshots value a holding at a close from before the first session with snapshots."""
        execute(books, "UPDATE portfolios SET as_of = :day, stale_from = :day WHERE as_of < :day", day=DAYS[3])
        run(books, DAYS[3:])
        correct_close(books, HALTING, DAYS[2], last=DAYS[2])
        chosen = run_gate(books)
        assert chosen is not None
        assert chosen.first == DAYS[3]
        assert_equal_to_oracle(books, DAYS[3:])


class TestActions:
    def publish(self, database: Database, symbol: str, ex_date: date, **terms: Any) -> None:
        """State an action late that changes no close, and publish it."""
        columns = {"kind": "dividend", "ratio_numerator": None, "ratio_denominator": None, "amount": None, **terms}
        names, values = ", ".join(columns), ", ".join(f":{name}" for name in columns)
        sql = f"INSERT INTO corporate_actions (symbol, ex_date, {names}, source, run_id) VALUES "
        execute(
            database, f"{sql} (:symbol, :ex_date, {values}, 'test', 'r')", symbol=symbol, ex_date=ex_date, **columns
        )
        mark(database, symbol, ex_date, actions_from=ex_date)
        publish_symbols(database, DAYS[-1:])

    def test_dividend(self, done: Database) -> None:
        own_current(done, "sold on the ex-date", lot(SOLID, "5", "50", sold=("51", DAYS[6])))
        own_current(done, "bought on the ex-date", lot(SOLID, "5", "50", DAYS[6]))
        own_current(done, "sold before", lot(SOLID, "5", "50", sold=("51", DAYS[5])))
        own_current(done, "bought after", lot(SOLID, "5", "50", DAYS[7]))
        before = content(done)
        self.publish(done, SOLID, DAYS[6], amount="0.25")
        assert computed(done) == SOLID_HOLDERS | {"sold on the ex-date", "bought on the ex-date"}
        written = {key[0] for key in changed_keys(before, content(done), "portfolio_snapshots")}
        assert portfolio_id(done, "sold on the ex-date") in written
        assert portfolio_id(done, "bought on the ex-date") not in written

    @pytest.mark.parametrize("cells", [1, 1_000_000], ids=["session by session", "in one slice"])
    def test_split_of_a_share_that_is_held_later(
        self, done: Database, monkeypatch: pytest.MonkeyPatch, cells: int
    ) -> None:
        """Its own closes stay; a portfolio that begins long after it, and a contract, follow it all the same."""
        own_current(done, "begins later", lot(SOLID, "5", "50"), as_of=DAYS[9])
        own_current(done, "settles later", option(f"{SOLID}250530C00020000"))
        own_current(done, "bought after", lot(SOLID, "5", "50", DAYS[7], sold=("51", DAYS[8])))
        monkeypatch.setattr(portfolio_publication, "SLICE_CELLS", cells)
        before = content(done)
        self.publish(done, SOLID, DAYS[3], kind="split", ratio_numerator=2, ratio_denominator=1)
        found = computed(done)
        assert found >= SOLID_HOLDERS | {"begins later", "settles later"}
        assert "broke" not in found
        written = {key[0] for key in changed_keys(before, content(done), "portfolio_snapshots")}
        for name in ("begins later", "settles later"):
            assert portfolio_id(done, name) in written
        assert portfolio_id(done, "bought after") not in written

    def test_split_of_a_share_that_is_held_without_a_price(
        self, done: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its lots are in other units at sessions that no close of it reaches, before the split as after it."""
        own_current(done, "waits for a price", lot(FADING, "5", "50", DAYS[8]))
        monkeypatch.setattr(portfolio_publication, "SLICE_CELLS", 1)
        self.publish(done, FADING, DAYS[10], kind="split", ratio_numerator=2, ratio_denominator=1)
        assert computed(done) == {"mixed", "unpriced", "options", "waits for a price"}

    def test_two_of_one_symbol_are_both_followed(self, done: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        own_current(done, "bought in between", lot(SOLID, "5", "50", DAYS[4]))
        monkeypatch.setattr(portfolio_publication, "SLICE_CELLS", 1)
        add = (
            "INSERT INTO corporate_actions (symbol, ex_date, kind, amount, source, run_id) "
            "VALUES (:symbol, :day, 'dividend', 0.1, 'test', 'r')"
        )
        for day in (DAYS[2], DAYS[7]):
            execute(done, add, symbol=SOLID, day=day)
        mark(done, SOLID, DAYS[2], DAYS[7], actions_from=DAYS[2])
        publish_symbols(done, DAYS[-1:])
        assert "bought in between" in computed(done)


class TestSlices:
    @pytest.mark.parametrize("cells", [1, 9, 1_000_000])
    def test_what_changes_at_one_session_is_carried_on(
        self, done: Database, monkeypatch: pytest.MonkeyPatch, cells: int
    ) -> None:
        correct_close(done, SOLID, DAYS[3], last=DAYS[3])
        monkeypatch.setattr(portfolio_publication, "SLICE_CELLS", cells)
        before = content(done)
        outcome = run(done)
        # That one begins later.
        assert names(done, outcome) == SOLID_HOLDERS - {"late"}
        assert_equal_to_oracle(done)
        changed = changed_keys(before, content(done), "portfolio_snapshots")
        assert {key[1] for key in changed} >= {DAYS[3], DAYS[4]}

    def test_a_contract_that_settled_before_its_portfolio_began(
        self, done: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        own_current(done, "begins later", option(CALL), as_of=DAYS[7])
        monkeypatch.setattr(portfolio_publication, "SLICE_CELLS", 1)
        correct_close(done, SOLID, DAYS[4], last=DAYS[4])
        before = content(done)
        assert "begins later" in computed(done)
        expiries = changed_keys(before, content(done), "option_expiries")
        assert portfolio_id(done, "begins later") in {key[0] for key in expiries}


HOLE = DAYS[4]
REST = [day for day in DAYS if day != HOLE]


class TestWaivedSessions:
    def test_they_are_left_out_of_a_range(self, books: Database) -> None:
        forget_symbols(books, HOLE)
        waive(books, HOLE)
        outcome = run(books)
        assert (outcome.published, outcome.waived, outcome.failed) == (REST, [HOLE], [])
        assert_equal_to_oracle(books, REST)
        assert [row["session"] for row in rows_of(books, "SELECT * FROM snapshot_inputs ORDER BY session")] == REST

    def test_published_after_all_they_count_and_later_ones_follow(self, books: Database) -> None:
        forget_symbols(books, HOLE)
        waive(books, HOLE)
        run(books)
        publish_symbols(books, [HOLE])
        outcome = run(books)
        assert (outcome.published, outcome.waived) == (DAYS, [])
        assert_equal_to_oracle(books)
        assert next_range(books) is None

    def test_the_gate_and_the_step_agree(self, books: Database) -> None:
        forget_symbols(books, HOLE)
        waive(books, HOLE)
        chosen = run_gate(books)
        assert chosen is not None
        assert (chosen.first, chosen.last) == (DAYS[0], DAYS[-1])
        assert next_range(books) is None
        publish_symbols(books, [HOLE])
        chosen = run_gate(books)
        assert chosen is not None
        assert (chosen.first, chosen.last) == (HOLE, DAYS[-1])
        assert_equal_to_oracle(books)

    def test_with_nothing_left_nothing_is_done(self, books: Database) -> None:
        for day in DAYS[3:5]:
            forget_symbols(books, day)
            waive(books, day)
        outcome = run(books, DAYS[3:5])
        assert (outcome.published, outcome.waived, outcome.generation) == ([], DAYS[3:5], None)
        assert rows_of(books, "SELECT * FROM portfolio_snapshots") == []
        assert rows_of(books, "SELECT * FROM snapshot_inputs") == []


def test_the_books_hold_who_is_named_here(done: Database, calendar: SessionCalendar) -> None:
    """The other tests rest on who holds what."""
    assert calendar.offset(DAYS[0], 11) == DAYS[-1]
    held = rows_of(
        done,
        "SELECT DISTINCT name FROM positions JOIN portfolios USING (portfolio_id) WHERE symbol = :symbol "
        "AND (exit_date IS NULL OR exit_date > :day) AND entry_date <= :day",
        symbol=SOLID,
        day=DAYS[6],
    )
    assert {row["name"] for row in held} == SOLID_HOLDERS
