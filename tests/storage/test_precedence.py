"""Runs that give way wait for those that take precedence, between their transactions and nowhere else."""

import threading
import time
from collections.abc import Callable
from contextlib import closing

import pytest
from sqlalchemy.engine import make_url

from sigmasight_assets.errors import StorageError
from sigmasight_assets.storage import precedence as module
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.precedence import precedence, wait_for_precedence
from tests.conftest import NewDatabase
from tests.orchestration.contents import rows_of

NOWHERE = "postgresql+psycopg2://me:secret@127.0.0.1:9/nowhere"
LOCKS = "SELECT mode FROM pg_locks WHERE locktype = 'advisory' AND objid = 7000"


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.01)


class Waiting:
    """A call in a thread, and whether it has returned."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._thread = threading.Thread(target=act, daemon=True)
        self._thread.start()

    def returns(self, *, within: float) -> bool:
        self._thread.join(within)
        return not self._thread.is_alive()


def write(database: Database) -> None:
    with database.bulk() as transaction:
        transaction.execute("SELECT 1")


def test_a_writer_that_gives_way_waits_until_the_last_with_precedence_has_ended(database: Database) -> None:
    with closing(Database(database.url, gives_way=True)) as giving:
        with precedence(database.url):
            with precedence(database.url):
                writer = Waiting(lambda: write(giving))
                assert not writer.returns(within=0.2)
            assert not writer.returns(within=0.2)
        assert writer.returns(within=30)


def test_precedence_is_never_waited_for(database: Database) -> None:
    """Also not while a slice is in flight."""
    with closing(Database(database.url, gives_way=True)) as giving, giving.bulk():
        taking = Waiting(lambda: precedence(database.url).__enter__())
        assert taking.returns(within=30)


def test_reading_and_other_writers_go_on(database: Database) -> None:
    with closing(Database(database.url, gives_way=True)) as giving, precedence(database.url):
        with giving.bulk(read_only=True) as transaction:
            assert transaction.read("SELECT 1 AS one")["one"].to_pylist() == [1]
        with giving.begin() as connection:
            assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1
        write(database)


def test_it_ends_with_its_block_whatever_happened(database: Database) -> None:
    def fail() -> None:
        with precedence(database.url):
            assert rows_of(database, LOCKS) == [{"mode": "ShareLock"}]
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    wait_for_precedence(database.engine)
    assert rows_of(database, LOCKS) == []


def test_one_whose_connection_is_lost_has_none(database: Database) -> None:
    """A killed worker, or a server that restarted."""
    with precedence(database.url):
        rows_of(
            database,
            "SELECT pg_terminate_backend(pid, 1000) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7000",
        )
        wait_for_precedence(database.engine)


def test_other_databases_of_the_server_are_not_concerned(database: Database, new_database: NewDatabase) -> None:
    with new_database("template1") as url:
        assert make_url(url).database != make_url(database.url).database
        with precedence(url):
            wait_for_precedence(database.engine)


def test_without_a_database_there_is_none_and_the_block_runs() -> None:
    began = time.monotonic()
    with precedence(NOWHERE):
        assert time.monotonic() - began < 60
    giving = Database(NOWHERE, gives_way=True)
    with pytest.raises(StorageError, match="does not answer"):
        write(giving)
