"""Everything that goes through PgBouncer comes to what it comes to without one: a night, and who goes first.

The API is tried in ``tests/api/test_pooled.py``.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.precedence import precedence, wait_for_precedence
from tests.conftest import NewDatabase
from tests.night_contents import differences, results
from tests.nights import DAYS, live_evenings
from tests.orchestration.contents import Contents, rows_of
from tests.pooler import Mode, Pooler, pooler

NIGHTS = DAYS[:2]
LOCKS = "SELECT mode FROM pg_locks WHERE locktype = 'advisory' AND objid = 7000"
MODES: tuple[Mode, ...] = ("session", "transaction")


@pytest.fixture(scope="module", params=MODES)
def pooled(request: pytest.FixtureRequest, postgres_url: str, open_directory: Path) -> Iterator[Pooler]:
    with pooler(open_directory, postgres_url, mode=request.param) as running:
        yield running


@pytest.fixture(scope="module")
def direct(new_database: NewDatabase, schema_template: str) -> Contents:
    """What two nights come to without a pooler."""
    with new_database(schema_template) as url, closing(Database(url)) as database:
        live_evenings(database, NIGHTS)
        return results(database)


def test_nights_come_to_the_same(
    pooled: Pooler, direct: Contents, new_database: NewDatabase, schema_template: str
) -> None:
    """Statements, COPY in and out, temporary tables, locks of layers, and notifications that are sent."""
    with new_database(schema_template) as url, closing(Database(pooled.through(url))) as database:
        live_evenings(database, NIGHTS)
        assert differences(results(database), direct) == []
        database.close()
        assert {row["database"] for row in pooled.show("POOLS")} >= {database.engine.url.database}
        database.close()


def test_precedence_ends_with_its_block(pooled: Pooler, database: Database) -> None:
    """A lock of a session would stay on the pooler's connection, and long runs would give way for ever."""
    with closing(Database(pooled.through(database.url))) as through:
        with precedence(through.url):
            assert rows_of(database, LOCKS) == [{"mode": "ShareLock"}]
        wait_for_precedence(through.engine)
        assert rows_of(database, LOCKS) == []


def test_the_server_speaks_utc_whatever_options_are_dropped(pooled: Pooler, database: Database) -> None:
    with closing(Database(pooled.through(database.url))) as through, through.begin() as connection:
        assert connection.execute(sa.text("SHOW timezone")).scalar_one() == "UTC"


def test_precedence_keeps_no_old_rows(database: Database) -> None:
    """Its transaction stays open for as long as the run, and the server may clear away meanwhile."""
    with precedence(database.url):
        held = rows_of(
            database,
            "SELECT backend_xmin::text AS xmin, backend_xid::text AS xid FROM pg_stat_activity "
            "JOIN pg_locks USING (pid) "
            "WHERE locktype = 'advisory' AND objid = 7000",
        )
        assert held == [{"xmin": None, "xid": None}]
