"""The replica that other tests read from follows its primary, refuses writes, and stands still when it is told to."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.roles import API_ROLE, set_password
from tests.conftest import ROLE_PASSWORD, NewDatabase
from tests.replica import Replica, streaming_replica


@pytest.fixture(scope="module")
def replica(postgres_url: str, open_directory: Path) -> Iterator[Replica]:
    with streaming_replica(postgres_url, open_directory) as running:
        yield running


@pytest.fixture
def pair(new_database: NewDatabase, schema_template: str, replica: Replica) -> Iterator[tuple[Database, Database]]:
    """A migrated database on the primary, and the same on the replica."""
    with new_database(schema_template) as url:
        replica.catch_up()
        name = make_url(url).database
        assert name is not None
        with closing(Database(url)) as primary, closing(Database(replica.url_of(name))) as copy:
            yield primary, copy


def names(database: Database) -> list[str]:
    with database.begin() as connection:
        return list(connection.execute(sa.text("SELECT name FROM users ORDER BY name")).scalars())


def add(database: Database, name: str) -> None:
    with database.begin() as connection:
        connection.execute(sa.text("INSERT INTO users (name) VALUES (:name)"), {"name": name})


def test_what_the_primary_commits_is_read_from_the_replica(pair: tuple[Database, Database], replica: Replica) -> None:
    primary, copy = pair
    add(primary, "ann")
    replica.catch_up()
    assert names(copy) == ["ann"]


def test_nothing_is_seen_while_replay_is_paused_and_everything_afterwards(
    pair: tuple[Database, Database], replica: Replica
) -> None:
    primary, copy = pair
    replica.catch_up()
    replica.pause()
    try:
        add(primary, "ann")
        add(primary, "bob")
        assert names(copy) == []
        assert replica.lag_bytes() > 0
    finally:
        replica.resume()
    replica.catch_up()
    assert names(copy) == ["ann", "bob"]


def test_the_replica_refuses_writes(pair: tuple[Database, Database]) -> None:
    _, copy = pair
    with pytest.raises(sa.exc.InternalError, match="read-only transaction"):
        add(copy, "ann")


@pytest.mark.usefixtures("role_passwords")
def test_roles_of_the_primary_are_let_in(pair: tuple[Database, Database], replica: Replica) -> None:
    primary, copy = pair
    with primary.begin() as connection:
        set_password(connection, API_ROLE, ROLE_PASSWORD)
    replica.catch_up()
    name = make_url(copy.url).database
    assert name is not None
    url = make_url(replica.url_as(API_ROLE, ROLE_PASSWORD)).set(database=name)
    with closing(Database(url.render_as_string(hide_password=False))) as restricted:
        assert names(restricted) == []
