"""A database handle that is struck once, at a chosen statement: killed, cut off from the server, or timed out."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
import pyarrow as pa
import sqlalchemy as sa

from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.database import Database

# Runs a statement on the connection that is struck.
Execute = Callable[[str], object]
Strike = Callable[[str, Execute], None]


def kill(_url: str, _execute: Execute) -> None:
    """kill -9 of this process."""
    os.kill(os.getpid(), signal.SIGKILL)


def cut(url: str, _execute: Execute) -> None:
    """Every connection of the database is ended by the server."""
    address = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with closing(psycopg2.connect(address)) as other, other.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def time_out(_url: str, execute: Execute) -> None:
    """The server gives up a statement that takes too long."""
    execute("SET LOCAL statement_timeout = '2ms'")
    execute("SELECT pg_sleep(60)")


STRIKES: dict[str, Strike] = {"killed": kill, "cut": cut, "timed_out": time_out}


class StruckDatabase(Database):
    """Struck at the statement number ``at``, counted from 1; a COMMIT counts too, and so does what follows it."""

    def __init__(self, url: str, kind: str, at: int) -> None:
        super().__init__(url)
        self._strike = STRIKES[kind]
        self._at = at
        self._statements = 0
        self.has_struck = False

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """As of any database."""
        with super().begin() as connection:

            def before(_connection: object, cursor: Any, *_: object) -> None:
                self.count(cursor.execute)

            sa.event.listen(connection, "before_cursor_execute", before)
            try:
                yield connection
            finally:
                sa.event.remove(connection, "before_cursor_execute", before)

    @contextmanager
    def bulk(self, *, read_only: bool = False) -> Iterator[BulkTransaction]:
        """As of any database."""
        with super().bulk(read_only=read_only) as transaction:
            counted = _Counted(transaction, self)
            yield counted
            self.count(transaction.execute)
        # Committed, and nobody has been told yet: only a killed process does not live to tell.
        if self._strike is kill:
            self.count(transaction.execute)

    def count(self, execute: Execute) -> None:
        """Count a statement that is about to run, and strike if it is the one."""
        self._statements += 1
        if self._statements == self._at:
            self.has_struck = True
            self._strike(self.url, execute)


class _Counted(BulkTransaction):
    """A transaction whose statements are counted."""

    def __init__(self, transaction: BulkTransaction, database: StruckDatabase) -> None:
        super().__init__(transaction._connection)
        self._uncounted = transaction
        self._database = database

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        self._database.count(self._uncounted.execute)
        return super().read(sql, parameters)

    @contextmanager
    def batches(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[pa.RecordBatchReader]:
        self._database.count(self._uncounted.execute)
        with super().batches(sql, parameters) as reader:
            yield reader

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        self._database.count(self._uncounted.execute)
        super().execute(sql, parameters)

    def append(self, table: str, rows: pa.Table, *, schema: str | None = None) -> int:
        self._database.count(self._uncounted.execute)
        return super().append(table, rows, schema=schema)
