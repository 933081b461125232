"""Tests of starting, recognising and ending processes, with small real ones."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sigmasight_assets.errors import ServiceError
from sigmasight_assets.services.home import Home
from sigmasight_assets.services.processes import (
    LARGEST_LOG_BYTES,
    ProcessRecord,
    end_processes,
    end_recorded,
    exit_code,
    find_process,
    find_processes,
    last_lines,
    log_position,
    signals_deferred,
    spawn,
)

# Starts a child of its own in another session, says so, and waits; "deaf" ignores the polite signal.
PARENT = """
import signal, subprocess, sys, time
if "deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen(["sleep", "600"], start_new_session=True)
print("started", flush=True)
time.sleep(600)
"""

Start = Callable[..., ProcessRecord]


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the parent program and returns once its child runs too."""
    records = []

    def start(*arguments: str, record_file: Path | None = None) -> ProcessRecord:
        record = spawn(
            [sys.executable, "-c", PARENT, *arguments],
            log=tmp_path / "log",
            environment=os.environ,
            record_file=record_file,
        )
        records.append(record)
        until(lambda: len(find_processes(record.owns)) == 2 and "started" in (tmp_path / "log").read_text())
        return record

    yield start
    for record in records:
        end_processes(record.owns, stop_seconds=0.0)


def test_a_started_process_is_apart_from_the_terminal_and_its_output_in_the_log(start: Start, tmp_path: Path) -> None:
    record = start()
    assert record.is_alive()
    assert os.getsid(record.pid) == record.pid
    assert (tmp_path / "log").read_text() == "started\n"


def test_ending_takes_all_it_started_also_when_it_is_dead_itself(start: Start) -> None:
    record = start()
    os.kill(record.pid, signal.SIGKILL)
    until(lambda: exit_code(record.pid) == -signal.SIGKILL)
    assert not record.is_alive()
    assert len(find_processes(record.owns)) == 1
    assert end_processes(record.owns, stop_seconds=10.0)
    assert find_processes(record.owns) == []
    assert not end_processes(record.owns, stop_seconds=10.0)


def test_a_deaf_process_is_ended_by_force(start: Start) -> None:
    record = start("deaf")
    end_processes(record.owns, stop_seconds=0.1)
    assert find_processes(record.owns) == []
    assert exit_code(record.pid) == -signal.SIGKILL


def test_a_foreign_process_with_the_recorded_id_is_left_alone(home: Home) -> None:
    with subprocess.Popen(["sleep", "600"]) as foreign:
        record = ProcessRecord(foreign.pid, "mark of a process that is gone")
        record.save(home.run / "service.json")
        assert not record.is_alive()
        assert not end_recorded(home, "service", stop_seconds=1.0)
        assert foreign.poll() is None
        foreign.kill()
    assert not (home.run / "service.json").exists()


def test_what_a_killed_command_left_is_ended_by_its_record(start: Start, home: Home) -> None:
    record = start(record_file=home.run / "service.json")
    assert ProcessRecord.load(home.run / "service.json") == record
    assert end_recorded(home, "service", stop_seconds=10.0)
    assert find_processes(record.owns) == []
    assert not end_recorded(home, "service", stop_seconds=10.0)


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"pid": "x", "mark": "y"}', '{"pid": 1}'])
def test_an_unreadable_record_is_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(content)
    assert ProcessRecord.load(path) is None


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="Cannot start /absent/program: No such file"):
        spawn(["/absent/program"], log=tmp_path / "log", environment={})


def test_an_ended_child_is_no_live_process(tmp_path: Path) -> None:
    record = spawn(["false"], log=tmp_path / "log", environment=os.environ)
    until(lambda: exit_code(record.pid) == 1)
    assert find_process(record.pid, record.owns) is None
    assert exit_code(os.getpid()) is None


def test_signals_wait_for_the_end_of_the_block() -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        with signals_deferred():
            os.kill(os.getpid(), signal.SIGINT)
            steps.append("block went on")
        steps.append("not reached")
    assert steps == ["block went on"]


def test_last_lines_are_those_of_this_start_without_colours(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_lines(log) == ""
    log.write_text("an earlier start\n")
    start = log_position(log)
    with log.open("a") as stream:
        stream.write("\x1b[32mfirst\x1b[0m\nsecond\nthird\n")
    assert last_lines(log, start=start) == "first\nsecond\nthird"
    assert last_lines(log, 2) == "second\nthird"


def test_a_large_log_is_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    log.write_text("old\n")
    os.truncate(log, LARGEST_LOG_BYTES + 1)
    assert log_position(log) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["service.previous.log"]
