"""Notifications that never come: the API process serves the new generation all the same, within its poll interval.

Nothing is announced here, so whatever is seen was found by a look at the database, at the times that are shipped.
"""

import random
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from sigmasight_api.refresher import APPLICATION_NAME
from sigmasight_assets.storage.database import Database
from tests.api.market import SESSIONS, add_portfolio, publish, random_figures
from tests.faults.api_process import ApiProcess, api_process
from tests.faults.campaign import Tally
from tests.faults.load import loaded, wrong_answers
from tests.faults.night_world import OWNER
from tests.faults.nights import wait_for
from tests.faults.own_server import OwnServer
from tests.orchestration.contents import execute, rows_of

pytestmark = [pytest.mark.campaign, pytest.mark.fault(22)]

POLL_SECONDS = 30.0
# A look takes a moment, on a busy machine more than one.
GRACE_SECONDS = 5.0
LISTENERS = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%' "
    f"AND application_name = '{APPLICATION_NAME}'"
)


class Silence:
    """An API process on a database in which publications are never announced."""

    def __init__(self, database: Database, api: ApiProcess, chance: random.Random) -> None:
        self.database = database
        self.api = api
        self._chance = chance

    def publish(self) -> int:
        """New figures without a word; their generation."""
        figures = random_figures(["AAA", "BBB"], self._chance.randrange(2**31))
        return publish(self.database, SESSIONS[-1], figures, notify=False)

    def seconds_until(self, generation: int) -> float:
        """How long it takes until the API serves a generation."""
        began = time.monotonic()
        wait_for(lambda: self.api.generation() == generation, f"generation {generation}", seconds=2 * POLL_SECONDS)
        return time.monotonic() - began

    def listener(self) -> int | None:
        """The server's process that the API listens by."""
        found = rows_of(self.database, LISTENERS)
        return int(found[0]["pid"]) if found else None


@pytest.fixture(scope="module")
def running(server: OwnServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Database, ApiProcess]]:
    """The API on a database with one portfolio."""
    with server.migrated() as url, closing(Database(url)) as database:
        publish(database, SESSIONS[-1], random_figures(["AAA", "BBB"], 0))
        add_portfolio(database, OWNER, {"AAA": "10", "BBB": "-3"})
        with api_process(database, tmp_path_factory.mktemp("api")) as api:
            yield database, api


@pytest.fixture
def silence(running: tuple[Database, ApiProcess], chance: random.Random) -> Silence:
    """That API, which listens."""
    found = Silence(*running, chance)
    wait_for(found.listener, "the listener")
    return found


def test_an_ended_listener_comes_back_and_reads_what_it_missed(silence: Silence, tally: Tally) -> None:
    for _ in range(3):
        before = silence.listener()
        missed = silence.publish()
        execute(silence.database, "SELECT pg_terminate_backend(:pid)", pid=before)
        seconds = silence.seconds_until(missed)
        assert seconds <= POLL_SECONDS + GRACE_SECONDS
        wait_for(lambda: silence.listener() not in (None, before), "another listener")  # noqa: B023
        tally.survive(recovery=seconds)


def test_a_restarted_database_is_listened_to_again_and_read_anew(
    silence: Silence, server: OwnServer, tally: Tally
) -> None:
    pid = silence.api.pid
    for away in (0.0, 4.0):
        server.restart_at_once(away=away)
        # The connections of this test are gone too.
        silence.database.close()
        seconds = silence.seconds_until(silence.publish())
        assert seconds <= POLL_SECONDS + GRACE_SECONDS
        wait_for(silence.listener, "another listener")
        tally.survive(recovery=seconds)
    assert silence.api.pid == pid


def test_without_any_notification_each_generation_is_served_within_the_poll_interval(
    silence: Silence, tally: Tally
) -> None:
    paths = silence.api.paths()
    known = silence.api.bodies(paths)
    with loaded(silence.api.asker(), paths) as load:
        for _ in range(2):
            seconds = silence.seconds_until(silence.publish())
            assert seconds <= POLL_SECONDS + GRACE_SECONDS
            tally.survive(recovery=seconds)
            known |= silence.api.bodies(paths)
    wrong = wrong_answers(load.answers, known)
    tally.answers += len(load.answers)
    tally.wrong_answers += len(wrong)
    assert wrong == []
    assert len({generation for _, generation in known}) == 3
