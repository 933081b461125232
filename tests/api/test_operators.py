"""Tests of what operators start: the run that Dagster is asked for, and what it is never asked for."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from sigmasight_api.books import HoldingsCache
from sigmasight_api.cache import ViewCache
from sigmasight_api.errors import InvalidRequestError
from sigmasight_api.loader import ViewLoader
from sigmasight_api.operators import Operators
from sigmasight_api.refresher import Refresher
from sigmasight_api.repository import Page, Repository
from sigmasight_assets.errors import ServiceError, SessionError
from sigmasight_assets.runs import DagsterClient
from sigmasight_assets.storage.database import Database

RUN_ID = "5d2a6c4e-1d1f-4d53-9a3c-0d2f6a4b7e55"
NOW = datetime(2025, 8, 1, 2, 0, tzinfo=UTC)


@dataclass
class Webserver:
    """Answers every launch as a Dagster webserver does and keeps what it was asked."""

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture
def webserver() -> Iterator[Webserver]:
    dagster = Webserver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            dagster.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            launched = {"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": RUN_ID}}}
            body = json.dumps({"data": launched}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None:
            """Keep the test output clean."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        dagster.url = f"http://127.0.0.1:{server.server_port}/graphql"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield dagster
        server.shutdown()
        thread.join()


def operators(database: Database, dagster_url: str) -> Operators:
    cache = ViewCache(ViewLoader(database))
    repository = Repository(database)
    return Operators(
        repository=repository,
        cache=cache,
        holdings=HoldingsCache(repository.read_holdings),
        refresher=Refresher(cache, database.url),
        replica=None,
        dagster=DagsterClient(dagster_url),
        clock=lambda: NOW,
    )


def test_a_range_of_closed_sessions_becomes_one_run(database: Database, webserver: Webserver) -> None:
    found = operators(database, webserver.url).run_symbol_batch(date(2025, 7, 30), date(2025, 7, 31))
    assert found == RUN_ID
    (request,) = webserver.requests
    params = request["variables"]["params"]
    assert params["selector"]["jobName"] == "symbol_layer"
    tags = {tag["key"]: tag["value"] for tag in params["executionMetadata"]["tags"]}
    assert tags["dagster/asset_partition_range_start"] == "2025-07-30"
    assert tags["dagster/asset_partition_range_end"] == "2025-07-31"


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        (date(2025, 7, 26), date(2025, 7, 31), "2025-07-26 is not a session of the exchange"),
        (date(2025, 1, 9), date(2025, 7, 31), "2025-01-09 is not a session of the exchange"),
        (date(2025, 7, 31), date(2025, 8, 1), "2025-08-01 is not complete"),
        (date(1999, 12, 31), date(2025, 7, 31), "outside the calendar"),
        (date(2025, 7, 31), date(9999, 12, 31), "outside the calendar"),
    ],
)
def test_a_session_that_is_none_or_not_closed_starts_nothing(
    database: Database, webserver: Webserver, first: date, last: date, message: str
) -> None:
    with pytest.raises(SessionError, match=message):
        operators(database, webserver.url).run_symbol_batch(first, last)
    assert webserver.requests == []


def test_a_reversed_range_starts_nothing(database: Database, webserver: Webserver) -> None:
    with pytest.raises(InvalidRequestError, match="is after last"):
        operators(database, webserver.url).run_symbol_batch(date(2025, 7, 31), date(2025, 7, 30))
    assert webserver.requests == []


def test_a_dagster_that_is_away_is_named(database: Database) -> None:
    with pytest.raises(ServiceError, match=r"http://127\.0\.0\.1:9/graphql does not answer"):
        operators(database, "http://127.0.0.1:9/graphql").run_symbol_batch(date(2025, 7, 31), date(2025, 7, 31))


def test_before_the_first_load_the_state_says_so(database: Database) -> None:
    state = operators(database, "http://127.0.0.1:9/graphql").cache_state()
    assert (state.mode, state.generation, state.symbols, state.is_listening) == ("loading", None, 0, False)


def test_without_history_every_list_is_empty(database: Database) -> None:
    status = operators(database, "http://127.0.0.1:9/graphql").symbol_batch_status(Page(limit=10, offset=0))
    assert (status.runs.total, status.sessions.total, status.failed.total) == (0, 0, 0)
