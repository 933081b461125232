"""Who goes first: runs that somebody waits for take precedence, and long ones give way between their transactions.

The locks of layers (``publications``) keep transactions apart; they are granted in turn, so a run of many short
transactions beside a long run would wait for one of its slices each time. A run with precedence holds a lock of its
own, shared and never waited for; a run that gives way looks for it before each of its own transactions. So of a long
run just the slice that is in flight is waited for, once.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import sqlalchemy as sa

from sigmasight_assets.errors import StorageError
from sigmasight_assets.storage.engine import create_engine, readable_errors

# Beside those of the layers.
LOCK = 7000
POLL_SECONDS = 0.5

HELD = sa.text("""
SELECT EXISTS (
    SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
    WHERE pg_locks.locktype = 'advisory' AND pg_locks.classid = 0 AND pg_locks.objid = :lock AND pg_locks.granted
      AND pg_database.datname = current_database()
)
""")


@contextmanager
def precedence(url: str) -> Iterator[None]:
    """Have long runs give way for the block, over a connection of its own.

    A worker that dies gives it up with its connection. When the database is away or restarts there is none, and what
    the block does finds that out itself. The lock is that of a transaction which stays open and has looked at nothing,
    so it keeps no old rows: one of a session would outlive the block on a pooler's connection.
    """
    engine = create_engine(url, pool_size=1)
    connection = None
    try:
        with suppress(StorageError), readable_errors(url):
            connection = engine.connect()
            # Shared and taken by nobody alone: it is granted at once.
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(LOCK)))
        yield
    finally:
        if connection is not None:
            # Closed, not returned to the pool: a server that restarted meanwhile has forgotten it.
            connection.invalidate()
            connection.close()
        engine.dispose()


def wait_for_precedence(engine: sa.Engine) -> None:
    """Return when no run takes precedence."""
    with engine.connect() as connection:
        while connection.execute(HELD, {"lock": LOCK}).scalar_one():
            # An open transaction would keep the server from clearing away old rows.
            connection.rollback()
            time.sleep(POLL_SECONDS)
