"""Runs taken together from their recorded steps."""

from datetime import date, timedelta

import pytest

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.recorded_runs import (
    PORTFOLIO_STEPS,
    RecordedRun,
    read_last_end,
    read_newest_ended,
    read_recorded_runs,
)
from tests.operations.ledger_rows import run_step
from tests.orchestration.contents import execute, rows_of

MON, TUE, WED, THU, FRI = (date(2025, 7, day) for day in range(21, 26))


def read(database: Database, **options: object) -> list[RecordedRun]:
    with database.begin() as connection:
        return read_recorded_runs(connection, **options)  # type: ignore[arg-type]


def ids(database: Database, **options: object) -> list[str]:
    return [run.run_id for run in read(database, **options)]


@pytest.fixture
def nights(database: Database) -> Database:
    """Two runs of the symbol layer that ended, one of the portfolio layer, and one under way."""
    run_step(database, "first", MON, TUE, kind="symbol_prices", ended_ago=60, counts={"vendor_calls": 2})
    run_step(database, "first", MON, TUE, kind="symbol_products", ended_ago=58, error="TUE failed")
    run_step(database, "second", WED, ended_ago=40)
    run_step(database, "books", WED, kind="portfolio_products", ended_ago=38)
    run_step(database, "third", THU, FRI, kind="symbol_universe", ended_ago=2)
    run_step(database, "third", THU, FRI, kind="symbol_prices", ended_ago=None)
    return database


def test_steps_are_taken_together_in_their_order(nights: Database) -> None:
    first = read(nights)[-1]
    assert (first.run_id, first.first_session, first.last_session) == ("first", MON, TUE)
    assert [(step.kind, step.status) for step in first.steps] == [
        ("symbol_prices", "succeeded"),
        ("symbol_products", "failed"),
    ]
    assert first.steps[0].counts == {"vendor_calls": 2}
    assert (first.status, first.error, first.layer, first.started_by) == ("failed", "TUE failed", "symbol", "manual")
    assert first.started_at == first.steps[0].started_at
    assert first.ended_at == first.steps[1].finished_at


def test_a_run_with_a_running_step_has_not_ended(nights: Database) -> None:
    third = read(nights)[0]
    assert (third.run_id, third.status, third.ended_at, third.error) == ("third", "running", None, None)


def test_a_step_that_was_never_ended_is_no_end(nights: Database) -> None:
    execute(nights, "UPDATE batch_runs SET status = 'failed' WHERE run_id = 'third' AND kind = 'symbol_prices'")
    assert (read(nights)[0].status, read(nights)[0].ended_at) == ("failed", None)


def test_runs_are_chosen(nights: Database) -> None:
    now = rows_of(nights, "SELECT clock_timestamp() AS now")[0]["now"]
    assert ids(nights) == ["third", "books", "second", "first"]
    assert ids(nights, limit=2) == ["third", "books"]
    assert ids(nights, since=WED) == ["third", "books", "second"]
    assert ids(nights, since=FRI) == ["third"]
    assert ids(nights, without=PORTFOLIO_STEPS) == ["third", "second", "first"]
    assert ids(nights, alive_at=now - timedelta(minutes=5)) == ["third"]
    assert ids(nights, alive_at=now + timedelta(minutes=1)) == []
    assert ids(nights, alive_at=now - timedelta(minutes=5), without=["symbol_prices"]) == []


@pytest.mark.parametrize(
    ("kind", "layer"),
    [("symbol_prices", "symbol"), ("portfolio_products", "portfolio"), ("onboarded_symbols", "onboarded_symbols")],
)
def test_the_layer_is_that_of_the_first_step(database: Database, kind: str, layer: str) -> None:
    run_step(database, "r1", MON, kind=kind)
    assert read(database)[0].layer == layer


def test_the_last_end(nights: Database) -> None:
    with nights.begin() as connection:
        last = read_last_end(connection, without=PORTFOLIO_STEPS)
        newest = read_newest_ended(connection, without=PORTFOLIO_STEPS)
    assert newest is not None
    assert newest.run_id == "second"
    assert last == read(nights)[0].steps[0].finished_at


def test_nothing_was_recorded(database: Database) -> None:
    with database.begin() as connection:
        assert read_recorded_runs(connection) == []
        assert read_last_end(connection) is None
        assert read_newest_ended(connection) is None
