"""Onboarding through real runs: for which requests they are, what they report, and when they fail."""

from typing import Any

import pytest

from sigmasight_assets.orchestration.onboarding import CLAIMS_TAG, claims_tag
from sigmasight_assets.storage.database import Database
from tests.orchestration.conftest import TARGETS
from tests.orchestration.contents import rows_of
from tests.orchestration.deployments import Deploy, Run
from tests.orchestration.markets import ScriptedMarket
from tests.orchestration.onboarding_market import NONE_SUCH, OLD, SHORT, FailingMarket, enter_before, extended
from tests.orchestration.states import States
from tests.storage.onboarding_queue import ask, claimed, requests, statuses

JOB = "onboarding"


@pytest.fixture
def market(awkward: ScriptedMarket) -> FailingMarket:
    return extended(awkward)


@pytest.fixture
def before(states: States, awkward: ScriptedMarket, market: FailingMarket) -> Database:
    return enter_before(states, awkward, market)


def batch(database: Database) -> dict[str, Any]:
    (row,) = rows_of(database, "SELECT * FROM batch_runs")
    return row


def metadata(run: Run) -> dict[str, Any]:
    return run.metadata("onboarded_symbols")


def test_a_run_works_off_what_was_claimed_for_it(deploy: Deploy, before: Database, market: FailingMarket) -> None:
    ask(before, OLD, NONE_SUCH, SHORT)
    claims = claimed(before)
    run = deploy(before, market=market).run(JOB, tags={CLAIMS_TAG: claims_tag(claims[:2])})
    assert run.success
    assert statuses(before) == {OLD: "completed", NONE_SUCH: "failed", SHORT: "processing"}
    told = metadata(run)
    counts = {"requests": 2, "completed": 1, "failed": 1, "waiting": 0, "generation": 2}
    assert {name: told[name] for name in counts} == counts
    assert told["completed_symbols"].splitlines()[2:] == [f"| {OLD} |"]
    assert told["other_symbols"].splitlines()[2:] == [f"| {NONE_SUCH} | given up | unknown: no such ticker |"]


def test_a_run_is_recorded_with_the_published_sessions(deploy: Deploy, before: Database, market: FailingMarket) -> None:
    ask(before, OLD)
    run = deploy(before, market=market).run(JOB)
    row = batch(before)
    assert (row["kind"], row["status"], row["run_id"]) == ("onboarded_symbols", "succeeded", run.result.run_id)
    assert (row["first_session"], row["last_session"]) == (TARGETS[0], TARGETS[-1])
    # The list of symbols, bars, the history that a corporate action calls for, and profiles of three weeks.
    assert row["counts"]["vendor_calls"] >= 5
    assert (row["counts"]["requests"], row["counts"]["generation"]) == (1, 2)
    assert requests(before)[OLD].run_id == run.result.run_id


def test_a_run_that_is_started_by_hand_takes_what_is_due(
    deploy: Deploy, before: Database, market: FailingMarket
) -> None:
    deployment = deploy(before, market=market)
    assert metadata(deployment.run(JOB))["requests"] == 0
    ask(before, OLD, SHORT)
    assert deployment.run(JOB).success
    assert statuses(before) == dict.fromkeys((OLD, SHORT), "completed")


def launched(*symbols: str) -> dict[str, Any]:
    """The configuration that an operator leaves in the launchpad."""
    return {"ops": {"onboarded_symbols": {"config": {"symbols": list(symbols)}}}}


def test_symbols_of_the_launchpad_are_asked_for_and_brought_in(
    deploy: Deploy, before: Database, market: FailingMarket
) -> None:
    ask(before, SHORT)
    deployment = deploy(before, market=market)
    run = deployment.run(JOB, run_config=launched(OLD, OLD, NONE_SUCH))
    assert run.success
    assert statuses(before) == {OLD: "completed", NONE_SUCH: "failed", SHORT: "completed"}
    assert metadata(run)["requests"] == 3
    assert requests(before)[OLD].requested_by == f"run {run.result.run_id}"
    # What failed is tried anew.
    again = deployment.run(JOB, run_config=launched(NONE_SUCH))
    assert (metadata(again)["requests"], metadata(again)["failed"]) == (1, 1)


def test_what_cannot_be_a_symbol_is_refused_and_nothing_asked_for(
    deploy: Deploy, before: Database, market: FailingMarket
) -> None:
    run = deploy(before, market=market).run(JOB, run_config=launched(OLD, "brk b", "*"))
    assert not run.success
    assert run.failure == "No ticker such as BRK-B, and no option contract: 'brk b', '*'"
    assert statuses(before) == {}


def test_a_vendor_that_is_away_fails_the_run_and_leaves_what_succeeded(
    deploy: Deploy, before: Database, market: FailingMarket
) -> None:
    market.failing = frozenset([SHORT])
    ask(before, OLD, SHORT)
    run = deploy(before, market=market).run(JOB)
    assert not run.success
    assert run.retries == 0
    assert run.failure.startswith("1 of 2 symbols were not onboarded; `sigmasight universe requests` tells which")
    assert run.failure.endswith(f"\n{SHORT}: the vendor cannot answer")
    assert statuses(before) == {OLD: "completed", SHORT: "pending"}
    assert metadata(run)["other_symbols"].splitlines()[2:] == [
        f"| {SHORT} | will be tried again | the vendor cannot answer |"
    ]
    row = batch(before)
    assert (row["status"], row["counts"]["completed"], row["counts"]["waiting"]) == ("failed", 1, 1)


def test_before_the_first_publication_the_newest_session_is_recorded(
    deploy: Deploy, priced: Database, market: FailingMarket
) -> None:
    ask(priced, SHORT)
    run = deploy(priced, market=market).run(JOB)
    assert run.success
    assert "generation" not in metadata(run)
    assert batch(priced)["first_session"] == batch(priced)["last_session"] == TARGETS[-1]


def test_the_night_does_not_onboard_and_finds_its_requests_done(
    deploy: Deploy, before: Database, market: FailingMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGMASIGHT_MIN_COVERAGE", "0.9")
    ask(before, NONE_SUCH)
    with before.begin() as connection:
        connection.exec_driver_sql(
            f"INSERT INTO symbol_universe (symbol, name, asset_type) VALUES ('{NONE_SUCH}', 'x', 'equity')"
        )
    run = deploy(before, market=market).run("symbol_layer", TARGETS[-1])
    assert run.success
    assert "onboarded_symbols" not in run.materialized
    found = requests(before)[NONE_SUCH]
    assert (found.status, found.error, found.attempts) == ("failed", "unknown: no such ticker", 0)
