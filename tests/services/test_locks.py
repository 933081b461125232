"""Tests of file locks: real processes compete for them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from sigmasight_assets.errors import ServiceError
from sigmasight_assets.services.locks import file_lock, lock_holder

HOLDER = """
import sys, time
from pathlib import Path
from sigmasight_assets.services.locks import file_lock
with file_lock(Path(sys.argv[1]), purpose="testing"):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@contextmanager
def holding_process(path: Path, seconds: float = 60.0) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", HOLDER, str(path), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_lock_of_another_process_is_refused_with_its_purpose_and_id(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with (
        holding_process(path) as process,
        pytest.raises(ServiceError, match=rf"Another command is pouring \(process {process.pid}\)"),
        file_lock(path, purpose="pouring"),
    ):
        pass


def test_waiting_gets_the_lock_once_it_is_released(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with holding_process(path, seconds=0.3), file_lock(path, purpose="testing", wait_seconds=30.0):
        assert lock_holder(path) == os.getpid()


def test_the_holder_is_known_until_it_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert lock_holder(path) is None
    with holding_process(path) as process:
        assert lock_holder(path) == process.pid
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert lock_holder(path) is None


def test_two_blocks_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with (
        file_lock(path, purpose="testing"),
        pytest.raises(ServiceError, match=str(os.getpid())),
        file_lock(path, purpose="testing"),
    ):
        pass
    assert lock_holder(path) is None


def test_many_at_once_are_never_in_the_block_together_and_leave_no_file(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    inside = []
    most = []

    def enter(number: int) -> None:
        with file_lock(path, purpose="testing", wait_seconds=60.0):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.002)
            inside.remove(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(enter, range(40)))
    assert most == [1] * 40
    assert list(tmp_path.iterdir()) == []
