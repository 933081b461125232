"""The fixtures of the campaign's own tests: a night to copy, and services, with database servers of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sigmasight_assets.storage.database import Database
from tests.conftest import NewDatabase
from tests.e2e.conftest import Compare, comparison, running_stack
from tests.e2e.stack import Stack
from tests.e2e.world import PUBLISHED
from tests.faults.nights import Night, make_night
from tests.faults.own_server import OwnServer, own_server


@pytest.fixture(scope="session")
def night(new_database: NewDatabase, schema_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """The evening before a night of 200 symbols, on the server of all tests."""
    with new_database(schema_template) as url:
        yield make_night(tmp_path_factory.mktemp("night"), new_database, Database(url))


@pytest.fixture(scope="package")
def server(open_directory: Path) -> Iterator[OwnServer]:
    """A server that tests may end."""
    with own_server(open_directory) as started:
        yield started


@pytest.fixture(scope="package")
def own_night(server: OwnServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """That evening on the server that tests may end."""
    with server.migrated() as url:
        yield make_night(tmp_path_factory.mktemp("own night"), server.new_database, Database(url))


@pytest.fixture(scope="module")
def services(server: OwnServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Code server, webserver and daemon on that server, with the times that are shipped."""
    with (
        server.migrated() as url,
        running_stack(tmp_path_factory.mktemp("services"), url, module="tests.faults.definitions") as stack,
    ):
        yield stack


@pytest.fixture
def stack(services: Stack) -> Stack:
    """The services at the end of the last published evening, when everything is current and nothing runs."""
    services.begin("published", PUBLISHED[-1])
    return services


@pytest.fixture
def compare(stack: Stack, new_database: NewDatabase, schema_template: str) -> Compare:
    """A comparison of the tables with those of an undisturbed run."""
    return comparison(stack, new_database, schema_template)
