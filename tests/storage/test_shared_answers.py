"""Tests of shared answers: found by content alone, one per portfolio and kind, the newest stays."""

from decimal import Decimal

import pytest
import sqlalchemy as sa

from sigmasight_assets.storage.book_tables import portfolios
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.operations_tables import portfolio_analytics_cache
from sigmasight_assets.storage.portfolios import create_portfolio
from sigmasight_assets.storage.shared_answers import SharedAnswer, find_answer, forget_superseded, keep_answer
from tests.storage.rows import SESSION


@pytest.fixture
def portfolio_id(database: Database) -> int:
    with database.begin() as connection:
        return create_portfolio(
            connection, user="ann", name="Main", equity=Decimal(100), as_of=SESSION, lots=[]
        ).portfolio_id


def keep(database: Database, portfolio_id: int, key: bytes, generation: int, kind: str = "risk") -> None:
    with database.begin() as connection:
        keep_answer(connection, SharedAnswer(portfolio_id, kind, key, generation, key + b"!"))


def found(database: Database, portfolio_id: int, key: bytes, kind: str = "risk") -> bytes | None:
    with database.begin() as connection:
        return find_answer(connection, portfolio_id, kind, key)


def test_an_answer_is_found_by_its_key_alone(database: Database, portfolio_id: int) -> None:
    keep(database, portfolio_id, b"one", 5)
    assert found(database, portfolio_id, b"one") == b"one!"
    assert found(database, portfolio_id, b"two") is None
    assert found(database, portfolio_id, b"one", kind="volatility") is None
    assert found(database, portfolio_id + 1, b"one") is None


def test_a_newer_answer_takes_the_place_and_an_older_one_does_not(database: Database, portfolio_id: int) -> None:
    keep(database, portfolio_id, b"one", 5)
    keep(database, portfolio_id, b"two", 6)
    keep(database, portfolio_id, b"late", 5)
    assert [found(database, portfolio_id, key) for key in (b"one", b"two", b"late")] == [None, b"two!", None]


def test_superseded_answers_are_deleted(database: Database, portfolio_id: int) -> None:
    keep(database, portfolio_id, b"one", 5)
    keep(database, portfolio_id, b"two", 6, kind="volatility")
    with database.begin() as connection:
        assert forget_superseded(connection, 6) == 1
    assert found(database, portfolio_id, b"one") is None
    assert found(database, portfolio_id, b"two", kind="volatility") == b"two!"


def test_answers_go_with_their_portfolio(database: Database, portfolio_id: int) -> None:
    keep(database, portfolio_id, b"one", 5)
    with database.begin() as connection:
        connection.execute(sa.delete(portfolios))
        assert connection.execute(sa.select(sa.func.count()).select_from(portfolio_analytics_cache)).scalar_one() == 0
