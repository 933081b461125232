"""The document that tells of a failed run: from what is known of it."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from sigmasight_assets.operations.failed_runs import (
    LONGEST_CAUSE,
    MOST_OFFENDERS,
    FailedRun,
    alert_key,
    failure_document,
    raise_failure,
)
from sigmasight_assets.storage.alerts import read_alerts
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.failed_runs import FailedRunRecord, Offence
from sigmasight_assets.storage.operations import Verdict, finish_batch, start_batch

MON, TUE = date(2025, 6, 2), date(2025, 6, 3)
RUN = FailedRun(
    run_id="abc",
    job="symbol_layer",
    first_session="2025-06-02",
    last_session="2025-06-03",
    started_by="nightly_symbols",
    failed_at=datetime(2025, 6, 4, 1, 2, 3, tzinfo=UTC),
    steps=("symbol_products",),
    message="Steps failed: ['symbol_products'].",
)
NOTHING = FailedRunRecord(None, None, {}, [])
FUNDS = Offence(Verdict("factor_etfs_priced", TUE, passed=False, detail="no bar of SPY"), ("SPY",))


def test_the_document_tells_all() -> None:
    record = FailedRunRecord(MON, TUE, {"symbol_products": "1 of 2 sessions was not published"}, [FUNDS])
    assert failure_document(RUN, record) == {
        "kind": "run_failed",
        "run_id": "abc",
        "job": "symbol_layer",
        "first_session": "2025-06-02",
        "last_session": "2025-06-03",
        "steps": ["symbol_products"],
        "cause": "symbol_products: 1 of 2 sessions was not published",
        "offenders": [
            {"check": "factor_etfs_priced", "session": "2025-06-03", "detail": "no bar of SPY", "symbols": ["SPY"]}
        ],
        "offenders_total": 1,
        "started_by": "nightly_symbols",
        "at": "2025-06-04T01:02:03+00:00",
    }


def test_of_a_run_that_died_before_a_step_the_orchestrator_tells_the_cause() -> None:
    run = replace(RUN, steps=(), message="run worker process unexpectedly exited with exit code -9")
    told = failure_document(run, NOTHING)
    assert (told["steps"], told["cause"], told["offenders"]) == ([], run.message, [])


def test_every_failed_step_is_named_once_and_each_with_its_cause() -> None:
    record = FailedRunRecord(MON, TUE, {"company_profiles": "HTTP 503", "symbol_prices": "disk full"}, [])
    told = failure_document(replace(RUN, steps=("symbol_prices", "unrecorded")), record)
    assert told["steps"] == ["company_profiles", "symbol_prices", "unrecorded"]
    assert told["cause"] == "company_profiles: HTTP 503\nsymbol_prices: disk full"


def test_a_run_without_partitions_has_the_sessions_that_it_recorded() -> None:
    told = failure_document(replace(RUN, first_session=None, last_session=None), FailedRunRecord(MON, TUE, {}, []))
    assert (told["first_session"], told["last_session"]) == ("2025-06-02", "2025-06-03")
    told = failure_document(replace(RUN, first_session=None, last_session=None), NOTHING)
    assert (told["first_session"], told["last_session"]) == (None, None)


def test_a_long_story_is_cut() -> None:
    record = FailedRunRecord(MON, TUE, {"symbol_products": "x" * 9_000}, [FUNDS] * 60)
    told = failure_document(RUN, record)
    assert len(told["cause"]) <= LONGEST_CAUSE
    assert told["cause"].endswith("x …")
    assert (len(told["offenders"]), told["offenders_total"]) == (MOST_OFFENDERS, 60)


@pytest.mark.parametrize(("starter", "severity"), [("portfolio_gate", "critical"), ("manual", "warning")])
def test_the_alert_is_raised_once_with_what_is_recorded(database: Database, starter: str, severity: str) -> None:
    run = replace(RUN, started_by=starter)
    with database.begin() as connection:
        start_batch(connection, run_id=run.run_id, kind="symbol_products", sessions=[MON, TUE])
        finish_batch(connection, run_id=run.run_id, kind="symbol_products", counts={}, error="not published")
        assert [raise_failure(connection, run) for _ in range(2)] == [True, False]
        (alert,) = read_alerts(connection)
    assert (alert.alert_key, alert.severity) == (alert_key("abc"), severity) == ("run:abc", severity)
    assert alert.payload["cause"] == "symbol_products: not published"
