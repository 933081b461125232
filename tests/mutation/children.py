"""Child processes that do one thing, tell what came of it, and are limited in time and memory."""

import os
import pickle
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

# Neither a mutant that allocates without end nor one that never returns may stop the others.
MEMORY = 8 << 30
# From the first alarm, which fails the test, to the end of a child that goes on.
GRACE = 5
# Seconds are those of the processor, which others use too; of those on the clock a child has so many times more.
WAITING = 10


class ExpiredError(BaseException):
    """The time of a child is over."""


@dataclass(frozen=True)
class Child:
    """A running one; ``fd`` is where it will tell its result."""

    pid: int
    fd: int

    def result(self, *, otherwise: Any) -> Any:
        """Wait for its end; ``otherwise`` if it died before it had a result."""
        with os.fdopen(self.fd, "rb") as pipe:
            told = pipe.read()
        os.waitpid(self.pid, 0)
        return pickle.loads(told) if told else otherwise  # noqa: S301


def start(work: Callable[[], Any], *, seconds: float | None = None) -> Child:
    """Do ``work`` in a fork of this process, in silence; after ``seconds`` of the processor it is ended."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        os.close(writing)
        return Child(pid, reading)
    try:
        _silence()
        if seconds is not None:
            _limit(seconds)
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(pickle.dumps(work()))
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    finally:
        os._exit(0)


def _silence() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(nowhere, fd)


def _limit(seconds: float) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    # A loop within one call of C never comes to see a signal of Python's.
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + GRACE, resource.getrlimit(resource.RLIMIT_CPU)[1]))

    def expire(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(GRACE)
        raise ExpiredError

    signal.signal(signal.SIGPROF, expire)
    signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, WAITING * seconds)
