"""The sensor of late sessions on a real database and orchestrator: what it requests, tells and reports, and when."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import pytest
from sqlalchemy.exc import InternalError

from sigmasight_assets.errors import StorageError
from sigmasight_assets.market_data.protocol import MarketSource
from sigmasight_assets.orchestration import standing_checks
from sigmasight_assets.orchestration.jobs import ONBOARDING, PORTFOLIO_LAYER, SYMBOL_LAYER
from sigmasight_assets.orchestration.price_update import update_prices
from sigmasight_assets.orchestration.sensors.late_sessions import ATTEMPT_TAG, to_report
from sigmasight_assets.orchestration.standing_checks import STANDING_CHECKS, judge_failures
from sigmasight_assets.orchestration.symbol_publication import publish_symbol_products
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import NewLot, create_portfolio
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from sigmasight_assets.storage.universe import import_listings
from tests.operations.ledger_rows import decide, publish, run_step
from tests.orchestration.conftest import HISTORY_START, TARGETS
from tests.orchestration.contents import execute, rows_of
from tests.orchestration.deployments import RANGE_END, RANGE_START, Deploy, Deployment, load_definitions
from tests.orchestration.markets import ScriptedMarket
from tests.orchestration.sensors.ticks import evaluated as tick
from tests.orchestration.symbol_runs import stocks
from tests.receivers import webhook

DAY, BEFORE = TARGETS[-1], TARGETS[-2]
MODULE = "sigmasight_assets.orchestration.sensors.late_sessions"

pytestmark = pytest.mark.usefixtures("evening", "settled")


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that evaluates sensors has run for a while."""
    monkeypatch.setattr(f"{MODULE}.GRACE_SECONDS", 0.0)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def evenings(database: Database) -> Database:
    """Every session before this evening's published."""
    publish(database, *TARGETS[:-1])
    return database


def requested(database: Database, instance: dg.DagsterInstance, sensor: str = "late_sessions") -> dg.RunRequest:
    answer = tick(database, instance, sensor=sensor)
    assert answer.skip_message is None
    (request,) = answer.run_requests or []
    return request


def skipped(database: Database, instance: dg.DagsterInstance, sensor: str = "late_sessions") -> str:
    answer = tick(database, instance, sensor=sensor)
    assert not answer.run_requests
    assert answer.skip_message is not None
    return answer.skip_message


def launched(instance: dg.DagsterInstance, status: dg.DagsterRunStatus, job: str = SYMBOL_LAYER, **tags: str) -> str:
    return instance.add_run(dg.DagsterRun(job, status=status, tags=tags)).run_id


def test_it_ticks_by_itself_on_the_symbol_layer(database: Database) -> None:
    sensor = load_definitions(database).resolve_sensor_def("late_sessions")
    assert sensor.minimum_interval_seconds == 30
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    assert sensor.job_name == SYMBOL_LAYER


def test_nothing_published_is_a_reason(database: Database, instance: dg.DagsterInstance) -> None:
    assert skipped(database, instance) == "the symbol layer has not published any session yet (job symbol_layer)"


def test_an_untried_session_is_requested_before_backfills(evenings: Database, instance: dg.DagsterInstance) -> None:
    request = requested(evenings, instance)
    assert (request.run_key, request.partition_key) == (f"symbols:{DAY}:{DAY}:1", str(DAY))
    assert request.tags["dagster/priority"] == "10"
    assert request.asset_selection is None
    assert requested(evenings, instance).run_key == request.run_key


def test_missed_sessions_are_one_range_in_order(database: Database, instance: dg.DagsterInstance) -> None:
    publish(database, *TARGETS[:-3])
    decide(database, BEFORE, "closed")
    request = requested(database, instance)
    assert request.run_key == f"symbols:{TARGETS[-3]}:{DAY}:1"
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == (str(TARGETS[-3]), str(DAY))


def test_after_a_start_others_act_first(
    evenings: Database, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{MODULE}.GRACE_SECONDS", 1e9)
    monkeypatch.setenv("SIGMASIGHT_NOW", f"{DAY}T23:30:00-04:00")
    assert skipped(evenings, instance) == "the services have just started: the schedule acts first"
    assert rows_of(evenings, "SELECT * FROM alerts") == []
    # The checks tell the truth all the same.
    assert len(tick(evenings, instance).asset_events) == len(STANDING_CHECKS)


@pytest.mark.parametrize("job", [SYMBOL_LAYER, ONBOARDING])
@pytest.mark.parametrize(
    "status",
    [
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.CANCELING,
    ],
)
def test_a_run_under_way_is_waited_for(
    evenings: Database, instance: dg.DagsterInstance, status: dg.DagsterRunStatus, job: str
) -> None:
    run_id = launched(instance, status, job)
    assert skipped(evenings, instance) == f"run {run_id} of the symbol layer is under way"


def test_a_backfill_of_other_sessions_is_not_waited_for(evenings: Database, instance: dg.DagsterInstance) -> None:
    other = {RANGE_START: str(TARGETS[0]), RANGE_END: str(TARGETS[-2])}
    launched(instance, dg.DagsterRunStatus.STARTED, **other)
    assert requested(evenings, instance).partition_key == str(DAY)
    run_id = launched(instance, dg.DagsterRunStatus.STARTED, **{**other, RANGE_END: str(DAY)})
    assert skipped(evenings, instance) == f"run {run_id} of the symbol layer is under way"


def test_a_run_of_something_that_is_no_session_may_be_of_any(evenings: Database, instance: dg.DagsterInstance) -> None:
    run_id = launched(instance, dg.DagsterRunStatus.STARTED, **{"dagster/partition": "yesterday"})
    assert skipped(evenings, instance) == f"run {run_id} of the symbol layer is under way"


def test_a_run_that_nobody_launches_is_not_waited_for(
    evenings: Database, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched(instance, dg.DagsterRunStatus.NOT_STARTED)
    monkeypatch.setattr(f"{MODULE}.LAUNCH_TAKES", timedelta(0))
    assert requested(evenings, instance).partition_key == str(DAY)


def test_runs_of_the_other_layer_and_ended_ones_are_not_waited_for(
    evenings: Database, instance: dg.DagsterInstance
) -> None:
    launched(instance, dg.DagsterRunStatus.STARTED, PORTFOLIO_LAYER)
    launched(instance, dg.DagsterRunStatus.FAILURE)
    assert requested(evenings, instance).partition_key == str(DAY)


def test_a_run_that_is_about_to_be_tried_again_is_waited_for(evenings: Database, instance: dg.DagsterInstance) -> None:
    run_id = launched(instance, dg.DagsterRunStatus.FAILURE, **{"dagster/will_retry": "true"})
    assert skipped(evenings, instance) == f"run {run_id} of the symbol layer is under way"


def test_a_request_that_was_never_launched_is_made_again(evenings: Database, instance: dg.DagsterInstance) -> None:
    """The daemon was killed between creating the run and launching it: the same key launches it."""
    request = requested(evenings, instance)
    tags = {ATTEMPT_TAG: request.tags[ATTEMPT_TAG], "dagster/run_key": "symbols:as:it:was"}
    launched(instance, dg.DagsterRunStatus.NOT_STARTED, **tags)
    assert requested(evenings, instance).run_key == "symbols:as:it:was"


def test_a_run_that_died_before_its_first_step_is_followed_by_another_after_the_pause(
    evenings: Database, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = requested(evenings, instance)
    run_id = launched(instance, dg.DagsterRunStatus.FAILURE, **{ATTEMPT_TAG: request.tags[ATTEMPT_TAG]})
    assert skipped(evenings, instance).startswith(f"run {run_id} died before its first step: next attempt at 20")
    monkeypatch.setenv("SIGMASIGHT_RETRY_MINUTES", "0.000001")
    again = requested(evenings, instance)
    assert again.run_key == f"{request.run_key}:1"
    assert again.tags[ATTEMPT_TAG] == request.tags[ATTEMPT_TAG]


def test_a_failed_attempt_is_followed_by_the_next_after_the_pause(
    evenings: Database, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_step(evenings, "r1", DAY, kind="symbol_prices", error="no answer", ended_ago=29)
    assert skipped(evenings, instance).startswith(f"{DAY} not published: symbol_prices failed in run r1: no answer; ")
    run_step(evenings, "r1", DAY, kind="symbol_prices", error="no answer", ended_ago=31)
    assert requested(evenings, instance).run_key == f"symbols:{DAY}:{DAY}:2"
    monkeypatch.setenv("SIGMASIGHT_RETRY_MINUTES", "45")
    assert "attempt 2 at" in skipped(evenings, instance)


def test_marks_are_settled_without_asking_the_market(
    deploy: Deploy, published: Database, awkward: ScriptedMarket
) -> None:
    symbol = stocks(published, 1)[0]
    execute(
        published,
        "INSERT INTO figure_invalidations (symbol, first_session, last_session, has_new_returns, run_id) "
        "VALUES (:symbol, :day, :day, true, 'r')",
        symbol=symbol,
        day=TARGETS[0],
    )
    market = replace(awkward, requests=[])
    deployment = deploy(published, market=market)
    request = requested(published, deployment.instance)
    assert request.run_key == f"marks:{DAY}:{DAY}:1"
    assert [key.to_user_string() for key in request.asset_selection or []] == list(SYMBOL_PRODUCTS)
    assert deployment.run(SYMBOL_LAYER, tags=request.tags, assets=SYMBOL_PRODUCTS).success
    assert rows_of(published, "SELECT * FROM figure_invalidations") == []
    assert market.requests == []
    assert skipped(published, deployment.instance) == f"symbol products are published up to {DAY}"


def alerts(database: Database) -> dict[str, Any]:
    rows = rows_of(database, "SELECT alert_key, severity, payload FROM alerts ORDER BY raised_at")
    return {row["alert_key"]: (row["severity"], row["payload"]) for row in rows}


@pytest.mark.fault(17)
def test_people_are_told_once_when_a_session_is_late_and_once_when_it_is_missed(
    evenings: Database, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_step(evenings, "r1", DAY, kind="symbol_prices", error="no answer", ended_ago=10)
    tick(evenings, instance)
    assert alerts(evenings) == {}
    following = DAY + timedelta(days=1)
    late, missed = f"late:{DAY}", f"missed:{DAY}"
    for clock, expected in (
        (f"{DAY}T23:00:00-04:00", [late]),
        (f"{following}T05:59:00-04:00", [late]),
        (f"{following}T06:00:00-04:00", [late, missed]),
        (f"{following}T20:00:00-04:00", [late, missed]),
    ):
        monkeypatch.setenv("SIGMASIGHT_NOW", clock)
        tick(evenings, instance)
        tick(evenings, instance)
        assert list(alerts(evenings)) == expected
    (severity, payload), (worse, _) = alerts(evenings).values()
    assert (severity, worse) == ("warning", "critical")
    assert payload["text"] == f"session {DAY} not published by 23:00 New York"
    assert (payload["kind"], payload["session"], payload["run_id"]) == ("session_late", str(DAY), "r1")
    assert payload["asset"] == "symbol_prices"
    assert payload["cause"] == "symbol_prices failed in run r1: no answer"
    assert skipped(evenings, instance).startswith(f"{DAY} missed: symbol_prices failed in run r1: no answer; attempts")


def test_the_webhook_hears_of_it_once(
    evenings: Database, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGMASIGHT_NOW", f"{DAY}T23:00:00-04:00")
    with webhook() as receiver:
        monkeypatch.setenv("SIGMASIGHT_WEBHOOK_URL", receiver.url)
        tick(evenings, instance)
        tick(evenings, instance)
    (document,) = receiver.received
    assert (document["key"], document["severity"], document["kind"]) == (f"late:{DAY}", "warning", "session_late")
    assert document["text"] == f"session {DAY} not published by 23:00 New York"


@pytest.mark.fault(17)
def test_the_next_night_catches_what_was_missed_in_order(
    evenings: Database, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_step(evenings, "r1", DAY, error="not published", ended_ago=60)
    following = exchange_calendar().offset(DAY, 1)
    monkeypatch.setenv("SIGMASIGHT_NOW", f"{following}T21:09:00-04:00")
    assert "it is the turn of the schedule nightly_symbols" in skipped(evenings, instance)
    monkeypatch.setenv("SIGMASIGHT_NOW", f"{following}T21:10:00-04:00")
    request = requested(evenings, instance)
    assert request.run_key == f"symbols:{DAY}:{following}:2"


def test_a_database_that_is_away_is_a_reason(instance: dg.DagsterInstance) -> None:
    away = Database("postgresql+psycopg2://someone:secret@127.0.0.1:9/nothing")
    message = skipped(away, instance)
    assert "127.0.0.1:9/nothing does not answer" in message
    assert "secret" not in message


def test_checks_are_reported_when_they_change_and_every_hour(evenings: Database, instance: dg.DagsterInstance) -> None:
    first = tick(evenings, instance)
    found = {event.asset_check_key.to_user_string(): event for event in first.asset_events}  # type: ignore[union-attr]
    assert list(found) == [
        "symbol_daily_metrics:sessions_current",
        "portfolio_snapshots:sessions_current",
        "symbol_daily_metrics:nothing_failed_now",
        "portfolio_snapshots:invariants_hold",
    ]
    current = found["symbol_daily_metrics:sessions_current"]
    assert (current.passed, current.severity) == (False, dg.AssetCheckSeverity.WARN)  # type: ignore[union-attr]
    assert current.description == f"1 session behind: {DAY} is not published"
    for event in first.asset_events:
        instance.report_runless_asset_event(event)

    assert tick(evenings, instance, cursor=first.cursor).asset_events == []
    run_step(evenings, "r1", DAY, error="no answer", ended_ago=10)
    failed = tick(evenings, instance, cursor=first.cursor)
    (event,) = failed.asset_events
    assert event.check_name == "nothing_failed_now"  # type: ignore[union-attr]
    assert event.severity == dg.AssetCheckSeverity.ERROR  # type: ignore[union-attr]
    publish(evenings, DAY)
    good = tick(evenings, instance, cursor=failed.cursor)
    assert {event.asset_check_key.to_user_string(): event.passed for event in good.asset_events} == {  # type: ignore[union-attr]
        "symbol_daily_metrics:sessions_current": True,
        "symbol_daily_metrics:nothing_failed_now": True,
    }


@pytest.mark.parametrize("cursor", [None, "", "{", "[]", '{"symbol_daily_metrics:nothing_failed_now": 7}'])
def test_a_lost_cursor_only_reports_once_more(cursor: str | None) -> None:
    now = datetime(2025, 7, 1, tzinfo=UTC)
    judgements = [judge_failures([])]
    text, due = to_report(cursor, judgements, now)
    assert due == judgements
    assert to_report(text, judgements, now + timedelta(minutes=59))[1] == []
    again, due = to_report(text, judgements, now + timedelta(minutes=60))
    assert due == judgements
    assert json.loads(again) != json.loads(text)


@pytest.mark.fault(17)
def test_late_data_gates_once_when_it_is_complete(deploy: Deploy, database: Database, awkward: ScriptedMarket) -> None:
    """At 21:00 half of the universe is missing; it comes later, an attempt publishes it, one portfolio run follows."""
    begun_with(database, awkward)
    late = {item.symbol for item in awkward.descriptions[10:40]}
    half = {key: bar for key, bar in awkward.bars.items() if key[1] < DAY or key[0] not in late}
    market = replace(awkward, bars=half)
    deployment = deploy(database, market=market)
    assert run_requested(deployment, database, "portfolio_gate", PORTFOLIO_LAYER)

    assert not deployment.run(SYMBOL_LAYER, DAY).success
    waiting = skipped(database, deployment.instance)
    assert waiting.startswith(f"{DAY} not published: symbol_daily_metrics, check coverage: ")
    assert "attempt 2 at" in waiting
    assert "check coverage" in skipped(database, deployment.instance, "portfolio_gate")

    half.update(awkward.bars)
    assert skipped(database, deployment.instance) == waiting
    execute(database, "UPDATE batch_runs SET finished_at = finished_at - interval '31 minutes'")
    assert run_requested(deployment, database, "late_sessions", SYMBOL_LAYER)
    assert skipped(database, deployment.instance) == f"symbol products are published up to {DAY}"
    assert run_requested(deployment, database, "portfolio_gate", PORTFOLIO_LAYER)
    assert skipped(database, deployment.instance, "portfolio_gate") == f"snapshots are current up to {DAY}"
    runs = rows_of(database, "SELECT kind FROM batch_runs WHERE last_session = :day ORDER BY started_at", day=DAY)
    assert [row["kind"] for row in runs].count("portfolio_products") == 1
    assert [row["kind"] for row in runs].count("symbol_products") == 2


def begun_with(database: Database, market: MarketSource) -> None:
    """Sessions before this evening's published, and a portfolio that holds a share."""
    with database.begin() as connection:
        import_listings(connection, market.listings())
    days = list(TARGETS[-4:-1])
    update_prices(database, market, exchange_calendar(), sessions=days, history_start=HISTORY_START, run_id="prices")
    publish_symbol_products(database, exchange_calendar(), sessions=days, min_coverage=0.98, run_id="first")
    with database.begin() as connection:
        lots = [NewLot(stocks(database, 1)[0], Decimal(10), Decimal(50), date(2025, 5, 1))]
        create_portfolio(connection, user="ann", name="main", equity=Decimal(10_000), as_of=days[0], lots=lots)


def run_requested(deployment: Deployment, database: Database, sensor: str, job: str) -> bool:
    """Run what a sensor requests, as one run."""
    return deployment.run(job, tags=requested(database, deployment.instance, sensor).tags).success


@pytest.mark.parametrize("error", [StorageError("a page is broken"), InternalError("SELECT", {}, Exception("broken"))])
def test_checks_that_cannot_be_judged_cost_no_attempt(
    evenings: Database, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def look(*_: object, **__: object) -> list[str]:
        raise error

    monkeypatch.setattr(standing_checks, "find_newly_broken", look)
    publish(evenings, TARGETS[0])
    result = tick(evenings, instance)
    assert [request.partition_key for request in result.run_requests or ()] == [str(DAY)]
    told = {event.asset_check_key.name: event for event in result.asset_events}  # type: ignore[union-attr]
    assert str(told["invariants_hold"].description).startswith("could not be looked for: ")
    assert not told["invariants_hold"].passed  # type: ignore[union-attr]
