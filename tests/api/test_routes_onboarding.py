"""Tests of the onboarding routes over HTTP: what is accepted, at once, and what is refused."""

import pytest

from sigmasight_assets.storage.database import Database
from tests.api.conftest import Api
from tests.api.market import add_token
from tests.storage.onboarding_queue import statuses

PATH = "/api/v1/admin/onboarding"
CONTRACT = "GOOGL1250815C00150000"


@pytest.fixture
def admin(database: Database) -> str:
    return add_token(database, "root", is_admin=True)


def test_a_symbol_is_asked_for_and_listed(api: Api, admin: str) -> None:
    answer = api.post(PATH, admin, json={"symbol": "BRK-B", "priority": 3})
    assert answer.status_code == 202
    made = answer.json()
    assert {name: made[name] for name in ("symbol", "status", "priority", "attempts", "requested_by", "error")} == {
        "symbol": "BRK-B",
        "status": "pending",
        "priority": 3,
        "attempts": 0,
        "requested_by": "operator root",
        "error": None,
    }
    assert api.get(PATH, admin).json() == {"items": [made], "total": 1}
    assert api.get(f"{PATH}?offset=1", admin).json() == {"items": [], "total": 1}
    assert api.get("/api/v1/symbols/BRK-B/status", admin).json() == {
        "symbol": "BRK-B",
        "status": "pending",
        "factors_date": None,
        "reason": "waiting to be onboarded",
    }


def test_contracts_are_symbols_and_the_priority_may_be_left_out(api: Api, database: Database, admin: str) -> None:
    assert api.post(PATH, admin, json={"symbol": CONTRACT}).json()["priority"] == 0
    assert statuses(database) == {CONTRACT: "pending"}


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{}",
        '{"symbol": null}',
        '{"symbol": ""}',
        '{"symbol": "aapl"}',
        '{"symbol": "AAPL\\u0000"}',
        '{"symbol": "AAPL\\n"}',
        '{"symbol": "\' OR 1=1--"}',
        '{"symbol": "AAAAAAAAAAAAAAAAAAAAAA"}',
        '{"symbol": ["AAPL"]}',
        '{"symbol": "AAPL", "priority": true}',
        '{"symbol": "AAPL", "priority": "1"}',
        '{"symbol": "AAPL", "priority": 1.5}',
        '{"symbol": "AAPL", "priority": NaN}',
        '{"symbol": "AAPL", "priority": 1e400}',
        '{"symbol": "AAPL", "priority": 99999999999}',
        '{"symbol": "AAPL", "status": "completed"}',
    ],
)
def test_what_is_no_request_is_refused(api: Api, database: Database, admin: str, body: str) -> None:
    answer = api.post(PATH, admin, content=body)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert statuses(database) == {}


def test_owners_do_not_see_the_queue(api: Api, database: Database) -> None:
    owner = add_token(database, "ann")
    assert api.get(PATH, owner).status_code == 403
    assert api.post(PATH, owner, json={"symbol": "AAPL"}).status_code == 403
    assert statuses(database) == {}
