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

INSUFFICIENT_PRIVILEGE = "42501"
# Another command has just made it: as an object, or as a row of the catalogue.
MADE_MEANWHILE = ("42710", "23505")


def ensure_roles(connection: sa.Connection) -> list[str]:
    """Make missing roles, where this connection may, and set the rights of all; returns the roles there are."""
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


def _set_rights(connection: sa.Connection, role: str) -> None:
    """Exactly the rights of this module, in one transaction, so that nobody is refused in between."""
    existing = set(sa.inspect(connection).get_table_names("public"))
    grants = [
        f"GRANT {', '.join(rights)} ON {table} TO {role}" for table, rights in WRITES[role].items() if table in existing
    ]
    statements = [
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}",
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
