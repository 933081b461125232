"""Advisory file locks between ``sigmasight`` commands of one home.

The kernel releases a lock when its holder dies, so a lock that is held proves that the process named in it lives.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sigmasight_assets.errors import ServiceError

RETRY_SECONDS = 0.05
# A look at a lock holds it for an instant, which must not count as taken.
SHORTEST_WAIT_SECONDS = 0.5


@contextmanager
def file_lock(path: Path, *, purpose: str, wait_seconds: float = SHORTEST_WAIT_SECONDS) -> Iterator[None]:
    """Hold the lock for the block; ``ServiceError`` with ``purpose`` and the holder's pid when it stays taken.

    The file exists only as long as somebody holds or awaits the lock.
    """
    descriptor = _locked(path, purpose, time.monotonic() + wait_seconds)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def lock_holder(path: Path) -> int | None:
    """Process id of the command that holds the lock; ``None`` when nobody does."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        return None if _try_lock(descriptor) else _written_pid(descriptor)
    finally:
        os.close(descriptor)


def _locked(path: Path, purpose: str, deadline: float) -> int:
    """Descriptor of the file, locked, and still the file of this name: its last holder removed it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        taken = not _try_lock(descriptor)
        if not taken and _is_at(path, descriptor):
            return descriptor
        holder = _written_pid(descriptor) if taken else None
        os.close(descriptor)
        if taken and time.monotonic() >= deadline:
            raise ServiceError(f"Another command is {purpose} (process {holder}).")
        time.sleep(RETRY_SECONDS)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _written_pid(descriptor: int) -> int:
    """The holder writes its id just after it got the lock: wait for that moment; 0 when it does not come."""
    for _ in range(20):
        text = os.pread(descriptor, 32, 0)
        if text:
            return int(text)
        time.sleep(RETRY_SECONDS)
    return 0
