"""Tests of the services of one machine: a real Dagster over small definitions."""

import os
import re
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from sigmasight_api.settings import load_settings
from sigmasight_assets.errors import ServiceError
from sigmasight_assets.services.home import Home
from sigmasight_assets.services.ports import free_port, is_free
from sigmasight_assets.services.processes import ProcessRecord, find_processes
from sigmasight_assets.services.stack import (
    CHECKOUT,
    DagsterServices,
    api_service,
    dagster_database_url,
    dagster_services,
    running_graphql_url,
    service_environment,
)
from sigmasight_assets.settings import Settings
from sigmasight_assets.settings import load_settings as load_asset_settings
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.operations import start_batch
from tests.conftest import NewDatabase
from tests.services.conftest import StartedDagster

DAGSTER_NAMES = ("dagster-code-server", "dagster-webserver", "dagster-daemon")


def record(home: Home, name: str) -> ProcessRecord:
    loaded = ProcessRecord.load(home.run / f"{name}.json")
    assert loaded is not None
    return loaded


class TestEnvironment:
    def test_dagster_has_its_schema_in_the_same_database(self, database_url: str) -> None:
        engine = create_engine(dagster_database_url(database_url))
        with engine.connect() as connection:
            assert connection.execute(text("show search_path")).scalar() == "dagster"
        engine.dispose()

    def test_other_options_of_the_url_stay(self) -> None:
        url = make_url(dagster_database_url("postgresql+psycopg2://u:p@h/d?sslmode=require&options=-cjit%3Doff"))
        assert dict(url.query) == {"sslmode": "require", "options": "-cjit=off -csearch_path=dagster"}
        assert url.password == "p"

    def test_children_get_the_same_settings_and_the_resolved_database(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("SIGMASIGHT_DEMO_SYMBOLS", "777")
        monkeypatch.setenv("SIGMASIGHT_OF_ANOTHER_PACKAGE", "kept")
        settings = Settings(home=Path("state"), demo_symbols=60, database_url="")
        environment = service_environment(settings, "postgresql+psycopg2://u:p@h/d", 4321)
        for name in list(os.environ):
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        child = Settings()
        assert child == settings.model_copy(
            update={"home": tmp_path / "state", "database_url": "postgresql+psycopg2://u:p@h/d"}
        )
        assert environment["SIGMASIGHT_OF_ANOTHER_PACKAGE"] == "kept"
        assert environment["SIGMASIGHT_DAGSTER_GRAPHQL"] == "http://127.0.0.1:4321/graphql"
        assert environment["DAGSTER_HOME"] == str(tmp_path / "state" / "dagster")


class TestRunningDagster:
    def test_it_is_known_to_other_commands_of_the_home_and_used_by_them(self, dagster: StartedDagster) -> None:
        assert dagster.services.is_running()
        address = dagster.services.graphql_url
        assert running_graphql_url(Home.at(dagster.settings.home)) == address
        with dagster_services(dagster.settings, dagster.database_url) as used:
            assert used == address
        assert dagster.services.is_running()

    def test_a_second_start_is_refused_and_the_first_goes_on(self, dagster: StartedDagster) -> None:
        second = DagsterServices(dagster.settings, dagster.database_url, ui_port=free_port())
        with pytest.raises(ServiceError, match=rf"running Dagster in this home \(process {os.getpid()}\)"):
            second.start()
        second.stop()
        assert dagster.services.is_running()

    def test_its_settings_are_those_of_the_checkout(self, dagster: StartedDagster) -> None:
        home = Home.at(dagster.settings.home)
        assert (home.dagster / "dagster.yaml").read_text() == (CHECKOUT / "dagster.yaml").read_text()

    def test_its_tables_are_in_its_schema_only(self, dagster: StartedDagster) -> None:
        engine = create_engine(dagster.database_url)
        with engine.connect() as connection:
            statement = "select distinct schemaname from pg_tables where tablename in ('runs', 'event_logs')"
            assert list(connection.execute(text(statement)).scalars()) == ["dagster"]
        engine.dispose()

    def test_the_password_is_on_no_command_line(self, dagster: StartedDagster) -> None:
        password = make_url(dagster.database_url).password
        assert password
        home = Home.at(dagster.settings.home)
        for name in DAGSTER_NAMES:
            for process in find_processes(record(home, name).owns):
                assert password not in " ".join(process.cmdline())

    @pytest.mark.fault(2)
    def test_a_killed_code_server_comes_back_at_the_same_place(self, dagster: StartedDagster) -> None:
        home = Home.at(dagster.settings.home)
        killed = record(home, "dagster-code-server")
        process = psutil.Process(killed.pid)
        process.kill()
        process.wait()
        dagster.services.check()
        assert record(home, "dagster-code-server").pid != killed.pid
        assert record(home, "dagster-code-server").is_alive()


class TestFailures:
    def test_definitions_that_cannot_be_imported_are_shown_and_nothing_is_left(
        self, home: Home, database_url: str
    ) -> None:
        settings = Settings(home=home.root, database_url="")
        port = free_port()
        services = DagsterServices(settings, database_url, ui_port=port, module="absent_definitions")
        with pytest.raises(ServiceError, match=r"(?s)dagster-code-server ended .*No module named 'absent_definitions'"):
            services.start()
        assert not services.is_running()
        assert is_free(port)
        assert [path.name for path in home.run.iterdir() if path.suffix in {".json", ".url"}] == []

    def test_a_database_that_is_away_is_named_without_its_password(self, home: Home) -> None:
        url = f"postgresql+psycopg2://u:hunter2@127.0.0.1:{free_port()}/d"
        services = DagsterServices(Settings(home=home.root, database_url=url), url, ui_port=free_port())
        with pytest.raises(ServiceError, match=re.escape("postgresql+psycopg2://u:***@127.0.0.1")) as failure:
            services.start()
        assert "hunter2" not in str(failure.value)


@pytest.mark.usefixtures("small_modules")
@pytest.mark.parametrize("is_shared", [False, True], ids=["embedded", "shared"])
@pytest.mark.fault(2)
def test_steps_that_a_killed_worker_left_running_are_ended_at_the_start(
    home: Home, new_database: NewDatabase, schema_template: str, is_shared: bool
) -> None:
    """In an embedded database no worker can be alive; in a shared one the signs of life tell."""
    with new_database(schema_template) as url, closing(Database(url)) as database:
        with database.begin() as connection:
            start_batch(connection, run_id="killed", kind="symbol_prices", sessions=[date(2025, 7, 31)])
        settings = Settings(home=home.root, database_url=url if is_shared else "")
        services = DagsterServices(settings, url, ui_port=free_port(), module="small_definitions")
        services.start()
        services.stop()
        with database.begin() as connection:
            (status,) = connection.execute(text("SELECT status FROM batch_runs")).scalars()
        assert status == ("running" if is_shared else "failed")


class TestTheApi:
    def test_it_finds_its_own_settings_and_no_secret_of_anybody_else(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("POLYGON_API_KEY", "polygon-key")
        monkeypatch.setenv("SIGMASIGHT_WEBHOOK_URL", "https://host/hook-token")
        monkeypatch.setenv("SIGMASIGHT_RETRY_MINUTES", "5")
        monkeypatch.setenv("OF_ANOTHER_PROGRAM", "kept")
        settings = Settings(
            home=Path("state"),
            database_url="postgresql://owner:owners-password@h/d",
            now=datetime(2025, 8, 1, 2, tzinfo=UTC),
            api_port=4322,
            ui_port=4321,
        )
        service = api_service(settings, "postgresql+psycopg2://a:1@h/d", operator_database_url="postgresql://o:2@h/d")
        assert not [value for value in service.environment.values() if re.search("owners-|polygon-|hook-", value)]
        for name in list(os.environ):
            monkeypatch.delenv(name)
        for name, value in service.environment.items():
            monkeypatch.setenv(name, value)
        found = load_settings()
        assert found.database_url == "postgresql+psycopg2://a:1@h/d"
        assert found.operator_database_url == "postgresql+psycopg2://o:2@h/d"
        assert (found.now, found.retry_minutes) == (settings.now, 5.0)
        assert str(found.dagster_graphql) == "http://127.0.0.1:4321/graphql"
        assert os.environ["OF_ANOTHER_PROGRAM"] == "kept"
        assert not [argument for argument in service.command if "@" in argument]

    def test_it_is_started_as_so_many_processes_with_the_replica_that_is_set(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("SIGMASIGHT_API_PROCESSES", "4")
        monkeypatch.setenv("SIGMASIGHT_READ_DATABASE_URL", "postgresql://o:replicas-password@replica/d")
        service = api_service(load_asset_settings(), "postgresql://o:p@h/d")
        assert service.command[-2:] == ("--processes", "4")
        assert (
            service.environment["SIGMASIGHT_READ_DATABASE_URL"] == "postgresql+psycopg2://o:replicas-password@replica/d"
        )
        assert not [argument for argument in service.command if "replica" in argument]

    def test_without_roles_of_its_own_it_has_one_for_everything(self) -> None:
        environment = api_service(Settings(database_url="postgresql://o:p@h/d"), "postgresql://o:p@h/d").environment
        assert environment["SIGMASIGHT_OPERATOR_DATABASE_URL"] == environment["SIGMASIGHT_DATABASE_URL"]
