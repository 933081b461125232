"""Signs of life of a running step: a thread that keeps ``batch_runs.seen_at`` fresh, whatever the step itself does.

Who judges them is ``operations.lost_runs``.
"""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from sigmasight_assets.errors import StorageError
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.ledger_tables import batch_runs

INTERVAL_SECONDS = 10.0
# Whoever looks for lost workers looks again soon after the database has come back.
PAUSE_AFTER_FAILURE_SECONDS = 2.0
# Neither a lock nor a server that has gone silent may hold this thread up for long.
LONGEST_WAIT_MILLISECONDS = 5_000


@contextmanager
def signs_of_life(url: str, *, run_id: str, kind: str) -> Iterator[None]:
    """Tell every ten seconds that the step is alive until the block ends; only a row that is running is touched.

    The step is never disturbed: a database that is away is tried again in silence, and the end is not waited for.
    """
    ended = threading.Event()
    name = f"signs of life of {kind}"
    threading.Thread(target=_tell, args=(url, run_id, kind, ended), name=name, daemon=True).start()
    try:
        yield
    finally:
        ended.set()


def _tell(url: str, run_id: str, kind: str, ended: threading.Event) -> None:
    pause = INTERVAL_SECONDS
    while not ended.wait(pause):
        pause = PAUSE_AFTER_FAILURE_SECONDS
        with suppress(StorageError, SQLAlchemyError):
            record_sign_of_life(url, run_id=run_id, kind=kind)
            pause = INTERVAL_SECONDS


def record_sign_of_life(url: str, *, run_id: str, kind: str) -> None:
    """Set ``seen_at`` of a running step to the database's time, over a connection that is closed again.

    Raises ``StorageError`` when the database is away or busy.
    """
    own = sa.make_url(url).update_query_dict({"tcp_user_timeout": str(LONGEST_WAIT_MILLISECONDS)})
    statement = sa.update(batch_runs).where(
        batch_runs.c.run_id == run_id, batch_runs.c.kind == kind, batch_runs.c.status == "running"
    )
    with closing(Database(own.render_as_string(hide_password=False))) as database, database.begin() as connection:
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {LONGEST_WAIT_MILLISECONDS}")
        connection.execute(statement.values(seen_at=sa.func.clock_timestamp()))
