"""Statements of a transaction have so much time together, however fast each of them is."""

import pytest
import sqlalchemy as sa

from sigmasight_assets.errors import StorageError, TransientStorageError
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.deadline import Deadline

QUICK, SLOW, ENDLESS = (sa.text(f"SELECT pg_sleep({seconds})::text") for seconds in (0, 0.3, 300))


def execute(database: Database, deadline: Deadline, *statements: sa.TextClause) -> None:
    """All of them in one transaction."""
    with database.begin() as connection:
        for statement in statements:
            deadline.bound(connection)
            connection.execute(statement)


def test_what_is_left_is_what_a_statement_may_take(database: Database) -> None:
    with pytest.raises(StorageError, match="statement timeout"):
        execute(database, Deadline.within(1.0), ENDLESS)


def test_many_quick_ones_use_it_up(database: Database) -> None:
    with pytest.raises(StorageError):
        execute(database, Deadline.within(1.0), *[SLOW] * 10)
    execute(database, Deadline.within(60.0), *[SLOW] * 4)


def test_none_begins_when_nothing_is_left(database: Database) -> None:
    with pytest.raises(TransientStorageError, match="not done within 0 s"):
        execute(database, Deadline.within(0.0), QUICK)


def test_the_next_transaction_is_as_before(database: Database) -> None:
    with database.begin() as connection:
        before = connection.execute(sa.text("SHOW statement_timeout")).scalar_one()
    with database.begin() as connection:
        Deadline.within(60.0).bound(connection)
        connection.execute(QUICK)
        assert connection.execute(sa.text("SHOW statement_timeout")).scalar_one() != before
    with database.begin() as connection:
        assert connection.execute(sa.text("SHOW statement_timeout")).scalar_one() == before
