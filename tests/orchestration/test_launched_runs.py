"""Runs of the portfolio layer as a real orchestrator knows them."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from sigmasight_assets.orchestration.jobs import PORTFOLIO_LAYER, SYMBOL_LAYER
from sigmasight_assets.orchestration.launched_runs import (
    RUN_KEY_TAG,
    UNFINISHED,
    read_same_inputs,
    read_unfinished,
)
from sigmasight_assets.runs import INPUT_HASH_TAG

KEY = "portfolio:2025-07-25:2025-07-25:abc"
GATED = {INPUT_HASH_TAG: "abc", RUN_KEY_TAG: KEY}


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test(
        temp_dir=str(tmp_path), overrides={"run_retries": {"enabled": True, "max_retries": 2}}
    ) as kept:
        yield kept


def add(
    instance: dg.DagsterInstance, status: str, tags: Mapping[str, str] | None = None, *, job: str = PORTFOLIO_LAYER
) -> dg.DagsterRun:
    return instance.add_run(dg.DagsterRun(job, status=dg.DagsterRunStatus(status), tags=dict(tags or {})))


def test_an_orchestrator_without_runs(instance: dg.DagsterInstance) -> None:
    assert read_unfinished(instance) == []
    assert read_same_inputs(instance, "abc") == []


# Only the orchestrator itself can enter a run into its queue.
@pytest.mark.parametrize("status", [status.value for status in dg.DagsterRunStatus if status.value != "QUEUED"])
def test_unfinished_are_those_that_may_still_write(instance: dg.DagsterInstance, status: str) -> None:
    add(instance, status)
    add(instance, "STARTED", job=SYMBOL_LAYER)
    unfinished = [] if status in {"SUCCESS", "FAILURE", "CANCELED"} else [status]
    assert [run.status for run in read_unfinished(instance)] == unfinished
    assert dg.DagsterRunStatus.QUEUED in UNFINISHED


def test_a_crashed_run_is_about_to_be_started_again_until_it_is(instance: dg.DagsterInstance) -> None:
    run = add(instance, "STARTED", GATED)
    instance.report_run_failed(run)
    (found,) = read_unfinished(instance)
    assert (found.run_id, found.status, found.will_be_retried) == (run.run_id, "FAILURE", True)
    instance.add_run_tags(run.run_id, {"dagster/auto_retry_run_id": "another"})
    assert read_unfinished(instance) == []


def test_what_is_known_of_a_run(instance: dg.DagsterInstance) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    first, second = add(instance, "STARTED", GATED), add(instance, "CANCELED", GATED)
    add(instance, "CANCELED", {INPUT_HASH_TAG: "def"})
    newest, oldest = read_same_inputs(instance, "abc")
    assert [newest.run_id, oldest.run_id] == [second.run_id, first.run_id]
    assert (newest.input_hash, newest.run_key, newest.is_reexecution, newest.will_be_retried) == (
        "abc",
        KEY,
        False,
        False,
    )
    instance.report_run_canceled(first)
    oldest = read_same_inputs(instance, "abc")[1]
    assert oldest.status == "CANCELED"
    assert (
        before
        <= oldest.created_at
        <= oldest.ended_at + timedelta(seconds=2)
        <= datetime.now(UTC) + timedelta(minutes=1)
    )


def test_a_repeated_run_is_told_apart(instance: dg.DagsterInstance) -> None:
    first = add(instance, "FAILURE", GATED)
    again = dg.DagsterRun(PORTFOLIO_LAYER, tags=GATED, parent_run_id=first.run_id, root_run_id=first.run_id)
    instance.add_run(again)
    assert [run.is_reexecution for run in read_same_inputs(instance, "abc")] == [True, False]
