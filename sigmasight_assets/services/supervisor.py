"""Keeping a few services up: started in order, awaited until ready, restarted when they die, stopped in reverse."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sigmasight_assets.errors import ServiceError
from sigmasight_assets.services.home import Home
from sigmasight_assets.services.processes import (
    ProcessRecord,
    end_processes,
    end_recorded,
    exit_code,
    last_lines,
    log_position,
    signals_deferred,
    spawn,
)

POLL_SECONDS = 0.1
# A service that dies more often than this within the period has a reason that a restart does not cure.
MOST_RESTARTS = 3
RESTART_PERIOD_SECONDS = 600.0

Report = Callable[[str], None]
# What is still missing before the service can be used; None: it is ready.
Readiness = Callable[[], str | None]


@dataclass(frozen=True)
class Service:
    """One program to keep running; its secrets are in the environment, never in the command."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    ready: Readiness
    start_seconds: float = 90.0
    stop_seconds: float = 10.0


class RestartBudget:
    """Counts restarts of one thing and says when they are too many."""

    def __init__(self) -> None:
        self._moments: list[float] = []

    def spend(self) -> bool:
        """Whether one more restart is reasonable now; counts it when it is."""
        now = time.monotonic()
        self._moments = [moment for moment in self._moments if now - moment < RESTART_PERIOD_SECONDS]
        if len(self._moments) >= MOST_RESTARTS:
            return False
        self._moments.append(now)
        return True


@dataclass
class _Child:
    service: Service
    record: ProcessRecord
    log_start: int
    budget: RestartBudget = field(default_factory=RestartBudget)


class Supervisor:
    """The services that this command started in one home."""

    def __init__(self, home: Home, *, report: Report) -> None:
        """``report`` gets a line for each restart."""
        self._home = home
        self._report = report
        self._children: dict[str, _Child] = {}

    def start(self, *services: Service) -> None:
        """Start services side by side and return when all are ready; ``ServiceError`` with the log's end if not."""
        for service in services:
            end_recorded(self._home, service.name, stop_seconds=service.stop_seconds)
            with signals_deferred():
                self._children[service.name] = self._spawn(service)
        for service in services:
            self._wait_ready(self._children[service.name])

    def check(self) -> None:
        """Restart what has died; ``ServiceError`` when one service keeps dying."""
        for child in self._children.values():
            if exit_code(child.record.pid) is not None:
                self._restart(child)

    def stop(self) -> None:
        """End every service, the last started first; a second call does nothing."""
        while self._children:
            _, child = self._children.popitem()
            end_processes(child.record.owns, stop_seconds=child.service.stop_seconds)
            self._record_file(child.service).unlink(missing_ok=True)

    def _spawn(self, service: Service, mark: str | None = None) -> _Child:
        log = self._log(service)
        log_start = log_position(log)
        record = spawn(
            service.command,
            log=log,
            environment=service.environment,
            record_file=self._record_file(service),
            mark=mark,
        )
        return _Child(service, record, log_start)

    def _wait_ready(self, child: _Child) -> None:
        service = child.service
        deadline = time.monotonic() + service.start_seconds
        while True:
            if exit_code(child.record.pid) is not None:
                raise ServiceError(f"{service.name} ended while starting{self._ending(child)}")
            missing = _missing(service)
            if missing is None:
                return
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"{service.name} is not ready after {service.start_seconds:.0f} s: {missing}{self._ending(child)}"
                )
            time.sleep(POLL_SECONDS)

    def _restart(self, child: _Child) -> None:
        if not child.budget.spend():
            raise ServiceError(f"{child.service.name} died again after {MOST_RESTARTS} restarts{self._ending(child)}")
        self._report(
            f"{child.service.name} ended unexpectedly (exit code {exit_code(child.record.pid)}): restarting it"
        )
        # The same mark: workers of the dead process go on and are still ended with the service.
        renewed = self._spawn(child.service, child.record.mark)
        child.record, child.log_start = renewed.record, renewed.log_start

    def _ending(self, child: _Child) -> str:
        code = exit_code(child.record.pid)
        state = "" if code is None else f" (exit code {code})"
        log = self._log(child.service)
        return f"{state}. The end of {log}:\n{last_lines(log, start=child.log_start)}"

    def _log(self, service: Service) -> Path:
        return self._home.logs / f"{service.name}.log"

    def _record_file(self, service: Service) -> Path:
        return self._home.run / f"{service.name}.json"


def _missing(service: Service) -> str | None:
    """Questions to services that are just starting fail now and then; they are asked again until the deadline."""
    try:
        return service.ready()
    except ServiceError as error:
        return str(error)
