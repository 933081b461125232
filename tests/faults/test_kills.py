"""Processes ended by force: the worker of a night at twenty points, before, in and after each COMMIT."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from sigmasight_assets.services.processes import exit_code
from sigmasight_assets.storage.database import Database
from tests.faults.api_process import api_process
from tests.faults.campaign import Tally
from tests.faults.holds import TRANSACTIONS, When, held, wait_until_held
from tests.faults.load import loaded, wrong_answers
from tests.faults.night_worker import SUCCEEDED, Worker, worker
from tests.faults.night_world import DAYS
from tests.faults.nights import Night, wait_for
from tests.faults.readers import reading, tables_since

pytestmark = pytest.mark.campaign

KILLS = 20
# Random points are in this part of an undisturbed run, in whose last moments a worker may be done sooner than that one.
SHARE = 0.9
# When the worker is killed; whether it was alive.
Moment = Callable[[Database, Worker], bool]


def kill_in(transaction: int, when: When) -> Moment:
    """While the server is at a statement of a transaction, or at its COMMIT."""

    def moment(database: Database, process: Worker) -> bool:
        with held(database, transaction, when):
            wait_until_held(database, when)
            return process.kill()

    return moment


def kill_after(place: int, night: Night) -> Moment:
    """As soon as a reader has seen a state."""
    reader = tables_since(DAYS[0])
    known = next(iter(night.known.values()))

    def moment(database: Database, process: Worker) -> bool:
        wait_for(lambda: known.index(reader(database).content) >= place, f"state {place}")
        return process.kill()

    return moment


def kill_at(seconds: float) -> Moment:
    """So long after the run has begun, whatever it does then."""

    def moment(_: Database, process: Worker) -> bool:
        time.sleep(seconds)
        return process.kill()

    return moment


def undisturbed_seconds(night: Night) -> float:
    """How long the worker's run takes."""
    with night.begun() as database, worker(night.environment(database), night.log) as process:
        began = time.monotonic()
        assert process.finish() == SUCCEEDED
        assert night.rows_apart(database) == []
        return time.monotonic() - began


def moments(night: Night, chance: random.Random) -> dict[str, Moment]:
    """Nine points at the three commits, the others anywhere."""
    found: dict[str, Moment] = {}
    for place in range(len(TRANSACTIONS)):
        found[f"in a statement of {place}"] = kill_in(place, "IMMEDIATE")
        found[f"in the COMMIT of {place}"] = kill_in(place, "DEFERRED")
        found[f"after the COMMIT of {place}"] = kill_after(place + 1, night)
    length = undisturbed_seconds(night)
    while len(found) < KILLS:
        seconds = chance.uniform(0.0, SHARE * length)
        found[f"after {seconds:.3f} s"] = kill_at(seconds)
    return found


@pytest.mark.fault(1)
def test_a_worker_killed_anywhere_leaves_one_state_or_the_next_and_a_further_run_ends_it(
    night: Night, tally: Tally, chance: random.Random
) -> None:
    for name, moment in moments(night, chance).items():
        tally.tried += 1
        with night.begun() as database, reading(database.url, night.known, tally) as readers:
            with worker(night.environment(database), night.log) as process:
                was_alive = moment(database, process)
                # Of the last COMMIT a reader may learn when the worker has ended by itself.
                assert was_alive or name == f"after the COMMIT of {len(TRANSACTIONS) - 1}", name
            began = time.monotonic()
            with worker(night.environment(database), night.log) as process:
                assert process.finish() == SUCCEEDED, name
            recovery = time.monotonic() - began
            readers.end()
            assert night.rows_apart(database, tally) == [], name
        assert readers.wrong == [], name
        assert {max(places) for places in readers.seen.values()} == {len(TRANSACTIONS)}, name
        tally.survived += 1
        tally.recoveries.append(recovery)


@pytest.mark.fault(2)
def test_an_api_that_is_killed_under_load_comes_back_and_gives_no_wrong_answer(
    night: Night, tally: Tally, tmp_path: Path
) -> None:
    """Callers see connections that end; every whole answer is that of its generation."""
    with night.begun() as database, api_process(database, tmp_path) as api:
        paths, pid = api.paths(), api.pid
        known = api.bodies(paths)
        with loaded(api.asker(), paths) as load:
            wait_for(lambda: load.serves_since(0.0), "the first answers", pause=0.05)
            psutil.Process(pid).kill()
            killed = time.monotonic()
            wait_for(lambda: exit_code(pid) is not None, "its end")
            api.supervisor.check()
            wait_for(lambda: load.serves_since(killed), "answers of the next one", pause=0.05)
            recovery = time.monotonic() - killed
        answered = [item for item in load.answers if item.status]
        wrong = wrong_answers(answered, known)
        tally.answers += len(answered)
        tally.wrong_answers += len(wrong)
        assert wrong == []
        assert api.pid != pid
        assert len(answered) < len(load.answers), "nobody noticed"
        tally.survive(recovery=recovery)
