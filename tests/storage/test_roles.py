"""Tests of the API's database roles: what each may do, table by table, and how they come to be."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from sigmasight_assets.errors import StorageError
from sigmasight_assets.storage import roles
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.roles import API_ROLE, OPERATOR_ROLE, ROLES, ensure_roles, is_restricted, set_password
from sigmasight_assets.storage.schema import migrate
from sigmasight_assets.storage.tokens import create_token
from tests.conftest import ROLE_PASSWORD, NewDatabase
from tests.contents import TABLES

RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")


def held(connection: sa.Connection, role: str) -> dict[str, set[str]]:
    """The rights of a role on each table."""
    query = sa.text("SELECT has_table_privilege(:role, :table, :right)")
    return {
        table.name: {
            right
            for right in RIGHTS
            if connection.execute(query, {"role": role, "table": table.name, "right": right}).scalar_one()
        }
        for table in TABLES
    }


@contextmanager
def as_role(database: Database, role: str) -> Iterator[sa.Connection]:
    """A connection with the rights of a role."""
    with database.begin() as connection:
        connection.exec_driver_sql(f"SET LOCAL ROLE {role}")
        yield connection


@pytest.fixture
def plain_owner(new_database: NewDatabase, postgres_url: str) -> Iterator[str]:
    """URL of an empty database whose owner may make no roles."""
    name = f"owner_{uuid4().hex}"
    with new_database("template1") as url:
        engine = sa.create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE ROLE {name} LOGIN PASSWORD 'plain'")
            connection.exec_driver_sql(f'ALTER DATABASE "{make_url(url).database}" OWNER TO {name}')
            connection.exec_driver_sql(f"ALTER SCHEMA public OWNER TO {name}")
        yield make_url(url).set(username=name, password="plain").render_as_string(hide_password=False)
    engine = sa.create_engine(postgres_url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP ROLE {name}")


def test_every_right_is_one_of_a_table_and_no_more_is_given(database: Database) -> None:
    names = {table.name for table in TABLES}
    with database.begin() as connection:
        for role in ROLES:
            writes = {name: {"SELECT", *rights} for name, rights in roles.WRITES[role].items()}
            assert held(connection, role) == {name: writes.get(name, {"SELECT"}) for name in names}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE symbol_prices_daily SET close_price = 1",
        "INSERT INTO symbol_prices_daily (symbol) VALUES ('AAA')",
        "DELETE FROM symbol_prices_daily",
        "DELETE FROM publications",
        "UPDATE portfolio_snapshots SET equity = 1",
        "INSERT INTO api_tokens (user_id, token_hash, is_admin) VALUES (1, '', true)",
        "UPDATE api_tokens SET is_admin = true",
        "DELETE FROM api_tokens",
        "INSERT INTO users (name) VALUES ('eve')",
        "UPDATE symbol_market_beta SET beta = 0",
        "UPDATE symbol_universe SET status = 'active'",
        "DELETE FROM operator_actions",
        "INSERT INTO operator_actions (kind, actor, reason) VALUES ('a', 'b', 'c')",
        "TRUNCATE portfolios",
        "DROP TABLE portfolios",
        "ALTER TABLE portfolios ADD COLUMN a int",
        "CREATE TABLE a (a int)",
        "CREATE ROLE another",
        "SELECT * FROM pg_authid",
        "COPY users TO PROGRAM 'cat'",
        "SELECT pg_read_file('/etc/passwd')",
        "SET ROLE sigmasight_operator",
    ],
)
def test_what_the_api_has_no_need_of_is_refused(database: Database, statement: str) -> None:
    # SET ROLE is judged by who logged in, so this one really does.
    with database.begin() as connection:
        set_password(connection, API_ROLE, ROLE_PASSWORD)
    url = make_url(database.url).set(username=API_ROLE, password=ROLE_PASSWORD)
    engine = sa.create_engine(url, poolclass=NullPool)
    with pytest.raises(sa.exc.DBAPIError, match=r"denied|must be|not permitted"), engine.begin() as connection:
        connection.exec_driver_sql(statement)


def test_operators_rights_end_where_their_decisions_do(database: Database) -> None:
    for statement in (
        "UPDATE symbol_prices_daily SET close_price = 1",
        "DELETE FROM operator_actions",
        "DELETE FROM publications",
        "UPDATE api_tokens SET is_admin = true",
    ):
        with pytest.raises(StorageError, match="permission denied"), as_role(database, OPERATOR_ROLE) as connection:
            connection.exec_driver_sql(statement)


def test_roles_read_what_is_made_later_and_not_what_is_dagsters(database: Database) -> None:
    with database.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE made_later AS SELECT 1 AS one; CREATE TABLE dagster.made (a int)")
    try:
        for role in ROLES:
            with as_role(database, role) as connection:
                assert connection.exec_driver_sql("SELECT one FROM made_later").scalar_one() == 1
            with pytest.raises(StorageError, match="permission denied"), as_role(database, role) as connection:
                connection.exec_driver_sql("SELECT * FROM dagster.made")
    finally:
        with database.begin() as connection:
            connection.exec_driver_sql("DROP TABLE made_later, dagster.made")


def test_a_right_that_is_no_longer_wanted_is_taken_back(database: Database) -> None:
    with database.begin() as connection:
        connection.exec_driver_sql(f"GRANT ALL ON publications TO {API_ROLE}")
        ensure_roles(connection)
        assert held(connection, API_ROLE)["publications"] == {"SELECT"}


def test_a_restricted_connection_is_told_from_the_pipelines(database: Database) -> None:
    with database.begin() as connection:
        assert not is_restricted(connection)
    for role in ROLES:
        with as_role(database, role) as connection:
            assert is_restricted(connection)


def test_a_database_whose_owner_may_make_no_roles_is_migrated_and_has_the_rights_of_those_there_are(
    plain_owner: str, database: Database
) -> None:
    assert database.url  # its server has the roles
    migrate(plain_owner)
    handle = Database(plain_owner)
    with handle.begin() as connection:
        assert held(connection, API_ROLE)["portfolios"] == {"SELECT", "INSERT", "UPDATE", "DELETE"}
        create_token(connection, "ann")
        with pytest.raises(StorageError, match=r"CREATE ROLE sigmasight_api LOGIN PASSWORD '\.\.\.';"):
            set_password(connection, API_ROLE, "known")
    handle.close()


def test_functions_of_others_are_left_as_they_are(plain_owner: str, postgres_url: str) -> None:
    """An extension keeps some from everybody; who may not use one may not speak of its rights either."""
    of_server = make_url(postgres_url).set(database=make_url(plain_owner).database)
    engine = sa.create_engine(of_server, poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE FUNCTION kept() RETURNS int LANGUAGE sql AS 'SELECT 1'")
        connection.exec_driver_sql("REVOKE EXECUTE ON FUNCTION kept() FROM PUBLIC")
        connection.exec_driver_sql("CREATE FUNCTION shared() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    migrate(plain_owner)
    may_call = "SELECT has_function_privilege('sigmasight_api', '{}()', 'EXECUTE')"
    with engine.connect() as connection:
        told = [connection.exec_driver_sql(may_call.format(name)).scalar_one() for name in ("kept", "shared")]
    assert told == [False, True]


def test_without_roles_a_database_is_migrated_all_the_same(plain_owner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = (f"api_{uuid4().hex}", f"operator_{uuid4().hex}")
    monkeypatch.setattr(roles, "ROLES", names)
    migrate(plain_owner)
    engine = sa.create_engine(plain_owner, poolclass=NullPool)
    with engine.begin() as connection:
        assert ensure_roles(connection) == []
        with pytest.raises(StorageError, match="may not make the role"):
            set_password(connection, names[0], "known")


def test_a_password_is_that_of_a_role_of_the_api_only(database: Database) -> None:
    with database.begin() as connection, pytest.raises(StorageError, match="no role of the API"):
        set_password(connection, "sigmasight", "known")


@pytest.mark.usefixtures("role_passwords")
def test_a_password_lets_in_and_the_next_one_replaces_it(database: Database) -> None:
    for password in ("first ' one", "second"):
        with database.begin() as connection:
            set_password(connection, API_ROLE, password)
        engine = sa.create_engine(make_url(database.url).set(username=API_ROLE, password=password), poolclass=NullPool)
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT current_user").scalar_one() == API_ROLE
    engine = sa.create_engine(make_url(database.url).set(username=API_ROLE, password="first ' one"), poolclass=NullPool)
    with pytest.raises(sa.exc.OperationalError, match="authentication failed"):
        engine.connect()
