"""Tests of authentication: who is admitted, and that refusals are all the same."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from sigmasight_api.auth import Authenticator
from sigmasight_api.errors import ForbiddenError, UnauthenticatedError
from sigmasight_api.repository import Repository
from sigmasight_assets.storage.book_tables import api_tokens
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.tokens import revoke_token
from tests.api.market import add_token

NOW = datetime(2025, 7, 31, 22, 0, tzinfo=UTC)


@pytest.fixture
def authenticator(database: Database) -> Authenticator:
    return Authenticator(Repository(database), lambda: NOW)


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER   "])
def test_a_valid_token_is_admitted(authenticator: Authenticator, database: Database, scheme: str) -> None:
    token = add_token(database, "ann", expires_at=NOW + timedelta(seconds=1))
    assert authenticator.admit(scheme + token, admin=False).user_name == "ann"


def test_an_admins_token_opens_operators_routes_and_another_does_not(
    authenticator: Authenticator, database: Database
) -> None:
    admin, owner = add_token(database, "root", is_admin=True), add_token(database, "ann")
    assert authenticator.admit(f"Bearer {admin}", admin=True).user_name == "root"
    with pytest.raises(ForbiddenError):
        authenticator.admit(f"Bearer {owner}", admin=True)


def test_refused_tokens_are_refused_in_the_same_words(authenticator: Authenticator, database: Database) -> None:
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
            authenticator.admit(header, admin=True)
        words.add(str(raised.value))
    assert words == {"The API token is not valid."}


def test_a_missing_header_says_how_to_send_one(authenticator: Authenticator) -> None:
    with pytest.raises(UnauthenticatedError, match="Authorization: Bearer"):
        authenticator.admit(None, admin=False)
