"""Several processes at one address: a parent that forks them, replaces those that die or hang, and ends with them.

Each has a listening socket of its own at the same address (SO_REUSEPORT, Linux): the kernel gives each a share of the
connections, and none to one that is dead or not ready. What a process does is in ``server``.
"""

import errno
import logging
import mmap
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

logger = logging.getLogger(__name__)

IS_SUPPORTED = sys.platform == "linux"
ENDING = frozenset({signal.SIGTERM, signal.SIGINT})
WATCHED = ENDING | {signal.SIGCHLD}
LOOK_SECONDS = 1.0
# Looks in a row without a sign of life: counted, not timed, so that a machine that slept kills nobody.
MOST_SILENT_LOOKS = 30
# One that served this long is replaced at once; of others the pauses grow.
STEADY_SECONDS = 30.0
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
# Requests under way have five seconds, and what was computed is kept: less than whoever stops the parent waits.
STOP_SECONDS = 15.0
# Those of a parent that was killed end their requests first.
ORPHANS_SECONDS = 10.0


class SignsOfLife:
    """Counters in memory that parent and children share, one byte each: nothing else passes between them."""

    def __init__(self, count: int) -> None:
        self._counters = mmap.mmap(-1, count)

    def give(self, place: int) -> None:
        """Count on."""
        self._counters[place] = (self._counters[place] + 1) % 256

    def read(self, place: int) -> int:
        """What is different while the process lives."""
        return self._counters[place]


@dataclass(frozen=True)
class Place:
    """What a child is given: ``lifeline`` can be read once the parent is gone."""

    number: int
    lifeline: int
    signs: SignsOfLife

    def give_sign(self) -> None:
        """Tell the parent that this process is alive."""
        self.signs.give(self.number)


@dataclass
class _Child:
    """The process of one place, or the wait for the next one."""

    pid: int | None = None
    began: float = 0.0
    due: float = 0.0
    pause: float = 0.0
    sign: int = 0
    silent_looks: int = 0
    has_signed: bool = False


class Siblings:
    """Runs ``serve`` in so many processes until a signal comes. This process must have one thread only."""

    def __init__(self, serve: Callable[[Place], None], count: int) -> None:
        self._serve = serve
        self._signs = SignsOfLife(count)
        self._children = [_Child() for _ in range(count)]
        self._lifeline = os.pipe()

    def run(self) -> None:
        """Keep all of them up until SIGTERM or SIGINT, then end them."""
        signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        while True:
            self._start_due()
            caught = signal.sigtimedwait(WATCHED, self._next_look())
            self._reap()
            if caught is not None and caught.si_signo in ENDING:
                break
            if caught is None:
                self._end_silent()
        self._stop()

    def _next_look(self) -> float:
        now = time.monotonic()
        return min([LOOK_SECONDS, *(max(0.0, child.due - now) for child in self._children if child.pid is None)])

    def _start_due(self) -> None:
        for number, child in enumerate(self._children):
            if child.pid is not None or child.due > time.monotonic():
                continue
            try:
                pid = os.fork()
            except OSError as error:
                # Too many processes, or no memory: the others go on.
                logger.error("No process can be started: %s", error.strerror)  # noqa: TRY400 - see logs
                child.due = time.monotonic() + LONGEST_PAUSE_SECONDS
                continue
            if pid == 0:
                self._be_child(number)
            child.pid, child.began = pid, time.monotonic()
            child.has_signed, child.silent_looks, child.sign = False, 0, self._signs.read(number)

    def _be_child(self, number: int) -> None:
        """Serve and exit, never return."""
        status = 1
        try:
            # Whoever holds the other end keeps all the others from noticing the parent's end.
            os.close(self._lifeline[1])
            signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
            self._serve(Place(number, self._lifeline[0], self._signs))
            status = 0
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 1
        except KeyboardInterrupt:
            status = 0
        except BaseException:
            logger.exception("A process ended")
        finally:
            sys.stderr.flush()
            os._exit(status)

    def _reap(self) -> None:
        for child in self._children:
            if child.pid is None:
                continue
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid == 0:
                continue
            now = time.monotonic()
            is_steady = child.has_signed and now - child.began >= STEADY_SECONDS
            child.pause = 0.0 if is_steady else min(LONGEST_PAUSE_SECONDS, max(FIRST_PAUSE_SECONDS, 2 * child.pause))
            child.pid, child.due = None, now + child.pause
            code = os.waitstatus_to_exitcode(status)
            logger.warning("Process %d ended (exit code %d); another one starts in %g s", pid, code, child.pause)

    def _end_silent(self) -> None:
        """Kill whoever has begun to give signs of life and has stopped."""
        for number, child in enumerate(self._children):
            if child.pid is None:
                continue
            sign = self._signs.read(number)
            if sign != child.sign:
                child.sign, child.silent_looks, child.has_signed = sign, 0, True
            elif child.has_signed:
                child.silent_looks += 1
            if child.silent_looks >= MOST_SILENT_LOOKS:
                logger.error("Process %d gives no sign of life: it is killed", child.pid)
                child.silent_looks = 0
                os.kill(child.pid, signal.SIGKILL)

    def _stop(self) -> None:
        """Ask all to end, and force whoever has not after a while, or at the next signal."""
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while self._left() and time.monotonic() < deadline:
            caught = signal.sigtimedwait(WATCHED, LOOK_SECONDS / 10)
            if caught is not None and caught.si_signo in ENDING:
                break
        self._signal(signal.SIGKILL)
        while self._left():
            signal.sigtimedwait(WATCHED, LOOK_SECONDS / 10)

    def _left(self) -> bool:
        for child in self._children:
            if child.pid is not None and os.waitpid(child.pid, os.WNOHANG)[0]:
                child.pid = None
        return any(child.pid is not None for child in self._children)

    def _signal(self, number: int) -> None:
        for child in self._children:
            if child.pid is not None:
                os.kill(child.pid, number)


def shared_sockets(host: str, port: int) -> Sequence[socket.socket]:
    """Sockets at the address, which others of this user may have too; they do not listen yet. Raises ``OSError``."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return [_bound(family, address) for family, _, _, _, address in dict.fromkeys(found)]


def _bound(family: int, address: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def reserve(host: str, port: int) -> tuple[Sequence[socket.socket], int]:
    """Sockets that never listen but keep the address for this user, and its port, a free one for 0.

    Raises ``OSError`` when somebody listens there, also one who would share; those whose parent was killed may first
    end.
    """
    deadline = time.monotonic() + ORPHANS_SECONDS
    while True:
        try:
            _require_nobody(host, port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise
            time.sleep(LOOK_SECONDS / 10)
        else:
            break
    kept = shared_sockets(host, port)
    return kept, kept[0].getsockname()[1]


def _require_nobody(host: str, port: int) -> None:
    for family, kind, _, _, address in dict.fromkeys(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)):
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)
