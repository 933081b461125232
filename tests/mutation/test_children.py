"""A child that ran into a limit is told apart from one whose work could not be done."""

import faulthandler
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.mutation.children import Child, Ended, start


def broken() -> None:
    raise LookupError("no such function")


def endless() -> None:
    while True:
        pass


def asleep() -> None:
    # A loop within one call of C is ended from outside: here by the alarm that nothing in Python sees.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(1)
    time.sleep(60)


def hungry() -> None:
    raise MemoryError


def crash() -> None:
    # Which would tell of it where the tests' own output is.
    faulthandler.disable()
    os.kill(os.getpid(), signal.SIGSEGV)


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def left() -> None:
    os._exit(0)


def test_a_result_is_told() -> None:
    assert start(lambda: {"a": [1]}, seconds=30).end() == Ended({"a": [1]})
    assert start(lambda: "").end() == Ended("")


@pytest.mark.parametrize(
    ("work", "limit"),
    [
        (endless, "its time"),
        (asleep, "its time"),
        (hungry, "its memory"),
        (crash, "a crash of the interpreter"),
    ],
)
def test_a_limit_is_no_error(work: Callable[[], Any], limit: str) -> None:
    assert start(work, seconds=0.2).end() == Ended(limit=limit)


@pytest.mark.parametrize(
    ("work", "error"),
    [
        (broken, "LookupError: no such function"),
        (lambda: lambda: 0, "pickle"),
        (killed, "ended without a result by SIGKILL"),
        (left, "ended without a result by itself"),
    ],
)
def test_work_that_was_not_done_is_an_error_and_no_result(work: Callable[[], Any], error: str) -> None:
    ended = start(work, seconds=30).end()
    assert (ended.result, ended.limit) == (None, "")
    assert error in ended.error


def test_children_end_in_any_order() -> None:
    children: list[Child] = [start(lambda n=n: n) for n in range(3)]  # type: ignore[misc]
    assert [child.end().result for child in reversed(children)] == [2, 1, 0]
