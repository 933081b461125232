"""Tests of the routes to operators' decisions: what they do, what they answer, and what is refused."""

from typing import Any

import pytest

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.operations import Verdict
from tests.api.conftest import Api, Serve
from tests.api.market import SESSIONS, add_token, publish, random_figures
from tests.operations.ledger_rows import judge, run_step
from tests.operations.test_cash_out import held  # noqa: F401
from tests.orchestration.contents import rows_of
from tests.webservers import webserver

ADMIN = "/api/v1/admin"
HOLE, BEFORE = SESSIONS[-1], SESSIONS[-2]
WHY = {"reason": "the vendor has no data of the day"}


@pytest.fixture
def admin(database: Database) -> str:
    return add_token(database, "root", is_admin=True)


def kinds(database: Database) -> list[str]:
    return [row["kind"] for row in rows_of(database, "SELECT kind FROM operator_actions ORDER BY action_id")]


def test_a_session_is_waived_and_the_waiver_taken_back(api: Api, database: Database, admin: str) -> None:
    publish(database, BEFORE, random_figures(["AAA"], seed=1))
    answer = api.post(f"{ADMIN}/sessions/{HOLE}/waive", admin, json=WHY)
    assert answer.status_code == 200
    document = answer.json()
    assert (document["session"], document["decision"]) == (str(HOLE), "waived")
    (decision,) = api.get(f"{ADMIN}/sessions/decisions", admin).json()["items"]
    assert (decision["session"], decision["kind"], decision["actor"]) == (str(HOLE), "waived", "root")
    assert decision["reason"] == WHY["reason"]
    again = api.post(f"{ADMIN}/sessions/{HOLE}/waive", admin, json=WHY)
    assert again.status_code == 409
    assert again.headers["content-type"] == "application/problem+json"
    assert "is already waived by root" in again.json()["detail"]
    assert api.post(f"{ADMIN}/sessions/{HOLE}/unwaive", admin, json=WHY).json()["decision"] == "unwaived"
    assert api.get(f"{ADMIN}/sessions/decisions", admin).json() == {"items": [], "total": 0}
    assert kinds(database) == ["waive_session", "unwaive_session"]


def test_a_date_is_closed_and_reopened(api: Api, database: Database, admin: str) -> None:
    assert api.post(f"{ADMIN}/sessions/{HOLE}/close", admin, json=WHY).json()["decision"] == "closed"
    refused = api.post(f"{ADMIN}/symbol-batch/run", admin, json={"first": str(HOLE), "last": str(HOLE)})
    assert refused.status_code == 422
    assert f"{HOLE} is no session: closed by root on" in refused.json()["detail"]
    assert api.post(f"{ADMIN}/sessions/{HOLE}/reopen", admin, json=WHY).json()["decision"] == "reopened"
    audit = api.get(f"{ADMIN}/actions?limit=1", admin).json()
    assert audit["total"] == 2
    (newest,) = audit["items"]
    assert (newest["kind"], newest["actor"], newest["session"]) == ("reopen_session", "root", str(HOLE))
    assert kinds(database) == ["close_session", "reopen_session"]


def test_nobody_has_to_say_why_something_is_started_again(api: Api, database: Database, admin: str) -> None:
    assert api.post(f"{ADMIN}/retry", admin, json={}).json() == {"ranges": [], "symbols": []}
    assert kinds(database) == []


def test_a_range_leaves_closed_dates_out(serve: Serve, database: Database) -> None:
    admin = add_token(database, "root", is_admin=True)
    with webserver() as dagster, serve(dagster=dagster.url) as api:
        dagster.answer({"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": "r1"}}})
        api.post(f"{ADMIN}/sessions/{HOLE}/close", admin, json=WHY)
        answer = api.post(f"{ADMIN}/symbol-batch/run", admin, json={"first": str(BEFORE), "last": str(HOLE)})
        assert answer.status_code == 202
        assert dagster.tags["dagster/partition"] == str(BEFORE)


def test_a_delisted_symbol_is_cashed_out(api: Api, held: Database, admin: str) -> None:  # noqa: F811
    body = {"on": "2025-07-24", "price": "17.25", "reason": "merger"}
    answer = api.post(f"{ADMIN}/symbols/GONE/cash-out", admin, json=body)
    assert answer.status_code == 200
    document = answer.json()
    assert document.pop("action_id") > 0
    assert document == {"symbol": "GONE", "on": "2025-07-24", "price": "17.2500", "lots": 3, "portfolios": 2}
    assert kinds(held) == ["cash_out"]
    assert api.post(f"{ADMIN}/symbols/NOSUCH/cash-out", admin, json=body).status_code == 404
    assert api.post(f"{ADMIN}/symbols/AAA/cash-out", admin, json=body).status_code == 409


def test_what_is_failed_is_started_again(serve: Serve, database: Database) -> None:
    admin = add_token(database, "root", is_admin=True)
    with webserver() as dagster, serve(dagster=dagster.url) as api:
        assert api.post(f"{ADMIN}/retry", admin, json=WHY).json() == {"ranges": [], "symbols": []}
        publish(database, BEFORE, random_figures(["AAA"], seed=1))
        judge(database, Verdict("coverage", HOLE, passed=False, detail="1 of 500"), run_id="bad")
        run_step(database, "bad", HOLE, error="not published", ended_ago=5)
        dagster.answer({"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": "again"}}})
        answer = api.post(f"{ADMIN}/retry", admin, json=WHY)
        assert answer.status_code == 202
        (started,) = answer.json()["ranges"]
        assert (started["job"], started["first"], started["run_id"]) == ("symbol_layer", str(HOLE), "again")
        assert dagster.tags["sigmasight/requested_by"] == "root"
        assert kinds(database) == ["retry"]
        other = api.post(f"{ADMIN}/retry", admin, json={**WHY, "session": str(BEFORE)})
        assert other.status_code == 409


@pytest.mark.parametrize("reason", ["", "   ", "two\nlines", "x" * 501, None, 5])
@pytest.mark.parametrize("path", [f"sessions/{HOLE}/waive", f"sessions/{HOLE}/close", "retry"])
def test_a_decision_needs_a_reason_of_one_line(
    api: Api, database: Database, admin: str, path: str, reason: Any
) -> None:
    assert api.post(f"{ADMIN}/{path}", admin, json={"reason": reason}).status_code == 422
    assert kinds(database) == []


@pytest.mark.parametrize(
    "body",
    [
        {"on": "2025-07-24", "price": price}
        for price in ("-1", "NaN", "1e3", "1.00001", "", 17.25, None, "1" * 10, "Infinity")
    ]
    + [{"on": day, "price": "1"} for day in ("24.07.2025", 1704412800, None, "2025-07-24T00:00")],
)
def test_a_cash_out_needs_a_date_and_an_exact_price(
    api: Api, database: Database, admin: str, body: dict[str, Any]
) -> None:
    answer = api.post(f"{ADMIN}/symbols/GONE/cash-out", admin, json={**body, **WHY})
    assert answer.status_code == 422
    assert kinds(database) == []


def test_owners_decide_nothing(api: Api, database: Database) -> None:
    owner = add_token(database, "owner")
    for path in (f"sessions/{HOLE}/waive", f"sessions/{HOLE}/close", "symbols/GONE/cash-out", "retry"):
        assert api.post(f"{ADMIN}/{path}", owner, json=WHY).status_code == 403
        assert api.post(f"{ADMIN}/{path}", None, json=WHY).status_code == 401
    for path in ("actions", "sessions/decisions"):
        assert api.get(f"{ADMIN}/{path}", owner).status_code == 403
    assert kinds(database) == []
