"""The gate's sensor on a real database: what it requests, what it skips and why, and that its request runs."""

from datetime import date
from decimal import Decimal

import dagster as dg
import pytest

from sigmasight_assets.orchestration.jobs import PORTFOLIO_LAYER
from sigmasight_assets.orchestration.portfolio_publication import publish_portfolio_products
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.orchestration.sensors.portfolio_gate import portfolio_gate
from sigmasight_assets.orchestration.steps import INPUT_HASH_TAG
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.operations import Verdict, finish_batch, record_verdicts, start_batch
from sigmasight_assets.storage.portfolios import add_capital_flow
from tests.orchestration.books import DAYS
from tests.orchestration.contents import execute, rows_of
from tests.orchestration.deployments import RANGE_END, RANGE_START, Deploy

pytestmark = pytest.mark.usefixtures("evening")


def tick(url: str, instance: dg.DagsterInstance | None = None) -> dg.RunRequest | dg.SkipReason:
    with dg.DagsterInstance.ephemeral() as fresh:
        resources = {"pipeline": Pipeline(database_url=url)}
        answer = portfolio_gate(dg.build_sensor_context(instance=instance or fresh, resources=resources))
    assert isinstance(answer, dg.RunRequest | dg.SkipReason)
    return answer


def skipped(url: str) -> str:
    answer = tick(url)
    assert isinstance(answer, dg.SkipReason)
    assert answer.skip_message is not None
    return answer.skip_message


def requested(url: str) -> dg.RunRequest:
    answer = tick(url)
    assert isinstance(answer, dg.RunRequest)
    return answer


def run_up_to(database: Database, last: date) -> None:
    sessions = [day for day in DAYS if day <= last]
    publish_portfolio_products(database, exchange_calendar(), sessions=sessions, run_id="earlier")


def test_empty_database_is_skipped_with_the_reason(database: Database) -> None:
    assert skipped(database.url) == "no portfolio needs a snapshot"


def test_range_is_requested_with_the_tags_of_one_run(books: Database) -> None:
    request = requested(books.url)
    input_hash = request.tags[INPUT_HASH_TAG]
    assert request.run_key == f"portfolio:{DAYS[0]}:{DAYS[-1]}:{input_hash}"
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == (str(DAYS[0]), str(DAYS[-1]))
    assert request.partition_key is None
    assert requested(books.url).run_key == request.run_key


def test_single_session_is_requested_as_its_partition(books: Database) -> None:
    run_up_to(books, DAYS[-2])
    request = requested(books.url)
    assert request.partition_key == str(DAYS[-1])
    assert set(request.tags) == {INPUT_HASH_TAG}


def test_before_nine_in_the_evening_the_day_does_not_count(books: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    run_up_to(books, DAYS[-2])
    monkeypatch.setenv("SIGMASIGHT_NOW", f"{DAYS[-1]}T20:59:59-04:00")
    assert skipped(books.url) == f"snapshots are current up to {DAYS[-2]}"


def test_everything_current_is_skipped(books: Database) -> None:
    run_up_to(books, DAYS[-1])
    assert skipped(books.url) == f"snapshots are current up to {DAYS[-1]}"


def test_missing_symbol_publication_is_named_with_its_failed_check(books: Database) -> None:
    run_up_to(books, DAYS[-3])
    execute(books, "DELETE FROM publications WHERE layer = 'symbol' AND session = :day", day=DAYS[-2])
    with books.begin() as connection:
        verdict = Verdict("factor_etfs_priced", DAYS[-2], passed=False, detail="no bar of QUAL")
        record_verdicts(connection, [verdict], layer="symbol", run_id="night")
    assert skipped(books.url).startswith(f"{DAYS[-2]} waits: ")
    assert skipped(books.url).endswith("factor_etfs_priced: no bar of QUAL")


def test_what_is_ready_before_a_hole_runs(books: Database) -> None:
    execute(books, "DELETE FROM publications WHERE layer = 'symbol' AND session = :day", day=DAYS[4])
    request = requested(books.url)
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == (str(DAYS[0]), str(DAYS[3]))


def test_failed_run_is_reported_and_not_requested_again(books: Database) -> None:
    request = requested(books.url)
    with books.begin() as connection:
        start_batch(
            connection,
            run_id="r-17",
            kind="portfolio_products",
            sessions=DAYS,
            input_hash=request.tags[INPUT_HASH_TAG],
        )
        finish_batch(connection, run_id="r-17", kind="portfolio_products", counts={}, error="the disk is full")
    assert "run r-17 failed for these same inputs" in skipped(books.url)
    with books.begin() as connection:
        number = rows_of(books, "SELECT min(portfolio_id) AS first FROM portfolios")[0]["first"]
        add_capital_flow(connection, number, flow_date=DAYS[2], amount=Decimal(1))
    assert requested(books.url).run_key != request.run_key


def test_database_that_is_away_is_a_reason() -> None:
    message = skipped("postgresql+psycopg2://someone:secret@127.0.0.1:9/nothing")
    assert "127.0.0.1:9/nothing does not answer" in message
    assert "secret" not in message


def test_database_without_schema_is_a_reason(database_url: str) -> None:
    assert "Run `sigmasight db migrate`" in skipped(database_url)


def test_requested_range_runs_and_leaves_nothing_to_request(deploy: Deploy, books: Database) -> None:
    request = requested(books.url)
    run = deploy(books).run(PORTFOLIO_LAYER, tags=request.tags)
    assert run.success
    assert run.materialized["portfolio_snapshots"] == [str(day) for day in DAYS]
    (batch,) = rows_of(books, "SELECT * FROM batch_runs")
    assert batch["input_hash"] == request.tags[INPUT_HASH_TAG]
    assert skipped(books.url) == f"snapshots are current up to {DAYS[-1]}"


def test_failure_of_a_requested_run_is_the_next_reason(
    deploy: Deploy, books: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the request through a real failing run to the skip, and on once the run is executed again."""
    request = requested(books.url)

    def full(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    deployment = deploy(books)
    with monkeypatch.context() as patch:
        patch.setattr("sigmasight_assets.orchestration.portfolio_publication.record_consumed", full)
        run = deployment.run(PORTFOLIO_LAYER, tags=request.tags)
    assert not run.success
    assert run.failure == "OSError: No space left on device"
    assert f"run {run.result.run_id} failed for these same inputs" in skipped(books.url)
    assert deployment.run(PORTFOLIO_LAYER, tags=request.tags).success
    assert skipped(books.url) == f"snapshots are current up to {DAYS[-1]}"


def test_it_ticks_faster_than_the_daemon_looks() -> None:
    assert portfolio_gate.minimum_interval_seconds == 4
    assert portfolio_gate.default_status == dg.DefaultSensorStatus.RUNNING
    assert portfolio_gate.job_name == PORTFOLIO_LAYER


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (dg.DagsterRunStatus.STARTING, "is under way"),
        (dg.DagsterRunStatus.STARTED, "is under way"),
        (dg.DagsterRunStatus.FAILURE, "failed for these same inputs; mend the cause, then re-execute that run"),
    ],
)
def test_an_earlier_run_of_the_same_inputs_is_named(books: Database, status: dg.DagsterRunStatus, words: str) -> None:
    request = requested(books.url)
    with dg.DagsterInstance.ephemeral() as instance:
        run_id = instance.add_run(dg.DagsterRun(PORTFOLIO_LAYER, status=status, tags=dict(request.tags))).run_id
        answer = tick(books.url, instance)
    assert isinstance(answer, dg.SkipReason)
    assert answer.skip_message == f"{DAYS[0]} to {DAYS[-1]}: run {run_id} {words}"


def test_a_canceled_run_is_started_anew(books: Database) -> None:
    request = requested(books.url)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_run(dg.DagsterRun(PORTFOLIO_LAYER, status=dg.DagsterRunStatus.CANCELED, tags=dict(request.tags)))
        answer = tick(books.url, instance)
    assert isinstance(answer, dg.RunRequest)
    assert answer.run_key == f"{request.run_key}:1"
