"""Publication of the portfolio products against a plain roll-forward in decimals, and what is refused."""

import threading
from contextlib import ExitStack
from datetime import date
from decimal import Decimal

import pytest

from sigmasight_assets.errors import NotReadyError
from sigmasight_assets.orchestration import portfolio_figures, portfolio_publication, portfolio_slices
from sigmasight_assets.orchestration.portfolio_slices import PRODUCTS
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import add_capital_flow
from sigmasight_assets.storage.publications import lock_layer
from tests.orchestration.books import (
    ADJUSTED,
    CALL,
    DAYS,
    ENDED,
    EXPECTED_PORTFOLIOS,
    FADING,
    HALTING,
    LOST,
    MOVING,
    PUT,
    RUNNING,
    SPLIT_CALL,
    UNHELD,
    WAITING,
    enter_books,
    publish_symbols,
)
from tests.orchestration.contents import (
    PORTFOLIO_TABLES,
    contents,
    execute,
    published_generations,
    rows_of,
    wait_for_waiters,
)
from tests.orchestration.markets import UNKNOWN
from tests.orchestration.portfolio_runs import (
    assert_equal_to_oracle,
    content,
    forget_symbols,
    next_range,
    portfolio_id,
    run,
    run_alone,
    run_gate,
    violations,
)
from tests.orchestration.states import States


def test_range_equals_the_plain_roll_forward(books: Database) -> None:
    outcome = run(books)
    assert_equal_to_oracle(books)
    assert (outcome.published, outcome.failed) == (DAYS, [])
    assert outcome.portfolios == outcome.computed == len(EXPECTED_PORTFOLIOS)
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
    assert any(row["dividends"] > 0 for row in stored)
    assert any(row["dividends"] < 0 for row in stored)
    assert {row["provider_beta"] is None for row in stored} == {True, False}
    assert any(0 < (row["provider_beta_coverage"] or 0) < 1 for row in stored)


def test_the_books_hold_lots_of_every_class(done: Database) -> None:
    values = rows_of(done, "SELECT * FROM position_values JOIN positions USING (portfolio_id, position_id)")
    moving = {(row["split_numerator"], row["split_denominator"]) for row in values if row["symbol"] == MOVING}
    assert moving == {(8, 3), (2, 3), (1, 1)}
    assert any(row["split_numerator"] == 8 and row["status"] == "priced" for row in values)
    options = [row for row in values if row["investment_class"] == "OPTIONS"]
    assert {row["status"] for row in options} == {"priced", "stale", "unpriced"}
    private = [row for row in values if row["investment_class"] == "PRIVATE"]
    assert {row["status"] for row in private} == {"priced", "unpriced"}
    assert all(row["price_used"] is None for row in private)
    at_cost = {row["symbol"] for row in values if row["price_used"] is None and row not in private}
    assert at_cost == {UNKNOWN, FADING, LOST, ADJUSTED, ENDED}
    query = "SELECT missing_symbols FROM portfolio_snapshots JOIN portfolios USING (portfolio_id) "
    missing = rows_of(done, f"{query} WHERE name = 'options' AND session = :day", day=DAYS[-1])
    assert missing == [{"missing_symbols": sorted([RUNNING, LOST, ADJUSTED, ENDED, WAITING])}]


def test_the_books_hold_options_that_are_settled(done: Database) -> None:
    query = "SELECT * FROM option_expiries JOIN positions USING (portfolio_id, position_id) "
    settled = rows_of(done, query + "JOIN portfolios USING (portfolio_id)")
    assert {row["symbol"] for row in settled} == {CALL, PUT, SPLIT_CALL, UNHELD}
    worth = {(row["settlement_price"] > 0, row["quantity"] > 0) for row in settled}
    assert worth == {(True, True), (True, False), (False, True), (False, False)}
    assert {row["session"] for row in settled} == {date(2025, 5, 23), date(2025, 5, 30)}
    # One had ended before its portfolio began.
    assert {row["session"] < row["as_of"] for row in settled} == {True, False}
    assert {row["generation"] for row in settled} == {2}


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


def test_chunks_do_not_change_results(
    books: Database, states: States, calendar: SessionCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a symbol has come after the figures that all chunks share were read."""
    run(books)
    whole, ledger = content(books), rows_of(books, LEDGER)
    enter_books(states, calendar)
    monkeypatch.setattr(portfolio_slices, "CHUNK_CELLS", 3 * len(DAYS))
    with monkeypatch.context() as patch:
        patch.setattr(portfolio_figures, "read_priced_names", lambda _: [MOVING])
        outcome = run(books)
    assert (outcome.generation, outcome.published, outcome.computed) == (2, DAYS, len(EXPECTED_PORTFOLIOS))
    assert content(books) == whole
    assert rows_of(books, LEDGER) == ledger
    enter_books(states, calendar)
    run(books)
    assert content(books) == whole


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
    assert {(row["check_name"], row["passed"]) for row in judged} == {("ledger_identity", True), ("amounts_fit", True)}
    assert sorted(row["session"] for row in judged) == sorted([*DAYS, *DAYS])
    assert next_range(done) is None


@pytest.mark.fault(14)
def test_rerun_changes_nothing(done: Database) -> None:
    before = contents(done, PORTFOLIO_TABLES)
    outcome = run(done)
    assert (outcome.generation, outcome.changed, outcome.computed) == (None, 0, 0)
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


LEDGER = "SELECT session, products, rows_written, counts FROM publications WHERE layer = 'portfolio' ORDER BY session"


@pytest.mark.parametrize("cells", [1, 1_000_000], ids=["portfolio by portfolio", "in one chunk"])
def test_broken_identity_ends_the_range_before_the_session(
    books: Database, monkeypatch: pytest.MonkeyPatch, cells: int
) -> None:
    """Whatever of it was written before: of a wrong session no portfolio has snapshots."""
    with monkeypatch.context() as patch:
        patch.setattr(portfolio_slices, "CHUNK_CELLS", cells)
        patch.setattr(portfolio_slices, "identity_violations", violations(DAYS[3], 0, 2))
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
    monkeypatch.setattr(portfolio_slices, "identity_violations", violations(DAYS[5], 1))
    outcome = run(books)
    assert (outcome.published, outcome.failed) == (DAYS[:5], DAYS[5:])


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


def test_an_error_during_the_write_leaves_everything_as_it_was(done: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with done.begin() as connection:
        add_capital_flow(connection, portfolio_id(done, "mixed"), flow_date=DAYS[5], amount=Decimal(100))
    before = contents(done, PORTFOLIO_TABLES)

    def full(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(portfolio_slices, "record_consumed", full)
    with pytest.raises(OSError, match="No space left"):
        run(done)
    assert contents(done, PORTFOLIO_TABLES) == before
