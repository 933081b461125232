"""SQLAlchemy engines: ordinary statements over psycopg2, with errors that say what to do.

Bulk transfer is in ``bulk``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from sigmasight_assets.errors import StorageError, TransientStorageError
from sigmasight_assets.storage.sqlstates import is_lost_connection, is_passing

CONNECT_TIMEOUT_SECONDS = 5
# Without them the server keeps the locks of a machine that has vanished for two hours.
KEEPALIVES = "-c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3"
UNDEFINED_TABLE = "42P01"
INSUFFICIENT_PRIVILEGE = "42501"
# The driver's words for a URL with options it does not know.
INVALID_URL = "invalid dsn"


def create_engine(url: str, *, pool_size: int = 5) -> sa.Engine:
    """An engine for the SQLAlchemy URL; connections are checked before use, so a restarted server is noticed."""
    options = f"{session_options(url)} -c timezone=UTC"
    return sa.create_engine(
        url,
        pool_size=pool_size,
        pool_pre_ping=True,
        connect_args={"connect_timeout": CONNECT_TIMEOUT_SECONDS, "options": options},
    )


def session_options(url: str) -> str:
    """The options of a connection: those of the URL, which arguments replace, and how soon it may be given up."""
    given = sa.make_url(url).query.get("options", "")
    return f"{given if isinstance(given, str) else ' '.join(given)} {KEEPALIVES}".strip()


def libpq_settings(url: str) -> dict[str, Any]:
    """The URL as settings by name, which every driver takes.

    SQLAlchemy writes blanks into URLs in ways that libpq does not read.
    """
    parts = sa.make_url(url)
    return {**parts.translate_connect_args(username="user", database="dbname"), **parts.query}


def without_password(url: str) -> str:
    """The URL as it may be shown to people."""
    return sa.make_url(url).render_as_string(hide_password=True)


@contextmanager
def readable_errors(url: str) -> Iterator[None]:
    """Turn a database that is away, busy, full or not migrated into a ``StorageError`` with the way out.

    It is a ``TransientStorageError`` when the trouble passes by itself.
    """
    try:
        yield
    except OperationalError as error:
        raise _operational(url, error) from error
    except ProgrammingError as error:
        if str(error.orig).startswith(INVALID_URL):
            raise StorageError(_no_answer(url, error)) from error
        sqlstate = getattr(error.orig, "pgcode", None)
        if sqlstate == INSUFFICIENT_PRIVILEGE:
            raise _refusal(url, error) from error
        if sqlstate != UNDEFINED_TABLE:
            raise
        raise StorageError(
            f"The database {without_password(url)} has no current schema. Run `sigmasight db migrate`."
        ) from error


def _operational(url: str, error: OperationalError) -> StorageError:
    """What the server or the way to it is in the way of; without a SQLSTATE there was no answer at all."""
    sqlstate = getattr(error.orig, "pgcode", None)
    if sqlstate is None or is_lost_connection(sqlstate):
        return TransientStorageError(_no_answer(url, error))
    if is_passing(sqlstate):
        return TransientStorageError(
            f"The database {without_password(url)} is busy: {_cause(error)}. Nothing was stored; try again."
        )
    return _refusal(url, error)


def _refusal(url: str, error: DBAPIError) -> StorageError:
    return StorageError(
        f"The database {without_password(url)} refuses: {_cause(error)}. Nothing was stored; mend this first."
    )


def _no_answer(url: str, error: DBAPIError) -> str:
    return (
        f"The database {without_password(url)} does not answer: {_cause(error)}. "
        "Start the embedded one with `sigmasight db up`, or check SIGMASIGHT_DATABASE_URL."
    )


def _cause(error: DBAPIError) -> str:
    return str(error.orig).strip().splitlines()[0]
