"""Publication of the portfolio products against a plain roll-forward in decimals, and when rows may change."""

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from sigmasight_assets.errors import NotReadyError, PublicationError
from sigmasight_assets.orchestration import portfolio_publication
from sigmasight_assets.orchestration.gate import GateRange, plan
from sigmasight_assets.orchestration.gate_state import read_gate_state
from sigmasight_assets.orchestration.portfolio_publication import (
    PRODUCTS,
    PortfolioPublication,
    publish_portfolio_products,
)
from sigmasight_assets.orchestration.portfolio_rows import compute_portfolio_rows
from sigmasight_assets.quant.factors import FACTORS
from sigmasight_assets.quant.ledger_identity import identity_violations
from sigmasight_assets.sessions import NEW_YORK, SessionCalendar, exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import NewLot, add_capital_flow, create_portfolio, mark_edited
from sigmasight_assets.storage.publications import lock_layer
from tests.orchestration.book_oracle import World, expected_rows, read_world
from tests.orchestration.books import (
    DAYS,
    EXPECTED_PORTFOLIOS,
    FADING,
    HALTING,
    SOLID,
    enter_books,
    publish_symbols,
)
from tests.orchestration.contents import (
    PORTFOLIO_TABLES,
    changed_keys,
    contents,
    execute,
    published_generations,
    rows_of,
    wait_for_waiters,
)
from tests.orchestration.states import States

FACTOR_NAMES = [factor.name for factor in FACTORS]
ROW_TABLES = ("portfolio_snapshots", "position_values", "portfolio_factor_exposures")
NOT_CONTENT = ["generation", "run_id", "published_at", "computed_at", "stale_from", "symbol_generation", "created_at"]
NOW = datetime(2025, 6, 4, 22, 0, tzinfo=NEW_YORK)


@pytest.fixture
def books(states: States, calendar: SessionCalendar) -> Database:
    """Symbols published and portfolios stored, no snapshots."""
    return enter_books(states, calendar)


@pytest.fixture
def done(states: States, calendar: SessionCalendar) -> Database:
    """The same with the snapshots of every session."""

    def fill(database: Database) -> None:
        run(database, run_id="first")

    return enter_books(states, calendar, name="done", then=fill)


def run(database: Database, sessions: Sequence[date] = DAYS, *, run_id: str = "second") -> PortfolioPublication:
    return publish_portfolio_products(database, exchange_calendar(), sessions=sessions, run_id=run_id)


def run_gate(database: Database) -> GateRange | None:
    """Run what the gate decides, as its sensor would; what it decided."""
    chosen = next_range(database)
    if chosen is not None:
        run(database, exchange_calendar().between(chosen.first, chosen.last), run_id="gate")
    return chosen


def next_range(database: Database) -> GateRange | None:
    return plan(read_gate_state(database, exchange_calendar(), now=NOW)).range


def portfolio_id(database: Database, name: str) -> int:
    number: int = rows_of(database, "SELECT portfolio_id FROM portfolios WHERE name = :name", name=name)[0][
        "portfolio_id"
    ]
    return number


def world(database: Database) -> World:
    calendar = exchange_calendar()
    return read_world(database, calendar.between(calendar.offset(DAYS[0], -10), DAYS[-1]))


def assert_equal_to_oracle(database: Database, days: Sequence[date] = DAYS) -> None:
    """Every stored snapshot, position value and exposure is the expected one, and there is no other."""
    expected = expected_rows(world(database), days, FACTOR_NAMES)
    snapshots = {
        (row["portfolio_id"], row["session"]): row for row in rows_of(database, "SELECT * FROM portfolio_snapshots")
    }
    assert snapshots.keys() == expected.snapshots.keys()
    for key, wanted in expected.snapshots.items():
        found = {name: snapshots[key][name] for name in wanted}
        assert found == {name: near(value) for name, value in wanted.items()}, key
        assert snapshots[key].keys() - wanted.keys() == {"fingerprint", "generation"}
    values = {
        (row["portfolio_id"], row["session"], row["position_id"]): row
        for row in rows_of(database, "SELECT * FROM position_values")
    }
    assert values.keys() == expected.positions.keys()
    for position, wanted in expected.positions.items():
        assert {name: values[position][name] for name in wanted} == wanted, position
    exposures = {
        (row["portfolio_id"], row["session"], row["factor"]): row
        for row in rows_of(database, "SELECT * FROM portfolio_factor_exposures")
    }
    assert exposures.keys() == expected.exposures.keys()
    for exposure, wanted in expected.exposures.items():
        found = {name: exposures[exposure][name] for name in wanted}
        assert found == {name: near(value) for name, value in wanted.items()}, exposure


def near(value: Any) -> Any:
    """Money is exact; ratios are floats."""
    return pytest.approx(value, rel=1e-11, abs=1e-12) if isinstance(value, float) else value


def content(database: Database) -> dict[str, dict[tuple[Any, ...], str]]:
    """Rows without generations, runs and instants."""
    tables = {name: PORTFOLIO_TABLES[name] for name in ROW_TABLES}
    return contents(database, tables, ignoring=NOT_CONTENT)


def test_range_equals_the_plain_roll_forward(books: Database) -> None:
    outcome = run(books)
    assert_equal_to_oracle(books)
    assert (outcome.published, outcome.failed) == (DAYS, [])
    assert outcome.portfolios == len(EXPECTED_PORTFOLIOS)
    stored = rows_of(books, "SELECT * FROM portfolio_snapshots")
    assert outcome.snapshots == outcome.changed == len(stored)
    assert outcome.partial == sum(row["is_partial"] for row in stored)


def test_the_books_hold_what_makes_them_hard(done: Database) -> None:
    """The comparison with the oracle is worth something only while these cases occur."""
    stored = rows_of(done, "SELECT * FROM portfolio_snapshots")
    assert max(row["stale_count"] for row in stored) >= 2
    assert max(row["excluded_count"] for row in stored) >= 2
    assert min(row["equity"] for row in stored) < 0
    assert any(row["realized_pnl"] > 0 for row in stored)
    assert any(row["realized_pnl"] < 0 for row in stored)
    assert any(row["capital_flow"] < 0 for row in stored)
    assert any(row["short_value"] < -1000 for row in stored)
    assert any(row["positions_count"] == 0 for row in stored)
    assert {tuple(row["missing_symbols"]) for row in stored} >= {(), (FADING, HALTING)}
    firsts = rows_of(done, "SELECT portfolio_id, min(session) AS first FROM portfolio_snapshots GROUP BY portfolio_id")
    assert {row["first"] for row in firsts} == {DAYS[0], DAYS[5]}
    statuses = rows_of(done, "SELECT DISTINCT status FROM position_values")
    assert {row["status"] for row in statuses} == {"priced", "stale", "unpriced"}


def test_session_by_session_equals_one_range(books: Database, states: States, calendar: SessionCalendar) -> None:
    for day in DAYS:
        assert run(books, [day]).published == [day]
    one_by_one = content(books)
    run(enter_books(states, calendar))
    assert content(books) == one_by_one


def test_slices_do_not_change_results(
    books: Database, states: States, calendar: SessionCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portfolio_publication, "SLICE_CELLS", 5 * len(EXPECTED_PORTFOLIOS))
    outcome = run(books)
    assert (outcome.generation, outcome.published) == (4, DAYS)
    sliced = content(books)
    assert next_range(books) is None
    monkeypatch.undo()
    run(enter_books(states, calendar))
    assert content(books) == sliced


def test_ledger_rows_and_consumed_generations(done: Database) -> None:
    ledger = rows_of(done, "SELECT * FROM publications WHERE layer = 'portfolio' ORDER BY session")
    assert [row["session"] for row in ledger] == DAYS
    assert {(row["generation"], row["run_id"], row["coverage"], tuple(row["products"])) for row in ledger} == {
        (2, "first", None, PRODUCTS)
    }
    per_session = rows_of(done, "SELECT session, count(*) AS rows FROM portfolio_snapshots GROUP BY session")
    counts = {row["session"]: row["rows"] for row in per_session}
    assert {row["session"]: row["rows_written"] for row in ledger} == counts
    assert ledger[0]["counts"] == {"portfolios": counts[DAYS[0]], "changed": counts[DAYS[0]]}
    consumed = rows_of(done, "SELECT session, symbol_generation FROM snapshot_inputs")
    assert {row["session"]: row["symbol_generation"] for row in consumed} == dict.fromkeys(DAYS, 1)
    judged = rows_of(done, "SELECT * FROM data_quality_results WHERE layer = 'portfolio'")
    assert {(row["check_name"], row["passed"]) for row in judged} == {("ledger_identity", True)}
    assert sorted(row["session"] for row in judged) == DAYS
    assert next_range(done) is None


def test_rerun_changes_nothing(done: Database) -> None:
    before = contents(done, PORTFOLIO_TABLES)
    outcome = run(done)
    assert (outcome.generation, outcome.changed) == (None, 0)
    assert (outcome.snapshots, outcome.portfolios) == (len(before["portfolio_snapshots"]), len(EXPECTED_PORTFOLIOS))
    assert contents(done, PORTFOLIO_TABLES) == before
    outcome = run(done, DAYS[4:6])
    assert (outcome.generation, outcome.changed) == (None, 0)
    assert contents(done, PORTFOLIO_TABLES) == before


def test_a_hole_is_spanned_and_closed_later(books: Database) -> None:
    hole = DAYS[4]
    forget_symbols(books, hole)
    run(books, DAYS[:4])
    run(books, DAYS[5:])
    spanned = [day for day in DAYS if day != hole]
    assert_equal_to_oracle(books, spanned)
    publish_symbols(books, [hole])
    chosen = run_gate(books)
    assert chosen is not None
    assert (chosen.first, chosen.last) == (hole, DAYS[-1])
    assert_equal_to_oracle(books)
    assert next_range(books) is None


def forget_symbols(database: Database, day: date) -> None:
    """Make it as if the session had never been published."""
    for table, column in (
        ("symbol_market_beta", "session"),
        ("symbol_ir_beta", "session"),
        ("symbol_ridge_factors", "session"),
        ("symbol_spread_factors", "session"),
        ("symbol_daily_metrics", "metrics_date"),
        ("factor_covariances", "session"),
        ("publications", "session"),
    ):
        execute(database, f"DELETE FROM {table} WHERE {column} = :day", day=day)


def test_unpublished_symbol_products_are_named(books: Database) -> None:
    forget_symbols(books, DAYS[2])
    forget_symbols(books, DAYS[4])
    message = f"symbol products of {DAYS[2]}, {DAYS[4]} are not published: materialise them first"
    with pytest.raises(NotReadyError, match=message):
        run(books)
    assert rows_of(books, "SELECT * FROM portfolio_snapshots") == []
    assert rows_of(books, "SELECT * FROM snapshot_inputs") == []


def test_missing_earlier_snapshots_are_named(books: Database) -> None:
    run(books, DAYS[:2])
    before = contents(books, PORTFOLIO_TABLES)
    message = f"Snapshots of {DAYS[2]} come before those of {DAYS[6]}: the gate runs {DAYS[2]} to {DAYS[5]} first"
    with pytest.raises(NotReadyError, match=message):
        run(books, DAYS[6:8])
    assert contents(books, PORTFOLIO_TABLES) == before


def test_without_portfolios_nothing_is_published(books: Database) -> None:
    execute(books, "DELETE FROM portfolios")
    outcome = run(books)
    assert (outcome.published, outcome.portfolios, outcome.generation) == (DAYS, 0, None)
    assert published_generations(books, "portfolio") == {}


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
    for table in ("position_values", "portfolio_factor_exposures"):
        assert {key[0] for key in changed_keys(before, after, table)} <= {number}
    assert changed_keys(before, after, "publications") == {(3, "portfolio", day) for day in DAYS[7:]}
    assert after["snapshot_inputs"] == before["snapshot_inputs"]
    # No other book was even read.
    judged = rows_of(done, "SELECT DISTINCT detail FROM data_quality_results WHERE run_id = 'gate'")
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


def correct_close(database: Database, symbol: str, day: date, *, last: date = DAYS[-1]) -> None:
    """Restate a bar and publish the symbol products from its session to the last one given."""
    execute(
        database,
        "UPDATE symbol_prices_daily SET close_price = round(close_price * 1.01, 4), "
        "high_price = round(high_price * 1.02, 4), adj_close_price = adj_close_price * 1.01 "
        "WHERE symbol = :symbol AND price_date = :day",
        symbol=symbol,
        day=day,
    )
    publish_symbols(database, [each for each in DAYS if day <= each <= last])


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
    for table in ROW_TABLES:
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
    assert after["position_values"] == before["position_values"]
    assert after["portfolio_factor_exposures"] != before["portfolio_factor_exposures"]
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
        patch.setattr(portfolio_publication, "compute_portfolio_rows", interrupted)
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
            patch.setattr(portfolio_publication, "compute_portfolio_rows", interrupted)
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


def test_broken_identity_ends_the_range_before_the_session(books: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger itself gives no way to break it, so the check reports a violation that is not there."""

    def wrong(*arguments: Any) -> list[Any]:
        offenders = identity_violations(*arguments)
        offenders[3] = np.array([0, 2])
        return offenders

    with monkeypatch.context() as patch:
        patch.setattr(portfolio_publication, "identity_violations", wrong)
        outcome = run(books)
    assert (outcome.published, outcome.failed) == (DAYS[:3], DAYS[3:])
    ids = [row["portfolio_id"] for row in rows_of(books, "SELECT portfolio_id FROM portfolios ORDER BY portfolio_id")]
    failed = [item for item in outcome.verdicts if not item.passed]
    assert [(item.session, item.detail) for item in failed] == [
        (DAYS[3], f"broken for 2 portfolios: {[ids[0], ids[2]]}")
    ]
    assert_equal_to_oracle(books, DAYS[:3])
    assert set(published_generations(books, "portfolio")) == set(DAYS[:3])
    recorded = rows_of(books, "SELECT session FROM data_quality_results WHERE NOT passed")
    assert recorded == [{"session": DAYS[3]}]
    chosen = run_gate(books)
    assert chosen is not None
    assert chosen.first == DAYS[3]
    assert_equal_to_oracle(books)


def test_failing_slice_ends_the_range(books: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portfolio_publication, "SLICE_CELLS", 4 * len(EXPECTED_PORTFOLIOS))
    calls = []

    def wrong(*arguments: Any) -> list[Any]:
        offenders = identity_violations(*arguments)
        calls.append(len(offenders))
        if len(calls) == 2:
            offenders[1] = np.array([1])
        return offenders

    monkeypatch.setattr(portfolio_publication, "identity_violations", wrong)
    outcome = run(books)
    assert (outcome.published, outcome.failed) == (DAYS[:5], DAYS[5:])
    assert calls == [4, 4]


def test_runs_that_wait_for_each_other_see_what_the_first_has_written(books: Database) -> None:
    """The second run waits for the lock while the snapshots that it builds on are still missing."""
    threads = [threading.Thread(target=run_alone, args=(books.url, sessions)) for sessions in (DAYS[:6], DAYS[6:])]
    with ExitStack() as stack:
        transaction = stack.enter_context(books.bulk())
        lock_layer(transaction, "portfolio")
        for waiting, thread in enumerate(threads, start=1):
            thread.start()
            wait_for_waiters(books, waiting)
    for thread in threads:
        thread.join()
    assert_equal_to_oracle(books)
    assert next_range(books) is None


def test_a_run_waits_for_a_symbol_publication_in_flight(books: Database) -> None:
    """Closes and betas must be of one publication, and they are read one after the other."""
    thread = threading.Thread(target=run_alone, args=(books.url, DAYS))
    with books.bulk() as transaction:
        lock_layer(transaction, "symbol")
        thread.start()
        wait_for_waiters(books, 1)
    thread.join()
    assert_equal_to_oracle(books)


def test_amounts_beyond_what_is_exact_are_an_error_and_change_nothing(done: Database) -> None:
    before = contents(done, PORTFOLIO_TABLES)
    number = portfolio_id(done, "late")
    execute(done, "UPDATE positions SET quantity = 1000000000000 WHERE portfolio_id = :number", number=number)
    execute(done, "UPDATE portfolios SET stale_from = :day WHERE portfolio_id = :number", day=DAYS[5], number=number)
    with pytest.raises(PublicationError, match=rf"too large to be exact.*{number}.*units of money are beyond"):
        run(done)
    after = contents(done, PORTFOLIO_TABLES)
    for table in (*ROW_TABLES, "snapshot_inputs", "publications"):
        assert after[table] == before[table]


def run_alone(url: str, sessions: Sequence[date]) -> None:
    database = Database(url)
    run(database, sessions)
    database.close()


def test_an_error_during_the_write_leaves_everything_as_it_was(done: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with done.begin() as connection:
        add_capital_flow(connection, portfolio_id(done, "mixed"), flow_date=DAYS[5], amount=Decimal(100))
    before = contents(done, PORTFOLIO_TABLES)

    def full(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(portfolio_publication, "record_consumed", full)
    with pytest.raises(OSError, match="No space left"):
        run(done)
    assert contents(done, PORTFOLIO_TABLES) == before
