"""The services of all scenarios, and the run that each scenario is compared with."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import Any, Protocol

import httpx
import pytest

from sigmasight_assets.orchestration.jobs import PORTFOLIO_LAYER
from sigmasight_assets.runs import INPUT_HASH_TAG, DagsterClient
from sigmasight_assets.services import supervisor
from sigmasight_assets.services.home import Home
from sigmasight_assets.services.ports import free_port
from sigmasight_assets.services.stack import CHECKOUT, DagsterServices, api_service
from sigmasight_assets.services.supervisor import Supervisor
from sigmasight_assets.settings import Settings
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.tokens import create_token
from tests.conftest import NewDatabase
from tests.e2e.stack import Stack
from tests.e2e.world import HISTORY_START, OWNER, PUBLISHED, enter_books, publish, undisturbed
from tests.faults.soak_invariants import broken
from tests.night_contents import differences, results
from tests.nights import MIN_COVERAGE
from tests.orchestration.states import States

# Seconds by scenario, told at the end and not judged: from publication to the begin of the portfolio run, and from the
# request of a symbol to its publication.
LATENCIES: dict[str, list[float]] = {}
ONBOARDINGS: dict[str, list[float]] = {}


class Compare(Protocol):
    """Fails unless the tables are those of one backfill of the sessions, and nothing but this is failed right now."""

    def __call__(self, sessions: Sequence[date], *, failed: Sequence[tuple[str, str]] = ()) -> None: ...


@pytest.fixture(scope="package")
def services(
    new_database: NewDatabase, schema_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """The services, in a directory of their own."""
    directory = tmp_path_factory.mktemp("services")
    with new_database(schema_template) as url, running_stack(directory, url) as stack:
        yield stack


@contextmanager
def running_stack(
    directory: Path,
    url: str,
    *,
    module: str = "tests.e2e.definitions",
    settings: Mapping[str, Any] = MappingProxyType({}),
    published: bool = True,
) -> Iterator[Stack]:
    """The services on a migrated database for the block, in which ``directory`` is the working directory.

    ``settings`` are added to those of the scenarios; without ``published`` there is only the state with the books.
    """
    with pytest.MonkeyPatch.context() as patch:
        _surround(patch, directory)
        database = Database(url)
        stack = _stack(directory, url, database, module, settings)
        try:
            _make_states(stack, published=published)
            stack.services.start()
            stack.stop_schedule()
            yield stack
        finally:
            stack.services.stop()
            database.close()


@pytest.fixture
def stack(services: Stack, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The services at the end of the last published evening, when everything is current and nothing runs."""
    services.begin("published", PUBLISHED[-1])
    yield services
    LATENCIES[request.node.name] = services.latencies()
    ONBOARDINGS[request.node.name] = services.onboarding_seconds()


@pytest.fixture
def api(stack: Stack) -> Iterator[httpx.Client]:
    """The API beside the services, asked by an owner."""
    supervisor = Supervisor(stack.home, report=lambda _: None)
    with stack.database.begin() as connection:
        token = create_token(connection, OWNER)
    try:
        supervisor.start(api_service(stack.settings, stack.database.url))
        address, headers = f"http://127.0.0.1:{stack.settings.api_port}", {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=address, headers=headers, timeout=10, trust_env=False) as client:
            yield client
    finally:
        supervisor.stop()


@pytest.fixture
def compare(stack: Stack, new_database: NewDatabase, schema_template: str) -> Compare:
    """A comparison of the tables with those of an undisturbed run."""

    return comparison(stack, new_database, schema_template)


def comparison(stack: Stack, new_database: NewDatabase, schema_template: str) -> Compare:
    """Compares the tables of services with those of a run without any, on a database of its own."""

    def compared(sessions: Sequence[date], *, failed: Sequence[tuple[str, str]] = ()) -> None:
        stack.settle()
        done = [run for run in stack.runs(PORTFOLIO_LAYER) if run.status == "SUCCESS"]
        inputs = [run.tags[INPUT_HASH_TAG] for run in done]
        assert len(inputs) == len(set(inputs)), "the same inputs were computed twice"
        with new_database(schema_template) as url, closing(Database(url)) as other:
            undisturbed(other, stack.database, stack.script, sessions)
            assert differences(results(stack.database), results(other)) == []
            assert broken(stack.database) == []
            assert stack.failures() == list(failed)

    return compared


def _surround(patch: pytest.MonkeyPatch, directory: Path) -> None:
    for name in [name for name in os.environ if name.startswith("SIGMASIGHT_")]:
        patch.delenv(name)
    patch.chdir(directory)
    patch.setenv("PYTHONPATH", str(CHECKOUT))
    # Scenarios kill the same service more often than a service may die by itself.
    patch.setattr(supervisor, "MOST_RESTARTS", 100)


def _stack(directory: Path, url: str, database: Database, module: str, changes: Mapping[str, Any]) -> Stack:
    settings = Settings(
        home=directory / "home",
        history_start=HISTORY_START,
        min_coverage=MIN_COVERAGE,
        retry_minutes=0.2,
        api_port=free_port(),
        ui_port=free_port(),
        database_url=url,
        **changes,
    )
    services = DagsterServices(settings, url, ui_port=settings.ui_port, module=module)
    return Stack(
        services=services,
        settings=settings,
        home=Home.at(settings.home),
        directory=directory,
        database=database,
        states=States(database),
        client=DagsterClient(services.graphql_url),
    )


def _make_states(stack: Stack, *, published: bool) -> None:
    stack.set_clock(PUBLISHED[-1])
    stack.states.enter("books", lambda database: enter_books(database, stack.script))

    def fill(database: Database) -> None:
        enter_books(database, stack.script)
        publish(database, stack.script, PUBLISHED)

    if published:
        stack.states.enter("published", fill)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell how long the gate and the onboarding took."""
    for title, measured in (
        ("seconds from symbol publication to portfolio run", LATENCIES),
        ("seconds from request to publication of a new symbol", ONBOARDINGS),
    ):
        every = [item for seconds in measured.values() for item in seconds]
        if every:
            terminalreporter.section(title)
            for name, seconds in measured.items():
                terminalreporter.write_line(f"{name}: {', '.join(f'{item:.1f}' for item in seconds) or 'none'}")
            terminalreporter.write_line(f"median {median(every):.1f}, largest {max(every):.1f}, {len(every)} in all")
