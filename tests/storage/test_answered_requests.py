"""Tests of requests with a name: answered once, whoever comes when, and forgotten after a day."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from sigmasight_assets.errors import NameTakenError
from sigmasight_assets.storage.answered_requests import KEPT, claim_request, record_answer
from sigmasight_assets.storage.book_tables import answered_requests
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.tokens import ensure_user


@pytest.fixture
def user(database: Database) -> int:
    with database.begin() as connection:
        return ensure_user(connection, "ann")


def answer(database: Database, user: int, *, key: str = "k", request: bytes = b"1", text: str = "{}") -> str | None:
    """What was answered earlier; ``text`` is recorded when nothing was."""
    with database.begin() as connection:
        earlier = claim_request(connection, user_id=user, key=key, request_hash=request)
        if earlier is None:
            record_answer(connection, user_id=user, key=key, answer=text)
        return earlier


def test_the_first_answer_is_that_of_all_later_ones(database: Database, user: int) -> None:
    assert [answer(database, user, text=text) for text in "123"] == [None, "1", "1"]


def test_a_name_is_that_of_a_user_and_a_request(database: Database, user: int) -> None:
    with database.begin() as connection:
        other = ensure_user(connection, "bob")
    assert answer(database, user) is None
    assert answer(database, user, key="other") is None
    assert answer(database, other) is None
    with pytest.raises(NameTakenError, match="The key 'k' was used for a different request; choose another"):
        answer(database, user, request=b"2")


def test_what_was_rolled_back_was_never_answered(database: Database, user: int) -> None:
    with database.begin() as connection, connection.begin_nested() as attempt:
        claim_request(connection, user_id=user, key="k", request_hash=b"1")
        attempt.rollback()
    assert answer(database, user) is None


def test_of_many_at_once_one_answers(database: Database, user: int) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda place: answer(database, user, text=str(place)), range(8)))
    assert found.count(None) == 1
    assert len({text for text in found if text is not None}) == 1


def test_names_are_forgotten_after_a_day(database: Database, user: int) -> None:
    for key in ("old", "young"):
        answer(database, user, key=key, text=key)
    with database.begin() as connection:
        for key, age in (("old", KEPT), ("young", KEPT - timedelta(minutes=1))):
            connection.execute(
                sa.update(answered_requests)
                .where(answered_requests.c.request_key == key)
                .values(answered_at=sa.func.now() - age - timedelta(seconds=1))
            )
    assert (answer(database, user, key="old"), answer(database, user, key="young")) == (None, "young")
