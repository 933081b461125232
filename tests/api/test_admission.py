"""Tests of looking callers up: in one query, on a connection that comes back, with today's state of token and book."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeVar

import psycopg
import pytest
import sqlalchemy as sa

from sigmasight_api.admission import APPLICATION_NAME, Admissions, Admitted
from sigmasight_api.repository import Repository
from sigmasight_assets.errors import TransientStorageError
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.tokens import revoke_token, token_hash
from tests.api.market import SESSIONS, add_portfolio, add_token, publish_snapshot

NOW = datetime(2025, 7, 31, 22, 0, tzinfo=UTC)
Result = TypeVar("Result")
PATIENCE_SECONDS = 10.0


def run(database: Database, scenario: Callable[[Admissions], Awaitable[Result]]) -> Result:
    async def whole() -> Result:
        admissions = Admissions(database.url, lambda: NOW)
        try:
            return await scenario(admissions)
        finally:
            await admissions.close()

    return asyncio.run(whole())


def backends(database: Database) -> set[int]:
    """Connections that look callers up; the application that outlives a test may have one too."""
    query = sa.text("SELECT pid FROM pg_stat_activity WHERE application_name = :name AND datname = current_database()")
    with database.begin() as connection:
        return set(connection.execute(query, {"name": APPLICATION_NAME}).scalars())


def test_many_callers_are_each_told_of_their_own(database: Database) -> None:
    books = {name: add_portfolio(database, name, {}) for name in ("ann", "bob", "cid")}
    hashes = {name: token_hash(add_token(database, name, is_admin=name == "cid")) for name in books}

    async def scenario(admissions: Admissions) -> dict[tuple[str, str], Admitted | None]:
        asked = [(name, of) for name in books for of in books]
        found = await asyncio.gather(*(admissions.find(hashes[name], books[of].public_id) for name, of in asked))
        return dict(zip(asked, found, strict=True))

    for (name, of), admitted in run(database, scenario).items():
        assert admitted is not None
        assert (admitted.holder.user_name, admitted.holder.is_admin) == (name, name == "cid")
        assert (admitted.book is not None) == (name == of)


@pytest.mark.fault(23)
def test_whose_token_it_is_is_settled_by_a_comparison_in_constant_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = token_hash(add_token(database, "ann"))
    compared = []

    def differs(*hashes: bytes) -> bool:
        compared.append(hashes)
        return False

    monkeypatch.setattr("sigmasight_api.admission.hmac.compare_digest", differs)
    assert run(database, lambda admissions: admissions.find(asked, None)) is None
    assert compared == [(asked, asked)]


def test_the_book_is_the_one_that_the_repository_reads(database: Database) -> None:
    record, token = add_portfolio(database, "ann", {"AAA": "1"}), add_token(database, "ann")
    publish_snapshot(database, record, SESSIONS[-1], Decimal("123.45000001"))
    admitted = run(database, lambda admissions: admissions.find(token_hash(token), record.public_id))
    assert admitted is not None
    assert admitted.book == Repository(database).read_book(record.user_id, record.public_id)


def test_a_revocation_holds_from_the_next_question_on(database: Database) -> None:
    token = add_token(database, "ann")

    async def scenario(admissions: Admissions) -> list[bool]:
        known = [await admissions.find(token_hash(token), None) is not None]
        with database.begin() as connection:
            revoke_token(connection, connection.execute(sa.text("SELECT token_id FROM api_tokens")).scalar_one())
        return [*known, await admissions.find(token_hash(token), None) is not None]

    assert run(database, scenario) == [True, False]


def test_a_lost_connection_is_made_again_unnoticed(database: Database) -> None:
    token = add_token(database, "ann")

    others = backends(database)

    async def scenario(admissions: Admissions) -> list[set[int]]:
        seen = []
        for _ in range(2):
            assert await admissions.find(token_hash(token), None) is not None
            seen.append(backends(database) - others)
            with database.begin() as connection:
                connection.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": min(seen[-1])})
        return seen

    first, second = run(database, scenario)
    assert len(first) == len(second) == 1
    assert first != second


def test_a_plan_that_a_migration_outdated_is_made_again(database: Database) -> None:
    record, token = add_portfolio(database, "ann", {}), add_token(database, "ann")

    async def scenario(admissions: Admissions) -> Admitted | None:
        await admissions.find(token_hash(token), record.public_id)
        for kind in ("varchar(100)", "text"):
            with database.begin() as connection:
                connection.execute(sa.text(f"ALTER TABLE portfolios ALTER COLUMN name TYPE {kind}"))
            found = await admissions.find(token_hash(token), record.public_id)
        return found

    admitted = run(database, scenario)
    assert admitted is not None
    assert admitted.book is not None
    assert admitted.book.name == "Main"


def test_a_database_that_is_away_is_a_passing_trouble() -> None:
    away = Database("postgresql+psycopg2://nobody:secret@127.0.0.1:9/nothing")
    with pytest.raises(TransientStorageError, match="does not answer") as raised:
        run(away, lambda admissions: admissions.find(b"", None))
    assert "secret" not in str(raised.value)
    assert isinstance(raised.value.__cause__, psycopg.Error)


def test_closing_gives_the_connection_back(database: Database) -> None:
    others = backends(database)

    async def scenario(admissions: Admissions) -> set[int]:
        await admissions.find(b"", None)
        return backends(database) - others

    assert len(run(database, scenario)) == 1
    # The server ends its part of a closed connection in its own time.
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not backends(database) <= others and time.monotonic() < deadline:
        time.sleep(0.02)
    assert backends(database) <= others
