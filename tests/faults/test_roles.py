"""The roles of the API log in to a real server and try everything: the exact list of what succeeds, and no more."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.pool import NullPool

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.metadata import METADATA
from sigmasight_assets.storage.roles import API_ROLE, OPERATOR_ROLE, ROLES, WRITES, ensure_roles, set_password
from tests.conftest import ROLE_PASSWORD
from tests.contents import TABLES
from tests.faults.campaign import Tally

pytestmark = pytest.mark.fault(33)

DENIED = re.compile(r"permission denied|must be|not permitted|not allowed|superuser", re.IGNORECASE)
# As a statement that does nothing where it is allowed; what is inserted, updated and deleted are no rows.
ON_TABLES = {
    "SELECT": "SELECT FROM {table} LIMIT 0",
    "INSERT": "INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM {table} WHERE false",
    "UPDATE": "UPDATE {table} SET {column} = {column} WHERE false",
    "DELETE": "DELETE FROM {table} WHERE false",
    "TRUNCATE": "TRUNCATE {table}",
    "LOCK": "LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE",
    "ALTER": "ALTER TABLE {table} ADD COLUMN taken int",
    "DROP": "DROP TABLE {table}",
    "INDEX": "CREATE INDEX ON {table} ({column})",
    "TRIGGER": "CREATE TRIGGER taken AFTER DELETE ON {table} EXECUTE FUNCTION drop_published_of_portfolio()",
    "RULE": "CREATE RULE taken AS ON DELETE TO {table} DO INSTEAD NOTHING",
    "POLICY": "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
    "OWNER": "ALTER TABLE {table} OWNER TO CURRENT_USER",
    "VIEW": "CREATE VIEW taken AS SELECT * FROM {table}",
}
# A lock may be taken by whoever may change rows.
LOCKING = {"UPDATE", "DELETE"}
FORBIDDEN = (
    # Other things of the schema, and other schemas.
    *("CREATE TABLE taken (a int)", "CREATE TEMPORARY TABLE taken (a int)", "CREATE SCHEMA taken"),
    *("CREATE FUNCTION taken() RETURNS int LANGUAGE sql AS 'SELECT 1'", "CREATE TYPE taken AS (a int)"),
    "CREATE FUNCTION pg_temp.taken() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    *("CREATE SEQUENCE taken", "CREATE VIEW taken AS SELECT 1", "DROP EXTENSION plpgsql", "CREATE PUBLICATION taken"),
    *(
        "DROP SCHEMA dagster CASCADE",
        "CREATE TABLE dagster.taken (a int)",
        "CREATE EVENT TRIGGER t ON ddl_command_end EXECUTE FUNCTION drop_published_of_portfolio()",
    ),
    *("SELECT drop_published_of_portfolio()", "ALTER FUNCTION drop_published_of_portfolio() SECURITY INVOKER"),
    "COMMENT ON TABLE users IS 'x'",
    *(
        "UPDATE alembic_version SET version_num = 'x'",
        "DELETE FROM pg_class",
        "UPDATE pg_catalog.pg_proc SET proname = 'x'",
    ),
    # Roles.
    *("CREATE ROLE taken", "DROP ROLE sigmasight_api", "GRANT sigmasight TO CURRENT_USER", "SET ROLE sigmasight"),
    *(
        "SET SESSION AUTHORIZATION sigmasight",
        "ALTER ROLE CURRENT_USER SUPERUSER",
        "ALTER ROLE CURRENT_USER CREATEROLE",
    ),
    *(
        "ALTER ROLE CURRENT_USER BYPASSRLS",
        "ALTER ROLE CURRENT_USER CONNECTION LIMIT -1",
        "GRANT pg_read_all_data TO CURRENT_USER",
    ),
    *("ALTER ROLE sigmasight PASSWORD 'x'", "REASSIGN OWNED BY sigmasight TO CURRENT_USER", "DROP OWNED BY sigmasight"),
    *(
        "SELECT * FROM pg_authid",
        "SELECT * FROM pg_shadow",
        "SELECT * FROM pg_user_mapping",
        "SELECT * FROM pg_hba_file_rules",
    ),
    # Programs and files of the server.
    *(
        "COPY users TO PROGRAM 'cat'",
        "COPY users FROM PROGRAM 'true'",
        "COPY users TO '/tmp/taken'",
        "COPY users FROM '/etc/passwd'",
    ),
    *("SELECT pg_read_file('PG_VERSION')", "SELECT pg_read_binary_file('PG_VERSION')", "SELECT pg_ls_dir('.')"),
    *("SELECT pg_stat_file('PG_VERSION')", "SELECT pg_ls_logdir()", "SELECT pg_current_logfile()", "LOAD 'pg_taken'"),
    *("SELECT lo_import('/etc/passwd')", "SELECT lo_export(1, '/tmp/taken')"),
    # Large objects.
    *("SELECT lo_create(0)", "SELECT lo_creat(-1)", "SELECT lo_from_bytea(0, 'x')", "SELECT lo_open(1, 131072)"),
    *("SELECT lo_put(1, 0, 'x')", "SELECT lowrite(0, 'x')"),
    # The server.
    *("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()", "SELECT pg_rotate_logfile()", "CHECKPOINT"),
    *("SELECT pg_switch_wal()", "SELECT pg_stat_reset()", "SELECT pg_create_restore_point('x')", "SELECT pg_promote()"),
    *("SELECT pg_create_physical_replication_slot('taken')", "SET session_replication_role = replica"),
    *("SET log_statement = 'none'", "SET log_min_messages = panic", "SET lo_compat_privileges = on"),
    *(
        "CREATE DATABASE taken",
        "DROP DATABASE postgres",
        "ALTER DATABASE postgres SET fsync = off",
        "CREATE TABLESPACE t LOCATION '/tmp'",
    ),
    *(
        "CREATE FOREIGN DATA WRAPPER taken",
        "CREATE SUBSCRIPTION taken CONNECTION 'host=127.0.0.1' PUBLICATION p",
    ),
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'sigmasight' AND pid <> pg_backend_pid()",
    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = 'sigmasight' AND pid <> pg_backend_pid()",
)
# What PostgreSQL lets every role do: known, and named in docs/threat-model.md.
ALLOWED = (
    *("SELECT 1", "LISTEN taken", "NOTIFY taken", "SELECT pg_advisory_xact_lock(1)", "SET LOCAL work_mem = '1GB'"),
    *("SELECT count(*) FROM pg_stat_activity", "SELECT * FROM alembic_version", "DO $$ BEGIN END $$"),
    "ALTER ROLE CURRENT_USER SET statement_timeout = 0",
    "ALTER ROLE CURRENT_USER PASSWORD 'another'",
)


@pytest.fixture(params=ROLES)
def login(request: pytest.FixtureRequest, database: Database) -> URL:
    """The URL of each role in turn, after what every migration says of rights: copies of a database lack it."""
    with database.begin() as connection:
        ensure_roles(connection)
        for role in ROLES:
            set_password(connection, role, ROLE_PASSWORD)
    return make_url(database.url).set(username=request.param, password=ROLE_PASSWORD)


@contextmanager
def session(url: URL) -> Iterator[sa.Connection]:
    engine = sa.create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        yield connection


def refusal(connection: sa.Connection, statement: str) -> str | None:
    """Why the statement is refused; None when it is not. Whatever it did is taken back."""
    try:
        with connection.begin():
            connection.exec_driver_sql(statement)
            connection.rollback()
    except sa.exc.DBAPIError as error:
        return str(error.orig)
    return None


def allowed_on(role: str, table: str) -> set[str]:
    """What a role may try on a table, by the rights of ``roles``."""
    rights = {"SELECT", *WRITES[role].get(table, ())}
    return rights | ({"LOCK"} if rights & LOCKING else set())


def test_on_each_table_a_role_can_do_what_its_list_says_and_nothing_else(login: URL, tally: Tally) -> None:
    role = str(login.username)
    with session(login) as connection:
        for table in TABLES:
            column = next(
                column.name for column in table.columns if column.computed is None and column.identity is None
            )
            for kind, statement in ON_TABLES.items():
                refused = refusal(connection, statement.format(table=table.name, column=column))
                assert (refused is None) is (kind in allowed_on(role, table.name)), (kind, table.name, refused)
                if refused:
                    assert DENIED.search(refused), (kind, table.name, refused)
                    tally.survive()


def test_sequences_and_the_tables_of_dagster_are_out_of_reach(login: URL, database: Database, tally: Tally) -> None:
    query = "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace"
    with database.begin() as owner:
        sequences = list(owner.exec_driver_sql(query).scalars())
        owner.exec_driver_sql("CREATE TABLE dagster.runs AS SELECT 1 AS one; GRANT ALL ON dagster.runs TO PUBLIC")
    assert len(sequences) > 5
    with session(login) as connection:
        for sequence in sequences:
            for call in (f"nextval('{sequence}')", f"setval('{sequence}', 1)", f"currval('{sequence}')"):
                assert DENIED.search(refusal(connection, f"SELECT {call}") or ""), call
                tally.survive()
        assert "denied for schema" in (refusal(connection, "SELECT * FROM dagster.runs") or "")


def test_whatever_else_is_forbidden_is_refused(login: URL, tally: Tally) -> None:
    # Some are refused within a transaction for that alone.
    with session(login) as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        answers = {statement: refusal(connection, statement) for statement in FORBIDDEN}
    assert {statement: answer for statement, answer in answers.items() if not DENIED.search(answer or "")} == {}
    tally.survive(len(answers))


def test_each_role_is_itself_alone(login: URL) -> None:
    for other in {*ROLES, "sigmasight"} - {login.username}:
        for statement in (f"SET ROLE {other}", f"GRANT {other} TO CURRENT_USER", f"ALTER ROLE {other} PASSWORD 'x'"):
            with session(login) as connection:
                assert DENIED.search(refusal(connection, statement) or ""), statement
    query = (
        "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, "
        "(SELECT count(*) FROM pg_auth_members WHERE member = pg_roles.oid) FROM pg_roles WHERE rolname = current_user"
    )
    with session(login) as connection:
        assert tuple(connection.exec_driver_sql(query).one()) == (False,) * 5 + (0,)


def test_other_databases_of_the_server_are_closed(login: URL) -> None:
    for name in ("postgres", "template1"):
        with pytest.raises(sa.exc.OperationalError, match="permission denied for database"):
            sa.create_engine(login.set(database=name), poolclass=NullPool).connect()


def test_what_every_role_of_a_server_may_do_is_known(login: URL) -> None:
    for statement in ALLOWED:
        with session(login) as connection:
            assert refusal(connection, statement) is None, statement


def test_the_owners_trigger_runs_for_no_table_but_its_own(login: URL, database: Database) -> None:
    """With the rights of the owner it deletes what is published of a portfolio, for whoever may attach it."""
    with database.begin() as owner:
        owner.exec_driver_sql(f'GRANT TEMPORARY ON DATABASE "{login.database}" TO PUBLIC')
    with session(login) as connection, connection.begin():
        connection.exec_driver_sql("CREATE TEMPORARY TABLE bait AS SELECT 1 AS portfolio_id, CURRENT_DATE AS as_of")
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied for function drop_published"):
            connection.exec_driver_sql(
                "CREATE TRIGGER sprung AFTER DELETE ON bait FOR EACH ROW EXECUTE FUNCTION drop_published_of_portfolio()"
            )


def test_roles_can_do_their_work_with_these_rights(login: URL, database: Database) -> None:
    """Not by what is granted but by doing it: a book is opened, changed and taken away, its trigger included."""
    with database.begin() as owner:
        user = owner.exec_driver_sql("INSERT INTO users (name) VALUES ('ann') RETURNING user_id").scalar_one()
    with session(login) as connection, connection.begin():
        made = connection.execute(
            sa.insert(METADATA.tables["portfolios"])
            .values(user_id=user, name="Main", stated_equity=1, as_of="2025-07-31")
            .returning(METADATA.tables["portfolios"].c.portfolio_id)
        ).scalar_one()
        connection.exec_driver_sql(f"UPDATE portfolios SET as_of = '2025-08-01' WHERE portfolio_id = {made}")
        assert connection.exec_driver_sql(f"DELETE FROM portfolios WHERE portfolio_id = {made}").rowcount == 1
    assert {API_ROLE, OPERATOR_ROLE} == set(ROLES)
