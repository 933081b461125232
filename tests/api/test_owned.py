"""Tests of the way to what owners write: edits of one book follow each other, and whoever waits too long is told."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
import sqlalchemy as sa

from sigmasight_api.owned import lock_book, lock_lot
from sigmasight_assets.errors import NotFoundError
from sigmasight_assets.storage.book_tables import portfolios
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import read_portfolios
from tests.api.conftest import Api
from tests.api.market import add_portfolio, add_token
from tests.api.writing import LATER, LOT, PORTFOLIOS, POSITIONS, listed, open_book, publish_market, send


@pytest.fixture
def token(database: Database) -> str:
    return add_token(database, "ann")


def test_a_book_and_its_lots_are_found_by_their_owner_alone(api: Api, database: Database, token: str) -> None:
    portfolio = open_book(api, token, LOT)
    (lot,) = listed(api, token, portfolio)
    other = add_portfolio(database, "bob", {})
    with database.begin() as connection:
        (record,) = (item for item in read_portfolios(connection) if item.owner == "ann")
        book = lock_book(connection, record.user_id, portfolio)
        found, held = lock_lot(connection, record.user_id, lot["position_id"])
        assert (str(book.public_id), found, held.symbol) == (portfolio, book, "AAA")
        with pytest.raises(NotFoundError, match="There is no such portfolio"):
            lock_book(connection, other.user_id, portfolio)
        with pytest.raises(NotFoundError, match="There is no such position"):
            lock_lot(connection, other.user_id, lot["position_id"])


def test_edits_at_once_all_count(api: Api, database: Database, token: str) -> None:
    publish_market(api, database)
    portfolio = open_book(api, token)
    path = f"{PORTFOLIOS}/{portfolio}"

    def edit(place: int) -> int:
        if place % 3 == 0:
            return api.post(f"{path}/capital-flows", token, json={"flow_date": LATER, "amount": 1}).status_code
        if place % 3 == 1:
            return send(api, "PATCH", path, token, json={"stated_equity": place}).status_code
        made = api.post(POSITIONS, token, json={**LOT, "portfolio_id": portfolio})
        return send(api, "DELETE", f"{POSITIONS}/{made.json()['position_id']}", token).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(edit, range(24))) == [200] * 8 + [201] * 8 + [204] * 8
    assert listed(api, token, portfolio) == []
    assert api.get(f"{path}/capital-flows", token).json()["total"] == 8
    with database.begin() as connection:
        (record,) = read_portfolios(connection)
    # One version each of 8 flows, 8 equities, 8 positions added and 8 deleted.
    assert record.book_version == 1 + 8 + 8 + 16


def test_whoever_waits_too_long_is_told_to_come_again(api: Api, database: Database, token: str) -> None:
    path = f"{PORTFOLIOS}/{open_book(api, token)}/capital-flows"
    flow = {"flow_date": LATER, "amount": 5}
    with database.begin() as connection:
        connection.execute(sa.select(portfolios).with_for_update())
        answer = send(api, "POST", path, token, key="f", json=flow)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        # Reading waits for nobody.
        assert api.get(path, token).json()["total"] == 0
    assert send(api, "POST", path, token, key="f", json=flow).status_code == 201
    assert Decimal(api.get(path, token).json()["items"][0]["amount"]) == 5


def test_corrections_at_once_lose_nothing_of_each_other(api: Api, token: str) -> None:
    portfolio = open_book(api, token, LOT)
    path = f"{POSITIONS}/{listed(api, token, portfolio)[0]['position_id']}"
    with ThreadPoolExecutor(3) as pool:
        for place in range(1, 25):
            changes = ({"quantity": place}, {"entry_price": place}, {"notes": str(place)})
            done = pool.map(lambda change: send(api, "PATCH", path, token, json=change).status_code, changes)
            assert list(done) == [200] * 3
            (lot,) = listed(api, token, portfolio)
            assert (lot["quantity"], lot["entry_price"], lot["notes"]) == (f"{place}.0000", f"{place}.0000", str(place))
