"""Tests of whole runs: real processes from the first start to the last stop."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from sigmasight_assets.errors import ServiceError
from sigmasight_assets.services.dagster_probe import DagsterProbe
from sigmasight_assets.services.home import Home, write_atomically
from sigmasight_assets.services.locks import lock_holder
from sigmasight_assets.services.ports import free_port, is_free
from sigmasight_assets.services.postgres import EmbeddedPostgres
from sigmasight_assets.services.run import RUN_LOCK, run_detached, stop_run
from sigmasight_assets.settings import Settings
from tests.services.servers import running_pid

# A foreground run with small definitions and a small API; the second argument says what to do on the way.
PROGRAM = """
import sys, time
from pathlib import Path
import psycopg2
from sqlalchemy.engine import make_url
from sigmasight_assets.errors import ServiceError
from sigmasight_assets.services.postgres import EmbeddedPostgres
from sigmasight_assets.services.run import Credentials, run_foreground
from sigmasight_assets.settings import Settings

def migrate(url):
    psycopg2.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)).close()
    print("migrating", flush=True)
    if sys.argv[2] == "fail":
        raise ServiceError("the schema is from the future")
    if sys.argv[2] == "wait":
        time.sleep(600)

def prepare(stack):
    print("preparing", stack.api_url, "password" in repr(stack), flush=True)
    return Credentials(token="owner-token", admin="admin-token")

settings = Settings(home=Path(sys.argv[1]), database_url="", ui_port=int(sys.argv[3]), api_port=int(sys.argv[4]))
try:
    run_foreground(settings, migrate=migrate, prepare=prepare, module="small_definitions",
                   application="small_api:create_app")
except ServiceError as error:
    sys.exit(str(error))
"""

Command = Callable[[str], list[str]]


@pytest.fixture
def settings(open_directory: Path, small_modules: Path) -> Iterator[Settings]:
    assert small_modules.is_dir()
    settings = Settings(
        home=open_directory / "a run's home", database_url="", ui_port=free_port(), api_port=free_port()
    )
    # Where root would keep the database of a closed checkout: here instead of /var/lib.
    (open_directory / "run relocated").mkdir(mode=0o711, exist_ok=True)
    home = Home.at(settings.home)
    home.create()
    write_atomically(home.postgres / "relocated", str(open_directory / "run relocated"))
    yield settings
    stop_run(settings)


@pytest.fixture
def command(settings: Settings) -> Command:
    def command(manner: str) -> list[str]:
        ports = [str(settings.ui_port), str(settings.api_port)]
        return [sys.executable, "-c", PROGRAM, str(settings.home), manner, *ports]

    return command


def processes_of(settings: Settings) -> list[str]:
    """Command lines of everything that works for the home, the tests' own process aside."""
    found = []
    for process in psutil.process_iter():
        try:
            if str(settings.home) in " ".join([*process.cmdline(), *process.environ().values()]):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def is_healthy(graphql_url: str) -> bool:
    """Whether the daemon beats; the first question after a break may meet a connection that is gone."""
    try:
        return DagsterProbe(graphql_url).daemon_problem(since=0.0) is None
    except ServiceError:
        return False


def assert_nothing_is_left(settings: Settings) -> None:
    assert processes_of(settings) == []
    assert is_free(settings.ui_port)
    assert is_free(settings.api_port)
    home = Home.at(settings.home)
    assert lock_holder(home.run / RUN_LOCK) is None
    assert {path.name for path in home.run.iterdir()} <= {"workspace.yaml"}


def test_a_detached_run_is_ready_is_found_again_and_stops_without_a_trace(settings: Settings, command: Command) -> None:
    lines: list[str] = []
    run_detached(settings, command=command("work"), report=lines.append)
    ui, api = f"http://127.0.0.1:{settings.ui_port}", f"http://127.0.0.1:{settings.api_port}"
    ready = f"READY ui={ui} api={api} token=owner-token admin=admin-token"
    assert lines == [
        "Starting PostgreSQL",
        "migrating",
        "Starting Dagster and the API",
        f"preparing {api} False",
        ready,
    ]
    assert httpx.get(f"{ui}/server_info").status_code == 200
    assert httpx.get(f"{api}/health/live").text == "alive"

    again: list[str] = []
    run_detached(settings, command=command("work"), report=again.append)
    assert again == [
        f"Already running (process {lock_holder(settings.home / 'run' / RUN_LOCK)}); `make stop` ends it.",
        ready,
    ]
    foreground = subprocess.run(command("work"), capture_output=True, text=True, check=True)
    assert foreground.stdout.splitlines() == again

    # The database comes back by itself, and with it everything that uses it.
    server = EmbeddedPostgres(settings.home)
    killed = running_pid(server)
    os.kill(killed, signal.SIGKILL)
    while server.status().pid in {None, killed}:
        time.sleep(0.05)
    assert "PostgreSQL ended: restarting it" in (settings.home / "logs" / "run.log").read_text()
    while not is_healthy(f"{ui}/graphql"):
        time.sleep(0.2)

    assert stop_run(settings, report=lines.append)
    assert lines[-1] == "Stopped."
    assert_nothing_is_left(settings)
    assert not stop_run(settings, report=lines.append)
    assert lines[-1] == "Nothing was running."


def test_a_run_that_cannot_start_says_why_and_leaves_nothing(settings: Settings, command: Command) -> None:
    lines: list[str] = []
    with pytest.raises(ServiceError, match=r"The run ended before it was ready \(exit code 1\): see .*run\.log"):
        run_detached(settings, command=command("fail"), report=lines.append)
    assert lines == ["Starting PostgreSQL", "migrating", "the schema is from the future"]
    assert_nothing_is_left(settings)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_the_start_ends_everything(settings: Settings, command: Command, number: int) -> None:
    with subprocess.Popen(command("wait"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        while run.stdout.readline() != "migrating\n":
            assert run.poll() is None
        run.send_signal(number)
        assert run.wait() == 1
        assert run.stderr.read() == "Stopped before it was ready.\n"
    assert_nothing_is_left(settings)


@pytest.mark.fault(2)
def test_what_a_killed_run_leaves_is_stopped(settings: Settings, command: Command) -> None:
    with subprocess.Popen(command("wait"), stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        while run.stdout.readline() != "migrating\n":
            assert run.poll() is None
        with pytest.raises(ServiceError, match=rf"Another run of this home \(process {run.pid}\) is still starting"):
            run_detached(settings, command=command("work"))
        run.kill()
    assert processes_of(settings) != []
    assert stop_run(settings)
    assert_nothing_is_left(settings)


def test_a_taken_port_is_named_before_anything_starts(settings: Settings, command: Command) -> None:
    with psutil.Popen([sys.executable, "-m", "http.server", str(settings.ui_port), "--bind", "127.0.0.1"]) as server:
        while is_free(settings.ui_port):
            time.sleep(0.02)
        run = subprocess.run(command("work"), capture_output=True, text=True, check=False)
        server.kill()
    assert run.returncode == 1
    assert run.stdout == ""
    assert f"Port {settings.ui_port} is taken by" in run.stderr
    assert f"process {server.pid}" in run.stderr
    assert "set SIGMASIGHT_UI_PORT" in run.stderr
