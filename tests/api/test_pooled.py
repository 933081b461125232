"""The API behind PgBouncer, which gives each transaction another connection: answers, news and callers are the same."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from sigmasight_api.app import create_app
from sigmasight_api.components import Timing
from sigmasight_api.settings import Settings
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.roles import API_ROLE, OPERATOR_ROLE
from tests.api.conftest import NO_DAGSTER, Api, Serve, bearer, listening, wait_until
from tests.api.market import NOW, SESSIONS, add_portfolio, add_token, publish, random_figures
from tests.pooler import Pooler, pooler

KINDS = ("overview", "factor-exposures", "stress-test", "correlation-matrix", "volatility", "concentration")
CALLERS = 16


@pytest.fixture(scope="module")
def transactions(role_urls: dict[str, str], open_directory: Path) -> Iterator[Pooler]:
    """Fewer connections to the server than callers at once."""
    with pooler(open_directory, *role_urls.values(), mode="transaction", connections=2) as running:
        yield running


def settings(role_urls: dict[str, str], through: Pooler) -> Settings:
    return Settings.model_validate(
        {
            "database_url": through.through(role_urls[API_ROLE]),
            "operator_database_url": through.through(role_urls[OPERATOR_ROLE]),
            "direct_database_url": role_urls[API_ROLE],
            "dagster_graphql": NO_DAGSTER,
            "now": NOW,
        }
    )


@pytest.fixture
def pooled(role_urls: dict[str, str], transactions: Pooler, database: Database) -> Iterator[Api]:
    """An application whose news come by notification alone: it would look for itself only after the test."""
    assert database.url
    app = create_app(settings(role_urls, transactions), timing=Timing(poll_seconds=600.0))
    with listening(app) as base_url, httpx.Client(base_url=base_url, timeout=30) as http:
        api = Api(app, http)
        wait_until(lambda: api.get("/health/ready").json().get("mode") == "cache")
        yield api


def paths(owned: list[str]) -> list[str]:
    return [f"/api/v1/analytics/portfolio/{key}/{kind}" for key in owned for kind in KINDS]


def test_answers_are_those_without_a_pooler(pooled: Api, serve: Serve, database: Database) -> None:
    publish(database, SESSIONS[-1], random_figures(["AAA", "BBB"], 1))
    for name in ("One", "Two"):
        add_portfolio(database, "owner", {"AAA": "10", "BBB": "-4"}, name=name)
    token = add_token(database, "owner")
    pooled.refresh()
    with serve() as direct:
        owned = [item["portfolio_id"] for item in direct.get("/api/v1/portfolios", token).json()["items"]]
        assert len(owned) == 2
        # More at once than the pooler has connections, so that they change hands between statements.
        with ThreadPoolExecutor(CALLERS) as threads:
            found = list(threads.map(lambda path: pooled.get(path, token), paths(owned) * 5))
        for path, answer in zip(paths(owned) * 5, found, strict=True):
            assert answer.status_code == 200, answer.text
            assert answer.json() == direct.get(path, token).json()


def test_what_is_published_is_heard_of_at_once(pooled: Api, database: Database) -> None:
    """The pooler passes no notifications on: they come by the direct connection."""
    generation = publish(database, SESSIONS[-1], random_figures(["AAA"], 2))

    def serves() -> bool:
        view = pooled.components.cache.current
        return view is not None and view.generation == generation

    wait_until(serves)


def test_writes_and_their_names_work(pooled: Api, database: Database) -> None:
    publish(database, SESSIONS[-1], random_figures(["AAA"], 3))
    token = add_token(database, "owner")
    pooled.refresh()
    body = {
        "name": "New",
        "stated_equity": "1000",
        "as_of": str(SESSIONS[0]),
        "positions": [
            {"symbol": "AAA", "quantity": "3", "entry_price": "10", "entry_date": str(SESSIONS[0])},
        ],
    }
    named = {**bearer(token), "Idempotency-Key": "the-same"}
    first, second = (pooled.http.post("/api/v1/portfolios", json=body, headers=named) for _ in range(2))
    assert first.status_code == 201, first.text
    assert second.json() == first.json()
    listed = pooled.get("/api/v1/portfolios", token).json()["items"]
    assert [item["name"] for item in listed] == ["New"]


def test_the_server_sees_few_connections_of_many_callers(
    pooled: Api, transactions: Pooler, role_urls: dict[str, str], database: Database
) -> None:
    token = add_token(database, "owner")
    with ThreadPoolExecutor(CALLERS) as threads:
        answers = list(threads.map(lambda _: pooled.get("/api/v1/portfolios", token).status_code, range(8 * CALLERS)))
    assert set(answers) == {200}
    pools = {row["user"]: row for row in transactions.show("POOLS") if row["database"] != "pgbouncer"}
    for role in (API_ROLE, OPERATOR_ROLE):
        assert role in role_urls
    busy = [int(row["sv_active"]) + int(row["sv_idle"]) + int(row["sv_used"]) for row in pools.values()]
    assert max(busy) <= 2
