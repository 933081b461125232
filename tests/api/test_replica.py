"""The API with a real streaming replica: current, paused, gone; what may be old, what never is, what is said of it."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from sigmasight_api.app import create_app
from sigmasight_api.components import Timing
from sigmasight_api.replica import AWAY_SECONDS, MOST_HISTORY_READS, History
from sigmasight_api.replica import Replica as ReadReplica
from sigmasight_api.repository import Repository
from sigmasight_api.settings import Settings
from sigmasight_api.timed_reads import THREAD_NAME
from sigmasight_assets.errors import StorageError
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.ledger_tables import publications
from sigmasight_assets.storage.portfolios import PortfolioRecord
from sigmasight_assets.storage.roles import API_ROLE, OPERATOR_ROLE
from tests.api.conftest import NO_DAGSTER, Api, bearer, listening, wait_until
from tests.api.market import (
    NOW,
    SESSIONS,
    add_portfolio,
    add_token,
    publish,
    publish_snapshot,
    random_figures,
    track,
)
from tests.api.writing import LOT, POSITIONS
from tests.conftest import ROLE_PASSWORD
from tests.replica import Replica, streaming_replica

SYMBOLS = ("AAA", "BBB")
QUICK = Timing(poll_seconds=0.2, retry_seconds=0.05, replica_answer_seconds=1.0)
READERS = 3 * MOST_HISTORY_READS
ONE = sa.text("SELECT 1")
STATUS = "/api/v1/admin/cache/status"


@pytest.fixture(scope="module")
def replica(postgres_url: str, open_directory: Path, role_urls: dict[str, str]) -> Iterator[Replica]:
    assert role_urls
    with streaming_replica(postgres_url, open_directory) as running:
        yield running


class World:
    """An owner's portfolio with two snapshots, and the API with the replica."""

    def __init__(self, database: Database, replica: Replica) -> None:
        self.database = database
        self.replica = replica
        for symbol in SYMBOLS:
            track(database, symbol)
        self.seed = 0
        self.publish()
        self.record: PortfolioRecord = add_portfolio(database, "ann", {"AAA": "10", "BBB": "-3"})
        for session in SESSIONS[-2:]:
            self.newest = publish_snapshot(database, self.record, session, Decimal(1000))
        self.owner, self.operator = add_token(database, "ann"), add_token(database, "root", is_admin=True)
        replica.catch_up()

    @property
    def exposures(self) -> str:
        return f"/api/v1/analytics/portfolio/{self.record.public_id}/factor-exposures"

    @property
    def performance(self) -> str:
        return f"/api/v1/analytics/portfolio/{self.record.public_id}/performance"

    @property
    def snapshots(self) -> str:
        return f"/api/v1/portfolios/{self.record.public_id}/snapshots"

    def publish(self) -> int:
        """New figures of the market; their generation."""
        self.seed += 1
        self.newest = publish(self.database, SESSIONS[-1], random_figures(SYMBOLS, self.seed))
        return self.newest

    def url(self) -> str:
        """The database on the replica, for the API's role."""
        name = make_url(self.database.url).database
        own = make_url(self.replica.url_as(API_ROLE, ROLE_PASSWORD)).set(database=name)
        return own.render_as_string(hide_password=False)


@pytest.fixture
def world(database: Database, replica: Replica) -> Iterator[World]:
    yield World(database, replica)
    replica.resume()


class Asked:
    """The API, asked by the owner and by the operator; every answer is a good one."""

    def __init__(self, api: Api, world: World) -> None:
        self._api = api
        self._world = world

    def get(self, path: str, minimum: int = 0) -> httpx.Response:
        headers = {**bearer(self._world.owner), "X-Minimum-Generation": str(minimum)} if minimum else None
        answer = self._api.http.get(path, headers=headers or bearer(self._world.owner))
        assert answer.status_code == 200, answer.text
        return answer

    def post(self, path: str, **options: Any) -> httpx.Response:
        answer = self._api.post(path, self._world.owner, **options)
        assert answer.status_code == 201, answer.text
        return answer

    def patch(self, path: str, **options: Any) -> None:
        answer = self._api.http.patch(path, headers=bearer(self._world.owner), **options)
        assert answer.status_code == 200, answer.text

    def generation(self) -> int:
        return int(self.get(self._world.exposures).headers["X-Data-Generation"])

    def cache(self) -> dict[str, Any]:
        found: dict[str, Any] = self._api.get(STATUS, self._world.operator).raise_for_status().json()
        return found

    def hanging(self) -> int:
        """Threads of the API that wait for the replica."""
        return sum(thread.name == THREAD_NAME for thread in threading.enumerate())

    def said(self) -> dict[str, Any]:
        """What is said of the replica."""
        found: dict[str, Any] = self.cache()["replica"]
        return found


@contextmanager
def serving(world: World, role_urls: dict[str, str], timing: Timing = QUICK, url: str | None = None) -> Iterator[Asked]:
    """The API with the replica, or with a read database of another URL."""
    settings = {
        "database_url": role_urls[API_ROLE],
        "operator_database_url": role_urls[OPERATOR_ROLE],
        "read_database_url": url or world.url(),
        "dagster_graphql": NO_DAGSTER,
        "now": NOW,
    }
    app = create_app(Settings.model_validate(settings), timing=timing)
    with listening(app) as address, httpx.Client(base_url=address, timeout=30.0, trust_env=False) as http:
        wait_until(lambda: http.get("/health/ready").json().get("mode") == "cache")
        yield Asked(Api(app, http), world)


@pytest.fixture
def asked(world: World, role_urls: dict[str, str]) -> Iterator[Asked]:
    with serving(world, role_urls) as found:
        wait_until(lambda: found.generation() == world.newest)
        yield found


@contextmanager
def paused(replica: Replica) -> Iterator[None]:
    replica.catch_up()
    replica.pause()
    try:
        yield
    finally:
        replica.resume()


def test_a_replica_that_is_current_is_used(world: World, asked: Asked) -> None:
    found = asked.said()
    assert (found["state"], found["generation"], found["primary_generation"]) == ("used", world.newest, world.newest)
    assert found["behind_seconds"] == 0.0
    assert asked.get(world.snapshots).json()["total"] == 2
    assert asked.get(world.performance).json()["data"]["sessions"] == 1
    assert (asked.said()["history_reads"], asked.said()["passed_on"]) == (2, 0)


def test_while_replay_is_paused_answers_stay_what_they_were_and_owners_see_their_edits(
    world: World, asked: Asked
) -> None:
    before, old = asked.get(world.exposures).content, world.newest
    with paused(world.replica):
        new = world.publish()
        wait_until(lambda: asked.said()["state"] == "behind")
        assert asked.get(world.exposures).content == before
        for count in range(3, 6):
            asked.post(POSITIONS, json={"portfolio_id": str(world.record.public_id), **LOT})
            held = asked.get(f"/api/v1/portfolios/{world.record.public_id}/positions")
            assert held.json()["total"] == count
            assert asked.get(world.exposures).json()["generation"] == asked.cache()["generation"] == old
        assert asked.get(world.exposures).content != before
        found = asked.said()
        assert (found["generation"], found["primary_generation"]) == (old, new)
        assert found["behind_seconds"] > 0.0
        assert asked.cache()["last_error"] is None
    wait_until(lambda: asked.generation() == new)
    wait_until(lambda: asked.said()["state"] == "used")


def test_a_snapshot_that_the_replica_lacks_is_answered_from_the_primary_and_never_taken_back(
    world: World, asked: Asked
) -> None:
    with paused(world.replica):
        world.publish()
        newest = publish_snapshot(world.database, world.record, SESSIONS[-1], Decimal(2500))
        answer = asked.get(world.exposures).json()
        assert (answer["generation"], answer["equity"]) == (newest, "2500.00")
        # A lagging replica is looked at again and again meanwhile.
        wait_until(lambda: asked.said()["behind_seconds"] > 1.0)
        assert asked.generation() == newest
        listed = asked.get(world.snapshots).json()
        assert [item["equity"] for item in listed["items"]] == ["1000.00", "2500.00"]
        assert asked.get(world.performance).json()["generation"] == newest
        assert asked.said()["passed_on"] >= 2
    wait_until(lambda: asked.said()["state"] == "used")
    assert asked.generation() == newest


def test_history_is_not_read_from_a_replica_that_lacks_an_edit(world: World, asked: Asked) -> None:
    asked.get(world.snapshots)
    reads = asked.said()["history_reads"]
    with paused(world.replica):
        assert asked.get(world.snapshots).json()["total"] == 2
        assert asked.said()["history_reads"] == reads + 1
        # What was published of it before is gone when it begins later; the replica still has it.
        asked.patch(f"/api/v1/portfolios/{world.record.public_id}", json={"as_of": str(SESSIONS[-1])})
        assert asked.get(world.snapshots).json()["total"] == 1
        assert asked.said()["history_reads"] == reads + 1
    wait_until(lambda: asked.get(world.snapshots).json()["total"] == 1 and asked.said()["history_reads"] > reads + 1)


def test_lists_are_not_older_than_what_the_client_or_the_process_knows(world: World, asked: Asked) -> None:
    lists = (world.snapshots, f"{world.snapshots}.csv", f"{world.exposures}/history")
    with paused(world.replica):
        # The newest snapshot stays as it is, so the book is the one that the replica has.
        new = publish_snapshot(world.database, world.record, SESSIONS[-2], Decimal(1234))
        listed = asked.get(world.snapshots, minimum=new).json()
        assert [item["equity"] for item in listed["items"]] == ["1234.00", "1000.00"]
        # From here on this process has a view of it, and has answered others so.
        reads = asked.said()["history_reads"]
        for path in lists:
            asked.get(path)
        assert "1234.00" in asked.get(lists[0]).text
        assert "1234.00" in asked.get(lists[1]).text
        assert asked.said()["history_reads"] == reads
    world.replica.catch_up()
    wait_until(lambda: asked.said()["state"] == "used")
    for path in lists:
        asked.get(path)
    assert asked.said()["history_reads"] == reads + len(lists)


def test_a_replica_that_stays_behind_is_not_waited_for(world: World, role_urls: dict[str, str]) -> None:
    timing = Timing(poll_seconds=0.2, retry_seconds=0.05, replica_patience_seconds=1.0)
    with serving(world, role_urls, timing) as asked, paused(world.replica):
        wait_until(lambda: asked.generation() == world.newest)
        new = world.publish()
        wait_until(lambda: asked.generation() == new)
        found = asked.said()
        assert (found["state"], found["primary_generation"]) == ("behind", new)
        assert found["behind_seconds"] > 1.0


def test_the_first_view_is_not_older_than_what_was_answered_without_one(
    world: World, role_urls: dict[str, str]
) -> None:
    with paused(world.replica):
        new = world.publish()
        with serving(world, role_urls) as asked:
            assert asked.generation() == new
            wait_until(lambda: asked.said()["state"] == "behind")
            assert asked.generation() == new


def test_a_replica_of_another_history_than_the_primary_s_is_not_believed(world: World, asked: Asked) -> None:
    before, old = asked.get(world.exposures).content, world.newest
    lost = world.publish()
    wait_until(lambda: asked.generation() == lost)
    assert asked.get(world.exposures).content != before
    with paused(world.replica):
        # As if the primary had been restored to what it was before.
        publish(world.database, SESSIONS[-1], random_figures(SYMBOLS, 1))
        with world.database.begin() as connection:
            connection.execute(sa.delete(publications).where(publications.c.generation > old))
        wait_until(lambda: asked.generation() == old)
        assert asked.get(world.exposures).content == before
        assert asked.said()["state"] == "away"
        reads = asked.said()["history_reads"]
        assert asked.get(world.snapshots).json()["total"] == 2
        assert asked.said()["history_reads"] == reads
        assert asked.cache()["last_error"] is None


def test_history_is_not_read_from_a_replica_that_comes_back_before_it_was_compared(world: World) -> None:
    now = [0.0]
    book = Repository(world.database).read_book(world.record.user_id, world.record.public_id)
    replica = ReadReplica(world.url(), monotonic=lambda: now[0])

    def found() -> int | None:
        return replica.read_history(History(book, 0), lambda connection: connection.execute(ONE).scalar_one())

    assert found() is None
    replica.compare(world.newest, world.newest)
    assert found() == 1
    replica.fail(StorageError("gone"))
    now[0] += AWAY_SECONDS
    assert replica.is_tried
    assert found() is None
    replica.compare(world.newest, world.newest)
    assert found() == 1
    replica.close()


def test_answers_go_on_without_the_replica_and_no_secret_is_logged(
    world: World,
    role_urls: dict[str, str],
    postgres_url: str,
    open_directory: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with ExitStack() as stack:
        own = stack.enter_context(streaming_replica(postgres_url, open_directory))
        name = make_url(world.database.url).database
        url = make_url(own.url_as(API_ROLE, ROLE_PASSWORD)).set(database=name).render_as_string(hide_password=False)
        with serving(world, role_urls, url=url) as asked:
            wait_until(lambda: asked.generation() == world.newest)
            assert asked.get(world.snapshots).json()["total"] == 2
            assert asked.said()["history_reads"] == 1
            stack.close()
            # From here on it is not there: nothing of what follows is refused.
            for _ in range(3):
                assert asked.get(world.snapshots).json()["total"] == 2
                assert asked.get(world.performance).json()["generation"] == asked.generation()
                new = world.publish()
                wait_until(lambda: asked.generation() == new)  # noqa: B023
            assert asked.said()["state"] == "away"
            assert asked.cache()["last_error"] is None
    assert "The read replica is not used, the primary is asked instead" in caplog.text
    assert ROLE_PASSWORD not in caplog.text
    assert "SELECT" not in caplog.text


def test_a_replica_that_never_was_there_costs_nobody_an_answer(world: World, role_urls: dict[str, str]) -> None:
    with serving(world, role_urls, url="postgresql://nobody:secret@127.0.0.1:9/nothing") as asked:
        wait_until(lambda: asked.generation() == world.newest)
        assert asked.said()["state"] == "away"
        assert asked.get(world.snapshots).json()["total"] == 2


@pytest.mark.parametrize("is_stopped", [True, False])
def test_a_replica_that_hangs_holds_nobody_up(world: World, asked: Asked, *, is_stopped: bool) -> None:
    assert asked.get(world.snapshots).json()["total"] == 2
    own = world.replica
    hanging = own.hanging() if is_stopped else own.stuck_with("portfolio_snapshots", world.database.url)
    with hanging, ThreadPoolExecutor(READERS) as readers:
        for _ in range(3):
            answers = readers.map(asked.get, [world.snapshots, world.performance] * READERS)
            assert {answer.json().get("total", 2) for answer in answers} == {2}
            new = world.publish()
            wait_until(lambda: asked.generation() == new)  # noqa: B023
        assert asked.said()["state"] == "away"
        assert asked.cache()["last_error"] is None
        # None was added after the first that hung.
        assert 0 < asked.hanging() <= MOST_HISTORY_READS + 1
    wait_until(lambda: asked.said()["state"] == "used", seconds=AWAY_SECONDS + 30)
    assert asked.hanging() == 0
    reads = asked.said()["history_reads"]
    assert asked.get(world.snapshots).json()["total"] == 2
    assert asked.said()["history_reads"] == reads + 1


def test_closing_does_not_wait_for_a_replica_that_hangs(world: World, role_urls: dict[str, str]) -> None:
    with ExitStack() as stack:
        with serving(world, role_urls) as asked:
            wait_until(lambda: asked.generation() == world.newest)
            stack.enter_context(world.replica.hanging())
            assert asked.get(world.snapshots).json()["total"] == 2
            assert asked.hanging() > 0
        assert asked.hanging() > 0
    wait_until(lambda: asked.hanging() == 0)
