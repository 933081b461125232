"""Tests of the routes to suspect bars: the list, the decisions, and what a caller is told that may or can not."""

from typing import Any

import pytest

from sigmasight_assets.storage.database import Database
from tests.api.conftest import Api
from tests.api.market import add_token
from tests.contents import contents
from tests.orchestration.contents import rows_of
from tests.stored_bars import DAYS, FALLEN, compare, fallen, publish_figures, store_bars

LIST = "/api/v1/admin/bars/suspect"
DECISIONS = ("accept", "reject")
BODY = {"reason": "the exchange says so"}


@pytest.fixture
def admin(database: Database) -> str:
    return add_token(database, "root", is_admin=True)


def path(decision: str, symbol: str = "AAA", session: object = FALLEN) -> str:
    return f"/api/v1/admin/bars/{symbol}/{session}/{decision}"


def decisions_taken(database: Database) -> list[tuple[str, str]]:
    return [row for row in contents(database) if row[0] in ("operator_actions", "bar_decisions")]


def test_the_list(api: Api, database: Database, admin: str) -> None:
    assert api.get(LIST, admin).json() == {"items": [], "total": 0}
    fallen(database, "AAA")
    store_bars(database, "BBB", dict.fromkeys(DAYS, "100"))
    answer = api.get(LIST, admin)
    assert answer.status_code == 200
    (bar,) = answer.json()["items"]
    assert bar.pop("since").endswith("Z")
    assert bar == {
        "symbol": "AAA",
        "session": str(FALLEN),
        "close_price": "25.0000",
        "previous_session": str(DAYS[-2]),
        "previous_close_price": "100.0000",
        "move_percent": -75.0,
        "is_published": False,
        "portfolios": 0,
        "second_source": None,
        "second_close_price": None,
    }
    assert api.get(f"{LIST}?offset=1", admin).json() == {"items": [], "total": 1}


def test_a_bar_that_a_second_market_states_otherwise(api: Api, database: Database, admin: str) -> None:
    store_bars(database, "AAA", {FALLEN: "100"})
    compare(database, "AAA", FALLEN, "100", "102")
    (bar,) = api.get(LIST, admin).json()["items"]
    assert (bar["second_source"], bar["second_close_price"], bar["close_price"]) == ("second", "102.0000", "100.0000")
    assert (bar["previous_session"], bar["previous_close_price"], bar["move_percent"]) == (None, None, None)


@pytest.mark.parametrize(("decision", "verdict"), [("accept", "accepted"), ("reject", "rejected")])
def test_a_decision(api: Api, database: Database, admin: str, decision: str, verdict: str) -> None:
    fallen(database, "AAA")
    publish_figures(database, FALLEN, "AAA")
    answer = api.post(path(decision), admin, json=BODY)
    assert answer.status_code == 200
    document = answer.json()
    assert document.pop("action_id") > 0
    assert document == {
        "symbol": "AAA",
        "session": str(FALLEN),
        "close_price": "25.0000",
        "verdict": verdict,
        "effect": "republished",
    }
    (action,) = rows_of(database, "SELECT kind, actor, reason, session, symbol FROM operator_actions")
    assert tuple(action.values()) == (f"{decision}_bar", "root", BODY["reason"], FALLEN, "AAA")
    assert api.get(LIST, admin).json()["total"] == 0
    # The same once more contradicts what is stored.
    again = api.post(path(decision), admin, json=BODY)
    assert (again.status_code, again.headers["Content-Type"]) == (409, "application/problem+json")
    assert f"was {verdict} already, by root on" in again.json()["detail"]


@pytest.mark.parametrize("decision", DECISIONS)
def test_a_bar_that_is_not_there(api: Api, database: Database, admin: str, decision: str) -> None:
    fallen(database, "AAA")
    for symbol, session in (("ZZZ", FALLEN), ("AAA", "2025-07-26"), ("AAA", "9999-12-31")):
        answer = api.post(path(decision, symbol, session), admin, json=BODY)
        assert answer.status_code == 404
        assert answer.json()["detail"].startswith(f"There is no bar of {symbol} at {session}")
    assert decisions_taken(database) == []


def test_a_bar_that_is_not_suspect(api: Api, database: Database, admin: str) -> None:
    store_bars(database, "AAA", dict.fromkeys(DAYS, "100"))
    answer = api.post(path("accept"), admin, json=BODY)
    assert answer.status_code == 409
    assert "is not suspect" in answer.json()["detail"]
    assert decisions_taken(database) == []


@pytest.mark.parametrize("decision", DECISIONS)
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"reason": ""},
        {"reason": "   "},
        {"reason": "two\nlines"},
        {"reason": "nul\0"},
        {"reason": "zero\u200bwidth"},
        {"reason": "x" * 501},
        {"reason": None},
        {"reason": 7},
        {"reason": "r", "actor": "somebody else"},
        [],
    ],
)
def test_a_wrong_body(api: Api, database: Database, admin: str, decision: str, body: Any) -> None:
    fallen(database, "AAA")
    assert api.post(path(decision), admin, json=body).status_code == 422
    assert decisions_taken(database) == []


@pytest.mark.parametrize(
    ("symbol", "session"),
    [("aaa", FALLEN), ("A%00", FALLEN), ("AAA", "1753920000"), ("AAA", "today"), ("' OR 1", FALLEN)],
)
def test_a_wrong_path(api: Api, database: Database, admin: str, symbol: str, session: object) -> None:
    fallen(database, "AAA")
    assert api.post(path("reject", symbol, session), admin, json=BODY).status_code == 422
    assert decisions_taken(database) == []


def test_only_operators_decide(api: Api, database: Database) -> None:
    fallen(database, "AAA")
    owner = add_token(database, "ann")
    for token, status in ((None, 401), (owner, 403)):
        assert api.get(LIST, token).status_code == status
        for decision in DECISIONS:
            assert api.post(path(decision), token, json=BODY).status_code == status
    assert decisions_taken(database) == []
