"""Tests of serving by several processes at one address: who answers, who is replaced, and that all end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import psutil
import pytest

from sigmasight_assets.services.ports import LOOPBACK, free_port
from sigmasight_assets.services.processes import is_alive, wait_gone
from tests.api.conftest import wait_until
from tests.api.pid_application import NOT_READY

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shares an address among processes")

ROOT = Path(__file__).parents[2]
APPLICATION = "tests.api.pid_application:make"
GONE_SECONDS = 30.0
WAIT_SECONDS = 60.0


class Family:
    """A parent and its children, asked over a new connection each time."""

    def __init__(self, parent: "subprocess.Popen[bytes]", command: Sequence[str], port: int, log: Path) -> None:
        self.parent = parent
        self.command = command
        self.port = port
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def ask(self, path: str = "/") -> tuple[int, str]:
        """Status and body; raises ``OSError`` or ``HTTPException`` when there is no answer."""
        with closing(HTTPConnection(LOOPBACK, self.port, timeout=10.0)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def answering(self, *, asked: int = 60) -> set[int]:
        """The processes that answer."""
        found = [self.ask() for _ in range(asked)]
        assert {status for status, _ in found} == {200}
        return {int(body) for _, body in found}

    def children(self) -> set[int]:
        return {child.pid for child in psutil.Process(self.parent.pid).children()}

    def is_answering(self) -> bool:
        try:
            return self.ask()[0] == 200
        except (OSError, HTTPException):
            return False

    def wait_for(self, count: int, *, without: Collection[int] = ()) -> set[int]:
        """So many processes that answer."""

        def are_all_there() -> bool:
            try:
                found = self.answering()
            except (OSError, HTTPException):
                return False
            return len(found) == count and found.isdisjoint(without)

        wait_until(are_all_there, seconds=WAIT_SECONDS)
        return self.answering()


@contextmanager
def family(
    directory: Path, *, count: int, application: str = APPLICATION, ready: bool = True, port: int = 0
) -> Iterator[Family]:
    """That many processes, which are gone after the block."""
    port = port or free_port()
    log = directory / f"family {time.monotonic()}.log"
    command = [sys.executable, "-m", "sigmasight_api.server", application]
    command += ["--port", str(port), "--processes", str(count)]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command,
            cwd=directory,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=output,
        ) as parent,
    ):
        found = Family(parent, command, port, log)
        children: Sequence[psutil.Process] = ()
        try:
            if ready:
                found.wait_for(count)
            yield found
        finally:
            if parent.poll() is None:
                children = psutil.Process(parent.pid).children()
                parent.terminate()
                parent.wait(GONE_SECONDS)
            assert not wait_gone(children, GONE_SECONDS)


def test_one_address_is_served_by_all_and_nobody_else_and_nothing_is_left_when_they_end(tmp_path: Path) -> None:
    with family(tmp_path, count=4) as found:
        pids = found.answering()
        assert pids == found.children()
        assert found.parent.pid not in pids
        other = subprocess.run(found.command, check=False, capture_output=True, text=True, cwd=ROOT)
        assert other.returncode == 1
        assert other.stderr.endswith(f"Cannot listen on {LOOPBACK}:{found.port}: Address already in use\n")
    assert found.parent.returncode == 0
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert "Traceback" not in found.log


def test_one_that_ends_is_replaced_while_the_others_answer(tmp_path: Path) -> None:
    with family(tmp_path, count=3) as found:
        for number in (signal.SIGKILL, signal.SIGTERM):
            before = found.answering()
            victim = min(before)
            os.kill(victim, number)
            wait_until(lambda: not is_alive_as_child(found, victim), seconds=WAIT_SECONDS)  # noqa: B023
            # No connection is given to it from here on, and none is refused.
            assert victim not in found.answering(asked=200)
            after = found.wait_for(3, without={victim})
            assert before - {victim} < after
            assert f"Process {victim} ended" in found.log


def is_alive_as_child(found: Family, pid: int) -> bool:
    return any(child.pid == pid and is_alive(child) for child in psutil.Process(found.parent.pid).children())


def test_children_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    with family(tmp_path, count=3) as found:
        children = psutil.Process(found.parent.pid).children()
        found.parent.kill()
        found.parent.wait(GONE_SECONDS)
        # Whoever restarts the service does not wait for them.
        with family(tmp_path, count=3, port=found.port, ready=False) as other:
            other.wait_for(3, without={child.pid for child in children})
        assert not wait_gone(children, GONE_SECONDS)
    assert not found.is_answering()


def test_a_process_that_is_not_ready_does_not_listen(tmp_path: Path) -> None:
    (tmp_path / NOT_READY).touch()
    with family(tmp_path, count=2, ready=False) as found:
        wait_until(lambda: len(found.children()) == 2, seconds=WAIT_SECONDS)
        assert not found.is_answering()
        (tmp_path / NOT_READY).unlink()
        before = found.wait_for(2)
        (tmp_path / NOT_READY).touch()
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len(found.children() - before) == 1, seconds=WAIT_SECONDS)
        assert found.answering(asked=200) == before - {victim}
        (tmp_path / NOT_READY).unlink()
        found.wait_for(2, without={victim})


@pytest.mark.campaign
@pytest.mark.fault(19)
def test_pauses_grow_for_one_that_keeps_ending(tmp_path: Path) -> None:
    with family(tmp_path, count=2) as found:
        others, victim = found.children(), max(found.children())
        others -= {victim}
        for _ in range(3):
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: len(found.children() - others - {victim}) == 1, seconds=WAIT_SECONDS)  # noqa: B023
            (victim,) = found.children() - others - {victim}
    pauses = [float(line.split()[-2]) for line in found.log.splitlines() if "another one starts" in line]
    assert pauses == [0.5, 1.0, 2.0]


@pytest.mark.campaign
@pytest.mark.fault(19)
def test_one_that_hangs_is_killed_and_replaced(tmp_path: Path) -> None:
    with family(tmp_path, count=2) as found:
        before = found.answering()
        with pytest.raises(TimeoutError):
            found.ask("/hang")
        wait_until(lambda: len(found.children() & before) == 1, seconds=2 * WAIT_SECONDS)
        found.wait_for(2)
    assert "gives no sign of life: it is killed" in found.log


def test_an_application_that_cannot_be_made_ends_the_program(tmp_path: Path) -> None:
    with family(tmp_path, count=2, application="tests.api.pid_application:broken", ready=False) as found:
        assert found.parent.wait(WAIT_SECONDS) == 1
    assert "a wrong setting" in found.log


def test_a_wrong_number_is_a_misuse() -> None:
    command = [sys.executable, "-m", "sigmasight_api.server", "--processes", "0"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert "--processes is between 1 and 64" in done.stderr
