"""Tests of the database handle: transactions whole or not at all, connections only while they are needed."""

import pytest
import sqlalchemy as sa

from sigmasight_assets.errors import StorageError
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.tables import symbol_universe
from tests.contents import contents

ADD = sa.insert(symbol_universe).values(symbol="AAA", name="A", asset_type="equity")


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
    handle = Database(database.url)
    count = f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{__name__}'"
    for _ in range(2):
        with handle.begin() as connection:
            connection.exec_driver_sql(f"SET application_name = '{__name__}'")
        handle.close()
    with database.begin() as connection:
        assert connection.exec_driver_sql(count).scalar_one() == 0


def test_bulk_transfer_and_statements_see_one_database(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(ADD)
    with database.bulk(read_only=True) as transaction:
        assert transaction.read("SELECT symbol FROM symbol_universe")["symbol"].to_pylist() == ["AAA"]
