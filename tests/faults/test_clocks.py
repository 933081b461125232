"""Hosts of other time zones, awkward days, and a clock that is stepped while a run is under way."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sigmasight_assets.market_data.protocol import BarRequest, FetchResult
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.orchestration.jobs import SYMBOL_LAYER
from sigmasight_assets.services.stack import CHECKOUT
from sigmasight_assets.sessions import NEW_YORK, exchange_calendar
from tests.conftest import NewDatabase
from tests.e2e.market import DisturbedMarket
from tests.faults.campaign import Tally
from tests.faults.clock_worker import AWKWARD, FIRST, LAST
from tests.faults.deployed import deployed
from tests.faults.night_world import SCRIPT, STOCKS, TONIGHT
from tests.faults.nights import Night
from tests.orchestration.contents import published_generations

pytestmark = [pytest.mark.campaign, pytest.mark.fault(18)]

ZONES = ("UTC", "Asia/Tokyo", "America/New_York")


def test_hosts_of_all_time_zones_offer_ask_refuse_and_compute_the_same(
    new_database: NewDatabase, schema_template: str, tmp_path: Path, tally: Tally
) -> None:
    told = {}
    with ExitStack() as things:
        urls = {zone: things.enter_context(new_database(schema_template)) for zone in ZONES}
        started = {zone: things.enter_context(host(zone, url, tmp_path)) for zone, url in urls.items()}
        for zone, worker in started.items():
            assert worker.process.wait(timeout=600) == 0, worker.log.read_text()[-5000:]
            told[zone] = json.loads(worker.output.read_text())
    first = told[ZONES[0]]
    for zone in ZONES[1:]:
        assert told[zone] == first, zone
    assert_right(first)
    tally.survive(len(ZONES) * len(AWKWARD))


@dataclass(frozen=True)
class Host:
    """A running worker, and the files that it writes."""

    process: "subprocess.Popen[bytes]"
    output: Path
    log: Path


@contextmanager
def host(zone: str, url: str, directory: Path) -> Iterator[Host]:
    """The worker on a host of this time zone; it does not outlive the block."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SIGMASIGHT_")}
    own = {"TZ": zone, "PYTHONPATH": str(CHECKOUT), "OPENBLAS_NUM_THREADS": "1", "SIGMASIGHT_HOME": str(directory)}
    command = [sys.executable, "-m", "tests.faults.clock_worker", url]
    # A pipe that nobody reads yet would stop its writer.
    output, log = (directory / f"{zone.replace('/', ' ')}.{kind}" for kind in ("json", "log"))
    with output.open("w") as told, log.open("w") as said:
        process = subprocess.Popen(command, env={**inherited, **own}, cwd=directory, stdout=told, stderr=said)
        try:
            yield Host(process, output, log)
        finally:
            process.kill()
            process.wait()


def assert_right(told: dict[str, Any]) -> None:
    """What one of them says, beside the calendar."""
    calendar = exchange_calendar()
    for name, day in AWKWARD.items():
        offered = told["offered"][name]
        for place, instant in enumerate((day - timedelta(days=1), day, day + timedelta(days=1))):
            before, at = offered[2 * place : 2 * place + 2]
            is_session = calendar.is_session(instant)
            assert (str(instant) in at, str(instant) in before) == (is_session, False), (name, instant)
            asked = told["requested"][name][place]
            assert (asked == [str(instant)]) == is_session, (name, asked)
        assert len(told["refused"][name]) == 1 + (not calendar.is_session(day))
        assert all(str(day) in reason for reason in told["refused"][name]), told["refused"][name]
    for table in ("portfolio_snapshots", "factor_covariances"):
        assert int(told["results"][table].split()[0]) == len(calendar.between(FIRST, LAST))


class SteppingMarket(DisturbedMarket):
    """Steps the host's clock while it is asked."""

    def __init__(self, script: Path, hours: int) -> None:
        super().__init__(SimulatedMarket(exchange_calendar(), stocks=STOCKS, as_of=TONIGHT), script, today=TONIGHT)
        self._hours = hours

    def fetch_bars(self, requests: Sequence[BarRequest]) -> FetchResult:
        answer = super().fetch_bars(requests)
        os.environ["SIGMASIGHT_NOW"] = str(evening(self._hours))
        return answer


def evening(hours: int) -> datetime:
    """So many hours after the night's run has begun, at 21:05."""
    return datetime(TONIGHT.year, TONIGHT.month, TONIGHT.day, 21, 5, tzinfo=NEW_YORK) + timedelta(hours=hours)


def test_a_clock_that_is_stepped_forward_in_a_run_changes_nothing(night: Night) -> None:
    source = SteppingMarket(night.home / SCRIPT, 2)
    with night.begun() as database, deployed(night, database, source=source) as deployment:
        os.environ["SIGMASIGHT_NOW"] = str(evening(0))
        assert deployment.run(SYMBOL_LAYER, TONIGHT).success
        assert night.rows_apart(database) == []


def test_a_clock_that_is_stepped_back_before_the_evening_ends_a_run_until_it_is_evening_again(night: Night) -> None:
    """What the run has stored is right; the step that comes then is refused as a run of its own would be."""
    source = SteppingMarket(night.home / SCRIPT, -2)
    with night.begun() as database, deployed(night, database, source=source) as deployment:
        os.environ["SIGMASIGHT_NOW"] = str(evening(0))
        refused = deployment.run(SYMBOL_LAYER, TONIGHT)
        assert not refused.success
        assert f"{TONIGHT} is not complete: a session is offered from 21:00 New York of its day" in refused.failure
        assert TONIGHT not in published_generations(database, "symbol")
        assert not deployment.run(SYMBOL_LAYER, TONIGHT).success
        with deployed(night, database) as afterwards:
            assert afterwards.run(SYMBOL_LAYER, TONIGHT).success
        assert night.rows_apart(database) == []
