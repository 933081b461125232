"""A running step tells that it is alive, and is never disturbed by that."""

import threading
import time
from collections.abc import Callable
from datetime import date

import pytest

from sigmasight_assets.errors import StorageError
from sigmasight_assets.storage import signs_of_life as module
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.operations import finish_batch, start_batch
from sigmasight_assets.storage.signs_of_life import record_sign_of_life, signs_of_life
from tests.orchestration.contents import execute, rows_of

RUN, KIND = "run", "symbol_prices"
AGE = "SELECT kind, now() - seen_at < interval '1 minute' AS is_fresh FROM batch_runs ORDER BY kind"


@pytest.fixture
def silent(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Two running steps that have been silent for an hour; signs of life come fast."""
    monkeypatch.setattr(module, "INTERVAL_SECONDS", 0.02)
    with database.begin() as connection:
        for kind in (KIND, "symbol_universe"):
            start_batch(connection, run_id=RUN, kind=kind, sessions=[date(2025, 6, 2)])
    execute(database, "UPDATE batch_runs SET seen_at = now() - interval '1 hour'")
    return database


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "waited for 30 s"
        time.sleep(0.01)


def is_fresh(database: Database) -> bool:
    return bool(rows_of(database, AGE)[0]["is_fresh"])


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("signs of life")]


def test_only_the_step_itself_is_kept_fresh_and_only_while_it_lasts(silent: Database) -> None:
    with signs_of_life(silent.url, run_id=RUN, kind=KIND):
        until(lambda: is_fresh(silent))
        assert threads() == [f"signs of life of {KIND}"]
    until(lambda: threads() == [])
    assert rows_of(silent, AGE)[1] == {"kind": "symbol_universe", "is_fresh": False}


def test_it_ends_with_a_step_that_fails(silent: Database) -> None:
    with pytest.raises(ValueError, match="broken"), signs_of_life(silent.url, run_id=RUN, kind=KIND):
        raise ValueError("broken")
    until(lambda: threads() == [])


def test_a_step_that_has_ended_gives_no_more_signs(silent: Database) -> None:
    with silent.begin() as connection:
        finish_batch(connection, run_id=RUN, kind=KIND, counts={})
    record_sign_of_life(silent.url, run_id=RUN, kind=KIND)
    assert not is_fresh(silent)


def test_a_database_that_is_away_for_a_while_is_tried_again(silent: Database) -> None:
    """Its table is away: every sign fails until it is back."""
    execute(silent, "ALTER TABLE batch_runs RENAME TO elsewhere")
    with pytest.raises(StorageError):
        record_sign_of_life(silent.url, run_id=RUN, kind=KIND)
    with signs_of_life(silent.url, run_id=RUN, kind=KIND):
        time.sleep(0.2)
        assert threads() == [f"signs of life of {KIND}"]
        execute(silent, "ALTER TABLE elsewhere RENAME TO batch_runs")
        until(lambda: is_fresh(silent))


def test_a_sign_does_not_wait_for_ever(silent: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_WAIT_MILLISECONDS", 50)
    with silent.begin() as connection:
        connection.exec_driver_sql("LOCK TABLE batch_runs IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StorageError, match="canceling statement due to statement timeout"):
            record_sign_of_life(silent.url, run_id=RUN, kind=KIND)


@pytest.mark.parametrize("url", ["postgresql+psycopg2://me:secret@127.0.0.1:9/nowhere"])
def test_the_step_goes_on_without_a_database(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with signs_of_life(url, run_id=RUN, kind=KIND):
        time.sleep(0.1)
    until(lambda: threads() == [])
    assert capsys.readouterr().err == ""
