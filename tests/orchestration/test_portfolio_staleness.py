"""Which snapshots an edit or a late correction makes stale, what settles them, and what must not change."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from sigmasight_assets.orchestration import portfolio_slices
from sigmasight_assets.orchestration.portfolio_rows import compute_portfolio_rows
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import NewLot, add_capital_flow, create_portfolio, mark_edited
from tests.orchestration.books import (
    DAYS,
    EXPECTED_PORTFOLIOS,
    HALTING,
    SOLID,
    publish_symbols,
)
from tests.orchestration.contents import (
    PORTFOLIO_TABLES,
    changed_keys,
    contents,
    execute,
    published_generations,
    rows_of,
)
from tests.orchestration.portfolio_runs import (
    ROW_TABLES,
    SNAPSHOT_TABLES,
    assert_equal_to_oracle,
    content,
    correct_close,
    forget_symbols,
    next_range,
    portfolio_id,
    run,
    run_gate,
)


def test_flow_recomputes_only_its_portfolio_from_its_date_on(done: Database) -> None:
    before = contents(done, PORTFOLIO_TABLES)
    number = portfolio_id(done, "mixed")
    with done.begin() as connection:
        add_capital_flow(connection, number, flow_date=DAYS[7], amount=Decimal("1234.56"))
    chosen = run_gate(done)
    assert chosen is not None
    assert (chosen.first, chosen.last) == (DAYS[7], DAYS[-1])
    assert_equal_to_oracle(done)
    after = contents(done, PORTFOLIO_TABLES)
    assert changed_keys(before, after, "portfolio_snapshots") == {(number, day) for day in DAYS[7:]}
    for table in ("portfolio_lot_values", "portfolio_exposures"):
        assert {key[0] for key in changed_keys(before, after, table)} <= {number}
    assert changed_keys(before, after, "publications") == {(3, "portfolio", day) for day in DAYS[7:]}
    assert after["snapshot_inputs"] == before["snapshot_inputs"]
    # No other book was even read.
    sql = "SELECT DISTINCT detail FROM data_quality_results WHERE run_id = 'gate' AND check_name = 'ledger_identity'"
    judged = rows_of(done, sql)
    assert judged == [{"detail": "1 portfolios"}]
    assert next_range(done) is None


@pytest.mark.parametrize(
    "edited_from",
    [date(2025, 5, 24), date(2025, 5, 26), date(2025, 1, 1)],
    ids=["a Saturday", "a holiday", "before the first snapshot"],
)
def test_edit_of_any_date_is_settled_by_the_run_that_covers_it(done: Database, edited_from: date) -> None:
    with done.begin() as connection:
        add_capital_flow(connection, portfolio_id(done, "mixed"), flow_date=edited_from, amount=Decimal(500))
    assert run_gate(done) is not None
    assert_equal_to_oracle(done)
    assert next_range(done) is None


def test_portfolio_stated_before_anything_was_published_is_settled(done: Database) -> None:
    with done.begin() as connection:
        create_portfolio(
            connection,
            user="bob",
            name="old",
            equity=Decimal(7000),
            as_of=date(2024, 12, 31),
            lots=[NewLot(SOLID, Decimal(5), Decimal(50), date(2024, 12, 2))],
        )
    assert run_gate(done) is not None
    assert_equal_to_oracle(done)
    assert next_range(done) is None


def test_edit_of_a_day_to_come_stays_marked(done: Database) -> None:
    before = contents(done, PORTFOLIO_TABLES)
    with done.begin() as connection:
        add_capital_flow(connection, portfolio_id(done, "mixed"), flow_date=date(2025, 6, 9), amount=Decimal(500))
    assert next_range(done) is None
    run(done)
    marks = rows_of(done, "SELECT stale_from FROM portfolios WHERE name = 'mixed'")
    assert marks == [{"stale_from": date(2025, 6, 9)}]
    after = contents(done, PORTFOLIO_TABLES)
    assert after["portfolio_snapshots"] == before["portfolio_snapshots"]


def test_edit_before_the_range_stays_marked(done: Database) -> None:
    with done.begin() as connection:
        add_capital_flow(connection, portfolio_id(done, "mixed"), flow_date=DAYS[2], amount=Decimal(500))
    before = contents(done, PORTFOLIO_TABLES)
    # Not computed from snapshots that are known to be stale.
    run(done, DAYS[6:])
    assert contents(done, PORTFOLIO_TABLES) == before
    chosen = run_gate(done)
    assert chosen is not None
    assert chosen.first == DAYS[2]
    assert_equal_to_oracle(done)
    assert next_range(done) is None


def test_late_correction_changes_the_portfolios_that_hold_the_symbol(done: Database) -> None:
    before = contents(done, PORTFOLIO_TABLES)
    correct_close(done, HALTING, DAYS[6])
    chosen = run_gate(done)
    assert chosen is not None
    assert (chosen.first, chosen.last) == (DAYS[6], DAYS[-1])
    assert_equal_to_oracle(done)
    after = contents(done, PORTFOLIO_TABLES)
    holders = {
        row["portfolio_id"]
        for row in rows_of(done, "SELECT portfolio_id FROM positions WHERE symbol = :symbol", symbol=HALTING)
    }
    assert len(holders) < len(EXPECTED_PORTFOLIOS)
    for table in SNAPSHOT_TABLES:
        changed = changed_keys(before, after, table)
        assert {key[0] for key in changed} == holders
        assert min(key[1] for key in changed) == DAYS[6]
    assert {
        row["symbol_generation"]
        for row in rows_of(done, "SELECT * FROM snapshot_inputs WHERE session >= :day", day=DAYS[6])
    } == {3}
    assert next_range(done) is None


def test_late_correction_of_a_symbol_that_nobody_holds_changes_no_snapshot(done: Database) -> None:
    before = contents(done, PORTFOLIO_TABLES)
    held = "SELECT symbol FROM positions"
    others = rows_of(done, f"SELECT symbol FROM symbol_universe WHERE asset_type = 'equity' AND symbol NOT IN ({held})")
    correct_close(done, others[0]["symbol"], DAYS[6])
    chosen = run_gate(done)
    assert chosen is not None
    assert (chosen.first, chosen.last) == (DAYS[6], DAYS[-1])
    after = contents(done, PORTFOLIO_TABLES)
    for table in ROW_TABLES:
        assert after[table] == before[table]
    assert set(published_generations(done, "portfolio").values()) == {2}
    assert next_range(done) is None


def test_correction_of_a_fund_reaches_the_exposures_and_no_value(done: Database) -> None:
    before = content(done)
    correct_close(done, "MTUM", DAYS[6])
    assert run_gate(done) is not None
    assert_equal_to_oracle(done)
    after = content(done)
    assert after["portfolio_lot_values"] == before["portfolio_lot_values"]
    assert after["portfolio_exposures"] != before["portfolio_exposures"]
    assert next_range(done) is None


def test_recomputing_one_portfolio_alone_finds_it_unchanged(done: Database) -> None:
    """What a portfolio's rows look like does not depend on which others are computed with it."""
    before = contents(done, PORTFOLIO_TABLES)
    for name in EXPECTED_PORTFOLIOS:
        with done.begin() as connection:
            mark_edited(connection, portfolio_id(done, name), edited_from=DAYS[0])
        assert run_gate(done) is not None
        assert next_range(done) is None
    after = contents(done, PORTFOLIO_TABLES)
    for table in (*ROW_TABLES, "publications"):
        assert changed_keys(before, after, table) == set()


def test_edit_during_the_computation_keeps_its_mark(done: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    number = portfolio_id(done, "mixed")
    with done.begin() as connection:
        add_capital_flow(connection, number, flow_date=DAYS[5], amount=Decimal(100))
        add_capital_flow(connection, portfolio_id(done, "late"), flow_date=DAYS[6], amount=Decimal(10))

    def interrupted(*arguments: Any, **options: Any) -> Any:
        with done.begin() as connection:
            add_capital_flow(connection, number, flow_date=DAYS[8], amount=Decimal(200))
        return compute_portfolio_rows(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(portfolio_slices, "compute_portfolio_rows", interrupted)
        assert run_gate(done) is not None
    marks = rows_of(done, "SELECT name, stale_from FROM portfolios WHERE stale_from IS NOT NULL")
    assert marks == [{"name": "mixed", "stale_from": DAYS[5]}]
    assert run_gate(done) is not None
    assert_equal_to_oracle(done)
    assert next_range(done) is None


def test_intermediate_rerun_marks_what_builds_on_it(done: Database) -> None:
    correct_close(done, SOLID, DAYS[3])
    run(done, [DAYS[3]])
    marked = rows_of(done, "SELECT name, stale_from FROM portfolios WHERE stale_from IS NOT NULL")
    holders = rows_of(
        done,
        "SELECT DISTINCT name FROM portfolios JOIN positions USING (portfolio_id) WHERE symbol = :symbol "
        "AND as_of <= :day AND entry_date <= :day AND (exit_date IS NULL OR exit_date > :day)",
        symbol=SOLID,
        day=DAYS[3],
    )
    assert {row["name"] for row in marked} == {row["name"] for row in holders}
    assert {row["stale_from"] for row in marked} == {DAYS[4]}
    assert run_gate(done) is not None
    assert_equal_to_oracle(done)
    assert next_range(done) is None


@pytest.mark.parametrize("during", [False, True], ids=["before the rerun", "during the rerun"])
def test_intermediate_rerun_marks_earlier_than_a_later_edit(
    done: Database, monkeypatch: pytest.MonkeyPatch, during: bool
) -> None:
    """Only the session of an old correction is run again, and the book has an edit of a later day."""

    def edit() -> None:
        with done.begin() as connection:
            add_capital_flow(connection, portfolio_id(done, "mixed"), flow_date=DAYS[9], amount=Decimal(77))

    def interrupted(*arguments: Any, **options: Any) -> Any:
        edit()
        return compute_portfolio_rows(*arguments, **options)

    correct_close(done, SOLID, DAYS[3], last=DAYS[3])
    with monkeypatch.context() as patch:
        if during:
            patch.setattr(portfolio_slices, "compute_portfolio_rows", interrupted)
        else:
            edit()
        run(done, [DAYS[3]])
    chosen = run_gate(done)
    assert chosen is not None
    assert chosen.first == DAYS[4]
    assert_equal_to_oracle(done)
    assert next_range(done) is None


def test_deleting_an_intermediate_session_and_recomputing_gives_the_same(done: Database) -> None:
    before = content(done)
    for table in (*ROW_TABLES, "snapshot_inputs"):
        execute(done, f"DELETE FROM {table} WHERE session = :day", day=DAYS[5])
    chosen = run_gate(done)
    assert chosen is not None
    assert chosen.first == DAYS[5]
    assert content(done) == before
    assert next_range(done) is None


def test_older_sessions_published_later_move_the_first_snapshot(books: Database) -> None:
    for day in DAYS[:3]:
        forget_symbols(books, day)
    assert run_gate(books) is not None
    assert_equal_to_oracle(books, DAYS[3:])
    publish_symbols(books, DAYS[:3])
    chosen = run_gate(books)
    assert chosen is not None
    assert chosen.first == DAYS[0]
    assert_equal_to_oracle(books)
    assert next_range(books) is None
