"""Values that the shell offers at a press of Tab: from the database when it is up, and else silently none.

A shell waits for them, so this asks the database over its driver alone: SQLAlchemy takes longer to import than
everything here together. Only the names of tables and columns that the queries use are known twice.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

Candidates = list[tuple[str, str]]

MOST = 500
CONNECT_SECONDS = 2
QUERY_SECONDS = 1
# Where a machine is so slow that Tab offers nothing: whole seconds that both limits are raised to.
LIMIT_VARIABLE = "_SIGMASIGHT_COMPLETE_SECONDS"

SESSIONS = """
SELECT session::text, 'session' FROM (
    SELECT session FROM publications WHERE layer = 'symbol'
    UNION SELECT session FROM data_quality_results WHERE layer = 'symbol'
    UNION SELECT last_session FROM batch_runs
) AS known WHERE session::text LIKE %s ORDER BY session DESC LIMIT %s
"""
DECIDED = """
SELECT session::text, kind FROM session_decisions WHERE session::text LIKE %s ORDER BY session DESC LIMIT %s
"""
SYMBOLS = "SELECT symbol, name FROM symbol_universe WHERE symbol LIKE %s ORDER BY symbol LIMIT %s"
DELISTED = """
SELECT symbol, name FROM symbol_universe WHERE status = 'delisted' AND symbol LIKE %s ORDER BY symbol LIMIT %s
"""
FAILED = """
SELECT DISTINCT ON (symbol) symbol, coalesce(error, status) FROM (
    SELECT symbol, status, error FROM symbol_onboarding_queue WHERE status = 'failed'
    UNION ALL SELECT symbol, status, status_reason FROM symbol_universe WHERE status = 'error'
) AS failed WHERE symbol LIKE %s ORDER BY symbol LIMIT %s
"""
PORTFOLIOS = """
SELECT public_id::text, users.name || ': ' || portfolios.name FROM portfolios JOIN users USING (user_id)
WHERE public_id::text LIKE %s ORDER BY 2 LIMIT %s
"""
OPEN_POSITIONS = """
SELECT positions.public_id::text, trim_scale(quantity) || ' ' || symbol || ' of ' || portfolios.name
FROM positions JOIN portfolios USING (portfolio_id)
WHERE exit_date IS NULL AND positions.public_id::text LIKE %s ORDER BY 2 LIMIT %s
"""
PRIVATE_POSITIONS = OPEN_POSITIONS.replace("WHERE", "WHERE investment_class = 'PRIVATE' AND")
USERS = "SELECT name, 'user' FROM users WHERE name LIKE %s ORDER BY name LIMIT %s"
TOKENS = """
SELECT token_id::text, users.name || CASE WHEN is_admin THEN ', admin' ELSE '' END
FROM api_tokens JOIN users USING (user_id)
WHERE revoked_at IS NULL AND token_id::text LIKE %s ORDER BY token_id LIMIT %s
"""
YEARS = """
SELECT DISTINCT (extract(year FROM session) + 1)::int::text AS year, 'the first year that stays' FROM publications
WHERE (extract(year FROM session) + 1)::int::text LIKE %s ORDER BY year LIMIT %s
"""


def _completer(query: str) -> Callable[[str], Candidates]:
    """A function that gives the values which begin like the unfinished word, each with words on it."""

    def complete(incomplete: str) -> Candidates:
        return list(_read(query, incomplete))

    return complete


sessions = _completer(SESSIONS)
decided_sessions = _completer(DECIDED)
symbols = _completer(SYMBOLS)
delisted_symbols = _completer(DELISTED)
failed_symbols = _completer(FAILED)
portfolios = _completer(PORTFOLIOS)
open_positions = _completer(OPEN_POSITIONS)
private_positions = _completer(PRIVATE_POSITIONS)
users = _completer(USERS)
tokens = _completer(TOKENS)
years = _completer(YEARS)


def _read(query: str, incomplete: str) -> Iterator[tuple[str, str]]:
    """Rows of a query; none when the database is away, not migrated, busy, or not to be found."""
    from contextlib import closing

    import psycopg2

    from sigmasight_assets.errors import SigmaSightError

    pattern = incomplete.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    try:
        address = connection_address()
        if address is None:
            return
        connect_seconds, query_seconds = _limits()
        with closing(psycopg2.connect(address, connect_timeout=connect_seconds)) as link, link.cursor() as cursor:
            cursor.execute("SET statement_timeout = %s", (f"{query_seconds}s",))
            cursor.execute(query, (pattern, MOST))
            rows: list[tuple[Any, ...]] = cursor.fetchall()
    except (psycopg2.Error, SigmaSightError, OSError, ValueError):
        return
    for value, words in rows:
        yield _typed(value), words or ""


def _limits() -> tuple[int, int]:
    """Seconds for the connection and for the query; ``ValueError`` when they are to be raised to no whole number."""
    least = int(os.environ.get(LIMIT_VARIABLE) or 0)
    return max(CONNECT_SECONDS, least), max(QUERY_SECONDS, least)


def connection_address() -> str | None:
    """The database as the driver takes it; None when this home has none yet."""
    from sigmasight_assets.settings import load_settings

    settings = load_settings()
    if settings.database_url:
        # libpq takes the same URL, but for blanks in options.
        place, question, options = settings.database_url.replace("postgresql+psycopg2", "postgresql", 1).partition("?")
        return f"{place}{question}{options.replace('+', '%20')}"
    return _embedded_address(settings.home)


def _embedded_address(home: Path) -> str | None:
    from sigmasight_assets.services.home import Home, read_text

    directory = Home.at(home).postgres
    port, password = read_text(directory / "port"), read_text(directory / "password")
    if not (port and password):
        return None
    return f"postgresql://sigmasight:{quote(password, safe='')}@127.0.0.1:{port}/sigmasight"


def _typed(value: str) -> str:
    """A value as it is to stand in the command line: bash inserts it as it is, other shells see to blanks."""
    if "bash" not in os.environ.get("_SIGMASIGHT_COMPLETE", ""):
        return value
    return "".join(sign if sign.isalnum() or sign in "._-^=@/+" else f"\\{sign}" for sign in value)
