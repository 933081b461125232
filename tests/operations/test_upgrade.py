"""A database that an older version has filled is brought to this one with all it holds, and the next night goes on.

What an older version leaves is made by taking a filled database back to that version's schema.
"""

from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy.engine import make_url

from sigmasight_assets.errors import StorageError
from sigmasight_assets.storage import schema
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import add_capital_flow, read_portfolios
from sigmasight_assets.storage.tokens import create_token
from tests.conftest import NewDatabase, opened
from tests.contents import TABLES
from tests.night_books import enter_edits
from tests.night_contents import differences, results
from tests.nights import DAYS, live_evenings, market_as_of, run_portfolio_layer, run_symbol_layer
from tests.orchestration.contents import Contents, rows_of

LIVED, NEXT = DAYS[:2], DAYS[2]
SCRIPTS = ScriptDirectory.from_config(schema.alembic_config("postgresql://"))
PREVIOUS = SCRIPTS.get_revision("head").down_revision
# And the one before owners could write: what is older had other tables for snapshots.
OLD = "20261121_0012"
COLUMNS = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"


@pytest.fixture(scope="module")
def lived(new_database: NewDatabase, schema_template: str) -> Iterator[str]:
    """Name of a database after two evenings, to be copied."""
    with new_database(schema_template) as url:
        with closing(Database(url)) as database:
            live_evenings(database, LIVED)
            with database.begin() as connection:
                create_token(connection, "owner")
                for book in read_portfolios(connection):
                    add_capital_flow(connection, book.portfolio_id, flow_date=LIVED[-1], amount=Decimal(1000))
            run_portfolio_layer(database, LIVED[-1])
        yield str(make_url(url).database)


def live_on(database: Database) -> Contents:
    """What the next evening comes to."""
    enter_edits(database, market_as_of(NEXT), DAYS, NEXT)
    run_symbol_layer(database, [NEXT])
    assert [span.last for span in run_portfolio_layer(database, NEXT)] == [NEXT]
    return results(database)


@pytest.fixture(scope="module")
def next_evening(lived: str, new_database: NewDatabase) -> Contents:
    """What the next evening makes of a database that was always of this version."""
    with opened(new_database, lived) as database:
        return live_on(database)


def known(database: Database) -> dict[str, list[str]]:
    """The columns of each table that the database has now."""
    found: dict[str, list[str]] = {}
    for row in rows_of(database, COLUMNS):
        found.setdefault(row["table_name"], []).append(row["column_name"])
    return found


def held(database: Database, columns: dict[str, list[str]]) -> dict[str, list[str]]:
    """Every row by table, of columns that an older version knew."""
    with database.begin() as connection:
        return {
            table.name: sorted(
                connection.execute(
                    sa.text(f"SELECT jsonb_build_array({', '.join(columns[table.name])})::text FROM {table.name}")
                ).scalars()
            )
            for table in TABLES
            if table.name in columns
        }


@pytest.mark.parametrize("revision", [PREVIOUS, OLD])
def test_a_filled_database_is_upgraded_whole_and_the_next_night_goes_on(
    lived: str, next_evening: Contents, new_database: NewDatabase, revision: str
) -> None:
    with opened(new_database, lived) as database:
        command.downgrade(schema.alembic_config(database.url), revision)
        columns = known(database)
        before = held(database, columns)
        assert sum(map(len, before.values())) > 10_000
        with pytest.raises(StorageError, match="this version needs"):
            schema.require_current(database.url)
        assert schema.migrate(database.url) == schema.newest_revision()
        assert held(database, columns) == before
        flows = rows_of(database, "SELECT public_id FROM capital_flows")
        assert flows
        assert len({row["public_id"] for row in flows} - {None}) == len(flows)
        assert differences(live_on(database), next_evening) == []


def test_an_upgrade_that_cannot_have_its_lock_changes_nothing_and_can_be_run_again(
    lived: str, new_database: NewDatabase
) -> None:
    with opened(new_database, lived) as database:
        command.downgrade(schema.alembic_config(database.url), OLD)
        columns = known(database)
        before = held(database, columns)
        with database.begin() as reader:
            # A service that somebody has forgotten to stop.
            reader.exec_driver_sql("SELECT count(*) FROM capital_flows")
            with pytest.raises(Exception, match="lock timeout"):
                schema.migrate(database.url)
        assert held(database, columns) == before
        assert schema.migrate(database.url) == schema.newest_revision()
        assert held(database, columns) == before
