"""The onboarding queue as tests fill it, read it and let its time pass."""

from collections.abc import Sequence

import sqlalchemy as sa

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.onboarding import OnboardingRequest, read_requests, request_onboarding
from sigmasight_assets.storage.onboarding_claims import Claim, claim, fail_attempts, take
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS, Publication, record_publications
from tests.storage.rows import SESSION


def ask(database: Database, *symbols: str, priority: int = 0) -> None:
    with database.begin() as connection:
        request_onboarding(connection, symbols, requested_by="a test", priority=priority)


def requests(database: Database) -> dict[str, OnboardingRequest]:
    """The newest request of each symbol."""
    with database.begin() as connection:
        return {item.symbol: item for item in reversed(read_requests(connection))}


def statuses(database: Database) -> dict[str, str]:
    """The status of each symbol's newest request."""
    return {symbol: item.status for symbol, item in requests(database).items()}


def claimed(database: Database, *, limit: int = 50, run_id: str | None = None) -> list[Claim]:
    with database.begin() as connection:
        return claim(connection, limit=limit, run_id=run_id)


def taken(database: Database, claims: Sequence[Claim], *, run_id: str) -> list[str]:
    """The symbols of the claims that became the run's own."""
    attempts = {item.request_id: item.attempt for item in claims}
    with database.begin() as connection:
        return [item.symbol for item in take(connection, attempts, run_id=run_id)]


def failed(database: Database, run_id: str, *, is_final: bool = False, **reasons: str) -> list[str]:
    """End a run's attempts; the symbols that were given up."""
    with database.begin() as connection:
        return fail_attempts(connection, reasons, run_id=run_id, is_final=is_final)


def let_pass(database: Database, seconds: float) -> None:
    """Let time pass for all requests."""
    earlier = ", ".join(f"{name} = {name} - make_interval(secs => :seconds)" for name in ("not_before", "lease_until"))
    with database.begin() as connection:
        connection.execute(sa.text(f"UPDATE symbol_onboarding_queue SET {earlier}"), {"seconds": seconds})


def publish_a_session(database: Database) -> None:
    """Record that some session is published; its figures are not needed."""
    with database.bulk() as transaction:
        items = [Publication(SESSION, SYMBOL_PRODUCTS, 1, 1.0, {})]
        record_publications(transaction, 1, "symbol", items, run_id="published")
