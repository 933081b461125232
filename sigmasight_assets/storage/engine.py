"""SQLAlchemy engines: ordinary statements over psycopg2, with errors that say what to do.

Bulk transfer is in ``bulk``.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from sigmasight_assets.errors import StorageError

CONNECT_TIMEOUT_SECONDS = 5
UNDEFINED_TABLE = "42P01"
# Lock not available, deadlock, statement canceled by a timeout, too many connections.
BUSY = frozenset({"55P03", "40P01", "57014", "53300"})
# The driver's words for a URL with options it does not know.
INVALID_URL = "invalid dsn"


def create_engine(url: str, *, pool_size: int = 5) -> sa.Engine:
    """An engine for the SQLAlchemy URL; connections are checked before use, so a restarted server is noticed."""
    # Arguments replace what the URL says under the same name.
    given = sa.make_url(url).query.get("options", "")
    options = f"{given if isinstance(given, str) else ' '.join(given)} -c timezone=UTC"
    return sa.create_engine(
        url,
        pool_size=pool_size,
        pool_pre_ping=True,
        connect_args={"connect_timeout": CONNECT_TIMEOUT_SECONDS, "options": options},
    )


def without_password(url: str) -> str:
    """The URL as it may be shown to people."""
    return sa.make_url(url).render_as_string(hide_password=True)


@contextmanager
def readable_errors(url: str) -> Iterator[None]:
    """Turn a database that is away or not migrated into a ``StorageError`` with the way out."""
    try:
        yield
    except OperationalError as error:
        raise (
            _refusal(url, error) if getattr(error.orig, "pgcode", None) in BUSY else _no_answer(url, error)
        ) from error
    except ProgrammingError as error:
        if str(error.orig).startswith(INVALID_URL):
            raise _no_answer(url, error) from error
        if getattr(error.orig, "pgcode", None) != UNDEFINED_TABLE:
            raise
        raise StorageError(
            f"The database {without_password(url)} has no current schema. Run `sigmasight db migrate`."
        ) from error


def _refusal(url: str, error: DBAPIError) -> StorageError:
    cause = str(error.orig).strip().splitlines()[0]
    return StorageError(f"The database {without_password(url)} is busy: {cause}. Nothing was stored; try again.")


def _no_answer(url: str, error: DBAPIError) -> StorageError:
    cause = str(error.orig).strip().splitlines()[0]
    return StorageError(
        f"The database {without_password(url)} does not answer: {cause}. "
        "Start the embedded one with `sigmasight db up`, or check SIGMASIGHT_DATABASE_URL."
    )
