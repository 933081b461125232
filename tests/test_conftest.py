"""Tests of the shared database fixtures: databases are apart from each other and gone afterwards."""

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from tests.conftest import NewDatabase


def run(url: str, statement: str) -> list[object]:
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        result = connection.execute(text(statement))
        return list(result.scalars()) if result.returns_rows else []


def test_a_copy_has_the_rows_of_its_template_and_shares_none(new_database: NewDatabase) -> None:
    with new_database("template1") as template:
        run(template, "create table kept as select 42 as answer")
        name = make_url(template).database
        assert name is not None
        with new_database(name) as first, new_database(name) as second:
            run(first, "delete from kept")
            assert run(first, "select answer from kept") == []
            assert run(second, "select answer from kept") == [42]


def test_a_database_is_gone_after_its_block_even_with_a_session_open(
    new_database: NewDatabase, postgres_url: str
) -> None:
    with new_database("template1") as url:
        lingering = create_engine(url)
        lingering.connect().detach()
    lingering.dispose()
    name = make_url(url).database
    assert run(postgres_url, f"select 1 from pg_database where datname = '{name}'") == []


def test_a_test_database_is_empty(database_url: str) -> None:
    assert run(database_url, "select tablename from pg_tables where schemaname = 'public'") == []
