"""Tests of the operators' routes: the cache's state, starting runs, and what became of them."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from sigmasight_api.view import RETURNS_HELD
from sigmasight_assets.commands.status import as_document
from sigmasight_assets.operations.status import read_status
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.onboarding import request_onboarding
from sigmasight_assets.storage.operations import Verdict, finish_batch, record_verdicts, start_batch
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from tests.api.conftest import Api
from tests.api.market import NOW, SESSIONS, add_portfolio, add_token, publish, random_figures
from tests.operations.ledger_rows import run_step

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
    columns, returns = 2 * (8 + 8 + 8 + 1 + 12 * (8 + 1 + 8) + 4 * 8), 2 * RETURNS_HELD * 8
    assert document["view_bytes"] == columns + returns + RETURNS_HELD * 8
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


def test_the_cache_counts_how_it_served(api: Api, database: Database, admin: str) -> None:
    def counts() -> dict[str, int]:
        names = ("view_hits", "view_waits", "database_fallbacks", "holdings_hits", "holdings_misses")
        document = api.get("/api/v1/admin/cache/status", admin).json()
        return {name: document[name] for name in names}

    publish(database, SESSIONS[-1], random_figures(["AAA"], seed=1))
    api.refresh()
    token, book = add_token(database, "ann"), add_portfolio(database, "ann", {"AAA": "10"})
    path = f"/api/v1/analytics/portfolio/{book.public_id}/factor-exposures"
    before = counts()
    for _ in range(3):
        assert api.get(path, token).status_code == 200
    after = counts()
    assert {name: after[name] - before[name] for name in after} == {
        "view_hits": 3,
        "view_waits": 0,
        "database_fallbacks": 0,
        # The second and third answer are remembered whole.
        "holdings_hits": 0,
        "holdings_misses": 1,
    }


def test_history_lists_steps_by_kind_status_and_session(api: Api, database: Database, admin: str) -> None:
    def listed(query: str = "") -> list[str]:
        document = api.get(f"/api/v1/admin/batch/history{query}", admin).json()
        assert document["total"] == len(document["items"]) or "limit" in query
        return [item["run_id"] for item in document["items"]]

    run_step(database, "r1", *SESSIONS[-3:], kind="symbol_prices", ended_ago=9, counts={"vendor_calls": 6})
    run_step(database, "r2", SESSIONS[-2], error="not published", ended_ago=6)
    run_step(database, "r3", SESSIONS[-1], kind="portfolio_products", ended_ago=None)
    assert listed() == ["r3", "r2", "r1"]
    assert listed("?kind=symbol_prices") == ["r1"]
    assert listed("?status=failed") == ["r2"]
    assert listed(f"?session={SESSIONS[-2]}") == ["r2", "r1"]
    assert listed(f"?session={SESSIONS[-2]}&kind=symbol_products") == ["r2"]
    assert listed("?limit=1&offset=1") == ["r2"]
    first = api.get("/api/v1/admin/batch/history?kind=symbol_prices", admin).json()["items"][0]
    assert (first["started_by"], first["vendor_calls"], first["seconds"]) == ("manual", 6, pytest.approx(60.0))
    running = api.get("/api/v1/admin/batch/history?status=running", admin).json()["items"][0]
    assert (running["seconds"], running["finished_at"], running["vendor_calls"]) == (None, None, None)


@pytest.mark.parametrize(
    "query",
    ["kind=%00", "kind=a'--", "kind=" + "a" * 41, "status=done", "session=2025-07-32", "session=1704412800", "limit=0"],
)
def test_wrong_filters_are_refused(api: Api, admin: str, query: str) -> None:
    assert api.get(f"/api/v1/admin/batch/history?{query}", admin).status_code == 422


def test_failures_are_those_of_now(api: Api, database: Database, admin: str) -> None:
    path = "/api/v1/admin/batch/failures"
    assert api.get(path, admin).json() == {"items": [], "total": 0}
    for session in SESSIONS[:-1]:
        publish(database, session, random_figures(["AAA"], seed=1))
    run_step(database, "r1", SESSIONS[-1], kind="symbol_prices", error="no answer", ended_ago=10)
    document = api.get(path, admin).json()
    (failure,) = document["items"]
    assert (failure["kind"], failure["severity"], failure["session"]) == (
        "session_not_published",
        "critical",
        str(SESSIONS[-1]),
    )
    assert (failure["asset"], failure["check"], failure["run_id"], failure["attempts"]) == (
        "symbol_prices",
        None,
        "r1",
        1,
    )
    assert failure["detail"] == "symbol_prices failed in run r1: no answer"
    assert failure["next_attempt"]
    assert api.get(f"{path}?offset=1", admin).json() == {"items": [], "total": 1}
    publish(database, SESSIONS[-1], random_figures(["AAA"], seed=1))
    assert api.get(path, admin).json() == {"items": [], "total": 0}


def test_freshness_counts_sessions(api: Api, database: Database, admin: str) -> None:
    publish(database, SESSIONS[-3], random_figures(["AAA"], seed=1))
    document = api.get("/api/v1/admin/data/freshness", admin).json()
    assert document["clock"] == "2025-08-01T02:00:00Z"
    symbols, books = document["layers"]
    assert symbols == {
        "layer": "symbol",
        "product": None,
        "newest": str(SESSIONS[-3]),
        "behind": 2,
        "severity": "critical",
        "reason": f"2 sessions behind: {SESSIONS[-2]} is not published",
    }
    assert (books["layer"], books["behind"], books["severity"]) == ("portfolio", 0, "ok")
    assert {item["product"]: item["behind"] for item in document["products"]} == {
        "symbol_prices": None,
        **dict.fromkeys(SYMBOL_PRODUCTS, 2),
        "portfolio_snapshots": 0,
        "portfolio_factor_exposures": 0,
    }


def test_coverage_tells_of_each_product_what_it_lacks(api: Api, database: Database, admin: str) -> None:
    publish(
        database, SESSIONS[-1], random_figures(["AAA"], seed=1), exclusions=[("BBB", "market_beta", "short_history")]
    )
    document = api.get("/api/v1/admin/data/coverage?sessions=2", admin).json()
    assert [item["session"] for item in document["items"]] == [str(SESSIONS[-1]), str(SESSIONS[-2])]
    newest, before = ({item["product"]: item for item in day["products"]} for day in document["items"])
    assert newest["market_beta"] == {
        "product": "market_beta",
        "rows": 1,
        "expected": 2,
        "share": 0.5,
        "lacks": [{"reason": "short_history", "symbols": 1, "named": ["BBB"]}],
    }
    assert (before["market_beta"]["rows"], before["market_beta"]["share"]) == (0, None)
    for query in ("sessions=0", "sessions=61"):
        assert api.get(f"/api/v1/admin/data/coverage?{query}", admin).status_code == 422


@pytest.mark.parametrize("query", ["sessions=0", "sessions=1001", "sessions=all"])
def test_a_wrong_number_of_sessions_is_refused(api: Api, admin: str, query: str) -> None:
    assert api.get(f"/api/v1/admin/status?{query}", admin).status_code == 422


def test_the_status_is_that_of_the_command(api: Api, database: Database, admin: str) -> None:
    """One story: whatever the command prints for programs is in the answer, but for the names of two fields."""
    for session in SESSIONS[:-1]:
        publish(database, session, random_figures(["AAA"], seed=1))
    run_step(database, "r1", SESSIONS[-1], kind="symbol_prices", error="no answer", ended_ago=10)
    run_step(database, "r2", SESSIONS[-2], ended_ago=5, counts={"rows_computed": 3, "vendor_calls": 2})
    with database.begin() as connection:
        request_onboarding(connection, ["NEW"], requested_by="owner ann")
    document = api.get("/api/v1/admin/status?sessions=3", admin).json()
    assert [(item["session"], item["state"]) for item in document["sessions"]] == [
        (str(SESSIONS[-1]), "failed"),
        (str(SESSIONS[-2]), "published"),
        (str(SESSIONS[-3]), "published"),
    ]
    found = read_status(database, clock=datetime.fromisoformat(NOW), pause=timedelta(minutes=30), sessions=3)
    printed = json.loads(json.dumps(as_document(found), default=str))
    assert document["next_snapshots"] == printed["next"]
    assert document["next_symbols"] == printed["next_symbols"]
    assert document["verdict"] == printed["verdict"]
    assert document["verdict"]["state"] == "failing"
    for theirs, ours in (("failures", "failed_now"), ("freshness", "freshness"), ("runs", "runs")):
        assert len(document[theirs]) == len(printed[ours])
        for left, right in zip(document[theirs], printed[ours], strict=True):
            assert {**left, **instants(right)} == {**right, **instants(right)}
    assert [item["symbol"] for item in document["onboarding"]] == ["NEW"]
    assert document["runs"][0]["vendor_calls"] == 2


def instants(row: dict[str, Any]) -> dict[str, Any]:
    """Fields that are instants, which are written otherwise, or that go on while one looks."""
    return {name: row[name] for name in ("started_at", "next_attempt") if name in row}


REPORTS = ("/status", "/data/freshness", "/batch/history", "/batch/failures", "/cache/status")


@pytest.mark.parametrize("path", REPORTS)
def test_reports_are_for_admins(api: Api, database: Database, path: str) -> None:
    owner = add_token(database, "ann")
    assert api.get(f"/api/v1/admin{path}").status_code == 401
    assert api.get(f"/api/v1/admin{path}", owner).status_code == 403
