"""A migrated database for the API's tests, emptied before each, and the application served over TCP."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.engine import make_url

from sigmasight_api.app import create_app
from sigmasight_api.components import Components, Timing
from sigmasight_api.server import server as make_server
from sigmasight_api.settings import Settings
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.roles import API_ROLE, OPERATOR_ROLE, ROLES, set_password
from sigmasight_assets.storage.schema import migrate
from tests.api.market import NOW
from tests.conftest import ROLE_PASSWORD, NewDatabase
from tests.contents import clear

DEADLINE_SECONDS = 30.0
# Nothing listens on this port of loopback: requests to Dagster fail at once.
NO_DAGSTER = "http://127.0.0.1:9/graphql"


@dataclass(frozen=True)
class Api:
    """A running application: requests to it, and the parts it is made of."""

    app: FastAPI
    http: httpx.Client

    @property
    def components(self) -> Components:
        components: Components = self.app.state.components
        return components

    def refresh(self) -> None:
        self.components.cache.refresh()

    def get(self, path: str, token: str | None = None, **options: Any) -> httpx.Response:
        return self.http.get(path, headers=bearer(token), **options)

    def post(self, path: str, token: str | None = None, **options: Any) -> httpx.Response:
        return self.http.post(path, headers=bearer(token), **options)


class Serve(Protocol):
    """Starts applications; ready in the given mode when the block begins."""

    def __call__(
        self, *, timing: Timing | None = None, url: str | None = None, dagster: str = NO_DAGSTER, mode: str = "cache"
    ) -> AbstractContextManager[Api]: ...


@pytest.fixture(scope="session")
def migrated(new_database: NewDatabase) -> Iterator[Database]:
    """One migrated database for all tests of the API."""
    with new_database("template1") as url:
        migrate(url)
        database = Database(url)
        yield database
        database.close()


@pytest.fixture
def database(migrated: Database) -> Database:
    """That database without rows."""
    clear(migrated)
    return migrated


@pytest.fixture(scope="session")
def role_urls(migrated: Database) -> dict[str, str]:
    """The URLs of the API's roles on that database."""
    with migrated.begin() as connection:
        for role in ROLES:
            set_password(connection, role, ROLE_PASSWORD)
    own = make_url(migrated.url)
    return {
        role: own.set(username=role, password=ROLE_PASSWORD).render_as_string(hide_password=False) for role in ROLES
    }


@pytest.fixture(scope="session")
def serve(role_urls: dict[str, str]) -> Serve:
    """Serve the database of the tests with the rights of the API's roles, or the one of a URL with those of it."""

    @contextmanager
    def served(
        *, timing: Timing | None = None, url: str | None = None, dagster: str = NO_DAGSTER, mode: str = "cache"
    ) -> Iterator[Api]:
        own = {"database_url": role_urls[API_ROLE], "operator_database_url": role_urls[OPERATOR_ROLE]}
        settings = ({"database_url": url} if url else own) | {"dagster_graphql": dagster, "now": NOW}
        app = create_app(Settings.model_validate(settings), timing=timing)
        with listening(app) as base_url, httpx.Client(base_url=base_url, timeout=DEADLINE_SECONDS) as http:
            api = Api(app, http)
            wait_until(lambda: api.get("/health/ready").json().get("mode") == mode)
            yield api

    return served


@pytest.fixture(scope="session")
def running_api(serve: Serve) -> Iterator[Api]:
    """One application for the tests that need no other."""
    with serve() as api:
        yield api


@pytest.fixture
def api(running_api: Api, database: Database) -> Api:
    """That application on the emptied database; after publishing, a test calls ``refresh``."""
    assert database.url
    running_api.refresh()
    return running_api


@contextmanager
def listening(app: FastAPI, **options: Any) -> Iterator[str]:
    """Serve an application on a free port of loopback; gives its base URL. ``options`` are uvicorn's."""
    server = make_server(app, port=0, log_config=None, log_level="critical", **options)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        host, port = server.servers[0].sockets[0].getsockname()
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join()


def bearer(token: str | None) -> dict[str, str]:
    """The header that carries a token."""
    return {} if token is None else {"Authorization": f"Bearer {token}"}


def wait_until(condition: Callable[[], bool], *, seconds: float = DEADLINE_SECONDS) -> None:
    """Wait for what happens in another thread; fail when it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("waited in vain")
        time.sleep(0.005)
