"""Tests of what a backfill refuses before it starts anything, and of how it says it ended."""

import threading
from datetime import date
from decimal import Decimal

import pytest

from sigmasight_assets.commands.backfill_run import (
    BackfillOutcome,
    RunProgress,
    parts_of,
    print_outcome,
    requested_sessions,
    wait_for_gate,
)
from sigmasight_assets.commands.progress import Progress
from sigmasight_assets.errors import SessionError
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.settings import Settings
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.operations import finish_batch
from sigmasight_assets.storage.portfolios import create_portfolio
from tests.operations.ledger_rows import consume, publish, run_step
from tests.orchestration.contents import execute
from tests.webservers import webserver


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("SIGMASIGHT_NOW", "2025-07-31T20:59:00-04:00")
    monkeypatch.setenv("SIGMASIGHT_HISTORY_START", "2025-01-02")
    return Settings()


def test_sessions_of_the_range_are_taken_in_order(settings: Settings) -> None:
    sessions = requested_sessions(exchange_calendar(), settings, date(2025, 7, 3), date(2025, 7, 8))
    assert sessions == [date(2025, 7, 3), date(2025, 7, 7), date(2025, 7, 8)]


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        (date(2025, 7, 8), date(2025, 7, 3), "The range is reversed: --from 2025-07-08 is after --to 2025-07-03"),
        (date(2025, 7, 4), date(2025, 7, 6), "There is no session from 2025-07-04 to 2025-07-06"),
        (date(2025, 7, 30), date(2025, 7, 31), "2025-07-31 is not complete: a session is offered from 21:00 New York"),
        (date(2024, 12, 30), date(2025, 1, 6), "2024-12-30 is before SIGMASIGHT_HISTORY_START 2025-01-02"),
    ],
)
def test_a_range_that_cannot_be_run_is_refused(settings: Settings, first: date, last: date, message: str) -> None:
    with pytest.raises(SessionError, match=message):
        requested_sessions(exchange_calendar(), settings, first, last)


@pytest.mark.parametrize(("runs", "lengths"), [(1, [7]), (2, [3, 4]), (3, [2, 2, 3]), (7, [1] * 7), (20, [1] * 7)])
def test_a_range_is_cut_into_runs_that_follow_each_other(runs: int, lengths: list[int]) -> None:
    sessions = exchange_calendar().between(date(2025, 7, 1), date(2025, 7, 10))
    parts = parts_of(sessions, runs)
    assert [len(part) for part in parts] == lengths
    assert [day for part in parts for day in part] == sessions


@pytest.mark.parametrize(
    ("published", "status", "portfolio_failed", "code"),
    [
        (3, "SUCCESS", False, 0),
        (3, "SUCCESS", True, 3),
        (2, "FAILURE", False, 3),
        (0, "FAILURE", False, 1),
    ],
)
def test_exit_code_tells_done_gaps_and_nothing(
    *, published: int, status: str, portfolio_failed: bool, code: int
) -> None:
    outcome = BackfillOutcome(
        sessions=3,
        sessions_published=published,
        symbol_run_status=status,
        portfolio_layer_failed=portfolio_failed,
    )
    assert outcome.exit_code == code


def test_people_are_told_what_is_missing_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    gap = {"product": "market_beta", "reason": "no_data_from_source", "symbol_sessions": 2, "symbols": ["AOS"]}
    print_outcome(
        BackfillOutcome(
            sessions=2,
            sessions_published=1,
            symbol_run="r1",
            symbol_run_status="FAILURE",
            failure="symbol_products: 2025-07-08 coverage: [5 of 9]",
            portfolio_layer="snapshots are current",
            without_value=[gap],
        )
    )
    told = capsys.readouterr().out
    assert "1 of 2 sessions published" in told
    assert "without market_beta: no_data_from_source, 2 rows: AOS" in told
    assert "2025-07-08 coverage: [5 of 9]" in told


def test_a_run_that_only_our_own_records_know_is_waited_for(settings: Settings, database: Database) -> None:
    """Its step has consumed what there is and has not ended: the gate starts what was edited meanwhile after it."""
    day = date(2025, 7, 30)
    with database.begin() as connection:
        create_portfolio(connection, user="ann", name="main", equity=Decimal(100), as_of=day, lots=[])
    consume(database, publish(database, day), day)
    run_step(database, "r1", day, kind="portfolio_products", ended_ago=None)

    def end() -> None:
        execute(database, "UPDATE portfolios SET stale_from = NULL")
        with database.begin() as connection:
            finish_batch(connection, run_id="r1", kind="portfolio_products", counts={})

    later = threading.Timer(1.0, end)
    later.start()
    with webserver() as dagster:
        dagster.answer({"runsOrError": {"__typename": "Runs", "results": []}})
        decision = wait_for_gate(database, settings, dagster.client, lambda _: None)
    later.join()
    assert decision.reasons == ("snapshots are current up to 2025-07-30",)


def test_a_run_is_counted_by_what_it_has_stored(database: Database) -> None:
    """Prices by symbols, products and snapshots by sessions; what leaves no trace is not counted."""
    told: list[tuple[str, int, int, str]] = []

    class Recorder(Progress):
        def count(self, what: str, done: int, total: int, unit: str) -> None:
            told.append((what, done, total, unit))

    shown = RunProgress(database, Recorder(lambda _: None))
    first, last = date(2025, 7, 3), date(2025, 7, 8)
    execute(
        database,
        "INSERT INTO symbol_universe (symbol, name, asset_type, last_price_date) "
        "VALUES ('AAA', 'A', 'equity', '2025-07-08'), ('BBB', 'B', 'equity', NULL)",
    )
    shown.look("r1")
    for number, kind in enumerate(("company_profiles", "symbol_prices", "symbol_products", "portfolio_products")):
        run_step(database, f"r{number}", first, last, kind=kind, ended_ago=None)
        shown.look(f"r{number}")
    assert told == [
        ("symbol layer, prices", 1, 2, "symbols"),
        # The exchange is closed on the Fourth of July.
        ("symbol layer", 0, 3, "sessions"),
        ("portfolio layer", 0, 3, "sessions"),
    ]
