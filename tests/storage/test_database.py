"""Tests of the database handle: transactions whole or not at all, connections only while they are needed."""

import time
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from sigmasight_assets.errors import StorageError
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.tables import symbol_universe
from tests.contents import contents

DEADLINE_SECONDS = 30.0
ADD = sa.insert(symbol_universe).values(symbol="AAA", name="A", asset_type="equity")


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for what the server does on its own; fail when it does not."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("waited in vain")
        time.sleep(0.005)


def test_a_transaction_is_kept_when_its_block_ends(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(ADD)
    assert [name for name, _ in contents(database)].count("symbol_universe") == 1


def test_a_transaction_is_undone_when_its_block_raises(database: Database) -> None:
    def fail() -> None:
        with database.begin() as connection:
            connection.execute(ADD)
            raise KeyError

    before = contents(database)
    with pytest.raises(KeyError):
        fail()
    assert contents(database) == before


def test_a_server_lost_within_a_transaction_is_told(database: Database) -> None:
    def lose() -> None:
        with database.begin() as connection:
            lost = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            connection.execute(ADD)
            with database.begin() as other:
                other.exec_driver_sql(f"SELECT pg_terminate_backend({lost}, 1000)")

    with pytest.raises(StorageError, match="does not answer"):
        lose()
    with database.begin() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(symbol_universe)).scalar_one() == 0


def test_nothing_connects_before_the_first_use() -> None:
    database = Database("postgresql+psycopg2://me@127.0.0.1:9/name")
    database.close()
    with pytest.raises(StorageError, match="does not answer"), database.begin():
        pass
    with pytest.raises(StorageError, match="does not answer"), database.bulk():
        pass


def test_a_closed_handle_leaves_no_connection_and_opens_again(database: Database) -> None:
    url = make_url(database.url).update_query_dict({"application_name": "one handle"})
    handle = Database(url.render_as_string(hide_password=False))
    query = "SELECT state FROM pg_stat_activity WHERE application_name = 'one handle'"

    def states() -> list[str]:
        with database.begin() as connection:
            return list(connection.exec_driver_sql(query).scalars())

    for _ in range(2):
        with handle.begin(), handle.bulk():
            pass
        # What stays open for the next use holds no transaction, so it stands in nobody's way.
        assert set(states()) == {"idle"}
        handle.close()
        wait_until(lambda: not states())


def test_bulk_transfer_and_statements_see_one_database(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(ADD)
    with database.bulk(read_only=True) as transaction:
        assert transaction.read("SELECT symbol FROM symbol_universe")["symbol"].to_pylist() == ["AAA"]
