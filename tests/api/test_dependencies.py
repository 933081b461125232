"""Tests of the shared parameters; access is in ``test_access``."""

import pytest

from sigmasight_assets.storage.database import Database
from tests.api.conftest import Api
from tests.api.market import add_portfolio, add_token


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
