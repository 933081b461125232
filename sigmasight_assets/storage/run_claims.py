"""Which worker does a run: a message may be delivered twice, a run must not be done twice at the same time."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from sigmasight_assets.storage.engine import create_engine, readable_errors

# The first of two keys; the locks of layers and of precedence have a single one.
SPACE = 7001


@contextmanager
def claimed_run(url: str, run_id: str) -> Iterator[bool]:
    """Claim the run for the block; yields whether it is ours. A worker that dies gives it up with its connection.

    The lock is that of a transaction which stays open and has looked at nothing, as that of ``precedence``: one of a
    session would outlive the block on a pooler's connection. Raises ``StorageError`` when the database is away.
    """
    engine = create_engine(url, pool_size=1)
    key = int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:4], "big", signed=True)
    connection = None
    try:
        with readable_errors(url):
            connection = engine.connect()
            is_ours = connection.execute(sa.select(sa.func.pg_try_advisory_xact_lock(SPACE, key))).scalar_one()
        yield bool(is_ours)
    finally:
        if connection is not None:
            # Closed, not returned to the pool: a server that restarted meanwhile has forgotten it.
            connection.invalidate()
            connection.close()
        engine.dispose()
