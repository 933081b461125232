"""Tests of the shared parameters; access is in ``test_access``."""

from decimal import Decimal

import pytest

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import PortfolioRecord
from tests.api.conftest import Api
from tests.api.market import SESSIONS, add_portfolio, add_token, publish, publish_snapshot, random_figures

ANALYTICS = (
    *("overview", "factor-exposures", "positions/factor-exposures", "stress-test", "sector-exposure"),
    *("concentration", "volatility", "correlation-matrix", "risk", "performance"),
)


def path_of(record: PortfolioRecord, analytic: str) -> str:
    return f"/api/v1/analytics/portfolio/{record.public_id}/{analytic}"


def published(database: Database, user: str, quantity: str) -> PortfolioRecord:
    record = add_portfolio(database, user, {"AAA": quantity}, name=f"Of {quantity}")
    publish_snapshot(database, record, SESSIONS[-1], Decimal("1000"))
    return record


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


def test_what_is_remembered_is_the_answer_of_its_route_and_portfolio(api: Api, database: Database) -> None:
    publish(database, SESSIONS[-1], random_figures(["AAA", "SPY"], seed=1))
    one, two = published(database, "ann", "1"), published(database, "ann", "2")
    api.refresh()
    token = add_token(database, "ann")
    first = {
        (record.public_id, name): api.get(path_of(record, name), token) for record in (one, two) for name in ANALYTICS
    }
    assert {answer.status_code for answer in first.values()} == {200}
    assert len({answer.content for answer in first.values()}) == len(first)
    hits = api.components.cache.status().uses["hit"]
    for record in (two, one):
        for name in ANALYTICS:
            again, before = api.get(path_of(record, name), token), first[record.public_id, name]
            assert again.content == before.content
            for header in ("Content-Type", "X-Data-Generation", "Content-Length"):
                assert again.headers[header] == before.headers[header]
    assert api.components.cache.status().uses["hit"] == hits + len(first)


def test_an_edit_is_seen_where_the_answer_was_remembered(api: Api, database: Database) -> None:
    publish(database, SESSIONS[-1], random_figures(["AAA", "SPY"], seed=1))
    record = published(database, "ann", "1")
    api.refresh()
    token, path = add_token(database, "ann"), path_of(record, "concentration")
    before = [api.get(path, token).json() for _ in range(2)]
    publish_snapshot(database, record, SESSIONS[-1], Decimal("2000"))
    after = api.get(path, token).json()
    assert (before[1]["equity"], after["equity"]) == ("1000.00", "2000.00")


def test_parameters_are_looked_at_where_the_answer_without_them_is_remembered(api: Api, database: Database) -> None:
    publish(database, SESSIONS[-1], random_figures(["AAA", "SPY"], seed=1))
    record = published(database, "ann", "1")
    api.refresh()
    token = add_token(database, "ann")
    positions = path_of(record, "positions/factor-exposures")
    assert [len(api.get(positions, token).json()["data"]["positions"]) for _ in range(2)] == [1, 1]
    assert api.get(f"{positions}?offset=1", token).json()["data"]["positions"] == []
    assert api.get(f"{positions}?offset=-1", token).status_code == 422
    stress = path_of(record, "stress-test")
    assert api.get(stress, token).content == api.get(stress, token).content
    own = api.post(stress, token, json={"shocks": {"Market Beta": -0.1}}).json()
    assert [scenario["id"] for scenario in own["data"]["scenarios"]] == ["custom"]


def test_what_is_remembered_is_for_its_owner(api: Api, database: Database) -> None:
    publish(database, SESSIONS[-1], random_figures(["AAA", "SPY"], seed=1))
    record = published(database, "ann", "1")
    api.refresh()
    token, path = add_token(database, "ann"), path_of(record, "factor-exposures")
    assert [api.get(path, token).status_code for _ in range(2)] == [200, 200]
    assert api.get(path, add_token(database, "bob")).status_code == 404
    assert api.get(path, add_token(database, "root", is_admin=True)).status_code == 404
    assert api.get(path).status_code == 401
