"""Tests of keeping services up, with small real ones."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sigmasight_assets.errors import ServiceError
from sigmasight_assets.services.home import Home
from sigmasight_assets.services.processes import ProcessRecord, end_recorded, exit_code, find_processes
from sigmasight_assets.services.supervisor import MOST_RESTARTS, Readiness, Service, Supervisor

# Writes a file when it is ready and another when it is asked to end.
PROGRAM = """
import pathlib, signal, sys, time
def end(*_):
    with open("order", "a") as stream:
        stream.write(sys.argv[1] + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
pathlib.Path(sys.argv[1] + ".ready").touch()
while True:
    time.sleep(600)
"""

SUPERVISING = """
import os, sys, time
from pathlib import Path
from sigmasight_assets.services.home import Home
from sigmasight_assets.services.supervisor import Service, Supervisor
supervisor = Supervisor(Home.at(Path(sys.argv[1])), report=print)
supervisor.start(Service("orphan", ("sleep", "600"), os.environ, lambda: None))
print("up", flush=True)
time.sleep(600)
"""


def wait_dead(pid: int) -> None:
    while exit_code(pid) is None:
        time.sleep(0.01)


@pytest.fixture
def reports() -> list[str]:
    return []


@pytest.fixture
def supervisor(home: Home, reports: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    monkeypatch.chdir(tmp_path)
    supervisor = Supervisor(home, report=reports.append)
    yield supervisor
    supervisor.stop()


def service(name: str, *command: str, ready: Readiness | None = None, start_seconds: float = 20.0) -> Service:
    def written() -> str | None:
        return None if Path(f"{name}.ready").exists() else "the file is missing"

    return Service(
        name,
        command or (sys.executable, "-c", PROGRAM, name),
        os.environ,
        ready or written,
        start_seconds=start_seconds,
        stop_seconds=10.0,
    )


def recorded(home: Home, name: str) -> ProcessRecord:
    record = ProcessRecord.load(home.run / f"{name}.json")
    assert record is not None
    return record


def test_started_services_are_ready_and_end_in_reverse_order(supervisor: Supervisor, home: Home) -> None:
    supervisor.start(service("first"), service("second"))
    assert {path.name for path in Path.cwd().iterdir()} == {"first.ready", "second.ready"}
    records = [recorded(home, name) for name in ("first", "second")]
    assert all(record.is_alive() for record in records)
    supervisor.stop()
    assert Path("order").read_text().split() == ["second", "first"]
    assert not any(find_processes(record.owns) for record in records)
    assert list(home.run.iterdir()) == []


def test_one_that_ends_while_starting_is_named_with_the_end_of_its_log(supervisor: Supervisor, home: Home) -> None:
    (home.logs / "broken.log").write_text("an earlier start\n")
    command = (sys.executable, "-c", "print('cannot read the map'); raise SystemExit(3)")
    with pytest.raises(ServiceError) as failure:
        supervisor.start(service("broken", *command))
    message = str(failure.value)
    assert message.startswith("broken ended while starting (exit code 3). The end of ")
    assert message.endswith("broken.log:\ncannot read the map")


def test_one_that_is_not_ready_in_time_says_what_is_missing(supervisor: Supervisor) -> None:
    def unanswered() -> str | None:
        raise ServiceError("it does not answer")

    with pytest.raises(ServiceError, match=r"slow is not ready after 0 s: it does not answer"):
        supervisor.start(service("slow", "sleep", "600", ready=unanswered, start_seconds=0.3))


def test_a_service_that_died_is_restarted_with_a_message(
    supervisor: Supervisor, home: Home, reports: list[str]
) -> None:
    supervisor.start(service("first"), service("second"))
    killed, untouched = recorded(home, "first"), recorded(home, "second")
    os.kill(killed.pid, signal.SIGKILL)
    wait_dead(killed.pid)
    supervisor.check()
    supervisor.check()
    assert reports == ["first ended unexpectedly (exit code -9): restarting it"]
    assert recorded(home, "first").is_alive()
    assert recorded(home, "first").mark == killed.mark
    assert recorded(home, "second") == untouched


def test_a_service_that_keeps_dying_is_given_up_with_the_end_of_its_log(
    supervisor: Supervisor, home: Home, reports: list[str]
) -> None:
    supervisor.start(service("mayfly", "sh", "-c", "echo no flour; sleep 0.2", ready=lambda: None))
    with pytest.raises(ServiceError, match=rf"mayfly died again after {MOST_RESTARTS} restarts.*\n(.*\n)*no flour"):  # noqa: PT012
        while True:
            wait_dead(recorded(home, "mayfly").pid)
            supervisor.check()
    assert len(reports) == MOST_RESTARTS


def test_leftovers_of_a_killed_command_are_replaced(supervisor: Supervisor, home: Home) -> None:
    command = [sys.executable, "-c", SUPERVISING, str(home.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "up\n"
        killed.kill()
    orphan = recorded(home, "orphan")
    assert orphan.is_alive()
    supervisor.start(service("orphan", "sleep", "600", ready=lambda: None))
    assert not orphan.is_alive()
    assert recorded(home, "orphan").is_alive()


def test_leftovers_are_ended_by_name(home: Home) -> None:
    command = [sys.executable, "-c", SUPERVISING, str(home.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        killed.stdout.readline()
        killed.kill()
    orphan = recorded(home, "orphan")
    assert end_recorded(home, "orphan", stop_seconds=10.0)
    assert not orphan.is_alive()


def test_secrets_of_a_service_are_not_in_its_representation() -> None:
    secret = Service("api", ("run",), {"PASSWORD": "hunter2"}, lambda: None)
    assert "hunter2" not in repr(secret)
