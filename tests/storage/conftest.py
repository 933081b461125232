"""One migrated database for all tests of storage, emptied before each."""

from collections.abc import Iterator
from datetime import date

import numpy as np
import pytest

from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.portfolios import PortfolioRecord, require_portfolio
from tests.conftest import NewDatabase
from tests.contents import clear
from tests.storage.lot_edits import enter_two_books

# The last week of June 2025: a Thursday without a session of its own would be 2025-06-19.
SESSIONS = exchange_calendar().between(date(2025, 6, 23), date(2025, 6, 27))
SYMBOLS = ("AAA", "BBB", "CCC")


@pytest.fixture(scope="session")
def migrated(new_database: NewDatabase, schema_template: str) -> Iterator[Database]:
    with new_database(schema_template) as url:
        database = Database(url)
        yield database
        database.close()


@pytest.fixture
def database(migrated: Database) -> Database:
    """The database without rows."""
    clear(migrated)
    return migrated


@pytest.fixture
def grid() -> Grid:
    """Five sessions x three symbols."""
    return Grid(np.array(SESSIONS, dtype="datetime64[D]"), SYMBOLS)


@pytest.fixture
def book(database: Database) -> Iterator[PortfolioRecord]:
    """An empty portfolio whose snapshots are current, beside another that must stay as it is."""
    first, second = enter_two_books(database)
    yield first
    with database.begin() as connection:
        after = require_portfolio(connection, second.public_id)
    assert (after.book_version, after.stale_from) == (1, None)
