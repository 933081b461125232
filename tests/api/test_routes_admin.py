"""Tests of the operators' routes: the cache's state, starting runs, and what became of them."""

from typing import Any

import pytest

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.operations import Verdict, finish_batch, record_verdicts, start_batch
from tests.api.conftest import Api
from tests.api.market import SESSIONS, add_token, publish, random_figures

RUN = "/api/v1/admin/symbol-batch/run"


@pytest.fixture
def admin(database: Database) -> str:
    return add_token(database, "root", is_admin=True)


def test_the_cache_tells_its_generation_and_size(api: Api, database: Database, admin: str) -> None:
    generation = publish(database, SESSIONS[-1], random_figures(["AAA", "BBB"], seed=1))
    api.refresh()
    document = api.get("/api/v1/admin/cache/status", admin).json()
    assert (document["mode"], document["reason"], document["last_error"]) == ("cache", None, None)
    assert (document["generation"], document["symbol_generation"]) == (generation, generation)
    assert (document["as_of"], document["symbols"], document["is_listening"]) == (str(SESSIONS[-1]), 2, True)
    assert document["view_bytes"] == 2 * (8 + 8 + 8 + 12 * 8 + 12 + 4 * 8)
    assert document["load_seconds"] > 0
    assert document["checked_seconds_ago"] <= document["age_seconds"]


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        ("2025-07-26", "2025-07-31", "2025-07-26 is not a session of the exchange (XNYS); the nearest are"),
        ("2025-07-31", "2025-08-01", "2025-08-01 is not complete: a session is offered from 21:00 New York"),
        ("2025-07-31", "2025-07-30", "first (2025-07-31) is after last (2025-07-30)"),
        ("9999-12-31", "9999-12-31", "9999-12-31 is outside the calendar"),
    ],
)
def test_dates_that_are_no_closed_sessions_are_refused(
    api: Api, admin: str, first: str, last: str, message: str
) -> None:
    answer = api.post(RUN, admin, json={"first": first, "last": last})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(message)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "null",
        '{"first": NaN, "last": "2025-07-31"}',
        '{"first": Infinity, "last": -Infinity}',
        '{"first": 1e400, "last": "2025-07-31"}',
        '{"first": 1704412800, "last": 1704412800}',
        '{"first": true, "last": "2025-07-31"}',
        '{"first": "2025-07-31"}',
        '{"first": "2025-07-31", "last": "2025-07-31", "force": true}',
        '{"first": "2025-07-31\\u0000", "last": "2025-07-31"}',
    ],
)
def test_a_wrong_body_is_refused_without_repeating_it(api: Api, admin: str, body: str) -> None:
    answer = api.post(RUN, admin, content=body)
    typed = api.http.post(
        RUN, content=body, headers={"Authorization": f"Bearer {admin}", "Content-Type": "application/json"}
    )
    for each in (answer, typed):
        assert each.status_code == 422
        document = each.json()
        assert set(document) == {"type", "title", "status", "detail", "errors"}
        assert all(set(error) == {"location", "message"} for error in document["errors"])


def test_a_body_nested_without_end_is_refused(api: Api, admin: str) -> None:
    headers = {"Authorization": f"Bearer {admin}", "Content-Type": "application/json"}
    answer = api.http.post(RUN, content="[" * 100_000, headers=headers)
    assert answer.status_code in {400, 422}
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_dagster_that_is_away_is_a_503(api: Api, admin: str) -> None:
    answer = api.post(RUN, admin, json={"first": "2025-07-30", "last": "2025-07-31"})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "does not answer" in answer.json()["detail"]


def test_the_status_lists_runs_sessions_and_failed_checks(api: Api, database: Database, admin: str) -> None:
    generations = [publish(database, session, random_figures(["AAA"], seed=1)) for session in SESSIONS[-3:]]
    with database.begin() as connection:
        start_batch(connection, run_id="night", kind="symbol_products", sessions=SESSIONS[-1:])
    with database.begin() as connection:
        finish_batch(connection, run_id="night", kind="symbol_products", counts={"rows": 3})
        verdict = Verdict("coverage", SESSIONS[-4], passed=False, detail="97 % of 508 symbols")
        record_verdicts(connection, [verdict], layer="symbol", run_id="night")
    document: dict[str, Any] = api.get("/api/v1/admin/symbol-batch/status?limit=2", admin).json()
    (run,) = document["runs"]["items"]
    assert (run["run_id"], run["status"], run["counts"], run["error"]) == ("night", "succeeded", {"rows": 3}, None)
    assert document["sessions"]["total"] == 3
    shown = [(item["session"], item["generation"], item["is_complete"]) for item in document["sessions"]["items"]]
    assert shown == [(str(SESSIONS[-1]), generations[2], True), (str(SESSIONS[-2]), generations[1], True)]
    (failed,) = document["failed"]["items"]
    assert (failed["session"], failed["check_name"]) == (str(SESSIONS[-4]), "coverage")
