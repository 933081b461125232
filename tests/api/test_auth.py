"""Tests of authentication: who is admitted, and that refusals are all the same."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from sigmasight_api.admission import Admissions, Admitted
from sigmasight_api.auth import Authenticator
from sigmasight_api.errors import ForbiddenError, UnauthenticatedError
from sigmasight_assets.storage.book_tables import api_tokens
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.tokens import revoke_token
from tests.api.market import add_portfolio, add_token

NOW = datetime(2025, 7, 31, 22, 0, tzinfo=UTC)


Admit = Callable[..., Admitted]


@pytest.fixture
def admit(database: Database) -> Iterator[Admit]:
    """Admits on an event loop and a connection that live as long as the test."""
    admissions = Admissions(database.url, lambda: NOW)
    with asyncio.Runner() as runner:
        authenticator = Authenticator(admissions)
        yield lambda *arguments, **options: runner.run(authenticator.admit(*arguments, **options))
        runner.run(admissions.close())


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER   "])
def test_a_valid_token_is_admitted(admit: Admit, database: Database, scheme: str) -> None:
    token = add_token(database, "ann", expires_at=NOW + timedelta(seconds=1))
    assert admit(scheme + token, admin=False).holder.user_name == "ann"


def test_an_admins_token_opens_operators_routes_and_another_does_not(admit: Admit, database: Database) -> None:
    admin, owner = add_token(database, "root", is_admin=True), add_token(database, "ann")
    assert admit(f"Bearer {admin}", admin=True).holder.user_name == "root"
    with pytest.raises(ForbiddenError):
        admit(f"Bearer {owner}", admin=True)


@pytest.mark.fault(23)
def test_refused_tokens_are_refused_in_the_same_words(admit: Admit, database: Database) -> None:
    valid = add_token(database, "ann")
    expired = add_token(database, "ann", expires_at=NOW)
    revoked = add_token(database, "ann")
    with database.begin() as connection:
        newest = connection.execute(sa.select(sa.func.max(api_tokens.c.token_id))).scalar_one()
        revoke_token(connection, newest)
    headers = [
        "",
        "Bearer",
        "Bearer ",
        valid,
        f"Basic {valid}",
        f"Bearer {valid} {valid}",
        f"Bearer {valid[:-1]}",
        f"Bearer {valid}\n",
        f"Bearer {valid}\u00e9",
        f"Bearer {'x' * 10_000}",
        "Bearer ' OR 1=1--",
        f"Bearer {expired}",
        f"Bearer {revoked}",
    ]
    words = set()
    for header in headers:
        with pytest.raises(UnauthenticatedError) as raised:
            admit(header, admin=True)
        words.add(str(raised.value))
    assert words == {"The API token is not valid."}


def test_a_missing_header_says_how_to_send_one(admit: Admit) -> None:
    with pytest.raises(UnauthenticatedError, match="Authorization: Bearer"):
        admit(None, admin=False)


def test_the_portfolio_in_the_path_is_found_if_it_is_the_callers(admit: Admit, database: Database) -> None:
    token = add_token(database, "ann")
    own, other = add_portfolio(database, "ann", {}), add_portfolio(database, "bob", {})
    admitted = admit(f"Bearer {token}", admin=False, portfolio=str(own.public_id))
    assert admitted.book is not None
    assert (admitted.book.public_id, admitted.book.stated_equity) == (own.public_id, own.stated_equity)
    for text in (str(other.public_id), str(uuid4()), "' OR 1=1--", ""):
        assert admit(f"Bearer {token}", admin=False, portfolio=text).book is None
