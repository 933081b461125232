"""Reads that are waited for only so long, whatever the server at the other end does.

A server that hangs still acknowledges what it is sent, so neither TCP nor the driver ever gives it up; and nothing ends
a thread that waits for it. Each read has a thread of its own, which does not keep the process from ending.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar, cast

from sigmasight_assets.errors import TransientStorageError

Value = TypeVar("Value")

THREAD_NAME = "timed-read"


class BusyError(TransientStorageError):
    """There are as many reads as there may be at once."""


class OverdueError(TransientStorageError):
    """What was to be read did not come in time."""


class TimedReads:
    """Runs at most so many reads at once, and knows of those that nobody waits for any more."""

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._running = 0
        self._overdue: set[Future[Any]] = set()

    @property
    def overdue(self) -> int:
        """How many reads took too long and have not ended since."""
        return len(self._overdue)

    def run(self, read: Callable[[], Value], *, seconds: float) -> Value:
        """What ``read`` returns; raises what it raises, ``OverdueError`` when it takes longer, or ``BusyError``."""
        result = self._started(read)
        try:
            return result.result(seconds)
        except TimeoutError as error:
            with self._lock:
                # One that has ended meanwhile was only just in time.
                if not result.done():
                    self._overdue.add(result)
                    raise OverdueError(f"There is no answer within {seconds:g} s.") from error
            return result.result()

    def _started(self, read: Callable[[], Value]) -> "Future[Value]":
        with self._lock:
            if self._running >= self._most:
                raise BusyError(f"There are {self._most} reads at once already.")
            self._running += 1
        result: Future[Value] = Future()
        try:
            threading.Thread(target=self._run, args=(read, result), name=THREAD_NAME, daemon=True).start()
        except RuntimeError as error:
            with self._lock:
                self._running -= 1
            raise BusyError(f"No thread can be started: {error}.") from error
        return result

    def _run(self, read: Callable[[], Value], result: "Future[Value]") -> None:
        found: Value | None = None
        failed: BaseException | None = None
        try:
            found = read()
        except BaseException as error:  # noqa: BLE001 - whoever waits is told
            failed = error
        # Before anybody is told: whoever reads next must find the place free.
        with self._lock:
            self._running -= 1
            self._overdue.discard(result)
            if failed is None:
                result.set_result(cast("Value", found))
            else:
                result.set_exception(failed)
