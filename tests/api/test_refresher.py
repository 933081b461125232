"""Tests of keeping the view current: by notification, by polling, and after connections are lost."""

import itertools
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from sigmasight_api.cache import ViewCache
from sigmasight_api.loader import ViewLoader
from sigmasight_api.refresher import APPLICATION_NAME, Refresher
from sigmasight_assets.storage.database import Database
from tests.api.conftest import wait_until
from tests.api.market import SESSIONS, publish, random_figures

FOREVER = 600.0


@contextmanager
def refreshing(database: Database, *, poll_seconds: float = FOREVER) -> Iterator[tuple[ViewCache, Refresher]]:
    cache = ViewCache(ViewLoader(database))
    refresher = Refresher(cache, database.url, poll_seconds=poll_seconds, retry_seconds=0.05)
    refresher.start()
    try:
        yield cache, refresher
    finally:
        refresher.close()


def wait_for(cache: ViewCache, generation: int) -> None:
    wait_until(lambda: cache.current is not None and cache.current.generation == generation)


def listeners(database: Database) -> list[int]:
    query = sa.text(
        "SELECT pid FROM pg_stat_activity WHERE application_name = :name AND datname = current_database() "
        "AND query LIKE 'LISTEN%'"
    )
    with database.begin() as connection:
        return list(connection.execute(query, {"name": APPLICATION_NAME}).scalars())


def terminate(database: Database, pids: list[int]) -> None:
    with database.begin() as connection:
        for pid in pids:
            connection.execute(sa.select(sa.func.pg_terminate_backend(pid)))


def published(database: Database, seed: int, *, notify: bool) -> int:
    return publish(database, SESSIONS[-1], random_figures(["AAA"], seed), notify=notify)


def test_a_notification_brings_the_new_generation(database: Database) -> None:
    with refreshing(database) as (cache, _):
        wait_for(cache, 0)
        for seed in range(3):
            wait_for(cache, published(database, seed, notify=True))


@pytest.mark.fault(22)
def test_without_notifications_polling_finds_it(database: Database) -> None:
    with refreshing(database, poll_seconds=0.05) as (cache, _):
        wait_for(cache, 0)
        generation = published(database, 1, notify=False)
        wait_for(cache, generation)


@pytest.mark.fault(22)
def test_a_lost_listener_comes_back_and_reads_what_it_missed(database: Database) -> None:
    before = set(listeners(database))
    with refreshing(database) as (cache, refresher):
        wait_for(cache, 0)
        own = [pid for pid in listeners(database) if pid not in before]
        assert len(own) == 1
        missed = published(database, 1, notify=False)
        terminate(database, own)
        wait_for(cache, missed)
        wait_until(lambda: refresher.is_listening)
        announced = published(database, 2, notify=True)
        wait_for(cache, announced)


def test_a_load_that_failed_is_tried_again(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    published(database, 1, notify=True)
    with database.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE symbol_exclusions RENAME TO away")
    try:
        with refreshing(database) as (cache, refresher):
            wait_until(lambda: cache.readiness().mode == "db_fallback")
            assert refresher.is_listening
            with database.begin() as connection:
                connection.exec_driver_sql("ALTER TABLE away RENAME TO symbol_exclusions")
            wait_until(lambda: cache.readiness().mode == "cache")
    finally:
        with database.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE IF EXISTS away RENAME TO symbol_exclusions")
    assert "The market view was not refreshed" in caplog.text


def test_a_server_that_is_away_is_tried_again_until_the_end(caplog: pytest.LogCaptureFixture) -> None:
    database = Database("postgresql+psycopg2://nobody:secret@127.0.0.1:9/nothing")
    with refreshing(database) as (cache, refresher):
        wait_until(lambda: caplog.text.count("Cannot listen for new generations") >= 3)
        assert not refresher.is_listening
        assert cache.readiness().mode == "db_fallback"
    assert "secret" not in caplog.text


@pytest.mark.fault(22)
def test_pauses_grow_while_the_server_is_away(caplog: pytest.LogCaptureFixture) -> None:
    with refreshing(Database("postgresql+psycopg2://nobody:secret@127.0.0.1:9/nothing")):
        wait_until(lambda: caplog.text.count("Cannot listen for new generations") >= 5)
    tried = [item.created for item in caplog.records if item.message.startswith("Cannot listen")]
    pauses = [later - earlier for earlier, later in itertools.pairwise(tried)]
    assert all(pause >= 0.05 * 2**number for number, pause in enumerate(pauses[:4]))


def test_closing_ends_the_thread_and_its_connection(database: Database) -> None:
    before = set(listeners(database))
    with refreshing(database) as (cache, refresher):
        wait_for(cache, 0)
        own = [pid for pid in listeners(database) if pid not in before]
    assert not refresher.is_listening
    wait_until(lambda: not set(own) & set(listeners(database)))


def test_what_goes_wrong_while_it_waits_does_not_end_it(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As when no descriptor is free: nobody else would ever look for new generations."""
    wait, failures = Refresher._wait, list[OSError]()

    def fails_twice(refresher: Refresher, seconds: float, woken: socket.socket) -> None:
        if len(failures) < 2:
            failures.append(OSError(24, "Too many open files"))
            raise failures[-1]
        wait(refresher, seconds, woken)

    monkeypatch.setattr(Refresher, "_wait", fails_twice)
    with refreshing(database) as (cache, _):
        wait_until(lambda: len(failures) == 2)
        wait_for(cache, published(database, 1, notify=True))
    assert caplog.text.count("Cannot wait for new generations") == 2
