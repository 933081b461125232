"""Workers as an operator starts them: ``sigmasight worker``, each with a home and an environment of its own."""

import os
import re
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sigmasight_assets.services.processes import (
    ProcessRecord,
    end_processes,
    exit_code,
    find_processes,
    spawn,
    wait_gone,
)
from sigmasight_assets.services.stack import CHECKOUT
from tests.celery.broker import SHIPPED

READY = " ready."
ENDED = re.compile(r"Task execute_job\S+ (?:succeeded|raised)")
WORKER_TAG = "sigmasight/worker"
WAIT_SECONDS = 120.0
STOP_SECONDS = 30.0


@dataclass
class Worker:
    """A worker in a directory of its own; ``prefix`` is what it is started by, such as a network namespace."""

    name: str
    directory: Path
    settings: Mapping[str, str]
    surroundings: Path
    prefix: Sequence[str] = ()
    record: ProcessRecord | None = field(default=None, init=False)

    @property
    def log(self) -> Path:
        """What it and its runs have printed."""
        return self.directory / "worker.log"

    def start(self) -> None:
        """Start it; ``await_ready`` waits until it takes runs."""
        self.directory.mkdir(exist_ok=True)
        for shared in (".env", "market.json"):
            # The clock and the market of the test, which services read anew whenever they need them.
            link = self.directory / shared
            if not link.is_symlink():
                link.symlink_to(self.surroundings / shared)
        command = [*self.prefix, sys.executable, "-m", "sigmasight_assets", "worker", "--name", self.name]
        self.began = self.log.stat().st_size if self.log.exists() else 0
        self.record = spawn(command, log=self.log, environment=self._environment(), directory=self.directory)

    def _environment(self) -> dict[str, str]:
        clean = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        return {**clean, "PYTHONPATH": str(CHECKOUT), "SIGMASIGHT_HOME": str(self.directory / "home"), **self.settings}

    def said(self) -> str:
        """What it has printed since it was started."""
        return self.log.read_bytes()[self.began :].decode(errors="replace")

    def tasks_ended(self) -> int:
        """How many runs it has come to the end of, well or not."""
        return len(ENDED.findall(self.said()))

    def await_ready(self) -> None:
        """Until it takes runs."""
        assert self.record is not None
        deadline = time.monotonic() + WAIT_SECONDS
        while READY not in self.said():
            assert exit_code(self.record.pid) is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.1)

    def kill(self) -> None:
        """End it and its run as the kernel does."""
        self._signal(signal.SIGKILL)

    def kill_run(self) -> None:
        """End the process that does its run, and not the worker itself."""
        assert self.record is not None
        processes = [item for item in find_processes(self.record.owns) if item.pid != self.record.pid]
        assert processes
        for process in processes:
            process.kill()

    def stop(self, *, alone: bool = False) -> None:
        """Ask it and its run to end, as systemd does, or the worker ``alone``, and wait."""
        assert self.record is not None
        if alone:
            os.kill(self.record.pid, signal.SIGTERM)
        else:
            self._signal(signal.SIGTERM)
        assert not wait_gone(find_processes(self.record.owns), STOP_SECONDS), self.said()

    def _signal(self, number: int) -> None:
        assert self.record is not None
        for process in find_processes(self.record.owns):
            process.send_signal(number)

    def end(self) -> None:
        """Leave nothing of it."""
        if self.record is not None:
            end_processes(self.record.owns, stop_seconds=5.0)


def worker_settings(database_url: str, broker_url: str, **settings: str) -> dict[str, str]:
    """What the file of settings on a worker's machine holds."""
    return {
        "SIGMASIGHT_DATABASE_URL": database_url,
        "SIGMASIGHT_BROKER_URL": broker_url,
        "SIGMASIGHT_DAGSTER_CONFIG": str(SHIPPED / "dagster.yaml"),
        **{f"SIGMASIGHT_{name.upper()}": value for name, value in settings.items()},
    }


@contextmanager
def running_workers(workers: Sequence[Worker]) -> Iterator[Sequence[Worker]]:
    """The workers for the block, in which a test may end and start them."""
    with ExitStack() as ending:
        for worker in workers:
            ending.callback(worker.end)
            worker.start()
        for worker in workers:
            worker.await_ready()
        yield workers
