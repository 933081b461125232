"""Tests of the migrations: they make what the tables say, go down and up again, and say what a database lacks."""

import itertools
import random
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from sigmasight_assets.errors import StorageError
from sigmasight_assets.quant.factors import FACTORS
from sigmasight_assets.quant.money import from_units
from sigmasight_assets.quant.snapshots import LotStatus
from sigmasight_assets.storage import schema
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.ledger_tables import LOT_LISTS, portfolio_exposures, portfolio_lot_values
from sigmasight_assets.storage.metadata import FIRST_PARTITION_YEAR, LAST_PARTITION_YEAR, METADATA
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from sigmasight_assets.storage.tables import FACTOR_COLUMNS
from tests.contents import TABLES
from tests.storage.rows import SESSION, insert

COLUMNS = """
SELECT relname, attname, format_type(atttypid, atttypmod), attnotnull, attidentity,
       pg_get_expr(adbin, adrelid), col_description(pg_class.oid, attnum), obj_description(pg_class.oid)
FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
LEFT JOIN pg_attrdef ON adrelid = pg_class.oid AND adnum = attnum
WHERE {ours} AND attnum > 0 AND NOT attisdropped
"""
CONSTRAINTS = """
SELECT relname, conname, pg_get_constraintdef(pg_constraint.oid) FROM pg_constraint
JOIN pg_class ON pg_class.oid = conrelid WHERE {ours} AND contype <> 'n'
"""
INDEXES = """
SELECT relname, pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class ON pg_class.oid = indrelid WHERE {ours}
"""
PARTITION_RULES = "SELECT relname, pg_get_partkeydef(pg_class.oid) FROM pg_class WHERE {ours}"
OURS = (
    "relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition "
    "AND relname <> 'alembic_version'"
)


def rows(url: str, query: str) -> set[tuple[object, ...]]:
    engine = sa.create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        return {tuple(row) for row in connection.exec_driver_sql(query)}


def catalogue(url: str) -> dict[str, set[tuple[object, ...]]]:
    """What the database's tables are made of, partitions apart."""
    queries = {"columns": COLUMNS, "constraints": CONSTRAINTS, "indexes": INDEXES, "partitions": PARTITION_RULES}
    return {name: rows(url, query.format(ours=OURS)) for name, query in queries.items()}


@pytest.fixture
def lock_timeouts() -> Iterator[list[str]]:
    """The lock timeout in force at each statement that makes or drops a table, while a test migrates."""
    seen: list[str] = []

    def note(_connection: object, cursor: Any, statement: str, *_: object) -> None:
        if statement.lstrip().startswith(("CREATE TABLE", "DROP TABLE")):
            cursor.execute("SHOW lock_timeout")
            seen.append(cursor.fetchone()[0])

    event.listen(sa.Engine, "before_cursor_execute", note)
    yield seen
    event.remove(sa.Engine, "before_cursor_execute", note)


class TestMigrations:
    def test_they_make_what_the_tables_say(self, database: Database, database_url: str) -> None:
        engine = sa.create_engine(database_url, poolclass=NullPool)
        METADATA.create_all(engine)
        migrated, declared = catalogue(database.url), catalogue(database_url)
        for part, expected in declared.items():
            assert migrated[part] == expected, part

    def test_alembic_finds_no_difference(self, database: Database) -> None:
        command.check(schema.alembic_config(database.url))

    def test_they_go_down_and_up_again(self, database_url: str, lock_timeouts: list[str]) -> None:
        schema.migrate(database_url)
        first = catalogue(database_url)
        definitions = rows(database_url, "SELECT held::text FROM factor_definitions AS held")
        command.downgrade(schema.alembic_config(database_url), "base")
        left = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        assert rows(database_url, left) == {("alembic_version",), ("alembic_version_pkc",)}
        assert schema.migrate(database_url) == schema.newest_revision()
        assert catalogue(database_url) == first
        assert rows(database_url, "SELECT held::text FROM factor_definitions AS held") == definitions
        # Every statement gives up waiting for readers, whichever migration it belongs to.
        assert set(lock_timeouts) == {"5s"}

    def test_a_second_run_changes_nothing(self, database: Database) -> None:
        before = catalogue(database.url)
        assert schema.migrate(database.url) == schema.newest_revision()
        assert catalogue(database.url) == before

    def test_each_one_is_told_of(self, database_url: str) -> None:
        told: list[tuple[int, int]] = []
        schema.migrate(database_url, progress=lambda done, total: told.append((done, total)))
        versions = len(list(ScriptDirectory.from_config(schema.alembic_config(database_url)).walk_revisions()))
        assert told == [(done, versions) for done in range(versions + 1)]
        told.clear()
        schema.migrate(database_url, progress=lambda done, total: told.append((done, total)))
        assert told == [(0, 0)]

    def test_the_orchestrators_schema_is_there_and_its_own(self, database: Database) -> None:
        found = "SELECT nspname FROM pg_namespace WHERE nspname = 'dagster'"
        assert rows(database.url, found) == {(schema.DAGSTER_SCHEMA,)}


class TestPartitions:
    @pytest.mark.parametrize(
        "table", [item for item in TABLES if item.info.get("partitioned")], ids=lambda item: item.name
    )
    def test_each_year_has_one_and_other_dates_go_to_the_rest(self, database: Database, table: sa.Table) -> None:
        found = rows(
            database.url,
            "SELECT relname, pg_get_expr(relpartbound, pg_class.oid) FROM pg_class JOIN pg_inherits "
            f"ON inhrelid = pg_class.oid WHERE inhparent = '{table.name}'::regclass",
        )
        years = range(FIRST_PARTITION_YEAR, LAST_PARTITION_YEAR + 1)
        assert found == {
            (f"{table.name}_rest", "DEFAULT"),
            *((f"{table.name}_y{year}", f"FOR VALUES FROM ('{year}-01-01') TO ('{year + 1}-01-01')") for year in years),
        }


class TestExposuresView:
    COLUMNS = (
        ("symbol", "text"),
        ("factor", "text"),
        ("calculation_date", "date"),
        ("beta_value", "double precision"),
        ("r_squared", "double precision"),
        ("std_err", "double precision"),
        ("p_value", "double precision"),
        ("observations", "integer"),
        ("quality_flag", "text"),
        ("method", "text"),
    )

    def test_it_has_exactly_the_promised_columns_in_order(self, database: Database) -> None:
        with database.begin() as connection:
            found = connection.exec_driver_sql(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
                "WHERE attrelid = 'symbol_factor_exposures'::regclass AND attnum > 0 ORDER BY attnum"
            )
            assert tuple(map(tuple, found)) == self.COLUMNS

    def test_it_shows_every_value_once_and_no_missing_one(self, database: Database) -> None:
        """Each beta is its factor's number, so a factor that reads another's column is found."""
        numbers = {name: place / 4 for place, name in enumerate(FACTOR_COLUMNS)}
        with database.begin() as connection:
            for statement in wide_rows(numbers, missing="size_spread"):
                connection.execute(sa.text(statement))
            found = [tuple(row) for row in connection.exec_driver_sql("SELECT * FROM symbol_factor_exposures")]
        expected = {
            (
                "AAA",
                factor.name,
                SESSION,
                place / 4,
                0.75,
                None if factor.estimator == "ridge" else 0.25,
                None if factor.estimator == "ridge" else 0.5,
                60,
                "full",
                factor.estimator,
            )
            for place, factor in enumerate(FACTORS)
            if factor.name != "Size Spread"
        }
        assert len(found) == len(expected)
        assert set(found) == expected


def assert_looked_up(database: Database, select: str, condition: str, *, table: str) -> None:
    """One portfolio's session comes from the primary key of the table's partition of that year, and from no other."""
    with database.begin() as connection:
        # The tables are empty, and reading them whole would be as quick.
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        plan = connection.exec_driver_sql(
            f"EXPLAIN (COSTS off) {select} WHERE portfolio_id = 7 AND session = '2025-06-27' AND {condition}"
        )
        lines = [line.strip() for line in plan.scalars()]
    assert "Index Cond: ((portfolio_id = 7) AND (session = '2025-06-27'::date))" in lines
    scans = [line for line in lines if f"{table}_" in line]
    assert len(scans) == 1
    assert f"Index Scan using {table}_y2025_pkey on {table}_y2025" in scans[0]


class TestPortfolioExposuresView:
    NUMBERS = ("exposure", "dollars", "per_invested", "coverage")
    BEFORE = "20261121_0008"
    SHAPE = (
        "SELECT attnum, attname, format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attrelid = 'portfolio_factor_exposures'::regclass AND attnum > 0"
    )
    EVERYTHING = "SELECT * FROM portfolio_factor_exposures"

    def test_it_shows_every_number_of_the_factors_that_have_dollars(self, database: Database) -> None:
        """Each number is its column's own, so one that is read from another column is found."""
        columns = [f"{factor}_{name}" for factor in FACTOR_COLUMNS for name in self.NUMBERS]
        values: dict[str, Any] = {name: place / 4 for place, name in enumerate(columns)}
        values |= {"market_exposure": None, "value_per_invested": None, "growth_coverage": None}
        values |= {f"size_spread_{name}": None for name in self.NUMBERS}
        insert(database, portfolio_exposures, {"portfolio_id": 7, "session": SESSION, "generation": 3, **values})
        found = rows(database.url, self.EVERYTHING)
        assert found == {
            (7, SESSION, factor.name, *(values[f"{prefix}_{name}"] for name in self.NUMBERS), 3)
            for factor, prefix in zip(FACTORS, FACTOR_COLUMNS, strict=True)
            if factor.name != "Size Spread"
        }

    def test_one_portfolio_is_looked_up_in_the_index_of_one_year(self, database: Database) -> None:
        assert_looked_up(
            database, "SELECT exposure FROM portfolio_factor_exposures", "factor = 'Value'", table="portfolio_exposures"
        )

    def test_numbers_are_kept_on_the_way_up_and_down(self, database_url: str) -> None:
        config = schema.alembic_config(database_url)
        command.upgrade(config, self.BEFORE)
        held = self.fill_long_table(database_url)
        shape, tables = rows(database_url, self.SHAPE), catalogue(database_url)
        assert rows(database_url, self.EVERYTHING) == held
        for _ in range(2):
            schema.migrate(database_url)
            assert rows(database_url, self.SHAPE) == shape
            assert rows(database_url, self.EVERYTHING) == held
            assert rows(database_url, "SELECT portfolio_id, session FROM portfolio_exposures") == {
                (portfolio, day) for portfolio, day, *_ in held
            }
            command.downgrade(config, self.BEFORE)
            assert catalogue(database_url) == tables
            assert rows(database_url, self.EVERYTHING) == held

    def fill_long_table(self, url: str) -> set[tuple[object, ...]]:
        """Long rows of three portfolios in three partitions, a third of them and of their numbers missing."""
        chance = random.Random(5)
        held: set[tuple[object, ...]] = set()
        for portfolio, day in itertools.product((1, 2, 3), (date(2019, 12, 31), SESSION, date(2026, 1, 2))):
            for factor in FACTORS:
                numbers = [chance.uniform(-2e9, 2e9) if chance.random() > 1 / 3 else None for _ in self.NUMBERS]
                if numbers[1] is not None:
                    held.add((portfolio, day, factor.name, *numbers, portfolio + 10))
        engine = sa.create_engine(url, poolclass=NullPool)
        with engine.begin() as connection:
            for row in held:
                connection.exec_driver_sql(
                    "INSERT INTO portfolio_factor_exposures VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", row
                )
        return held


class TestPositionValuesView:
    BEFORE = "20261121_0009"
    SHAPE = (
        "SELECT attnum, attname, format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attrelid = 'position_values'::regclass AND attnum > 0"
    )
    # As text: in every digit and the order of the columns.
    EVERYTHING = "SELECT held::text FROM position_values AS held"
    LARGEST, LARGEST_PRICE = 2**63 - 1, 10**14 - 1

    def test_it_shows_every_lot_in_exact_decimals(self, database: Database) -> None:
        """Each number is its list's own, so one that is read from another list is found."""
        lists: dict[str, list[Any]] = {
            "position_ids": [11, 12, 15, 16],
            "prices_used": [self.LARGEST_PRICE, None, 1, 20_305],
            "split_numerators": [2, 3, 1, 5],
            "split_denominators": [7, 1, 4, 9],
            "market_values": [self.LARGEST, -self.LARGEST, 0, -1],
            "daily_pnls": [-self.LARGEST, 123_456_789, 1, self.LARGEST],
            "statuses": [1, 3, 2, 1],
        }
        for session in (SESSION, date(2026, 1, 2)):
            insert(database, portfolio_lot_values, {"portfolio_id": 7, "session": session, **lists})
        found = rows(
            database.url,
            "SELECT portfolio_id, session, position_id, price_used, split_numerator, split_denominator, market_value, "
            "daily_pnl, status FROM position_values",
        )
        assert found == {
            (
                *(7, session, position, None if price is None else from_units(price, 4), numerator, denominator),
                *(from_units(value, 8), from_units(pnl, 8), LotStatus(status).label),
            )
            for session in (SESSION, date(2026, 1, 2))
            for position, price, numerator, denominator, value, pnl, status in zip(*lists.values(), strict=True)
        }

    def test_one_portfolio_is_looked_up_in_the_index_of_one_year(self, database: Database) -> None:
        assert_looked_up(
            database, "SELECT market_value FROM position_values", "status = 'priced'", table="portfolio_lot_values"
        )

    @pytest.mark.parametrize("session", [SESSION, date(2019, 12, 31)], ids=["year", "rest"])
    def test_a_hundred_lots_are_stored_as_they_are(self, database: Database, session: date) -> None:
        lists = {name: [1] * 100 for name in LOT_LISTS}
        insert(database, portfolio_lot_values, {"portfolio_id": 7, "session": session, **lists})
        compressed = ", ".join(f"pg_column_compression({name})" for name in LOT_LISTS)
        assert rows(database.url, f"SELECT {compressed} FROM portfolio_lot_values") == {(None,) * len(LOT_LISTS)}

    def test_values_are_kept_on_the_way_up_and_down(self, database_url: str) -> None:
        config = schema.alembic_config(database_url)
        command.upgrade(config, self.BEFORE)
        keys = self.fill_long_table(database_url)
        shape, tables = rows(database_url, self.SHAPE), catalogue(database_url)
        held = rows(database_url, self.EVERYTHING)
        assert len(held) == len(keys)
        for _ in range(2):
            schema.migrate(database_url)
            assert rows(database_url, self.SHAPE) == shape
            assert rows(database_url, self.EVERYTHING) == held
            lots = rows(database_url, "SELECT portfolio_id, session, position_ids::text FROM portfolio_lot_values")
            assert lots == {
                (*snapshot, "{" + ",".join(str(lot) for *_, lot in own) + "}")
                for snapshot, own in itertools.groupby(sorted(keys), key=lambda key: key[:2])
            }
            command.downgrade(config, self.BEFORE)
            assert catalogue(database_url) == tables
            assert rows(database_url, self.EVERYTHING) == held

    def fill_long_table(self, url: str) -> list[tuple[int, date, int]]:
        """Lots of three portfolios in three partitions in no order, some of them missing; their keys."""
        chance = random.Random(7)
        days = (date(2019, 12, 31), SESSION, date(2026, 1, 2))
        keys = [key for key in itertools.product((1, 2, 3), days, range(101, 121)) if chance.random() > 1 / 3]
        chance.shuffle(keys)
        engine = sa.create_engine(url, poolclass=NullPool)
        with engine.begin() as connection:
            for number, (portfolio, day, lot) in enumerate(keys):
                amounts = (self.LARGEST, -self.LARGEST) if number == 0 else (chance.getrandbits(62), -number)
                price = self.LARGEST_PRICE if number == 0 else chance.randrange(10**8)
                row = {
                    "portfolio_id": portfolio,
                    "session": day,
                    "position_id": lot,
                    "price_used": from_units(price, 4) if number == 0 or chance.random() > 1 / 3 else None,
                    "market_value": from_units(amounts[0], 8),
                    "daily_pnl": from_units(amounts[1], 8),
                    "status": chance.choice(("priced", "stale", "unpriced")),
                    "split_numerator": chance.randrange(1, 9),
                    "split_denominator": chance.randrange(1, 9),
                }
                into = f"INSERT INTO position_values ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})"
                connection.exec_driver_sql(into, tuple(row.values()))
        return keys


def wide_rows(numbers: dict[str, float], *, missing: str) -> list[str]:
    """One row of symbol AAA in each table of exposures; the factor ``missing`` has no value."""

    def regression(prefix: str, beta: float) -> dict[str, str]:
        values = {
            "beta": beta,
            "raw_beta": beta,
            "is_capped": "false",
            "alpha": 0,
            "r_squared": 0.75,
            "std_err": 0.25,
            "p_value": 0.5,
            "n_obs": 60,
            "quality": "'full'",
        }
        return {prefix + name: str(value) for name, value in values.items()}

    ridge: dict[str, str] = {"r_squared": "0.75", "n_obs": "60", "quality": "'full'"}
    spreads: dict[str, str] = {}
    for name, number in numbers.items():
        if name.endswith("_spread"):
            spreads |= regression(f"{name}_", number) if name != missing else {f"{name}_reason": "'constant'"}
        elif name not in ("market", "ir"):
            ridge |= {f"{name}_beta": str(number), f"{name}_raw_beta": str(number), f"{name}_is_capped": "false"}
    tables = {
        "symbol_market_beta": regression("", numbers["market"]),
        "symbol_ir_beta": regression("", numbers["ir"]),
        "symbol_ridge_factors": ridge,
        "symbol_spread_factors": spreads,
    }
    return [
        f"INSERT INTO {table} (session, symbol, fingerprint, generation, {', '.join(columns)}) "
        f"VALUES ('{SESSION}', 'AAA', 1, 1, {', '.join(columns.values())})"
        for table, columns in tables.items()
    ]


class TestDefinitions:
    def test_factors_are_those_that_are_computed(self, database: Database) -> None:
        joint = tuple(factor.proxies[0] for factor in FACTORS if factor.estimator == "ridge")
        with database.begin() as connection:
            found = connection.exec_driver_sql("SELECT * FROM factor_definitions ORDER BY position")
            stored = [tuple(tuple(item) if isinstance(item, list) else item for item in row) for row in found]
        assert stored == [
            (
                factor.name,
                place,
                joint if factor.estimator == "ridge" else factor.proxies,
                factor.estimator,
                factor.window,
                factor.min_observations,
            )
            for place, factor in enumerate(FACTORS)
        ]

    def test_columns_of_factors_are_in_the_same_order(self) -> None:
        names = [factor.name.lower().replace(" ", "_").replace("-", "_") for factor in FACTORS]
        assert [name.removesuffix("_beta") for name in names] == list(FACTOR_COLUMNS)

    def test_every_product_has_a_table(self) -> None:
        names = {table.name for table in TABLES}
        assert [item for item in SYMBOL_PRODUCTS if not {item, f"symbol_{item}"} & names] == []


class TestVersions:
    def test_a_migrated_database_is_current(self, database: Database) -> None:
        schema.require_current(database.url)
        assert schema.current_revision(database.engine) == schema.newest_revision()

    def test_an_empty_one_is_told_the_way_out(self, database_url: str) -> None:
        with pytest.raises(StorageError) as caught:
            schema.require_current(database_url)
        shown = make_url(database_url).render_as_string(hide_password=True)
        assert str(caught.value) == (
            f"The database {shown} is at schema none, this version needs {schema.newest_revision()}. "
            "Run `sigmasight db migrate`."
        )

    @pytest.mark.parametrize("revision", ["20261121_0001", "99990101_0001"])
    def test_an_older_and_a_newer_one_too(self, database_url: str, revision: str) -> None:
        engine = sa.create_engine(database_url, poolclass=NullPool)
        with engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE TABLE alembic_version AS SELECT '{revision}' AS version_num")
        with pytest.raises(StorageError, match=f"is at schema {revision}, this version needs"):
            schema.require_current(database_url)

    def test_a_newer_one_is_not_migrated(self, database_url: str) -> None:
        engine = sa.create_engine(database_url, poolclass=NullPool)
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE alembic_version AS SELECT '99990101_0001' AS version_num")
        with pytest.raises(
            StorageError, match=r"cannot be migrated: .*99990101_0001.*\. A newer version of SigmaSight"
        ):
            schema.migrate(database_url)

    def test_one_that_is_away_is_told(self) -> None:
        for ask in (schema.require_current, schema.migrate):
            with pytest.raises(StorageError, match="does not answer"):
                ask("postgresql+psycopg2://me@127.0.0.1:9/name")
