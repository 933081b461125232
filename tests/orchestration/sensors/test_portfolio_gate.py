"""The gate's sensor on a real database: what it requests, what it skips and why, and that its request runs."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest

from sigmasight_assets.operations.gate import plan
from sigmasight_assets.operations.gate_state import read_gate_state
from sigmasight_assets.orchestration import portfolio_help
from sigmasight_assets.orchestration.jobs import PORTFOLIO_LAYER, PORTFOLIO_SLICES
from sigmasight_assets.orchestration.launched_runs import RUN_KEY_TAG, read_same_inputs
from sigmasight_assets.orchestration.portfolio_help import WORKERS_TAG
from sigmasight_assets.orchestration.portfolio_publication import publish_portfolio_products
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.orchestration.sensors.portfolio_gate import portfolio_gate
from sigmasight_assets.runs import INPUT_HASH_TAG
from sigmasight_assets.sessions import NEW_YORK, exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.operations import Verdict, finish_batch, record_verdicts, start_batch
from sigmasight_assets.storage.portfolios import add_capital_flow
from tests.orchestration.books import DAYS
from tests.orchestration.contents import execute, rows_of
from tests.orchestration.deployments import RANGE_END, RANGE_START, Deploy

EVENING = datetime(2025, 6, 4, 22, 0, tzinfo=NEW_YORK)

pytestmark = pytest.mark.usefixtures("evening")


def tick(url: str, instance: dg.DagsterInstance | None = None) -> list[dg.RunRequest] | dg.SkipReason:
    """One tick; without an instance on one that has no history, and never with a cursor."""
    with dg.DagsterInstance.ephemeral() as fresh:
        resources = {"pipeline": Pipeline(database_url=url)}
        with dg.build_sensor_context(instance=instance or fresh, resources=resources) as context:
            answer = portfolio_gate(context)
            assert context.cursor is None
    assert isinstance(answer, list | dg.SkipReason)
    return answer


def skipped(url: str, instance: dg.DagsterInstance | None = None) -> str:
    answer = tick(url, instance)
    assert isinstance(answer, dg.SkipReason)
    assert answer.skip_message is not None
    return answer.skip_message


def requested(url: str, instance: dg.DagsterInstance | None = None) -> dg.RunRequest:
    answer = tick(url, instance)
    assert isinstance(answer, list)
    (request,) = answer
    return request


def launch(
    instance: dg.DagsterInstance, request: dg.RunRequest, status: dg.DagsterRunStatus = dg.DagsterRunStatus.STARTED
) -> dg.DagsterRun:
    """The run that the daemon makes of a request."""
    tags = {**request.tags, RUN_KEY_TAG: str(request.run_key)}
    return instance.add_run(dg.DagsterRun(PORTFOLIO_LAYER, status=status, tags=tags))


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An orchestrator that keeps its history and starts the runs of crashed workers again, as ours does."""
    with dg.instance_for_test(
        temp_dir=str(tmp_path), overrides={"run_retries": {"enabled": True, "max_retries": 2}}
    ) as kept:
        yield kept


def run_up_to(database: Database, last: date) -> None:
    sessions = [day for day in DAYS if day <= last]
    publish_portfolio_products(database, exchange_calendar(), sessions=sessions, run_id="earlier")


def full(*_: object, **__: object) -> None:
    raise OSError("No space left on device")


def test_empty_database_is_skipped_with_the_reason(database: Database) -> None:
    assert skipped(database.url) == "no portfolio needs a snapshot"


def test_range_is_requested_with_the_tags_of_one_run(books: Database) -> None:
    request = requested(books.url)
    input_hash = request.tags[INPUT_HASH_TAG]
    assert request.run_key == f"portfolio:{DAYS[0]}:{DAYS[-1]}:{input_hash}"
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == (str(DAYS[0]), str(DAYS[-1]))
    assert request.partition_key is None


def test_the_same_state_is_the_same_key_however_often_and_wherever(
    books: Database, instance: dg.DagsterInstance
) -> None:
    keys = {requested(books.url).run_key, requested(books.url).run_key, requested(books.url, instance).run_key}
    assert len(keys) == 1


def test_single_session_is_requested_as_its_partition(books: Database) -> None:
    run_up_to(books, DAYS[-2])
    request = requested(books.url)
    assert request.partition_key == str(DAYS[-1])
    assert set(request.tags) == {INPUT_HASH_TAG, "dagster/priority"}


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
    assert skipped(books.url) == (
        f"{DAYS[-2]} waits: symbol_daily_metrics, check factor_etfs_priced: no bar of QUAL; "
        f"{DAYS[-1]} waits: snapshots of {DAYS[-2]} come first"
    )


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
    deployment = deploy(books)
    with monkeypatch.context() as patch:
        patch.setattr("sigmasight_assets.orchestration.portfolio_slices.record_consumed", full)
        run = deployment.run(PORTFOLIO_LAYER, tags=request.tags)
    assert not run.success
    assert run.failure == "OSError: No space left on device"
    assert f"run {run.result.run_id} failed for these same inputs" in skipped(books.url)
    assert deployment.run(PORTFOLIO_LAYER, tags=request.tags).success
    assert skipped(books.url) == f"snapshots are current up to {DAYS[-1]}"


def test_it_ticks_faster_than_the_daemon_looks() -> None:
    assert portfolio_gate.minimum_interval_seconds == 4
    assert portfolio_gate.default_status == dg.DefaultSensorStatus.RUNNING
    assert {target.job_name for target in portfolio_gate.targets} == {PORTFOLIO_LAYER, PORTFOLIO_SLICES}


class TestEarlierRuns:
    """What the orchestrator and our records know of earlier runs; every case is in the table of ``gate_runs``."""

    @pytest.mark.parametrize("status", [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED])
    def test_a_run_under_way_is_named(
        self, books: Database, instance: dg.DagsterInstance, status: dg.DagsterRunStatus
    ) -> None:
        run = launch(instance, requested(books.url), status)
        assert skipped(books.url, instance) == f"{DAYS[0]} to {DAYS[-1]}: run {run.run_id} is under way"

    def test_so_is_one_of_earlier_inputs(self, books: Database, instance: dg.DagsterInstance) -> None:
        """Its sessions would otherwise be computed twice."""
        run = launch(instance, requested(books.url))
        with books.begin() as connection:
            number = rows_of(books, "SELECT min(portfolio_id) AS first FROM portfolios")[0]["first"]
            add_capital_flow(connection, number, flow_date=DAYS[2], amount=Decimal(1))
        assert skipped(books.url, instance) == f"{DAYS[0]} to {DAYS[-1]}: run {run.run_id} is under way"

    def test_a_canceled_run_is_started_anew_under_another_key(
        self, books: Database, instance: dg.DagsterInstance
    ) -> None:
        first = requested(books.url, instance)
        instance.report_run_canceled(launch(instance, first))
        second = requested(books.url, instance)
        assert second.run_key == f"{first.run_key}:1"
        instance.report_run_canceled(launch(instance, second))
        assert requested(books.url, instance).run_key == f"{first.run_key}:2"

    def test_a_run_that_was_created_and_not_launched_is_requested_under_its_own_key(
        self, books: Database, instance: dg.DagsterInstance
    ) -> None:
        request = requested(books.url, instance)
        launch(instance, request, dg.DagsterRunStatus.NOT_STARTED)
        assert requested(books.url, instance).run_key == request.run_key

    def test_a_run_that_died_before_its_first_step(self, books: Database, instance: dg.DagsterInstance) -> None:
        """The orchestrator repeats it by itself; when it has given up, the gate waits a little and starts it again."""
        request = requested(books.url, instance)
        run = launch(instance, request)
        instance.report_run_failed(run)
        assert f"run {run.run_id} died and is about to be started again" in skipped(books.url, instance)
        instance.add_run_tags(run.run_id, {"dagster/will_retry": "false"})
        assert f"run {run.run_id} died before its first step, it is started again at" in skipped(books.url, instance)

    def test_its_death_of_long_ago_does_not_keep_it_from_starting(
        self, books: Database, instance: dg.DagsterInstance
    ) -> None:
        request = requested(books.url, instance)
        instance.report_run_failed(launch(instance, request))
        later = "SELECT now() + interval '20 minutes'"
        with books.begin() as connection:
            now = connection.exec_driver_sql(later).scalar_one()
        state = replace(read_gate_state(books, now=EVENING), now=now)
        chosen = plan(state, read_same_inputs(instance, request.tags[INPUT_HASH_TAG])).range
        assert chosen is not None
        assert chosen.run_key == f"{request.run_key}:1"

    def test_a_failed_run_that_was_recorded_is_reported_after_a_restart_without_history(
        self, deploy: Deploy, books: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        request = requested(books.url)
        with monkeypatch.context() as patch:
            patch.setattr("sigmasight_assets.orchestration.portfolio_slices.record_consumed", full)
            run = deploy(books).run(PORTFOLIO_LAYER, tags=request.tags)
        assert f"run {run.result.run_id} failed for these same inputs" in skipped(books.url)

    def test_nothing_consumed_starts_again_after_a_restart_without_history(
        self, deploy: Deploy, books: Database
    ) -> None:
        assert deploy(books).run(PORTFOLIO_LAYER, tags=requested(books.url).tags).success
        assert skipped(books.url) == f"snapshots are current up to {DAYS[-1]}"

    def test_nothing_is_lost_by_a_restart_without_history(self, books: Database, instance: dg.DagsterInstance) -> None:
        request = requested(books.url, instance)
        launch(instance, request)
        skipped(books.url, instance)
        assert requested(books.url).run_key == request.run_key

    def test_a_run_at_work_is_known_without_history(self, books: Database) -> None:
        request = requested(books.url)
        with books.begin() as connection:
            start_batch(
                connection,
                run_id="r-18",
                kind="portfolio_products",
                sessions=DAYS,
                input_hash=request.tags[INPUT_HASH_TAG],
            )
        assert skipped(books.url) == f"{DAYS[0]} to {DAYS[-1]}: run r-18 is under way"
        execute(books, "UPDATE batch_runs SET seen_at = now() - interval '1 hour'")
        assert "run r-18 has given no sign of life since" in skipped(books.url)

    def test_a_run_lost_with_a_restored_database_is_made_up_for(
        self, books: Database, instance: dg.DagsterInstance
    ) -> None:
        """The orchestrator remembers its success, and its key; the snapshots are gone."""
        request = requested(books.url, instance)
        launch(instance, request, dg.DagsterRunStatus.SUCCESS)
        assert requested(books.url, instance).run_key == f"{request.run_key}:1"


def test_a_range_is_requested_with_a_helper_for_every_other_worker(
    books: Database, monkeypatch: pytest.MonkeyPatch, deploy: Deploy
) -> None:
    """They run as any job does; whichever comes first, the snapshots are those of one run."""
    monkeypatch.setenv("SIGMASIGHT_PORTFOLIO_WORKERS", "3")
    answer = tick(books.url)
    assert isinstance(answer, list)
    main, *helpers = answer
    assert (main.job_name, [each.job_name for each in helpers]) == (PORTFOLIO_LAYER, [PORTFOLIO_SLICES] * 2)
    assert main.tags[WORKERS_TAG] == "3"
    assert [each.run_key for each in helpers] == [f"{main.run_key}:helper:1", f"{main.run_key}:helper:2"]
    assert not any(INPUT_HASH_TAG in each.tags for each in helpers)
    deployment = deploy(books)
    job = deployment.definitions.get_job_def(PORTFOLIO_SLICES)
    # The run that it is to help ended a moment ago, as one that was quicker does.
    with books.begin() as connection:
        start_batch(
            connection,
            run_id="quick",
            kind="portfolio_products",
            sessions=DAYS,
            input_hash=main.tags[INPUT_HASH_TAG],
            started_by="portfolio_gate",
        )
        finish_batch(connection, run_id="quick", kind="portfolio_products", counts={}, error=None)
    result = job.execute_in_process(run_config=helpers[0].run_config, instance=deployment.instance)
    assert result.success
    (recorded,) = rows_of(books, "SELECT * FROM batch_runs WHERE kind = 'portfolio_slices'")
    assert (recorded["status"], recorded["counts"]) == ("succeeded", {"slices": 0})
    assert (recorded["first_session"], recorded["last_session"]) == (DAYS[0], DAYS[-1])


@pytest.mark.parametrize(("error", "over"), [(None, True), ("the disk is full", False)])
def test_a_helper_that_comes_too_late_holds_no_place(books: Database, error: str | None, over: bool) -> None:
    """What has succeeded is not started again for the same inputs; what has failed long ago may be."""
    with books.begin() as connection:
        start_batch(connection, run_id="done", kind="portfolio_products", sessions=DAYS, input_hash="abc")
        finish_batch(connection, run_id="done", kind="portfolio_products", counts={}, error=error)
    execute(books, "UPDATE batch_runs SET seen_at = now() - interval '1 hour'")
    assert portfolio_help._is_over(books, "abc")(0.0) is over
