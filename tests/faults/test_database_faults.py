"""The database restarted at once: in a night's writes, and under load of the API."""

import random
import time

import pytest

from tests.faults.api_process import api_process
from tests.faults.campaign import Tally
from tests.faults.holds import When, held, wait_until_held
from tests.faults.load import Load, loaded, wrong_answers
from tests.faults.night_worker import SUCCEEDED, worker
from tests.faults.nights import Night, wait_for
from tests.faults.own_server import OwnServer
from tests.faults.readers import reading
from tests.orchestration.contents import rows_of

pytestmark = [pytest.mark.campaign, pytest.mark.fault(4)]

MOST_SECONDS_OF_THE_API = 10.0
AWAY_SECONDS = 3.0
# Of 50 requests a second; the machine is shared with a night and a server that comes up.
LEAST_RATE = 40.0


@pytest.mark.parametrize("when", ["IMMEDIATE", "DEFERRED"])
@pytest.mark.parametrize("transaction", [0, 2])
def test_a_restart_in_a_write_leaves_one_state_or_the_next_and_the_run_goes_on_by_itself(
    own_night: Night, server: OwnServer, tally: Tally, transaction: int, when: When
) -> None:
    with own_night.begun() as database, reading(database.url, own_night.known, tally) as readers:
        with worker(own_night.environment(database), own_night.log) as process:
            with held(database, transaction, when):
                wait_until_held(database, when)
                server.restart_at_once()
            began = time.monotonic()
            assert process.finish() == SUCCEEDED
            recovery = time.monotonic() - began
        readers.end()
        assert own_night.rows_apart(database, tally) == []
        # One step needed further attempts; it made them by itself.
        assert len(rows_of(database, "SELECT kind FROM batch_runs WHERE counts ? 'attempts'")) == 1
    assert readers.wrong == []
    tally.survive(recovery=recovery)


def test_a_restart_under_load_costs_refusals_and_no_wrong_answer(
    own_night: Night, server: OwnServer, tally: Tally, chance: random.Random, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Idle, with the server away for seconds, and while a night is written."""
    with own_night.begun() as database, api_process(database, tmp_path_factory.mktemp("api")) as api:
        paths, pid = api.paths(), api.pid
        known = api.bodies(paths)
        (before,) = {generation for _, generation in known}
        recoveries = []
        with loaded(api.asker(), paths) as load:
            began = time.monotonic()
            wait_for(lambda: load.serves_since(0.0), "the first answers", pause=0.05)
            for away in (0.0, AWAY_SECONDS, chance.uniform(0.0, AWAY_SECONDS)):
                server.restart_at_once(away=away)
                recoveries.append(recover(load))
            assert {item.generation for item in load.answers if item.status == 200} == {before}
            with worker(own_night.environment(database), own_night.log) as process:
                with held(database, 2, "DEFERRED"):
                    wait_until_held(database, "DEFERRED")
                    server.restart_at_once()
                recoveries.append(recover(load))
                assert process.finish() == SUCCEEDED
            wait_for(lambda: api.generation() > before + 1, "the night's generation")
            assert load.begun >= LEAST_RATE * (time.monotonic() - began)
        assert len(load.answers) == load.begun
        known |= api.bodies(paths)
        wrong = wrong_answers(load.answers, known)
        tally.answers += len(load.answers)
        tally.wrong_answers += len(wrong)
        assert wrong == []
        assert api.pid == pid
        assert own_night.rows_apart(database, tally) == []
    for seconds in recoveries:
        tally.survive(recovery=seconds)


def recover(load: Load) -> float:
    """Until every path is answered again; the database has just come up."""
    up = time.monotonic()
    wait_for(lambda: load.serves_since(up), "answers after the restart", pause=0.05)
    seconds = time.monotonic() - up
    assert seconds <= MOST_SECONDS_OF_THE_API
    return seconds
