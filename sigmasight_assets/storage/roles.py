"""The database roles of the API and what each may do: read nearly everything, write what its routes are for.

Roles belong to the server and not to a schema version, so every ``migrate`` brings their rights up to this module
instead of a revision. Where a connection may make no roles they are left out; ``sigmasight db roles`` tells how to make
them.
"""

import psycopg2.extensions
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from sigmasight_assets.errors import StorageError

API_ROLE = "sigmasight_api"
OPERATOR_ROLE = "sigmasight_operator"
ROLES = (API_ROLE, OPERATOR_ROLE)

ALL = ("INSERT", "UPDATE", "DELETE")
# What owners' routes write: their books, symbols they bring, and answers worth keeping.
OWNERS_WRITES = {
    "portfolios": ALL,
    "positions": ALL,
    "private_valuations": ALL,
    "capital_flows": ALL,
    "symbol_onboarding_queue": ("INSERT", "UPDATE"),
    "portfolio_analytics_cache": ALL,
    "answered_requests": ALL,
}
# What decisions on bars, sessions and delisted symbols write.
OPERATORS_WRITES = {
    "operator_actions": ("INSERT",),
    "session_decisions": ALL,
    "bar_decisions": ALL,
    "figure_invalidations": ("INSERT", "UPDATE"),
    "symbol_universe": ("UPDATE",),
    "symbol_prices_daily": ("DELETE",),
    "price_quarantine": ("INSERT",),
    "company_profiles": ("UPDATE", "DELETE"),
    "symbol_exclusions": ("DELETE",),
}
WRITES = {API_ROLE: OWNERS_WRITES, OPERATOR_ROLE: OWNERS_WRITES | OPERATORS_WRITES}
# A right of the pipeline alone, by which its connections are told from restricted ones.
PIPELINES_RIGHT = sa.text("SELECT has_table_privilege(current_user, 'publications', 'INSERT')")

# What every role of a server may do in a database until it is taken from PUBLIC: temporary tables, with them triggers
# that run functions of the owner, and objects in the schema (before PostgreSQL 15).
FROM_EVERYBODY = (
    "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    "REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC",
)
# Large objects, which nothing here uses: files of any size in the database, made without any right on a table. Only a
# superuser may take these functions from PUBLIC.
LARGE_OBJECTS = (
    *("lo_creat(integer)", "lo_create(oid)", "lo_from_bytea(oid, bytea)", "lo_open(oid, integer)"),
    *("lo_put(oid, bigint, bytea)", "lowrite(integer, bytea)"),
)
# Those of extensions are theirs: some are kept from everybody, and then nobody but a superuser may say so again.
OWN_FUNCTIONS = sa.text(
    "SELECT proc.oid::regprocedure::text FROM pg_proc AS proc WHERE pronamespace = 'public'::regnamespace "
    "AND pg_has_role(current_user, proowner, 'USAGE') AND NOT EXISTS ("
    "SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = proc.oid AND deptype = 'e')"
)
IS_SUPERUSER = sa.text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
OWNS_DATABASE = sa.text(
    "SELECT pg_has_role(current_user, datdba, 'USAGE') FROM pg_database WHERE datname = current_database()"
)

INSUFFICIENT_PRIVILEGE = "42501"
# Another command has just made it: as an object, or as a row of the catalogue.
MADE_MEANWHILE = ("42710", "23505")


def ensure_roles(connection: sa.Connection) -> list[str]:
    """Make missing roles, where this connection may, and set the rights of all; returns the roles there are."""
    _take_from_everybody(connection)
    found = [role for role in ROLES if _exists(connection, role) or _made(connection, role)]
    for role in found:
        _set_rights(connection, role)
    return found


def set_password(connection: sa.Connection, role: str, password: str) -> None:
    """Let a role log in with this password, which reaches the server as a verifier only.

    ``StorageError`` when there is no such role and this connection may not make one, or may not change it.
    """
    if role not in ROLES:
        raise StorageError(f"{role} is no role of the API")
    if not _exists(connection, role) and not _made(connection, role):
        raise StorageError(_way_out(role))
    driver = connection.connection.driver_connection
    verifier = psycopg2.extensions.encrypt_password(password, role, driver, "scram-sha-256")
    if not _allowed(connection, f"ALTER ROLE {role} LOGIN PASSWORD '{verifier}'"):
        raise StorageError(_way_out(role))


def is_restricted(connection: sa.Connection) -> bool:
    """Whether this connection's role lacks the pipeline's rights, as the API's should."""
    return not connection.execute(PIPELINES_RIGHT).scalar_one()


def _exists(connection: sa.Connection, role: str) -> bool:
    query = sa.text("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = :role)")
    return bool(connection.execute(query, {"role": role}).scalar_one())


def _made(connection: sa.Connection, role: str) -> bool:
    return _allowed(connection, f"CREATE ROLE {role}")


def _allowed(connection: sa.Connection, statement: str) -> bool:
    """Whether the statement was carried out, or refused because this connection may not."""
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(statement)
    except DBAPIError as error:
        sqlstate = getattr(error.orig, "pgcode", None)
        if sqlstate not in (INSUFFICIENT_PRIVILEGE, *MADE_MEANWHILE):
            raise
        return sqlstate in MADE_MEANWHILE
    return True


def _take_from_everybody(connection: sa.Connection) -> None:
    """Leave PUBLIC nothing in this database but to connect to it and to read the catalogue, as far as may be said here.

    Who does not own the database, or a function, leaves it as it is.
    """
    name = connection.execute(sa.select(sa.func.current_database())).scalar_one()
    database = connection.dialect.identifier_preparer.quote(name)
    if connection.execute(OWNS_DATABASE).scalar_one():
        connection.exec_driver_sql("; ".join(FROM_EVERYBODY).format(database=database))
    for function in connection.execute(OWN_FUNCTIONS).scalars().all():
        connection.exec_driver_sql(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC")
    if connection.execute(IS_SUPERUSER).scalar_one():
        for function in LARGE_OBJECTS:
            connection.exec_driver_sql(f"REVOKE EXECUTE ON FUNCTION pg_catalog.{function} FROM PUBLIC")


def _set_rights(connection: sa.Connection, role: str) -> None:
    """Exactly the rights of this module, in one transaction, so that nobody is refused in between."""
    existing = set(sa.inspect(connection).get_table_names("public"))
    grants = [
        f"GRANT {', '.join(rights)} ON {table} TO {role}" for table, rights in WRITES[role].items() if table in existing
    ]
    functions = connection.execute(OWN_FUNCTIONS).scalars().all()
    statements = [
        *(f"REVOKE ALL ON FUNCTION {function} FROM {role}" for function in functions),
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}",
        f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {role}",
        f"REVOKE ALL ON SCHEMA public FROM {role}",
        f"GRANT USAGE ON SCHEMA public TO {role}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
        # For tables that come before the next migration, such as partitions of new years.
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO {role}",
        *grants,
    ]
    connection.exec_driver_sql("; ".join(statements))


def _way_out(role: str) -> str:
    return (
        f"This database user may not make the role {role} or let it log in. Have an administrator of the server run "
        + " ".join(f"CREATE ROLE {name} LOGIN PASSWORD '...';" for name in ROLES)
        + " then run `sigmasight db migrate`, which gives them their rights"
    )
