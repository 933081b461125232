"""One run of everything on one machine: start in order, say READY, keep it up, stop in reverse.

What is started is in ``stack`` and ``postgres``. Migrations and demo data come from the caller as functions, so this
module knows no tables and no Dagster.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

from sigmasight_assets.errors import ServiceError, StoppedError
from sigmasight_assets.services.home import Home, read_text, write_atomically
from sigmasight_assets.services.locks import file_lock, lock_holder
from sigmasight_assets.services.ports import LOOPBACK, require_free_ports
from sigmasight_assets.services.postgres import EmbeddedPostgres
from sigmasight_assets.services.processes import (
    ProcessRecord,
    end_processes,
    exit_code,
    log_position,
    spawn,
    wait_gone,
)
from sigmasight_assets.services.stack import (
    API_APPLICATION,
    DAGSTER_LOCK,
    DEFINITIONS_MODULE,
    DagsterServices,
    api_service,
    end_leftovers,
)
from sigmasight_assets.services.supervisor import Report, RestartBudget, Supervisor
from sigmasight_assets.settings import Settings
from sigmasight_assets.storage.roles import API_ROLE, OPERATOR_ROLE

RUN_LOCK = "run.lock"
READY_FILE = "ready"
READY_WORD = "READY "
CHECK_SECONDS = 0.5
FOLLOW_SECONDS = 0.1
# Longer than all services and the database together may take to end.
STOP_SECONDS = 180.0


@dataclass(frozen=True)
class Credentials:
    """API tokens of the demo owner and of the administrator."""

    token: str
    admin: str


@dataclass(frozen=True)
class RunningStack:
    """Where the services of this run answer; ``database_url`` contains the password."""

    database_url: str = field(repr=False)
    graphql_url: str
    ui_url: str
    api_url: str


Migrate = Callable[[str], None]
Prepare = Callable[[RunningStack], Credentials]


def say(line: str) -> None:
    """Print a line at once, also into a file that someone follows; a reader who went away is no reason to end."""
    with suppress(BrokenPipeError):
        print(line, flush=True)  # noqa: T201


def run_foreground(
    settings: Settings,
    *,
    migrate: Migrate,
    prepare: Prepare,
    report: Report = say,
    module: str = DEFINITIONS_MODULE,
    application: str = API_APPLICATION,
) -> None:
    """Run everything until Ctrl-C, SIGTERM or SIGHUP; nothing is left running afterwards, whatever happened.

    ``migrate`` gets the database URL, ``prepare`` the running stack; it makes demo data where there is none and
    returns the tokens. A run that is up already is reported with its READY line. Raises ``ServiceError`` with the
    reason when something cannot start or keeps dying, or when it is stopped before it was ready.
    """
    home = Home.at(settings.home)
    home.create()
    if _report_running(home, report):
        return
    run = _Run(settings, migrate=migrate, prepare=prepare, report=report, module=module, application=application)
    with file_lock(home.run / RUN_LOCK, purpose="starting SigmaSight in this home"), _stop_signals() as ignore_signals:
        try:
            with ExitStack() as stopping:
                try:
                    run.start(stopping)
                    run.keep_up()
                finally:
                    ignore_signals()
        except KeyboardInterrupt:
            if not run.is_ready:
                raise StoppedError("Stopped before it was ready.") from None
            report("Stopped.")


def run_detached(settings: Settings, *, command: Sequence[str], report: Report = say) -> None:
    """Start ``command``, a foreground run of the same settings, in the background and return once it is READY.

    Its lines are reported as they come; later ones are in ``logs/run.log``. ``ServiceError`` when it ends instead.
    """
    home = Home.at(settings.home)
    home.create()
    if _report_running(home, report):
        return
    log = home.logs / "run.log"
    position = log_position(log)
    record = spawn(command, log=log, environment={**os.environ, "PYTHONUNBUFFERED": "1"})
    try:
        _follow(record, log, position, report)
    except KeyboardInterrupt:
        end_processes(record.owns, stop_seconds=STOP_SECONDS)
        raise


def run_process(settings: Settings) -> int | None:
    """Id of the command that runs everything in this home, also while it starts or stops; ``None``: there is none."""
    home = Home.at(settings.home)
    return lock_holder(home.run / RUN_LOCK) if home.exists() else None


def stop_run(settings: Settings, *, report: Report = say) -> bool:
    """End the run of this home, and whatever killed commands left of it; whether there was anything to end."""
    home = Home.at(settings.home)
    if not home.exists():
        return False
    commands = [_end_command(home.run / name) for name in (RUN_LOCK, DAGSTER_LOCK)]
    leftovers = end_leftovers(home)
    postgres = EmbeddedPostgres(settings.home)
    server = postgres.status().running
    postgres.stop()
    (home.run / READY_FILE).unlink(missing_ok=True)
    found = any(commands) or leftovers or server
    report("Stopped." if found else "Nothing was running.")
    return found


class _Run:
    """The parts of one foreground run."""

    def __init__(
        self,
        settings: Settings,
        *,
        migrate: Migrate,
        prepare: Prepare,
        report: Report,
        module: str,
        application: str,
    ) -> None:
        self.is_ready = False
        self._settings = settings
        self._home = Home.at(settings.home)
        self._migrate = migrate
        self._prepare = prepare
        self._report = report
        self._module = module
        self._application = application
        self._postgres = None if settings.database_url else EmbeddedPostgres(settings.home)
        self._database_budget = RestartBudget()
        self._supervisors: list[Supervisor | DagsterServices] = []

    def start(self, stopping: ExitStack) -> None:
        """Start everything in order; ``stopping`` gets what undoes it."""
        settings = self._settings
        busy = lock_holder(self._home.run / DAGSTER_LOCK)
        if busy is not None:
            raise ServiceError(f"A single command (process {busy}) uses Dagster in this home: wait for it or end it.")
        end_leftovers(self._home)
        (self._home.run / READY_FILE).unlink(missing_ok=True)
        require_free_ports({"SIGMASIGHT_UI_PORT": settings.ui_port, "SIGMASIGHT_API_PORT": settings.api_port})
        database_url = self._start_database(stopping)
        self._migrate(database_url)
        self._report("Starting Dagster and the API")
        dagster = DagsterServices(
            settings, database_url, ui_port=settings.ui_port, report=self._report, module=self._module
        )
        api = Supervisor(self._home, report=self._report)
        self._supervisors = [dagster, api]
        stopping.callback(dagster.stop)
        dagster.start()
        stopping.callback(api.stop)
        url, operators = self._databases_of_the_api(database_url)
        api.start(api_service(settings, url, self._application, operator_database_url=operators))
        api_url = f"http://{LOOPBACK}:{settings.api_port}"
        credentials = self._prepare(RunningStack(database_url, dagster.graphql_url, dagster.ui_url, api_url))
        self._announce(dagster.ui_url, api_url, credentials, stopping)

    def keep_up(self) -> None:
        """Watch over everything until a signal comes; ``ServiceError`` when something keeps dying."""
        while True:
            for supervisor in self._supervisors:
                supervisor.check()
            if self._postgres is not None and not self._postgres.status().running:
                if not self._database_budget.spend():
                    raise ServiceError(f"PostgreSQL keeps dying: see {self._home.logs / 'postgres.log'}")
                self._report("PostgreSQL ended: restarting it")
                self._postgres.start()
            time.sleep(CHECK_SECONDS)

    def _start_database(self, stopping: ExitStack) -> str:
        if self._postgres is None:
            return self._settings.database_url
        self._report("Starting PostgreSQL")
        stopping.callback(self._postgres.stop)
        self._postgres.start()
        return self._postgres.url()

    def _databases_of_the_api(self, database_url: str) -> tuple[str, str]:
        """The URLs of its two roles, of owners' and operators' routes."""
        if self._postgres is not None:
            return self._postgres.url_as(API_ROLE), self._postgres.url_as(OPERATOR_ROLE)
        chosen = self._settings.api_database_url, self._settings.operator_database_url
        if not all(chosen):
            self._report("The API has every right of SIGMASIGHT_DATABASE_URL: `sigmasight db roles` makes roles for it")
        return chosen[0] or database_url, chosen[1] or database_url

    def _announce(self, ui_url: str, api_url: str, credentials: Credentials, stopping: ExitStack) -> None:
        """Say READY, and keep the line for a second ``run`` for as long as this one lasts."""
        ready_file = self._home.run / READY_FILE
        stopping.callback(ready_file.unlink, missing_ok=True)
        line = f"{READY_WORD}ui={ui_url} api={api_url} token={credentials.token} admin={credentials.admin}"
        write_atomically(ready_file, line)
        self.is_ready = True
        self._report(line)


def _report_running(home: Home, report: Report) -> bool:
    """Say what runs already; ``ServiceError`` when it is not ready yet."""
    holder = lock_holder(home.run / RUN_LOCK)
    if holder is None:
        return False
    line = read_text(home.run / READY_FILE)
    if line is None:
        raise ServiceError(f"Another run of this home (process {holder}) is still starting or stopping.")
    report(f"Already running (process {holder}); `make stop` ends it.")
    report(line)
    return True


@contextmanager
def _stop_signals() -> Iterator[Callable[[], None]]:
    """Turn the first SIGINT, SIGTERM or SIGHUP into ``KeyboardInterrupt``; yields what makes all of them ignored.

    A signal that was ignored when the command started, as under nohup, stays so.
    """
    handled = False

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal handled
        if not handled:
            handled = True
            raise KeyboardInterrupt

    def ignore() -> None:
        nonlocal handled
        handled = True

    numbers = [
        number
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    ]
    previous: dict[int, Any] = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield ignore
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _follow(record: ProcessRecord, log: Path, position: int, report: Report) -> None:
    """Report the lines a background run writes until it is ready."""
    while True:
        ended = exit_code(record.pid) is not None
        with log.open("rb") as stream:
            stream.seek(position)
            complete, newline, _ = stream.read().rpartition(b"\n")
        position += len(complete) + len(newline)
        for line in complete.decode(errors="replace").splitlines():
            report(line)
            if line.startswith(READY_WORD):
                return
        if ended:
            raise ServiceError(f"The run ended before it was ready (exit code {exit_code(record.pid)}): see {log}")
        time.sleep(FOLLOW_SECONDS)


def _end_command(lock: Path) -> bool:
    """Ask the command that holds the lock to end in good order, then force it; whether there was one."""
    holder = lock_holder(lock)
    if not holder:
        with file_lock(lock, purpose="starting in this home"):
            return False
    try:
        process = psutil.Process(holder)
        process.terminate()
        if wait_gone([process], STOP_SECONDS):
            process.kill()
            wait_gone([process], STOP_SECONDS)
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied as error:
        raise ServiceError(f"Process {holder} belongs to another user: stop it as that user.") from error
    return True
