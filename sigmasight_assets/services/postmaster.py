"""The server process of one data directory: recognising it, ending it, clearing what a killed one left.

A process is the directory's server when ``postmaster.pid`` names it, it is called postgres and its working
directory is the data directory (PostgreSQL enters it at start). Unlike a comparison of start times this holds
when the clock was stepped or the directory renamed, and a foreign process that got the recorded id never passes.
"""

import signal
import time
from pathlib import Path

import psutil

from sigmasight_assets.errors import ServiceError
from sigmasight_assets.services.processes import end_processes, find_process, wait_gone

PID_FILE = "postmaster.pid"
# Fast shutdown rolls back and writes a checkpoint; immediate shutdown recovers at the next start.
STOP_STEPS = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0))
ORPHAN_SECONDS = 10.0


def running_server(data_directory: Path) -> psutil.Process | None:
    """The server that runs on the directory; ``None`` when there is none."""
    pid = _recorded_pid(data_directory)
    if pid is None:
        return None
    return find_process(pid, lambda process: _works_in(process, data_directory))


def stop_server(process: psutil.Process, data_directory: Path) -> None:
    """End a server: fast, then immediate, then by force, each with a bounded wait."""
    for number, seconds in STOP_STEPS:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            break
        except psutil.AccessDenied as error:
            raise ServiceError(
                f"PostgreSQL (process {process.pid}) belongs to another user: stop it as root."
            ) from error
        if not wait_gone([process], seconds):
            break
    else:
        raise ServiceError(f"PostgreSQL (process {process.pid}) does not end.")
    _end_orphans(data_directory)


def clear_leftovers(data_directory: Path) -> None:
    """Make a directory without a running server startable again after a kill or a power cut.

    Worker processes of a killed server end as they notice its death; a new server must not start before, so they
    are ended. Only then the stale ``postmaster.pid`` goes: its
    number may by now belong to a foreign process, for which PostgreSQL would refuse to start.
    """
    pid_file = data_directory / PID_FILE
    if pid_file.exists():
        _end_orphans(data_directory)
        pid_file.unlink(missing_ok=True)


def _end_orphans(data_directory: Path) -> None:
    end_processes(lambda process: _works_in(process, data_directory), stop_seconds=ORPHAN_SECONDS)


def _works_in(process: psutil.Process, data_directory: Path) -> bool:
    return bool(process.name() == "postgres" and Path(process.cwd()).samefile(data_directory))


def _recorded_pid(data_directory: Path) -> int | None:
    """The id in ``postmaster.pid``; a file just being written is read again."""
    for _ in range(3):
        try:
            first_line = (data_directory / PID_FILE).read_text(encoding="utf-8", errors="replace").partition("\n")[0]
        except FileNotFoundError:
            return None
        if first_line.strip().isdecimal():
            return int(first_line)
        time.sleep(0.02)
    return None
