"""What an operator starts again: what is failed right now and nothing else, and who wanted it."""

from collections.abc import Mapping
from datetime import date

import pytest

from sigmasight_assets.errors import DecisionError, ServiceError
from sigmasight_assets.operations.gate import ready_range
from sigmasight_assets.operations.gate_state import read_gate_state
from sigmasight_assets.operations.retry import RetriedRange, Retry, plan_retry, retry
from sigmasight_assets.runs import INPUT_HASH_TAG, REQUESTED_BY_TAG, DagsterClient
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.operations import Verdict
from tests.operations.ledger_rows import decide, judge, publish, run_step
from tests.operations.test_failure_state import EVENING, FRI, MON, PAUSE, THU, TUE, WED, WEEK, hold, mark, request
from tests.orchestration.contents import execute, rows_of
from tests.webservers import webserver

STARTED = {"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": "again"}}}
NOWHERE = DagsterClient("http://127.0.0.1:9/graphql")


def planned(database: Database, *, session: date | None = None, symbol: str | None = None) -> Retry:
    return plan_retry(database, clock=EVENING, pause=PAUSE, session=session, symbol=symbol)


def again(database: Database, dagster: DagsterClient, *, symbol: str | None = None) -> Retry:
    why = "the vendor is back"
    return retry(database, dagster, clock=EVENING, pause=PAUSE, actor="pat", reason=why, symbol=symbol)


def fail(database: Database, *days: date) -> None:
    """The newest run over these sessions has published none of them."""
    judge(database, *(Verdict("coverage", day, passed=False, detail="10 of 500") for day in days), run_id="bad")
    run_step(database, "bad", *days, error="not published", ended_ago=5)


def test_nothing_is_failed(database: Database) -> None:
    assert planned(database) == Retry()
    publish(database, *WEEK)
    assert again(database, NOWHERE) == Retry()
    assert rows_of(database, "SELECT * FROM operator_actions") == []


def test_sessions_that_failed_run_as_one_range_in_order(database: Database) -> None:
    publish(database, MON, TUE)
    fail(database, WED, THU, FRI)
    assert planned(database) == Retry([RetriedRange("symbol_layer", WED, FRI)])
    assert planned(database, session=THU) == Retry([RetriedRange("symbol_layer", THU, THU)])
    # A waived one is not run again.
    decide(database, THU, "waived")
    assert planned(database) == Retry([RetriedRange("symbol_layer", WED, WED), RetriedRange("symbol_layer", FRI, FRI)])


def test_marks_that_were_not_settled_are_with_the_newest_session(database: Database) -> None:
    publish(database, *WEEK)
    mark(database, "AAA", minutes_ago=60)
    run_step(database, "bad", FRI, error="AAA could not be published again", ended_ago=5)
    assert planned(database) == Retry([RetriedRange("symbol_layer", FRI, FRI)])


def test_snapshots_whose_run_failed_for_the_inputs_as_they_are(database: Database) -> None:
    publish(database, *WEEK)
    hold(database, "AAA")
    execute(database, "UPDATE portfolios SET as_of = :day", day=MON)
    chosen = ready_range(read_gate_state(database, now=EVENING))
    assert chosen is not None
    run_step(
        database, "bad", *WEEK, kind="portfolio_products", error="identity", input_hash=chosen.input_hash, ended_ago=5
    )
    expected = RetriedRange("portfolio_layer", MON, FRI, input_hash=chosen.input_hash)
    # Snapshots build on each other, so one session of them means the range.
    assert planned(database).ranges == planned(database, session=WED).ranges == [expected]
    with webserver() as dagster:
        dagster.answer(STARTED)
        done = again(database, dagster.client)
        assert dagster.tags[INPUT_HASH_TAG] == chosen.input_hash
        assert dagster.tags[REQUESTED_BY_TAG] == "pat"
        assert dagster.tags["dagster/asset_partition_range_start"] == str(MON)
    assert done.ranges[0].run_id == "again"
    (action,) = rows_of(database, "SELECT kind, actor, reason, details FROM operator_actions")
    assert (action["kind"], action["actor"], action["reason"]) == ("retry", "pat", "the vendor is back")
    assert action["details"]["runs"][0] == {
        "job": "portfolio_layer",
        "first": str(MON),
        "last": str(FRI),
        "run_id": "again",
    }
    # Once the inputs are others, it is the gate's again.
    publish(database, FRI)
    assert planned(database) == Retry()


def test_refused_symbols_are_asked_for_again(database: Database) -> None:
    publish(database, *WEEK)
    hold(database, "NEW")
    request(database, "NEW", "failed", "the vendor was away")
    request(database, "OLD", "completed")
    assert planned(database) == planned(database, symbol="NEW") == Retry(symbols=["NEW"])
    again(database, NOWHERE, symbol="NEW")
    (pending,) = rows_of(
        database, "SELECT symbol, attempts, requested_by FROM symbol_onboarding_queue WHERE status = 'pending'"
    )
    assert (pending["symbol"], pending["attempts"], pending["requested_by"]) == ("NEW", 0, "pat")
    assert [row["symbol"] for row in rows_of(database, "SELECT symbol FROM operator_actions")] == ["NEW"]


def test_what_is_not_failed_is_refused(database: Database) -> None:
    publish(database, *WEEK[:4])
    with pytest.raises(DecisionError, match="Nothing of 2025-07-21 is failed"):
        planned(database, session=MON)
    with pytest.raises(DecisionError, match="AAA is not failed"):
        planned(database, symbol="AAA")
    fail(database, FRI)
    run_step(database, "now", FRI, ended_ago=None)
    with pytest.raises(DecisionError, match="Run now of these sessions is under way"):
        planned(database)


def test_without_dagster_nothing_is_recorded(database: Database) -> None:
    publish(database, *WEEK[:4])
    fail(database, FRI)
    with pytest.raises(ServiceError, match="does not answer"):
        again(database, NOWHERE)
    assert rows_of(database, "SELECT * FROM operator_actions") == []


def test_the_first_run_that_failed(database: Database) -> None:
    fail(database, FRI)
    assert planned(database) == Retry([RetriedRange("symbol_layer", FRI, FRI)])


class FailsAtTheSecond(DagsterClient):
    """Goes away once it has started a run."""

    has_started = False

    def launch_range(self, job: str, *, first: date, last: date, tags: Mapping[str, str] | None = None) -> str:
        if self.has_started:
            raise ServiceError("Dagster does not answer")
        self.has_started = True
        return super().launch_range(job, first=first, last=last, tags=tags)


def test_what_was_started_before_dagster_went_away_is_recorded(database: Database) -> None:
    publish(database, MON, TUE)
    fail(database, WED, FRI)
    decide(database, THU, "waived")
    with webserver() as dagster:
        dagster.answer(STARTED)
        with pytest.raises(ServiceError, match="does not answer"):
            again(database, FailsAtTheSecond(dagster.url))
    (action,) = rows_of(database, "SELECT details FROM operator_actions WHERE kind = 'retry'")
    assert [(run["first"], run["run_id"]) for run in action["details"]["runs"]] == [(str(WED), "again")]


def test_nothing_is_started_without_a_reason(database: Database) -> None:
    publish(database, *WEEK[:4])
    fail(database, FRI)
    with webserver() as dagster, pytest.raises(DecisionError, match="needs a reason"):
        retry(database, dagster.client, clock=EVENING, pause=PAUSE, actor="pat", reason=" ")
    assert dagster.requests == []
