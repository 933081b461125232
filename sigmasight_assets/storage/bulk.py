"""Bulk transfer: Arrow tables in and out of PostgreSQL over ADBC, inside one transaction.

ADBC moves a million rows where SQLAlchemy moves a hundred thousand; everything a publication writes goes through
one ``BulkTransaction``, so that it is seen whole or not at all.
"""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from typing import Any

import numpy as np
import psycopg2
import pyarrow as pa
import sqlalchemy as sa
from adbc_driver_manager import Error as DriverError
from adbc_driver_manager import OperationalError as DriverOperationalError
from numpy.typing import NDArray
from psycopg2.extensions import make_dsn

from sigmasight_assets.errors import StorageError, TransientStorageError
from sigmasight_assets.storage.engine import CONNECT_TIMEOUT_SECONDS, libpq_settings, session_options, without_password
from sigmasight_assets.storage.sqlstates import is_passing

# The server takes one part in while the next is encoded: of a whole table it would first have to wait for the end.
ROWS_SENT_AT_ONCE = 4096
PLACEHOLDER = re.compile(r"\$(\d+)")


class BulkTransaction:
    """One open transaction of one connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """The rows of a query as an Arrow table; placeholders are ``$1``, ``$2``, ...

        The parameters (dates, numbers, flags, texts and lists of them) become part of the statement: without any, the
        driver asks for a binary COPY and reads it while the server still sends.
        """
        with self._connection.cursor() as cursor:
            cursor.execute(with_literals(sql, parameters))
            return cursor.fetch_arrow_table()

    @contextmanager
    def batches(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[pa.RecordBatchReader]:
        """The same rows one batch after the other, for tables that do not fit the memory."""
        with self._connection.cursor() as cursor:
            cursor.execute(with_literals(sql, parameters))
            yield cursor.fetch_record_batch()

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement that returns no rows."""
        with self._connection.cursor() as cursor:
            cursor.execute(sql, parameters or None)

    def append(self, table: str, rows: pa.Table, *, schema: str | None = None) -> int:
        """COPY the rows into a table whose columns have the same names; returns how many."""
        if rows.num_rows:
            with self._connection.cursor() as cursor:
                batches = rows.to_reader(max_chunksize=ROWS_SENT_AT_ONCE)
                cursor.adbc_ingest(table, batches, mode="append", db_schema_name=schema)
        return int(rows.num_rows)

    @contextmanager
    def scratch_table(self, name: str, columns: Mapping[str, str], rows: pa.Table) -> Iterator[str]:
        """A temporary table that holds the rows inside the block; ``columns`` maps names to SQL types."""
        definition = ", ".join(f"{column} {kind}" for column, kind in columns.items())
        self.execute(f"CREATE TEMP TABLE {name} ({definition}) ON COMMIT DROP")
        self.append(name, rows, schema="pg_temp")
        self.execute(f"ANALYZE {name}")
        yield name
        self.execute(f"DROP TABLE {name}")

    def replace(self, table: sa.Table, keys: pa.Table, rows: pa.Table) -> int:
        """Delete the rows with the given keys and append the new ones; returns how many were appended.

        ``keys`` holds some or all columns of the primary key, each combination once.
        """
        if keys.num_rows:
            columns = {name: table.c[name].type.compile(DIALECT) for name in keys.column_names}
            with self.scratch_table(f"replaced_{table.name}", columns, keys) as scratch:
                condition = " AND ".join(f"target.{name} = {scratch}.{name}" for name in columns)
                self.execute(f"DELETE FROM {table.name} AS target USING {scratch} WHERE {condition}")
        return self.append(table.name, rows)


def with_literals(sql: str, parameters: Sequence[Any]) -> str:
    """The statement with every ``$1``, ``$2``, ... replaced by the literal of its parameter.

    Literals have the type that PostgreSQL infers where they stand, as parameters have.
    Raises ``TypeError`` for a parameter of another kind and ``ValueError`` for a text that PostgreSQL cannot hold.
    """
    return PLACEHOLDER.sub(lambda found: _literal(parameters[int(found[1]) - 1]), sql) if parameters else sql


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list) and all(type(item) is int for item in value):
        # Keys come by the hundred thousand.
        return "'{" + ",".join(map(str, value)) + "}'"
    if isinstance(value, list):
        return _quoted("{" + ",".join(map(_element, value)) + "}")
    return _quoted(_text(value))


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    return '"' + _text(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _text(value: Any) -> str:
    if not isinstance(value, str | bool | int | float) and type(value) is not date:
        raise TypeError(f"{value!r} cannot be a parameter of a bulk read")
    text = str(value)
    if "\0" in text:
        raise ValueError(f"{text!r} holds a zero byte, which PostgreSQL has no text for")
    return text


def _quoted(text: str) -> str:
    """The form with escapes, which means the same whatever the server's ``standard_conforming_strings``."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


DIALECT = sa.create_mock_engine("postgresql+psycopg2://", executor=lambda *_: None).dialect


class BulkConnections:
    """Opens connections of one database.

    The driver reads the server's types when it first connects (0.1 s); later connections share them (3 ms).
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._first: Any = None
        self._opening = threading.Lock()

    def open(self) -> Any:
        """A new connection; ``TransientStorageError`` when the database is away."""
        try:
            with self._opening:
                if self._first is None:
                    self._first = self._connect()
            return self._first.adbc_clone()
        except (DriverError, psycopg2.ProgrammingError) as error:
            raise TransientStorageError(
                f"The database {without_password(self._url)} does not answer. "
                "Start the embedded one with `sigmasight db up`, or check SIGMASIGHT_DATABASE_URL."
            ) from error

    def close(self) -> None:
        """Forget what was shared; open connections stay."""
        if self._first is not None:
            self._first.close()
            self._first = None

    def _connect(self) -> Any:
        # This import brings pandas along (0.4 s), which commands that move no bulk need not pay.
        from adbc_driver_postgresql import dbapi  # noqa: PLC0415

        # It stays open for its types alone, so it must not sit in a transaction.
        own = {"connect_timeout": CONNECT_TIMEOUT_SECONDS, "options": session_options(self._url)}
        return dbapi.connect(make_dsn(**{**libpq_settings(self._url), **own}), autocommit=True)


@contextmanager
def bulk_transaction(connections: BulkConnections, *, read_only: bool = False) -> Iterator[BulkTransaction]:
    """Open a transaction: committed at the end of the block, rolled back when it raises.

    A read-only one sees a single snapshot of the database throughout.
    """
    connection = connections.open()
    try:
        transaction = BulkTransaction(connection)
        if read_only:
            transaction.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield transaction
        connection.commit()
    except BaseException as error:
        # A lost connection cannot say so; the server rolls back by itself.
        with suppress(DriverError):
            connection.rollback()
        if isinstance(error, DriverError):
            kind = TransientStorageError if _is_passing(error) else StorageError
            raise kind(f"The database refused a bulk transfer: {error}") from error
        raise
    finally:
        connection.close()


def _is_passing(error: DriverError) -> bool:
    """A lost connection may come without a SQLSTATE."""
    return is_passing(error.sqlstate) if error.sqlstate else isinstance(error, DriverOperationalError)


def decimal_array(
    scaled: NDArray[np.int64], *, precision: int, scale: int, null: NDArray[np.bool_] | None = None
) -> Any:
    """An Arrow decimal column from integers that count units of ``10 ** -scale``; exact, without a Python loop.

    ``null`` marks the rows that become NULL. Shapes ``(N,)``.
    """
    words = np.empty((len(scaled), 2), dtype=np.int64)
    words[:, 0] = scaled
    words[:, 1] = scaled >> 63  # sign extension to the 128 bits of an Arrow decimal
    validity = None if null is None else pa.py_buffer(np.packbits(~null, bitorder="little").tobytes())
    return pa.Array.from_buffers(
        pa.decimal128(precision, scale), len(scaled), [validity, pa.py_buffer(words.tobytes())]
    )


def price_array(scaled: NDArray[np.int64], null: NDArray[np.bool_] | None = None) -> Any:
    """Arrow NUMERIC(14,4) column from prices in units of 1e-4 USD."""
    return decimal_array(scaled, precision=14, scale=4, null=null)


def money_array(scaled: NDArray[np.int64]) -> Any:
    """Arrow NUMERIC(28,8) column from amounts in units of 1e-8 USD."""
    return decimal_array(scaled, precision=28, scale=8)


def float_array(values: NDArray[np.float64]) -> Any:
    """Arrow double column in which NaN is NULL."""
    return pa.array(values, from_pandas=True)


def numpy_column(table: pa.Table, name: str) -> NDArray[Any]:
    """A column as a numpy array: NULL floats become NaN, dates become datetime64[D]."""
    values: NDArray[Any] = table.column(name).to_numpy()
    return values.astype("datetime64[D]") if pa.types.is_date(table.schema.field(name).type) else values
