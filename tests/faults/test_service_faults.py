"""Services ended by force in the middle of things, with the real daemon and the times that are shipped."""

import time
from datetime import timedelta

import pytest

from sigmasight_assets.orchestration.jobs import SYMBOL_LAYER
from sigmasight_assets.services.processes import ProcessRecord
from tests.e2e.conftest import Compare
from tests.e2e.market import Disturbances
from tests.e2e.stack import Stack, succeeded
from tests.e2e.test_crashes import MOMENTS, is_consumed
from tests.e2e.world import DAYS, TONIGHT, publish_symbols
from tests.faults.campaign import Tally
from tests.faults.own_server import OwnServer
from tests.orchestration.contents import published_generations, rows_of

pytestmark = pytest.mark.campaign

TOMORROW = DAYS[61]
# Of the reconciler, after a boot; without one it has the run's ``max_runtime``.
MOST_SECONDS = 60.0
SERVICES = ("dagster-daemon", "dagster-webserver", "dagster-code-server")


def hold_the_night(stack: Stack) -> str:
    """A night whose prices do not come: its run."""
    stack.set_clock(TONIGHT)
    stack.disturb(Disturbances(held_above=20))
    nightly = stack.nightly(TONIGHT)
    stack.wait_for_step(nightly, "symbol_prices")
    return nightly


def status(stack: Stack, run_id: str) -> str:
    return stack.client.run(run_id).status


def wait_until_ended(stack: Stack, run_id: str) -> None:
    """Until a run is no longer taken for under way; the gate has been closed all the time."""
    stack.until(lambda: status(stack, run_id) == "FAILURE", "the end of the lost run", told=stack.runs)
    assert TONIGHT not in published_generations(stack.database, "symbol")
    assert stack.portfolio_runs() == []


def end_the_night(stack: Stack, compare: Compare) -> float:
    """The vendor answers; the run that follows by itself ends as if nothing had been. When it had ended."""
    stack.disturb(Disturbances())
    stack.wait_for_publication(TONIGHT)
    stack.settle()
    clean = time.monotonic()
    compare(DAYS[:61])
    assert stack.portfolio_runs() == [succeeded(TONIGHT)]
    return clean


@pytest.mark.fault(2)
def test_a_run_that_lost_its_worker_and_the_code_server_is_ended_and_run_again(
    stack: Stack, compare: Compare, tally: Tally
) -> None:
    nightly = hold_the_night(stack)
    stack.kill("dagster-code-server", with_workers=True)
    killed = time.monotonic()
    wait_until_ended(stack, nightly)
    clean = end_the_night(stack, compare)
    tally.survive(recovery=clean - killed)


@pytest.mark.fault(2)
def test_a_run_that_lost_everything_is_ended_at_the_next_boot(stack: Stack, compare: Compare, tally: Tally) -> None:
    nightly = hold_the_night(stack)
    for service in SERVICES:
        stack.kill(service, with_workers=True)
    stack.services.stop()
    began = time.monotonic()
    stack.services.start()
    wait_until_ended(stack, nightly)
    seconds = time.monotonic() - began
    clean = end_the_night(stack, compare)
    assert seconds <= MOST_SECONDS
    tally.survive(recovery=clean - began)


@pytest.mark.fault(4)
def test_a_restart_of_the_database_in_a_tick_of_the_gate_loses_no_snapshot_and_makes_none_twice(
    stack: Stack, server: OwnServer, compare: Compare, tally: Tally
) -> None:
    """Daemon, webserver and code server work again by themselves."""
    nights, before, recoveries = DAYS[60:63], pids(stack), list[float]()
    for night, moment in zip(nights, MOMENTS, strict=False):
        publish_symbols(stack.database, stack.script, [night])
        stack.set_clock(night)
        moment(stack)
        server.restart_at_once()
        up = time.monotonic()
        stack.until(lambda night=night: is_consumed(stack, night), f"snapshots of {night}", told=str)  # type: ignore[misc]
        recoveries.append(time.monotonic() - up)
    # A launch is sent once, and is taken all the same.
    stack.succeed(stack.launch(DAYS[30]))
    compare(DAYS[:63])
    assert stack.portfolio_runs() == [succeeded(night) for night in nights]
    assert pids(stack) == before
    for seconds in recoveries:
        tally.survive(recovery=seconds)


def pids(stack: Stack) -> dict[str, int]:
    """The processes of the services."""
    records = {name: ProcessRecord.load(stack.home.run / f"{name}.json") for name in SERVICES}
    return {name: record.pid for name, record in records.items() if record is not None}


@pytest.mark.fault(2)
def test_a_webserver_that_is_killed_in_the_middle_of_a_night_changes_nothing(
    stack: Stack, compare: Compare, tally: Tally
) -> None:
    nightly = hold_the_night(stack)
    stack.kill("dagster-webserver")
    killed = time.monotonic()
    stack.until(stack.services.is_running, "the webserver", told=str)
    recovery = time.monotonic() - killed
    stack.disturb(Disturbances())
    stack.succeed(nightly)
    compare(DAYS[:61])
    assert stack.portfolio_runs() == [succeeded(TONIGHT)]
    tally.survive(recovery=recovery)


@pytest.mark.fault(17)
def test_a_night_that_stays_incomplete_is_missed_and_caught_up_with_the_next_one_in_order(
    stack: Stack, compare: Compare, tally: Tally
) -> None:
    stack.set_clock(TONIGHT)
    symbols = [item["symbol"] for item in rows_of(stack.database, "SELECT symbol FROM symbol_universe ORDER BY symbol")]
    stack.disturb(Disturbances(missing={symbol: [str(TONIGHT)] for symbol in symbols[::2]}))
    assert stack.wait_for_run(stack.nightly(TONIGHT)).status == "FAILURE"
    stack.set_clock(TONIGHT + timedelta(days=1), "06:05")
    missed = f"missed:{TONIGHT}"
    stack.until(lambda: missed in alerts(stack), "the alert", told=lambda: alerts(stack))
    reason = stack.wait_for_skip(f"{TONIGHT} missed", sensor="late_sessions")
    assert "check coverage" in reason
    assert (TONIGHT in published_generations(stack.database, "symbol"), stack.portfolio_runs()) == (False, [])

    stack.disturb(Disturbances())
    stack.set_clock(TOMORROW)
    stack.succeed(stack.nightly(TOMORROW))
    compare(DAYS[:62])
    assert [run.span for run in stack.runs(SYMBOL_LAYER)][-1] == (str(TONIGHT), str(TOMORROW))
    assert stack.portfolio_runs() == [succeeded(TONIGHT, TOMORROW)]
    assert alerts(stack).count(missed) == 1
    tally.survive()


def alerts(stack: Stack) -> list[str]:
    """What people were told, oldest first."""
    return [row["alert_key"] for row in rows_of(stack.database, "SELECT alert_key FROM alerts ORDER BY raised_at")]
