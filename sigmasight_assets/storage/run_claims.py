"""Which worker does a run: a message may be delivered twice, a run must not be done twice at the same time."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from sigmasight_assets.errors import StorageError
from sigmasight_assets.storage.engine import create_engine, readable_errors

# The first of two keys; the locks of layers and of precedence have a single one.
SPACE = 7001


def give_up(error: StorageError) -> None:
    """Do not wait for a database that is away."""
    raise error


@contextmanager
def claimed_run(url: str, run_id: str, *, when_away: Callable[[StorageError], None] = give_up) -> Iterator[bool]:
    """Claim the run for the block; yields whether it is ours. A worker that dies gives it up with its connection.

    The lock is that of a transaction which stays open and has looked at nothing, as that of ``precedence``: one of a
    session would outlive the block on a pooler's connection. While the database does not let us claim, ``when_away``
    is told why after each attempt: it waits for the next one, or raises, as it does with ``StorageError`` by default.
    """
    engine = create_engine(url, pool_size=1)
    key = int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:4], "big", signed=True)
    connection = None
    try:
        while connection is None:
            try:
                connection, is_ours = _claim(engine, url, key)
            except StorageError as error:
                when_away(error)
        yield is_ours
    finally:
        if connection is not None:
            _close(connection)
        engine.dispose()


def _claim(engine: sa.Engine, url: str, key: int) -> tuple[sa.Connection, bool]:
    """The connection that holds the lock for as long as it is open, if it got it."""
    with readable_errors(url):
        connection = engine.connect()
        try:
            is_ours = connection.execute(sa.select(sa.func.pg_try_advisory_xact_lock(SPACE, key))).scalar_one()
        except BaseException:
            _close(connection)
            raise
    return connection, bool(is_ours)


def _close(connection: sa.Connection) -> None:
    """Closed, not returned to the pool: a server that restarted meanwhile has forgotten it."""
    connection.invalidate()
    connection.close()
