"""From a real failing run to a real receiver: what is told, once, and later when the receiver is down."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import dagster as dg
import pytest

from sigmasight_assets.orchestration.sensors import failed_runs as module
from sigmasight_assets.orchestration.sensors.failed_runs import failed_runs
from sigmasight_assets.runs import INPUT_HASH_TAG
from sigmasight_assets.services.ports import free_port
from sigmasight_assets.storage.database import Database
from tests.orchestration.contents import execute, rows_of
from tests.orchestration.deployments import Deploy, Deployment
from tests.orchestration.sensors.ticks import open_run, tick
from tests.receivers import TOKEN, Receiver, webhook

JOB = "symbol_layer"
MON, TUE = date(2025, 6, 2), date(2025, 6, 3)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A webhook that is set up and up."""
    with webhook() as receiver:
        monkeypatch.setenv("SIGMASIGHT_WEBHOOK_URL", receiver.url)
        yield receiver


@pytest.fixture
def deployment(deploy: Deploy, priced: Database) -> Deployment:
    return deploy(priced)


def fail(deployment: Deployment, database: Database, tags: dict[str, str] | None = None) -> str:
    """A run that fails because two factor funds have no bar on its second session; its id."""
    execute(
        database,
        "DELETE FROM symbol_prices_daily WHERE symbol IN ('SPY', 'TLT') AND price_date = :day",
        day=TUE,
    )
    run = deployment.run(JOB, MON, TUE, assets=["market_beta"], tags=tags)
    assert not run.success
    return str(run.result.run_id)


def test_a_failed_run_is_told_with_its_cause_and_its_offenders(
    deployment: Deployment, priced: Database, receiver: Receiver
) -> None:
    run_id = fail(deployment, priced, {"dagster/schedule_name": "nightly_symbols"})
    assert tick(failed_runs, priced.url, deployment.instance).said == "1 alerts raised, 1 delivered"
    (told,) = receiver.received
    assert {name: told[name] for name in ("kind", "key", "severity", "run_id", "job", "started_by", "steps")} == {
        "kind": "run_failed",
        "key": f"run:{run_id}",
        "severity": "critical",
        "run_id": run_id,
        "job": JOB,
        "started_by": "nightly_symbols",
        "steps": ["symbol_products"],
    }
    assert (told["first_session"], told["last_session"]) == (str(MON), str(TUE))
    assert told["cause"].startswith("symbol_products: 1 of 2 sessions were not published; the others were.")
    coverage, funds = told["offenders"]
    assert (coverage["check"], coverage["session"]) == ("coverage", str(TUE))
    assert coverage["detail"].startswith("71 of 73 active symbols have a bar (97.26%)")
    assert coverage["symbols"] == ["GHOST", "SPY", "TLT"]
    detail = {"detail": "no bar of SPY, TLT", "symbols": ["SPY", "TLT"]}
    assert funds == {"check": "factor_etfs_priced", "session": str(TUE), **detail}
    assert abs(datetime.fromisoformat(told["at"]) - datetime.now(UTC)).total_seconds() < 300


def test_it_is_told_once(deployment: Deployment, priced: Database, receiver: Receiver) -> None:
    fail(deployment, priced)
    said = [tick(failed_runs, priced.url, deployment.instance).said for _ in range(3)]
    assert said == ["1 alerts raised, 1 delivered", *["0 alerts raised, 0 delivered"] * 2]
    assert len(receiver.requests) == 1


def test_a_receiver_that_is_down_is_told_on_a_later_tick(
    deployment: Deployment, priced: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("SIGMASIGHT_WEBHOOK_URL", f"http://127.0.0.1:{port}/hooks/{TOKEN}")
    run_id = fail(deployment, priced)
    assert tick(failed_runs, priced.url, deployment.instance).said == "1 alerts raised, 0 delivered"
    with webhook(port) as receiver:
        assert tick(failed_runs, priced.url, deployment.instance).said == "0 alerts raised, 0 delivered"
        execute(priced, "UPDATE alerts SET not_before = now() - interval '1 second'")
        assert tick(failed_runs, priced.url, deployment.instance).said == "0 alerts raised, 1 delivered"
        assert [told["run_id"] for told in receiver.received] == [run_id]


def test_without_a_webhook_the_alert_is_kept(deployment: Deployment, priced: Database) -> None:
    run_id = fail(deployment, priced)
    assert tick(failed_runs, priced.url, deployment.instance).said == "1 alerts raised, 0 delivered"
    assert rows_of(priced, "SELECT alert_key, severity, delivered_at FROM alerts") == [
        {"alert_key": f"run:{run_id}", "severity": "warning", "delivered_at": None}
    ]


def test_a_run_that_died_before_its_first_step_is_told_in_the_orchestrators_words(
    deployment: Deployment, priced: Database, receiver: Receiver
) -> None:
    run = open_run(deployment.instance, dg.DagsterRunStatus.STARTED)
    deployment.instance.report_run_failed(run, "run worker process unexpectedly exited with exit code -9")
    tick(failed_runs, priced.url, deployment.instance)
    (told,) = receiver.received
    assert (told["run_id"], told["job"], told["steps"]) == (run.run_id, "idle", [])
    assert told["cause"] == "run worker process unexpectedly exited with exit code -9"
    assert (told["first_session"], told["offenders"]) == (None, [])


def test_a_refused_partition_is_told_in_the_words_of_its_step(
    deployment: Deployment, priced: Database, receiver: Receiver
) -> None:
    """A holiday is refused before anything is recorded."""
    assert not deployment.run(JOB, "2025-05-26", assets=["market_beta"]).success
    tick(failed_runs, priced.url, deployment.instance)
    (told,) = receiver.received
    assert "2025-05-26 is not a session of the exchange" in told["cause"]
    assert told["steps"] == ["symbol_products"]


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.CANCELED])
def test_runs_that_did_not_fail_are_not_told(
    deployment: Deployment, priced: Database, receiver: Receiver, status: dg.DagsterRunStatus
) -> None:
    open_run(deployment.instance, status)
    assert tick(failed_runs, priced.url, deployment.instance).said == "0 alerts raised, 0 delivered"
    assert receiver.requests == []


def test_a_run_that_is_tried_again_is_told_when_that_never_comes(
    deployment: Deployment, priced: Database, receiver: Receiver
) -> None:
    """The orchestrator withdraws its announcement when it cannot launch the retry."""
    run_id = fail(deployment, priced, {module.WILL_RETRY_TAG: "true", INPUT_HASH_TAG: "abc"})
    assert tick(failed_runs, priced.url, deployment.instance).said == "0 alerts raised, 0 delivered"
    deployment.instance.add_run_tags(run_id, {module.WILL_RETRY_TAG: "false"})
    assert tick(failed_runs, priced.url, deployment.instance).said == "1 alerts raised, 1 delivered"
    assert receiver.received[0]["run_id"] == run_id


def test_a_run_whose_retry_is_not_decided_yet_waits(
    deployment: Deployment, priced: Database, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(deployment, priced)
    monkeypatch.setattr(type(deployment.instance), "run_retries_enabled", True)
    assert tick(failed_runs, priced.url, deployment.instance).said == "0 alerts raised, 0 delivered"
    assert receiver.requests == []


def test_what_failed_long_ago_is_not_told(
    deployment: Deployment, priced: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(deployment, priced)
    monkeypatch.setattr(module, "LOOK_BACK", -module.LOOK_BACK)
    assert tick(failed_runs, priced.url, deployment.instance).said == "0 alerts raised, 0 delivered"


def test_the_webhooks_address_is_in_no_log_of_the_tick(
    deployment: Deployment, priced: Database, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    receiver.status = 500
    fail(deployment, priced)
    said = tick(failed_runs, priced.url, deployment.instance).said
    assert TOKEN not in said + caplog.text


def test_a_database_that_is_away_is_a_reason(deployment: Deployment) -> None:
    run = open_run(deployment.instance, dg.DagsterRunStatus.FAILURE)
    assert run.is_failure
    said = tick(failed_runs, "postgresql+psycopg2://someone:secret@127.0.0.1:9/nothing", deployment.instance).said
    assert "127.0.0.1:9/nothing does not answer" in said
    assert "secret" not in said
