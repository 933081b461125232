"""Child processes that outlive the command which starts them: starting, recognising, ending.

A started process gets a random mark in its environment, which its own children inherit, and a record of id and
mark in the home. Whoever ends it later ends exactly the processes that carry the mark: the service and its
workers, never a foreign process that got the same id since, whatever happened to the clock.
"""

import json
import os
import re
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import psutil

from sigmasight_assets.errors import ServiceError
from sigmasight_assets.services.home import Home, read_text, write_atomically

MARK_VARIABLE = "SIGMASIGHT_PROCESS_MARK"
POLL_SECONDS = 0.02
LARGEST_LOG_BYTES = 20_000_000
KILL_SECONDS = 10.0
COLOUR_CODES = re.compile(r"\x1b\[[0-9;]*m")

# Whether a process is one of those in question; may raise what psutil raises.
Belongs = Callable[[psutil.Process], bool]

# Handles stay referenced: asking them reaps ended children, and dropping one while its child runs warns.
_children: dict[int, "subprocess.Popen[bytes]"] = {}


@dataclass(frozen=True)
class ProcessRecord:
    """What a home remembers of a started process."""

    pid: int
    mark: str

    def save(self, path: Path) -> None:
        """Write the record for later commands."""
        write_atomically(path, json.dumps({"pid": self.pid, "mark": self.mark}))

    @classmethod
    def load(cls, path: Path) -> "ProcessRecord | None":
        """Read a record; ``None`` when there is none or it is unreadable."""
        try:
            content = json.loads(read_text(path) or "{}")
            return cls(pid=int(content["pid"]), mark=str(content["mark"]))
        except (KeyError, TypeError, ValueError):
            return None

    def is_alive(self) -> bool:
        """Whether the started process itself still runs."""
        return find_process(self.pid, self.owns) is not None

    def owns(self, process: psutil.Process) -> bool:
        """Whether this is the process or one that it started."""
        return bool(process.environ().get(MARK_VARIABLE) == self.mark)


def spawn(
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str],
    record_file: Path | None = None,
    mark: str | None = None,
    user: int | None = None,
    group: int | None = None,
    groups: list[int] | None = None,
    directory: Path | None = None,
) -> ProcessRecord:
    """Start a process in its own session, so that Ctrl-C in the terminal does not reach it.

    Its output is appended to ``log``; ``mark`` is given when it replaces a process of the same family. Signals that
    would end this command wait until the process is on record. ``ServiceError`` when it cannot be started.
    """
    mark = mark or secrets.token_hex(16)
    with signals_deferred(), log.open("ab") as output:
        try:
            child = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**environment, MARK_VARIABLE: mark},
                cwd=directory,
                user=user,
                group=group,
                extra_groups=groups,
                start_new_session=True,
            )
        except OSError as error:
            raise ServiceError(f"Cannot start {command[0]}: {error.strerror}") from error
        _children[child.pid] = child
        record = ProcessRecord(child.pid, mark)
        if record_file is not None:
            record.save(record_file)
    return record


def exit_code(pid: int) -> int | None:
    """Exit code of a child of this process; ``None`` while it runs or when it is no child of this process."""
    child = _children.get(pid)
    return None if child is None else child.poll()


def is_alive(process: psutil.Process) -> bool:
    """Whether a process runs; one that ended but was not yet asked for by its parent does not."""
    exit_code(process.pid)
    try:
        return bool(process.is_running()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def find_process(pid: int, belongs: Belongs) -> psutil.Process | None:
    """The live process with this id, provided it is one of those in question."""
    try:
        process = psutil.Process(pid)
        return process if is_alive(process) and belongs(process) else None
    except (psutil.Error, OSError):
        return None


def find_processes(belongs: Belongs) -> list[psutil.Process]:
    """All live processes in question; one that this user may not ask about is none of them."""
    found = [find_process(pid, belongs) for pid in psutil.pids()]
    return [process for process in found if process is not None]


def wait_gone(processes: Sequence[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait until the processes have ended and return those that have not in time."""
    deadline = time.monotonic() + seconds
    left = [process for process in processes if is_alive(process)]
    while left and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        left = [process for process in left if is_alive(process)]
    return left


def end_processes(belongs: Belongs, *, stop_seconds: float) -> bool:
    """Ask processes to end, then force those that have not in time; whether there were any.

    Raises ``ServiceError`` when they belong to another user or survive even that.
    """
    found = find_processes(belongs)
    _signal(found, signal.SIGTERM)
    if wait_gone(found, stop_seconds) or find_processes(belongs):
        _signal(find_processes(belongs), signal.SIGKILL)
        left = wait_gone(find_processes(belongs), KILL_SECONDS)
        if left:
            raise ServiceError(f"Processes do not end: {', '.join(str(process.pid) for process in left)}")
    return bool(found)


def end_recorded(home: Home, name: str, *, stop_seconds: float) -> bool:
    """End what an earlier command left running under this name; whether there was anything."""
    path = home.run / f"{name}.json"
    record = ProcessRecord.load(path)
    found = record is not None and end_processes(record.owns, stop_seconds=stop_seconds)
    path.unlink(missing_ok=True)
    return found


def log_position(log: Path) -> int:
    """Byte at which the next process will begin to write; a log that grew too large is put aside first."""
    if not log.exists():
        return 0
    size = log.stat().st_size
    if size <= LARGEST_LOG_BYTES:
        return size
    log.replace(log.with_suffix(".previous.log"))
    return 0


def last_lines(log: Path, count: int = 15, *, start: int = 0) -> str:
    """The last lines of a log file from byte ``start`` on, for an error message."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(start, stream.seek(0, os.SEEK_END) - 16_384))
            lines = stream.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    return "\n".join(COLOUR_CODES.sub("", line.rstrip()) for line in lines[-count:])


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Deliver SIGINT, SIGTERM and SIGHUP only after the block, so a start and its record are never torn apart."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pending: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        pending.append(number)

    previous: dict[int, Any] = {
        number: signal.signal(number, remember)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    for number in pending:
        signal.raise_signal(number)


def _signal(processes: Sequence[psutil.Process], number: int) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied as error:
            raise ServiceError(f"Process {process.pid} belongs to another user: stop it as that user.") from error
