"""Tests of ``sigmasight retry``: what people are told, and what happens without Dagster."""

import json

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.operations import Verdict
from tests.commands.conftest import Sigmasight
from tests.operations.ledger_rows import judge, publish, run_step
from tests.operations.test_failure_state import FRI, THU, hold, request
from tests.orchestration.contents import rows_of

WHY = ("--reason", "the vendor is back")


def fail(database: Database) -> None:
    publish(database, THU)
    judge(database, Verdict("coverage", FRI, passed=False, detail="1 of 500"), run_id="bad")
    run_step(database, "bad", FRI, error="not published", ended_ago=5)


def test_nothing_is_failed(sigmasight: Sigmasight, database: Database) -> None:
    done = sigmasight("retry")
    assert (done.code, done.out) == (0, "Nothing is failed\n")
    assert json.loads(sigmasight("retry", "--json").out) == {"ranges": [], "symbols": []}
    assert rows_of(database, "SELECT * FROM operator_actions") == []


def test_a_run_needs_dagster(sigmasight: Sigmasight, database: Database) -> None:
    fail(database)
    refused = sigmasight("retry", *WHY)
    assert refused.code == 1
    assert refused.err.startswith("error: Dagster is not running in this home")
    assert rows_of(database, "SELECT * FROM operator_actions") == []


def test_a_symbol_is_asked_for_again_without_dagster(sigmasight: Sigmasight, database: Database) -> None:
    publish(database, FRI)
    hold(database, "NEW")
    request(database, "NEW", "failed", "the vendor was away")
    assert sigmasight("retry", "--symbol", "NEW", *WHY).out == "NEW is asked for again\n"
    (action,) = rows_of(database, "SELECT kind, symbol, reason FROM operator_actions")
    assert action == {"kind": "retry", "symbol": "NEW", "reason": "the vendor is back"}


def test_a_reason_may_be_left_out(sigmasight: Sigmasight, database: Database) -> None:
    publish(database, FRI)
    hold(database, "NEW")
    request(database, "NEW", "failed", "the vendor was away")
    assert sigmasight("retry", "--symbol", "NEW").code == 0
    assert rows_of(database, "SELECT reason FROM operator_actions") == [{"reason": "no reason given"}]
    assert sigmasight("retry", "--reason", " ").code == 2


def test_what_is_not_failed_is_refused(sigmasight: Sigmasight, database: Database) -> None:
    fail(database)
    refused = sigmasight("retry", "--session", str(THU), *WHY)
    assert (refused.code, refused.err) == (
        1,
        f"error: Nothing of {THU} is failed; `sigmasight status` tells what is\n",
    )
    assert sigmasight("retry", "--session", "tomorrow").code == 2
