"""The life of runs with real processes: killed, canceled, failed and queued ones, and what is told of them."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import psutil
import pytest

from sigmasight_assets.commands.backfill_run import _follow_run
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.orchestration.run_requests import NIGHTLY_SYMBOLS
from sigmasight_assets.runs import DagsterClient
from sigmasight_assets.services.home import Home
from sigmasight_assets.services.ports import free_port
from sigmasight_assets.services.processes import ProcessRecord, find_processes
from sigmasight_assets.services.stack import CHECKOUT, DagsterServices
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.settings import Settings
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import NewLot, create_portfolio
from sigmasight_assets.storage.universe import import_listings
from tests.conftest import NewDatabase
from tests.e2e.held_market import STOCKS, WORDS
from tests.night_contents import copy_books, differences, results
from tests.nights import run_layer, run_portfolio_layer
from tests.orchestration.contents import rows_of
from tests.receivers import Receiver, webhook

pytestmark = [pytest.mark.e2e, pytest.mark.long]

DAYS = exchange_calendar().between(date(2025, 7, 28), date(2025, 7, 31))
HISTORY_START = date(2024, 6, 3)
WAIT_SECONDS = 180
TERMINATE = """
mutation Terminate($runId: String!) { terminateRun(runId: $runId) { __typename } }
"""


@dataclass
class World:
    """The running services over a market that obeys."""

    services: DagsterServices
    home: Home
    database: Database
    client: DagsterClient
    receiver: Receiver
    market: Path

    def tell_market(self, word: str) -> None:
        self.market.write_text(word)

    def launch(self, first: date, last: date, **tags: str) -> str:
        return self.client.launch_range("symbol_layer", first=first, last=last, tags=tags)

    def status(self, run_id: str) -> str:
        return self.client.run(run_id).status

    def steps(self, run_id: str) -> dict[str, tuple[str, str | None]]:
        """Status and error of the recorded steps of a run."""
        sql = "SELECT kind, status, error FROM batch_runs WHERE run_id = :run_id"
        return {row["kind"]: (row["status"], row["error"]) for row in rows_of(self.database, sql, run_id=run_id)}


@pytest.fixture(scope="module")
def world(new_database: NewDatabase, schema_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("run life")
    with new_database(schema_template) as url, webhook() as receiver, pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "HOME": str(directory / "home"),
            "DATABASE_URL": url,
            "HISTORY_START": str(HISTORY_START),
            "MIN_COVERAGE": "0.9",
            "NOW": f"{DAYS[-1]}T22:00:00-04:00",
            "WEBHOOK_URL": receiver.url,
        }.items():
            patch.setenv(f"SIGMASIGHT_{name}", value)
        # Dagster's command line takes every .env of its directory for settings, that of the nights' services too.
        patch.chdir(directory)
        patch.setenv("PYTHONPATH", str(CHECKOUT))
        settings = Settings(ui_port=free_port())
        database = Database(url)
        enter_books(database)
        services = DagsterServices(settings, url, ui_port=settings.ui_port, module="tests.e2e.held_definitions")
        try:
            services.start()
            home = Home.at(settings.home)
            client = DagsterClient(services.graphql_url)
            yield World(services, home, database, client, receiver, home.root / WORDS)
        finally:
            services.stop()
            database.close()


def market() -> SimulatedMarket:
    return SimulatedMarket(exchange_calendar(), stocks=STOCKS, as_of=DAYS[-1])


def enter_books(database: Database) -> None:
    """The whole market tracked, and a portfolio of five of its stocks."""
    listings = market().listings()
    stocks = [item.symbol for item in listings if item.asset_type == "equity"]
    lots = [
        NewLot(symbol=symbol, quantity=Decimal(10), entry_price=Decimal(50), entry_date=DAYS[0])
        for symbol in stocks[:5]
    ]
    with database.begin() as connection:
        import_listings(connection, listings)
        create_portfolio(connection, user="owner", name="Book", equity=Decimal(50_000), as_of=DAYS[0], lots=lots)


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited {WAIT_SECONDS} s for {what}"
        time.sleep(0.1)


def until_status(world: World, run_id: str, *statuses: str) -> None:
    until(lambda: world.status(run_id) in statuses, f"run {run_id} to be {', '.join(statuses)}")


def workers(world: World) -> list[psutil.Process]:
    """The code server and the run workers that it has started."""
    record = ProcessRecord.load(world.home.run / "dagster-code-server.json")
    assert record is not None
    return find_processes(record.owns)


def kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        process.kill()
    psutil.wait_procs(processes, timeout=30)


@pytest.mark.fault(2)
def test_a_run_that_lost_worker_and_code_server_is_ended_and_run_again(
    world: World, new_database: NewDatabase, schema_template: str
) -> None:
    world.tell_market("hold")
    run_id = world.launch(DAYS[0], DAYS[-1])
    until(lambda: world.steps(run_id), "the first step")
    kill(workers(world))
    world.tell_market("")
    world.services.check()
    until_status(world, run_id, "FAILURE")
    assert world.steps(run_id) == {"symbol_universe": ("failed", "interrupted: its worker was lost")}
    assert "symbol_universe has given no sign of life since" in world.client.failure_reason(run_id)
    followed = _follow_run(world.client, run_id, lambda _: None)
    assert (followed.status, followed.run_id != run_id) == ("SUCCESS", True)
    until(lambda: len(rows_of(world.database, "SELECT session FROM snapshot_inputs")) == len(DAYS), "the snapshots")
    with new_database(schema_template) as url:
        undisturbed = Database(url)
        try:
            copy_books(world.database, undisturbed)
            with undisturbed.begin() as connection:
                import_listings(connection, market().listings())
            run_layer(undisturbed, market(), DAYS, history_start=HISTORY_START)
            run_portfolio_layer(undisturbed, DAYS[-1])
            assert differences(results(world.database), results(undisturbed)) == []
        finally:
            undisturbed.close()
    # A run that is tried again has not failed for good.
    assert world.receiver.received == []


def test_a_worker_that_is_killed_alone_is_run_again_and_its_record_ended(world: World) -> None:
    world.tell_market("hold")
    run_id = world.launch(DAYS[0], DAYS[0])
    until(lambda: world.steps(run_id), "the first step")
    (worker,) = [process for process in workers(world) if "spawn_main" in " ".join(process.cmdline())]
    kill([worker])
    world.tell_market("")
    until_status(world, run_id, "FAILURE")
    until(lambda: world.steps(run_id)["symbol_universe"][0] == "failed", "the end of the step's record")
    assert world.steps(run_id) == {"symbol_universe": ("failed", "interrupted: its worker was lost")}
    assert _follow_run(world.client, run_id, lambda _: None).status == "SUCCESS"


def test_a_failed_run_reaches_the_webhook(world: World) -> None:
    world.tell_market("broken")
    run_id = world.launch(DAYS[1], DAYS[2])
    until_status(world, run_id, "FAILURE")
    until(lambda: world.receiver.received, "the alert")
    world.tell_market("")
    (told,) = world.receiver.received
    assert (told["kind"], told["run_id"], told["job"]) == ("run_failed", run_id, "symbol_layer")
    assert (told["first_session"], told["last_session"]) == (str(DAYS[1]), str(DAYS[2]))
    assert told["cause"] == "symbol_universe: the vendor has closed the account"
    assert (told["started_by"], told["severity"]) == ("manual", "warning")


def test_a_run_that_pauses_before_its_next_attempt_is_canceled_at_once(world: World) -> None:
    world.tell_market("away")
    run_id = world.launch(DAYS[0], DAYS[0])
    until(lambda: world.steps(run_id).get("symbol_universe") == ("running", "the vendor does not answer"), "a failure")
    world.client.query(TERMINATE, {"runId": run_id}, "terminateRun")
    until_status(world, run_id, "CANCELED")
    world.tell_market("")
    assert world.steps(run_id) == {"symbol_universe": ("failed", "interrupted: DagsterExecutionInterruptedError")}


def test_backfills_that_wait_leave_a_place_to_the_night_and_to_snapshots(world: World) -> None:
    world.tell_market("hold")
    backfills = [world.launch(day, day) for day in DAYS[:3]]
    until(lambda: sum(world.status(run_id) == "STARTED" for run_id in backfills) == 2, "two backfills")
    nightly = world.launch(DAYS[3], DAYS[3], **NIGHTLY_SYMBOLS)
    portfolios = world.client.launch_range("portfolio_layer", first=DAYS[0], last=DAYS[-1])
    until_status(world, nightly, "STARTED")
    until_status(world, portfolios, "SUCCESS")
    assert sorted(map(world.status, backfills)) == ["QUEUED", "STARTED", "STARTED"]
    world.tell_market("broken")
    for run_id in (*backfills, nightly):
        until_status(world, run_id, "FAILURE")
