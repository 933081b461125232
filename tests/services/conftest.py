"""Homes and servers of single tests; whatever a test leaves running is ended and checked."""

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sigmasight_assets.services.home import Home
from sigmasight_assets.services.ports import free_port
from sigmasight_assets.services.postgres import EmbeddedPostgres
from sigmasight_assets.services.stack import DagsterServices
from sigmasight_assets.settings import Settings
from tests.conftest import VOLATILE, NewDatabase
from tests.services.servers import query

DEFINITIONS = """
import time
import dagster as dg

@dg.op
def wait():
    time.sleep(600)

@dg.job(executor_def=dg.in_process_executor)
def waiting():
    wait()

defs = dg.Definitions(jobs=[waiting])
"""

API = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

def create_app():
    return Starlette(routes=[Route("/health/live", lambda request: PlainTextResponse("alive"))])
"""

MakeServer = Callable[..., EmbeddedPostgres]


@pytest.fixture
def passable_directory(open_directory: Path) -> Path:
    """A directory of one test that other users may pass through."""
    directory = Path(tempfile.mkdtemp(dir=open_directory))
    directory.chmod(0o711)
    return directory


@pytest.fixture
def home(passable_directory: Path) -> Home:
    """A home with its directories made."""
    home = Home.at(passable_directory / "home")
    home.create()
    return home


@pytest.fixture
def make_server(passable_directory: Path) -> Iterator[MakeServer]:
    """Makes servers for homes; they are stopped after the test."""
    servers = []

    def make(home: Path, **options: str) -> EmbeddedPostgres:
        server = EmbeddedPostgres(
            home, relocation_root=passable_directory / "relocated", options={**VOLATILE, **options}
        )
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def as_root() -> None:
    """For tests of what root has to do differently."""
    if os.geteuid() != 0:
        pytest.skip("only root runs programs as another user")


@pytest.fixture(scope="session")
def server_home(open_directory: Path) -> Iterator[Path]:
    """The home of one server with one committed row; its settings are those of real use."""
    home = open_directory / "one server"
    server = EmbeddedPostgres(home, relocation_root=open_directory / "relocated")
    server.start()
    query(server, "create table kept as select 42 as answer")
    yield home
    server.stop()


@pytest.fixture
def server(server_home: Path, open_directory: Path) -> EmbeddedPostgres:
    """That server, running."""
    server = EmbeddedPostgres(server_home, relocation_root=open_directory / "relocated")
    server.start()
    return server


@dataclass(frozen=True)
class StartedDagster:
    """Dagster services of one home over small definitions, and their parts."""

    services: DagsterServices
    settings: Settings
    database_url: str


@pytest.fixture(scope="session")
def small_modules(open_directory: Path) -> Iterator[Path]:
    """A directory of two modules that child processes can import: small definitions and a small API."""
    directory = open_directory / "modules"
    directory.mkdir()
    (directory / "small_definitions.py").write_text(DEFINITIONS)
    (directory / "small_api.py").write_text(API)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("PYTHONPATH", str(directory))
        yield directory


@pytest.fixture(scope="session")
def dagster(open_directory: Path, small_modules: Path, new_database: NewDatabase) -> Iterator[StartedDagster]:
    """Real code server, webserver and daemon for the tests that need a running Dagster."""
    assert small_modules.is_dir()
    settings = Settings(home=open_directory / "dagster home", database_url="")
    with new_database("template1") as url:
        services = DagsterServices(settings, url, ui_port=free_port(), module="small_definitions")
        services.start()
        yield StartedDagster(services, settings, url)
        services.stop()
