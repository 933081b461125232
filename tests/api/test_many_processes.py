"""Four processes of the API at one address: each has its view, and whoever asks several of them does not notice."""

import itertools
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from decimal import Decimal
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa

from sigmasight_api.refresher import APPLICATION_NAME
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import require_portfolio
from sigmasight_assets.storage.tokens import create_token
from tests.api.conftest import bearer, wait_until
from tests.api.market import SESSIONS, add_portfolio, add_token, publish, publish_snapshot, random_figures, track
from tests.api.processes import Process, server_processes
from tests.api.writing import BOOK, LOT, PORTFOLIOS, POSITIONS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux shares an address among processes")

COUNT = 4
# What is published is in every process by then: the contract.
CONTRACT_SECONDS = 30.0
# A look at the database may take a moment longer on a busy machine than the poll allows for.
GRACE_SECONDS = 15.0
STATUS = "/api/v1/admin/cache/status"
SYMBOLS = ("AAA", "BBB", "CCC")
LISTENERS = sa.text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :name "
    "AND datname = current_database() AND query LIKE 'LISTEN%'"
)


@pytest.fixture(scope="module")
def serving(migrated: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """The processes, on the database of the tests."""
    with server_processes(migrated, tmp_path_factory.mktemp("family"), COUNT) as process:
        yield process


class Many:
    """A connection to each process that is kept, and tokens of an owner and of an operator."""

    def __init__(self, serving: Process, database: Database, stack: ExitStack) -> None:
        self.port = serving.port
        self.database = database
        self.owner, self.operator = add_token(database, "ann"), add_token(database, "root", is_admin=True)
        self._stack = stack
        self.clients: Mapping[int, httpx.Client] = {}
        wait_until(self._has_all, seconds=120.0)

    def connect(self) -> httpx.Client:
        """A connection to whichever process it is given to."""
        client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30.0, trust_env=False)
        return self._stack.enter_context(client)

    def process_of(self, client: httpx.Client) -> int:
        return int(client.get(STATUS, headers=bearer(self.operator)).raise_for_status().json()["process_id"])

    def in_turn(self) -> Iterator[httpx.Client]:
        """The processes, one after the other, again and again."""
        return itertools.cycle(self.clients.values())

    def generations(self, path: str) -> set[int]:
        """Of the answers of all processes to a question of the owner."""
        answers = [client.get(path, headers=bearer(self.owner)) for client in self.clients.values()]
        return {int(answer.raise_for_status().headers["X-Data-Generation"]) for answer in answers}

    def _has_all(self) -> bool:
        client = self.connect()
        self.clients = {**self.clients, self.process_of(client): client}
        return len(self.clients) == COUNT


@pytest.fixture
def many(serving: Process, database: Database) -> Iterator[Many]:
    with ExitStack() as stack:
        yield Many(serving, database, stack)


def a_market(many: Many, seed: int = 1) -> int:
    """Symbols and their figures; the generation."""
    for symbol in SYMBOLS:
        track(many.database, symbol)
    return publish(many.database, SESSIONS[-1], random_figures(SYMBOLS, seed))


def a_book(many: Many) -> str:
    """The path to exposures of a portfolio of the owner."""
    record = add_portfolio(many.database, "ann", {"AAA": "10", "BBB": "-3"})
    return f"/api/v1/analytics/portfolio/{record.public_id}/factor-exposures"


@pytest.mark.fault(22)
def test_what_is_published_is_answered_by_all_within_the_contract(many: Many) -> None:
    first = a_market(many)
    path = a_book(many)
    wait_until(lambda: many.generations(path) == {first}, seconds=CONTRACT_SECONDS)
    second = publish(many.database, SESSIONS[-1], random_figures(SYMBOLS, 2))
    wait_until(lambda: many.generations(path) == {second}, seconds=CONTRACT_SECONDS)
    # Nobody says a word, and the connections by which it would come are cut.
    third = publish(many.database, SESSIONS[-1], random_figures(SYMBOLS, 3), notify=False)
    with many.database.begin() as connection:
        assert len(connection.execute(LISTENERS, {"name": APPLICATION_NAME}).all()) >= COUNT
    wait_until(lambda: many.generations(path) == {third}, seconds=CONTRACT_SECONDS)
    bodies = {client.get(path, headers=bearer(many.owner)).content for client in many.clients.values()}
    assert len(bodies) == 1


@pytest.mark.campaign
@pytest.mark.fault(22)
def test_a_publication_that_is_never_announced_is_answered_by_all_within_the_contract(many: Many) -> None:
    first = a_market(many)
    path = a_book(many)
    wait_until(lambda: many.generations(path) == {first}, seconds=CONTRACT_SECONDS)
    for seed in (2, 3):
        generation = publish(many.database, SESSIONS[-1], random_figures(SYMBOLS, seed), notify=False)
        wait_until(lambda: many.generations(path) == {generation}, seconds=CONTRACT_SECONDS)  # noqa: B023


def test_what_an_owner_writes_to_one_process_is_read_from_every_other(many: Many) -> None:
    generation = a_market(many)
    clients, headers = many.in_turn(), bearer(many.owner)
    opened = next(clients).post(PORTFOLIOS, headers=headers, json={**BOOK, "positions": [LOT]})
    assert opened.status_code == 201, opened.text
    key = opened.json()["portfolio_id"]
    exposures, held = f"/api/v1/analytics/portfolio/{key}/factor-exposures", f"{PORTFOLIOS}/{key}/positions"
    wait_until(lambda: many.generations(exposures) == {generation}, seconds=CONTRACT_SECONDS)
    for count in range(2, 3 * COUNT):
        new = {"portfolio_id": key, **LOT, "quantity": str(count)}
        added = next(clients).post(POSITIONS, headers=headers, json=new)
        assert added.status_code == 201, added.text
        # The next one has remembered the answer to the book as it was before.
        assert next(clients).get(held, headers=headers).json()["total"] == count
        answers = [client.get(exposures, headers=headers) for client in many.clients.values()]
        assert len({answer.raise_for_status().content for answer in answers}) == 1
    with many.database.begin() as connection:
        record = require_portfolio(connection, UUID(key))
    # Nobody is told of it: whoever answers must find that the view is behind.
    publish_snapshot(many.database, record, SESSIONS[-1], Decimal(1234), notify=False)
    stated = {client.get(exposures, headers=headers).json()["equity"] for client in many.clients.values()}
    assert stated == {"1234.00"}


def test_a_named_request_that_is_repeated_elsewhere_is_done_once(many: Many) -> None:
    a_market(many)
    headers = {**bearer(many.owner), "Idempotency-Key": "opened-once"}
    answers = [
        client.post(PORTFOLIOS, headers=headers, json={**BOOK, "positions": [LOT]}) for client in many.clients.values()
    ]
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["portfolio_id"] for answer in answers}) == 1
    listed = [client.get(PORTFOLIOS, headers=bearer(many.owner)).json() for client in many.clients.values()]
    assert {item["total"] for item in listed} == {1}


def test_a_token_is_valid_and_revoked_everywhere_at_once(many: Many) -> None:
    statuses = [client.get(PORTFOLIOS, headers=bearer(many.owner)).status_code for client in many.clients.values()]
    with many.database.begin() as connection:
        connection.execute(sa.text("UPDATE api_tokens SET revoked_at = now() WHERE NOT is_admin"))
    statuses += [client.get(PORTFOLIOS, headers=bearer(many.owner)).status_code for client in many.clients.values()]
    with many.database.begin() as connection:
        renewed = create_token(connection, "ann")
    statuses += [client.get(PORTFOLIOS, headers=bearer(renewed)).status_code for client in many.clients.values()]
    assert statuses == [200] * COUNT + [401] * COUNT + [200] * COUNT


def test_the_page_of_one_process_finds_its_parts_at_every_other(many: Many) -> None:
    pages = [client.get("/") for client in many.clients.values()]
    assert len({page.headers["ETag"] for page in pages}) == 1
    again = [client.get("/", headers={"If-None-Match": pages[0].headers["ETag"]}) for client in many.clients.values()]
    assert {answer.status_code for answer in again} == {304}


def test_who_names_the_generation_seen_is_never_answered_by_an_older_one(many: Many) -> None:
    a_market(many)
    path, headers = a_book(many), bearer(many.owner)
    for seed in range(2, 2 + 3 * COUNT):
        # Nobody is told, so a process learns of it by the question alone.
        published = publish(many.database, SESSIONS[-1], random_figures(SYMBOLS, seed), notify=False)
        answer = many.clients[sorted(many.clients)[seed % COUNT]].get(
            path, headers={**headers, "X-Minimum-Generation": str(published)}
        )
        assert answer.status_code == 200, answer.text
        assert int(answer.headers["X-Data-Generation"]) == answer.json()["generation"] == published
    client = next(many.in_turn())
    missing = client.get(path, headers={**headers, "X-Minimum-Generation": str(published + 1)})
    assert (missing.status_code, "Retry-After" in missing.headers) == (503, True)
    assert missing.json()["detail"] == f"Generation {published + 1} is not published: the newest is {published}."
    for wrong in ("-1", "1.0", "", "x", "9" * 19):
        assert client.get(path, headers={**headers, "X-Minimum-Generation": wrong}).status_code == 422


def test_a_killed_process_is_replaced_by_one_that_has_the_view(many: Many) -> None:
    generation = a_market(many)
    path, headers = a_book(many), bearer(many.owner)
    wait_until(lambda: many.generations(path) == {generation}, seconds=CONTRACT_SECONDS)
    victim = min(many.clients)
    os.kill(victim, signal.SIGKILL)
    seen: set[int] = set()

    def is_replaced() -> bool:
        client = many.connect()
        process = many.process_of(client)
        answer = client.get(path, headers=headers).raise_for_status()
        assert answer.headers["X-Data-Generation"] == str(generation)
        assert client.get("/health/ready").json()["mode"] == "cache"
        seen.add(process)
        return len(seen - {victim}) == COUNT

    wait_until(is_replaced, seconds=120.0)
