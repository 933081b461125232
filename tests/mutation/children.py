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

# What ends a child that code of ours has brought down. Any other signal came from elsewhere and tells nothing of it.
_TIME = "its time"
_SIGNALS = dict.fromkeys((signal.SIGXCPU, signal.SIGALRM, signal.SIGPROF), _TIME) | dict.fromkeys(
    (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT), "a crash of the interpreter"
)


class ExpiredError(BaseException):
    """The time of a child is over."""


@dataclass(frozen=True)
class Ended:
    """What came of a child: the ``result`` of its work, the ``limit`` that it ran into, or the ``error`` of either.

    An error is anything else, told in words: it says that the work was not done, and nothing more.
    """

    result: Any = None
    limit: str = ""
    error: str = ""


@dataclass(frozen=True)
class Child:
    """A running one; ``fd`` is where it will tell its result."""

    pid: int
    fd: int

    def end(self) -> Ended:
        """Wait for its end."""
        with os.fdopen(self.fd, "rb") as pipe:
            told = pipe.read()
        _, status = os.waitpid(self.pid, 0)
        ended = signal.Signals(os.WTERMSIG(status)) if os.WIFSIGNALED(status) else None
        if ended is not None:
            limit = _SIGNALS.get(ended, "")
            return Ended(limit=limit, error="" if limit else f"ended without a result by {ended.name}")
        if not told:
            return Ended(error="ended without a result by itself")
        return Ended(*pickle.loads(told))  # noqa: S301


def start(work: Callable[[], Any], *, seconds: float | None = None) -> Child:
    """Do ``work`` in a fork of this process, in silence; after ``seconds`` of the processor it is ended."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        os.close(writing)
        return Child(pid, reading)
    try:
        os.close(reading)
        # As a tuple: the work may have imported this module anew, whose classes are others.
        told = pickle.dumps(_outcome(work, seconds))
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(told)
    finally:
        os._exit(0)


def _outcome(work: Callable[[], Any], seconds: float | None) -> tuple[Any, str, str]:
    """The fields of ``Ended``."""
    try:
        _silence()
        if seconds is not None:
            _limit(seconds)
        result = work()
        # A result that cannot be told is an error too.
        pickle.dumps(result)
    except ExpiredError:
        return None, _TIME, ""
    except MemoryError:
        return None, "its memory", ""
    except BaseException:  # noqa: BLE001
        return None, "", traceback.format_exc()
    else:
        return result, "", ""
    finally:
        for timer in (signal.ITIMER_PROF, signal.ITIMER_REAL):
            signal.setitimer(timer, 0)


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
