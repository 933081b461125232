"""The services of one machine: Dagster's code server, webserver and daemon, and the API.

Each is an ordinary program on loopback. The database password reaches them by environment only, because command
lines are readable by every user of a machine.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import httpx
import psycopg2
from sqlalchemy.engine import make_url

from sigmasight_assets.errors import ServiceError, StorageError
from sigmasight_assets.services.dagster_probe import DagsterProbe
from sigmasight_assets.services.home import Home, read_text, write_atomically
from sigmasight_assets.services.locks import file_lock, lock_holder
from sigmasight_assets.services.ports import LOOPBACK, accepts, free_port, require_free_ports
from sigmasight_assets.services.processes import end_recorded, signals_deferred
from sigmasight_assets.services.supervisor import Report, Service, Supervisor
from sigmasight_assets.settings import PREFIX, Settings
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.engine import libpq_settings
from sigmasight_assets.storage.step_lives import end_lost_steps

LOCATION = "sigmasight"
DEFINITIONS_MODULE = "sigmasight_assets.definitions"
API_SERVER = "sigmasight_api.server"
API_APPLICATION = "sigmasight_api.app:create_app"
DAGSTER_SCHEMA = "dagster"
CHECKOUT = Path(__file__).resolve().parents[2]
# In the order in which they end, whoever started them.
SERVICE_NAMES = ("api", "dagster-daemon", "dagster-webserver", "dagster-code-server")
# A run under way writes its interruption down before its worker ends: measured 8 s on two busy cores.
STOP_SECONDS = 20.0
DAGSTER_LOCK = "dagster.lock"


def dagster_database_url(database_url: str) -> str:
    """The same database with Dagster's own schema as the place of its tables."""
    url = make_url(database_url)
    options = " ".join([*_as_list(url.query.get("options")), f"-csearch_path={DAGSTER_SCHEMA}"])
    return url.update_query_dict({"options": options}).render_as_string(hide_password=False)


def service_environment(settings: Settings, database_url: str, ui_port: int) -> dict[str, str]:
    """What every service finds in its environment: this command's, its settings, and the resolved database.

    The settings are passed on as they are here, so that a child with another ``.env`` cannot differ.
    """
    home = Home.at(settings.home)
    names = {field: f"{PREFIX}{field.upper()}" for field in Settings.model_fields}
    inherited = {name: value for name, value in os.environ.items() if name not in names.values()}
    own = {names[field]: str(value) for field, value in settings.model_dump(mode="json", exclude_none=True).items()}
    return (
        inherited
        | own
        | {
            "SIGMASIGHT_HOME": str(home.root),
            "SIGMASIGHT_DATABASE_URL": database_url,
            "SIGMASIGHT_DAGSTER_URL": dagster_database_url(database_url),
            "SIGMASIGHT_DAGSTER_GRAPHQL": _graphql_url(ui_port),
            "DAGSTER_HOME": str(home.dagster),
            # Events written one by one make a range run ten times slower (21 s against 2.1 s).
            "DAGSTER_EVENT_BATCH_SIZE": "100",
            # Two threads on shared cores ran five to seven times slower than one.
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
        }
    )


class DagsterServices:
    """Code server, webserver and daemon of one home, for ``make run`` and for a single command alike."""

    def __init__(
        self,
        settings: Settings,
        database_url: str,
        *,
        ui_port: int,
        report: Report = print,
        module: str = DEFINITIONS_MODULE,
    ) -> None:
        """``module`` holds the definitions; ``report`` gets a line for whatever people should know."""
        self._settings = settings
        self._database_url = database_url
        self._ui_port = ui_port
        self._report = report
        self._module = module
        self._home = Home.at(settings.home)
        self._supervisor = Supervisor(self._home, report=report)
        self._held = ExitStack()

    @property
    def ui_url(self) -> str:
        """Address of the Dagster UI."""
        return f"http://{LOOPBACK}:{self._ui_port}"

    @property
    def graphql_url(self) -> str:
        """Address of the webserver's GraphQL interface."""
        return _graphql_url(self._ui_port)

    def is_running(self) -> bool:
        """Whether Dagster services of this home are up, whichever command started them."""
        return running_graphql_url(self._home) is not None

    def start(self) -> None:
        """Start the three services and return when runs can be launched; ``ServiceError`` otherwise, nothing left."""
        self._home.create()
        self._held.enter_context(file_lock(self._home.run / DAGSTER_LOCK, purpose="running Dagster in this home"))
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def check(self) -> None:
        """Restart a service that died; ``ServiceError`` when one keeps dying."""
        self._supervisor.check()

    def stop(self) -> None:
        """End daemon, webserver and code server, in this order; runs under way are interrupted and say so.

        A second Ctrl-C waits until this is done.
        """
        with signals_deferred(), self._held:
            self._supervisor.stop()

    def _start(self) -> None:
        began = time.time()
        end_leftovers(self._home)
        self._held.callback(_address_file(self._home).unlink, missing_ok=True)
        _address_file(self._home).unlink(missing_ok=True)
        require_free_ports({"SIGMASIGHT_UI_PORT": self._ui_port})
        _create_schema(self._database_url)
        write_instance_settings(self._settings)
        code_port = free_port()
        workspace = self._home.run / "workspace.yaml"
        workspace.write_text(_workspace(code_port), encoding="utf-8")
        self._supervisor.start(self._code_server(code_port))
        self._supervisor.start(self._webserver(workspace), self._daemon(workspace, began))
        if not self._settings.database_url:
            self._end_earlier_runs(began)
        write_atomically(_address_file(self._home), self.graphql_url)

    def _end_earlier_runs(self, began: float) -> None:
        """End runs of services that were killed at once, without waiting for their signs of life.

        Only in the embedded database, which is this home's alone and whose workers have all ended: a shared one may
        have workers elsewhere, and the sensor ``lost_runs`` tells which of them are alive.
        """
        # A database without tables has nothing to end.
        database = Database(self._database_url)
        with closing(database), suppress(StorageError), database.begin() as connection:
            end_lost_steps(connection)
        canceled = DagsterProbe(self.graphql_url).cancel_unfinished(began)
        if canceled:
            self._report(f"Ended {len(canceled)} runs that an earlier stop left unfinished: {', '.join(canceled)}")

    def _code_server(self, port: int) -> Service:
        arguments = ("api", "grpc", "--module-name", self._module, "--host", LOOPBACK, "--port", str(port))

        def ready() -> str | None:
            return None if accepts(port) else "the code location is being imported"

        # Without the entry point flag runs would be started by a `dagster` found on PATH.
        flags = ("--location-name", LOCATION, "--use-python-environment-entry-point")
        return self._service("dagster-code-server", ("dagster", *arguments, *flags), ready)

    def _webserver(self, workspace: Path) -> Service:
        arguments = ("dagster_webserver", "-h", LOOPBACK, "-p", str(self._ui_port), "-w", str(workspace))
        # It does not look whether a pooled connection still lives: after a restart of the database a launch would fail.
        recycling = ("--db-pool-recycle", "1")

        def ready() -> str | None:
            if not answers(f"{self.ui_url}/server_info"):
                return "it does not answer"
            return DagsterProbe(self.graphql_url).location_problem(LOCATION)

        return self._service("dagster-webserver", (*arguments, *recycling), ready)

    def _daemon(self, workspace: Path, began: float) -> Service:
        def ready() -> str | None:
            return DagsterProbe(self.graphql_url).daemon_problem(began)

        return self._service("dagster-daemon", ("dagster._daemon", "run", "-w", str(workspace)), ready)

    def _service(self, name: str, arguments: tuple[str, ...], ready: Callable[[], str | None]) -> Service:
        environment = service_environment(self._settings, self._database_url, self._ui_port)
        return Service(name, (sys.executable, "-m", *arguments), environment, ready, stop_seconds=STOP_SECONDS)


@contextmanager
def dagster_services(
    settings: Settings, database_url: str, *, report: Report = print, module: str = DEFINITIONS_MODULE
) -> Iterator[str]:
    """The GraphQL address of this home's Dagster: the one that runs, else one on a free port for the block."""
    running = running_graphql_url(Home.at(settings.home))
    if running is not None:
        yield running
        return
    services = DagsterServices(settings, database_url, ui_port=free_port(), report=report, module=module)
    services.start()
    try:
        yield services.graphql_url
    finally:
        services.stop()


def running_graphql_url(home: Home) -> str | None:
    """Address of the webserver that serves this home now; ``None`` when there is none or it is not ready yet."""
    address = read_text(_address_file(home))
    if address is None or lock_holder(home.run / DAGSTER_LOCK) is None:
        return None
    return address if answers(address.replace("/graphql", "/server_info")) else None


def api_service(
    settings: Settings, database_url: str, application: str = API_APPLICATION, *, operator_database_url: str = ""
) -> Service:
    """The API; one process is ready as soon as it answers, several are when the first has loaded its view."""
    port, processes = str(settings.api_port), str(settings.api_processes)

    def ready() -> str | None:
        return None if answers(f"http://{LOOPBACK}:{port}/health/live") else "it does not answer"

    return Service(
        "api",
        (sys.executable, "-m", API_SERVER, application, "--port", port, "--processes", processes),
        api_environment(settings, database_url, operator_database_url or database_url),
        ready,
        stop_seconds=STOP_SECONDS,
    )


def api_environment(settings: Settings, database_url: str, operator_database_url: str) -> dict[str, str]:
    """What the API finds in its environment: every setting, but no secret of anybody else."""
    everything = service_environment(settings, database_url, settings.ui_port)
    fields = {name: field for name, field in Settings.model_fields.items() if not field.repr}
    secrets = {"SIGMASIGHT_DAGSTER_URL", *(f"{PREFIX}{name.upper()}" for name in fields)}
    secrets |= {str(field.validation_alias) for field in fields.values()}
    own = {"SIGMASIGHT_DATABASE_URL": database_url, "SIGMASIGHT_OPERATOR_DATABASE_URL": operator_database_url}
    if settings.read_database_url:
        own["SIGMASIGHT_READ_DATABASE_URL"] = settings.read_database_url
    return {name: value for name, value in everything.items() if name not in secrets} | own


def end_leftovers(home: Home) -> bool:
    """End services that a killed command left running; whether there were any."""
    found = [end_recorded(home, name, stop_seconds=STOP_SECONDS) for name in SERVICE_NAMES]
    return any(found)


def answers(url: str) -> bool:
    """Whether an HTTP GET gives status 200 within two seconds."""
    try:
        return httpx.get(url, timeout=2.0, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _create_schema(database_url: str) -> None:
    url = make_url(database_url)
    try:
        connection = psycopg2.connect(**libpq_settings(database_url))
    except psycopg2.OperationalError as error:
        raise ServiceError(f"The database at {url.render_as_string()} does not answer: {error}") from error
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("select 1 from pg_namespace where nspname = %s", (DAGSTER_SCHEMA,))
            if cursor.fetchone() is None:
                cursor.execute(f'create schema "{DAGSTER_SCHEMA}"')
    except psycopg2.Error as error:
        raise ServiceError(f"Cannot create the schema {DAGSTER_SCHEMA}: {error}") from error
    finally:
        connection.close()


def write_instance_settings(settings: Settings) -> None:
    """Put the instance file that the settings name into ``DAGSTER_HOME``; ``ServiceError`` when it cannot be read."""
    source = CHECKOUT / "dagster.yaml"
    if settings.dagster_config is not None:
        source = settings.dagster_config.expanduser().resolve()
    try:
        text = source.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        if settings.dagster_config is None:
            raise ServiceError(f"{source} is missing: SigmaSight runs from its checkout.") from error
        raise ServiceError(f"SIGMASIGHT_DAGSTER_CONFIG: {source} cannot be read: {reason}") from error
    write_atomically(Home.at(settings.home).dagster / "dagster.yaml", text)


def _workspace(code_port: int) -> str:
    return (
        "load_from:\n"
        "  - grpc_server:\n"
        f"      host: {LOOPBACK}\n"
        f"      port: {code_port}\n"
        f"      location_name: {LOCATION}\n"
    )


def _graphql_url(ui_port: int) -> str:
    return f"http://{LOOPBACK}:{ui_port}/graphql"


def _address_file(home: Home) -> Path:
    return home.run / "dagster.url"


def _as_list(value: str | tuple[str, ...] | None) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)
