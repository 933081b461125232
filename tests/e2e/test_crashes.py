"""Services are killed in the middle of things; everything is done once in the end."""

import time
from collections.abc import Callable

import pytest

from sigmasight_assets.orchestration.jobs import PORTFOLIO_LAYER, SYMBOL_LAYER
from sigmasight_assets.storage.publications import lock_layer
from tests.e2e.conftest import Compare
from tests.e2e.market import Disturbances
from tests.e2e.stack import WAIT_SECONDS, Stack, succeeded
from tests.e2e.world import DAYS, PUBLISHED, TONIGHT, buy, publish_symbols
from tests.faults.campaign import Tally
from tests.orchestration.contents import rows_of

pytestmark = pytest.mark.e2e

TICKS = (
    "SELECT ticks.id FROM dagster.job_ticks AS ticks JOIN dagster.instigators USING (selector_id) "
    "WHERE instigator_body LIKE '%portfolio_gate%' ORDER BY 1"
)
RUNS = f"SELECT run_id FROM dagster.runs WHERE pipeline_name = '{PORTFOLIO_LAYER}' ORDER BY id"
QUEUED = f"SELECT run_id FROM dagster.runs WHERE pipeline_name = '{PORTFOLIO_LAYER}' AND status = 'QUEUED'"

WRITING = "SELECT 1 FROM batch_runs WHERE kind = 'portfolio_products' AND status = 'running'"


def await_one_more(stack: Stack, query: str) -> None:
    """Return as soon as a query finds another row; the daemon needs milliseconds for its next step."""
    count, deadline = len(rows_of(stack.database, query)), time.monotonic() + WAIT_SECONDS
    while len(rows_of(stack.database, query)) <= count:
        assert time.monotonic() < deadline, query


# The gate is being asked; its run is stored, queued, or not yet thought of.
MOMENTS: list[Callable[[Stack], None]] = [
    lambda stack: await_one_more(stack, TICKS),
    lambda stack: await_one_more(stack, RUNS),
    lambda stack: await_one_more(stack, QUEUED),
    lambda _: time.sleep(1.0),
]


@pytest.mark.fault(3)
@pytest.mark.long
def test_daemon_killed_between_decision_and_launch(stack: Stack, compare: Compare, tally: Tally) -> None:
    # How soon a kill comes depends on the machine: the moments of a stored run are tried again where all were missed.
    moments = [*MOMENTS, *MOMENTS[1:3]]
    nights, found, recoveries, done = DAYS[60 : 60 + len(moments)], [], list[float](), 0
    for night, moment in zip(nights, moments, strict=True):
        publish_symbols(stack.database, stack.script, [night])
        stack.set_clock(night)
        moment(stack)
        stack.kill("dagster-daemon")
        killed = time.monotonic()
        found.append([run.status for run in stack.runs(PORTFOLIO_LAYER) if run.span == (str(night), str(night))])
        stack.until(lambda night=night: is_consumed(stack, night), f"snapshots of {night}", told=stack.runs)  # type: ignore[misc]
        recoveries.append(time.monotonic() - killed)
        stack.settle()
        done += 1
        # Each moment has had its kill, and one came in between: decided on, and not yet launched.
        if done >= len(MOMENTS) and (["NOT_STARTED"] in found or ["QUEUED"] in found):
            break
    compare(DAYS[: 60 + done])
    assert stack.portfolio_runs() == [succeeded(night) for night in nights[:done]]
    assert ["NOT_STARTED"] in found or ["QUEUED"] in found
    for seconds in recoveries:
        tally.survive(recovery=seconds)


def is_consumed(stack: Stack, night: object) -> bool:
    return bool(rows_of(stack.database, "SELECT 1 FROM snapshot_inputs WHERE session = :night", night=night))


@pytest.mark.long
def test_code_server_and_workers_killed_in_the_middle_of_both_layers(stack: Stack, compare: Compare) -> None:
    stack.set_clock(TONIGHT)
    stack.disturb(Disturbances(held_above=20))
    nightly = stack.nightly(TONIGHT)
    with stack.database.bulk() as transaction:
        lock_layer(transaction, "portfolio")
        buy(stack.database, "RUXI")
        stack.wait_for_step(nightly, "symbol_prices")
        stack.until(lambda: bool(rows_of(stack.database, WRITING)), "a portfolio run to write", told=stack.runs)
        stack.kill("dagster-code-server", with_workers=True)
    stack.disturb(Disturbances())
    stack.wait_for_publication(TONIGHT)
    compare(DAYS[:61])
    assert [run.status for run in stack.runs(SYMBOL_LAYER)] == ["FAILURE", "SUCCESS"]
    portfolio_runs = stack.portfolio_runs()
    assert [status for *_, status in portfolio_runs].count("FAILURE") == 1
    assert portfolio_runs[0] == (str(DAYS[40]), str(PUBLISHED[-1]), "FAILURE")
    assert rows_of(stack.database, "SELECT run_id, kind FROM batch_runs WHERE status = 'running'") == []
