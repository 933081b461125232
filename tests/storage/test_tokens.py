"""Tests of API tokens: shown once, stored as hashes, refused when unknown, expired or revoked."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from sigmasight_assets.errors import NotFoundError
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.tokens import (
    PREFIX,
    TokenHolder,
    create_token,
    ensure_user,
    find_holder,
    read_tokens,
    revoke_token,
    token_hash,
)
from tests.contents import contents

NOW = datetime(2025, 7, 31, 22, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


def make(database: Database, user: str = "ann", *, is_admin: bool = False, expires_at: datetime | None = None) -> str:
    with database.begin() as connection:
        return create_token(connection, user, is_admin=is_admin, expires_at=expires_at)


def holder(database: Database, token: str, now: datetime = NOW) -> TokenHolder | None:
    with database.begin() as connection:
        return find_holder(connection, token, now=now)


def test_a_token_speaks_for_its_user(database: Database) -> None:
    owner, admin = make(database), make(database, "bob", is_admin=True)
    found = holder(database, owner), holder(database, admin)
    assert [(item.user_name, item.is_admin) for item in found if item] == [("ann", False), ("bob", True)]
    with database.begin() as connection:
        assert [item.user_id for item in found if item] == [ensure_user(connection, name) for name in ("ann", "bob")]


def test_a_user_may_hold_several_and_exists_once(database: Database) -> None:
    tokens = [make(database) for _ in range(3)]
    assert len(set(tokens)) == 3
    assert all(token.startswith(PREFIX) and len(token) > 40 for token in tokens)
    assert len({holder(database, token) for token in tokens}) == 1


def test_only_the_hash_is_stored(database: Database) -> None:
    token = make(database)
    held = str(contents(database))
    assert token not in held
    assert token.removeprefix(PREFIX) not in held
    assert hashlib.sha256(token.encode()).hexdigest() == token_hash(token).hex()
    assert token_hash(token).hex() in held


@pytest.mark.parametrize("guess", ["", PREFIX, "sgm_", "sgm_" + "A" * 43, "' OR 1=1 --", "ä\0"])
def test_guesses_are_refused(database: Database, guess: str) -> None:
    make(database)
    assert holder(database, guess) is None


def test_a_token_holds_until_the_instant_it_expires(database: Database) -> None:
    token = make(database, expires_at=LATER)
    assert holder(database, token, LATER - timedelta(microseconds=1)) is not None
    assert holder(database, token, LATER) is None


def test_a_revoked_token_is_refused_and_stays_listed(database: Database) -> None:
    first, second = make(database), make(database, expires_at=LATER)
    with database.begin() as connection:
        numbers = [item.token_id for item in read_tokens(connection)]
        revoke_token(connection, numbers[0])
    assert holder(database, first) is None
    assert holder(database, second) is not None
    with database.begin() as connection:
        records = read_tokens(connection)
    assert [item.token_id for item in records] == numbers == sorted(numbers)
    assert [item.revoked_at is not None for item in records] == [True, False]
    assert [item.expires_at for item in records] == [None, LATER]


def test_revoking_again_keeps_the_first_instant(database: Database) -> None:
    make(database)
    instants = []
    for _ in range(2):
        with database.begin() as connection:
            (record,) = read_tokens(connection)
            revoke_token(connection, record.token_id)
            instants.append(read_tokens(connection)[0].revoked_at)
    assert instants[0] == instants[1]
    assert instants[0] is not None


def test_an_unknown_number_is_named(database: Database) -> None:
    make(database)
    before = contents(database)
    with (
        pytest.raises(NotFoundError, match="There is no token -5; `sigmasight token list` shows the numbers"),
        database.begin() as connection,
    ):
        revoke_token(connection, -5)
    assert contents(database) == before
