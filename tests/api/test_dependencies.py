"""Tests of access: every route of the OpenAPI document, with every kind of token, and the shared parameters."""

from typing import Any
from uuid import uuid4

import pytest

from sigmasight_assets.storage.database import Database
from tests.api.conftest import Api
from tests.api.market import add_portfolio, add_token

PUBLIC = {"/health/live", "/health/ready"}
VALUES = {"{portfolio_id}": str(uuid4()), "{symbol}": "AAA"}


def operations(api: Api) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path with values filled in, and description of every route."""
    found = []
    for template, methods in api.get("/openapi.json").json()["paths"].items():
        path = template
        for name, value in VALUES.items():
            path = path.replace(name, value)
        found += [(method.upper(), path, described) for method, described in methods.items()]
    return found


def test_every_route_but_health_needs_a_token(api: Api) -> None:
    checked = 0
    for method, path, described in operations(api):
        answer = api.http.request(method, path)
        if path in PUBLIC:
            assert answer.status_code == 200
            continue
        checked += 1
        assert answer.status_code == 401, path
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert described["security"]
        assert {"401", "503"} <= set(described["responses"])
    assert checked >= 10


def test_operators_routes_are_closed_to_owners_and_open_to_admins(api: Api, database: Database) -> None:
    owner, admin = add_token(database, "ann"), add_token(database, "root", is_admin=True)
    for method, path, _ in operations(api):
        is_admins = path.startswith("/api/v1/admin/")
        headers = {"Authorization": f"Bearer {owner}"}
        assert (api.http.request(method, path, headers=headers).status_code == 403) is is_admins, path
        headers = {"Authorization": f"Bearer {admin}"}
        assert api.http.request(method, path, headers=headers).status_code not in {401, 403}, path


def test_a_token_in_the_query_is_no_token(api: Api, database: Database) -> None:
    token = add_token(database, "ann")
    for name in ("token", "access_token", "authorization", "api_key"):
        assert api.get("/api/v1/portfolios", params={name: token}).status_code == 401
    assert api.http.get("/api/v1/portfolios", headers={"Cookie": f"token={token}"}).status_code == 401


def test_the_caller_is_identified_before_the_body_is_read(api: Api, database: Database) -> None:
    for token, status in ((None, 401), (add_token(database, "ann"), 403)):
        answer = api.post("/api/v1/admin/symbol-batch/run", token, content='{"first": NaN, ')
        assert answer.status_code == status


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=-1",
        "limit=1001",
        "limit=NaN",
        "limit=1e3",
        "limit=%00",
        "limit=",
        "limit=99999999999999999999999999",
        "offset=-1",
        "offset=1000000001",
        "offset=' OR 1=1--",
    ],
)
def test_pages_have_bounds(api: Api, database: Database, query: str) -> None:
    answer = api.get(f"/api/v1/portfolios?{query}", add_token(database, "ann"))
    assert answer.status_code == 422
    document = answer.json()
    assert document["errors"][0]["location"] == ["query", query.partition("=")[0]]


def test_the_largest_page_is_served(api: Api, database: Database) -> None:
    token = add_token(database, "ann")
    add_portfolio(database, "ann", {"AAA": "1"})
    assert api.get("/api/v1/portfolios?limit=1000&offset=0", token).json()["total"] == 1
    assert api.get("/api/v1/portfolios?limit=1000&offset=1000000000", token).json() == {"items": [], "total": 1}
