"""Tests of reads that are waited for only so long: what comes, what is late, what is too much, the end."""

import subprocess
import sys
import threading

import pytest

from sigmasight_api.timed_reads import BusyError, OverdueError, TimedReads
from tests.api.conftest import wait_until

LONG, SHORT = 30.0, 0.05
HANGING = """
import threading
from sigmasight_api.timed_reads import OverdueError, TimedReads
try:
    TimedReads(most=1).run(threading.Event().wait, seconds=0.05)
except OverdueError:
    print("late")
"""


def test_what_is_read_in_time_is_returned_or_raised() -> None:
    reads = TimedReads(most=1)

    def fail() -> None:
        raise TimeoutError("of its own")

    # Each finds its place free as soon as the one before is told.
    assert [reads.run(lambda: 7, seconds=LONG) for _ in range(1000)] == [7] * 1000
    with pytest.raises(TimeoutError, match="of its own"):
        reads.run(fail, seconds=LONG)
    assert reads.overdue == 0


def test_one_that_is_late_is_known_until_it_ends() -> None:
    reads, going_on = TimedReads(most=2), threading.Event()
    with pytest.raises(OverdueError, match=r"within 0\.05 s"):
        reads.run(going_on.wait, seconds=SHORT)
    assert reads.overdue == 1
    assert reads.run(lambda: 7, seconds=LONG) == 7
    assert reads.overdue == 1
    going_on.set()
    wait_until(lambda: reads.overdue == 0)


def test_late_ones_count_among_those_that_there_may_be_at_once() -> None:
    reads, going_on = TimedReads(most=1), threading.Event()
    with pytest.raises(OverdueError):
        reads.run(going_on.wait, seconds=SHORT)
    with pytest.raises(BusyError, match="1 reads at once"):
        reads.run(lambda: 7, seconds=LONG)
    going_on.set()
    wait_until(lambda: reads.overdue == 0)
    assert reads.run(lambda: 7, seconds=LONG) == 7


def test_a_process_ends_while_a_read_hangs() -> None:
    ended = subprocess.run([sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "late\n"
