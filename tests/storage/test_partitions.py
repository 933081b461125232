"""The year after the last partition: nothing is lost, and the next migration gives it a partition of its own."""

from collections.abc import Iterator
from contextlib import closing
from datetime import date

import pytest
import sqlalchemy as sa

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.metadata import FIRST_PARTITION_YEAR, LAST_PARTITION_YEAR, METADATA
from sigmasight_assets.storage.partitions import YEARS_AHEAD, ensure_partitions, read_last_year
from sigmasight_assets.storage.retention import PARTITIONED, is_partitioned_year, read_partitions
from sigmasight_assets.storage.roles import API_ROLE, ensure_roles
from sigmasight_assets.storage.schema import migrate
from sigmasight_assets.storage.tables import symbol_prices_daily
from tests.conftest import NewDatabase, opened
from tests.orchestration.contents import rows_of
from tests.storage.rows import ROWS

NEXT = LAST_PARTITION_YEAR + 1
DATES = [date(LAST_PARTITION_YEAR, 12, 31), date(NEXT, 1, 2), date(NEXT, 12, 31), date(NEXT + 1, 6, 1)]
# What a partition is made of, its own name left out.
INDEXES = "SELECT replace(indexdef, tablename, '') AS definition FROM pg_indexes WHERE tablename = '{name}' ORDER BY 1"
CONSTRAINTS = (
    "SELECT pg_get_constraintdef(oid) AS definition FROM pg_constraint WHERE conrelid = '{name}'::regclass ORDER BY 1"
)


@pytest.fixture
def database(new_database: NewDatabase, schema_template: str) -> Iterator[Database]:
    """A database of the test's own: partitions are not taken away again."""
    with opened(new_database, schema_template) as handle:
        yield handle


def date_column(table: sa.Table) -> str:
    rule = str(table.dialect_options["postgresql"]["partition_by"])
    return rule.removeprefix("RANGE (").removesuffix(")")


def fill(database: Database) -> None:
    """A row of every partitioned table for each date."""
    with database.begin() as connection:
        for name in PARTITIONED:
            table = METADATA.tables[name]
            row = ROWS[table]
            connection.execute(sa.insert(table), [{**row, date_column(table): day} for day in DATES])


def ensure(database: Database, through: int) -> list[int]:
    with database.begin() as connection:
        return ensure_partitions(connection, through=through)


def counts(database: Database, *partitions: str) -> list[int]:
    with database.begin() as connection:
        return [connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one() for name in partitions]


def test_every_table_has_a_row_to_try() -> None:
    assert {METADATA.tables[name] for name in PARTITIONED} <= ROWS.keys()


def test_partitions_are_there_years_before_they_are_needed(database: Database) -> None:
    with database.begin() as connection:
        year = int(connection.exec_driver_sql("SELECT extract(year FROM now())::int").scalar_one())
        assert read_last_year(connection) == year + YEARS_AHEAD
        known = {(item.table, item.year) for item in read_partitions(connection)}
    assert {(name, year + ahead) for name in PARTITIONED for ahead in range(YEARS_AHEAD + 1)} <= known


def test_a_year_without_a_partition_loses_nothing_and_moves_to_its_own(database: Database) -> None:
    fill(database)
    before = {name: rows_of(database, f"SELECT * FROM {name} ORDER BY {name}") for name in PARTITIONED}
    for name in PARTITIONED:
        assert counts(database, name, f"{name}_rest") == [4, 3]
    assert ensure(database, NEXT) == [NEXT]
    for name in PARTITIONED:
        assert counts(database, f"{name}_y{LAST_PARTITION_YEAR}", f"{name}_y{NEXT}", f"{name}_rest") == [1, 2, 1]
    assert {name: rows_of(database, f"SELECT * FROM {name} ORDER BY {name}") for name in PARTITIONED} == before
    assert ensure(database, NEXT) == []
    assert ensure(database, NEXT + 1) == [NEXT + 1]
    for name in PARTITIONED:
        assert counts(database, f"{name}_y{NEXT + 1}", f"{name}_rest") == [1, 0]
    with database.begin() as connection:
        assert is_partitioned_year(connection, NEXT)


def test_a_new_partition_is_made_like_the_others(database: Database) -> None:
    assert ensure(database, NEXT) == [NEXT]
    for name in PARTITIONED:
        for query in (INDEXES, CONSTRAINTS):
            old, new = (
                [str(row["definition"]).replace(f"_y{year}", "") for row in rows_of(database, query.format(name=part))]
                for year, part in ((year, f"{name}_y{year}") for year in (LAST_PARTITION_YEAR, NEXT))
            )
            # The names of indexes are made otherwise.
            assert [text.partition(" ON ")[2] for text in new] == [text.partition(" ON ")[2] for text in old]
            assert len(new) == len(old)


def test_rows_of_a_new_partition_keep_the_rules(database: Database) -> None:
    fill(database)
    ensure(database, NEXT)
    row = {**ROWS[symbol_prices_daily], "price_date": date(NEXT, 1, 2)}
    with pytest.raises(sa.exc.IntegrityError, match="duplicate key"), database.engine.begin() as connection:
        connection.execute(sa.insert(symbol_prices_daily), [row])
    wrong = {**row, "symbol": "BBB", "low_price": "12"}
    with pytest.raises(sa.exc.IntegrityError, match="violates check constraint"), database.engine.begin() as connection:
        connection.execute(sa.insert(symbol_prices_daily), [wrong])


def test_the_api_may_read_a_new_partition(database: Database) -> None:
    ensure(database, NEXT)
    with database.begin() as connection:
        ensure_roles(connection)
    with database.begin() as connection:
        may = connection.execute(
            sa.text("SELECT has_table_privilege(:role, :name, 'SELECT')"),
            {"role": API_ROLE, "name": f"symbol_prices_daily_y{NEXT}"},
        )
        assert may.scalar_one() is True


def test_a_reader_is_waited_for_and_nothing_is_half_made(database: Database) -> None:
    """The migration fails and says so; it can be started again."""
    with database.engine.connect() as reader, database.engine.connect() as connection:
        reader.execute(sa.select(symbol_prices_daily)).all()
        with pytest.raises(sa.exc.OperationalError, match="lock timeout"):
            ensure_partitions(connection, through=NEXT)
        connection.rollback()
    with database.begin() as connection:
        assert not is_partitioned_year(connection, NEXT)
    assert ensure(database, NEXT) == [NEXT]


def test_a_migration_makes_them(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sigmasight_assets.storage.partitions.read_last_year", lambda _: NEXT)
    migrate(database_url)
    with closing(Database(database_url)) as database, database.begin() as connection:
        years = {item.year for item in read_partitions(connection) if item.year is not None}
    assert years == set(range(FIRST_PARTITION_YEAR, NEXT + 1))
