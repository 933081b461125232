"""What every step does around its work: refuse, record, explain, and try again only what can get better."""

import time
from collections.abc import Sequence
from datetime import date

import dagster as dg
import pytest

from sigmasight_assets.errors import (
    MarketDataError,
    MarketSetupError,
    NotReadyError,
    PublicationError,
    StorageError,
    TransientStorageError,
)
from sigmasight_assets.market_data.protocol import BarRequest, FetchResult
from sigmasight_assets.orchestration import step_retries
from sigmasight_assets.orchestration.assets import market as market_assets
from sigmasight_assets.orchestration.steps import (
    failed_sessions_text,
    markdown_table,
    started_by,
)
from sigmasight_assets.storage import signs_of_life
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.operations import Verdict
from tests.orchestration.conftest import HISTORY_START, TARGETS
from tests.orchestration.contents import PRICE_TABLES, SYMBOL_TABLES, contents, rows_of
from tests.orchestration.deployments import Deploy, Deployment
from tests.orchestration.markets import ScriptedMarket, bar, stock

JOB = "symbol_layer"
MON, TUE = date(2025, 6, 2), date(2025, 6, 3)
PRICES = ("symbol_prices",)


@pytest.fixture
def small() -> ScriptedMarket:
    return ScriptedMarket({("AAA", TARGETS[-1]): bar(10.0)}, [stock("AAA")])


@pytest.fixture
def deployment(deploy: Deploy, priced: Database) -> Deployment:
    return deploy(priced)


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        (
            "2025-05-26",
            None,
            "2025-05-26 is not a session of the exchange (XNYS); the nearest are 2025-05-23 and 2025-05-27",
        ),
        (
            "2025-01-09",
            None,
            "2025-01-09 is not a session of the exchange (XNYS); the nearest are 2025-01-08 and 2025-01-10",
        ),
        ("2025-05-24", None, "2025-05-24 is not a session"),
        ("2025-05-23", "2025-05-26", "2025-05-26 is not a session"),
        ("2025-05-26", "2025-05-28", "2025-05-26 is not a session"),
        (
            "2025-06-05",
            None,
            "2025-06-05 is not complete: a session is offered from 21:00 New York of its day; the newest is 2025-06-04",
        ),
        ("2025-06-03", "2025-06-06", "2025-06-06 is not complete"),
        ("2030-01-09", None, "2030-01-09 is not complete"),
        ("2025-05-28", "2025-05-23", "The range is reversed: 2025-05-28 is after 2025-05-23"),
        ("2024-02-29", None, "2024-02-29 is before SIGMASIGHT_HISTORY_START 2024-03-01"),
        ("2024-02-28", "2024-03-04", "2024-02-28 is before SIGMASIGHT_HISTORY_START 2024-03-01"),
        (None, None, "Choose a partition: a session or a range of sessions"),
    ],
)
def test_partition_that_is_no_closed_session_is_refused(
    deployment: Deployment, priced: Database, first: str | None, last: str | None, message: str
) -> None:
    tables = {**PRICE_TABLES, **SYMBOL_TABLES}
    before = contents(priced, tables)
    for assets in (["symbol_prices"], ["market_beta"]):
        run = deployment.run(JOB, first, last, assets=assets)
        assert not run.success
        assert message in run.failure
        assert (run.retries, run.materialized) == (0, {})
    assert contents(priced, tables) == before
    assert rows_of(priced, "SELECT * FROM batch_runs") == []


def test_first_session_of_the_history_and_the_newest_complete_one_are_accepted(
    deploy: Deploy, priced: Database, awkward: ScriptedMarket
) -> None:
    deployment = deploy(priced, market=awkward)
    for day in (HISTORY_START, TARGETS[-1]):
        run = deployment.run(JOB, day, assets=PRICES)
        assert run.success
        assert run.materialized == {"symbol_prices": [str(day)]}


class Flaky(ScriptedMarket):
    """Raises each of its errors once, in order, then answers."""

    def __init__(self, market: ScriptedMarket, errors: Sequence[Exception]) -> None:
        super().__init__(market.bars, market.descriptions)
        self.errors = list(errors)

    def fetch_bars(self, requests: Sequence[BarRequest]) -> FetchResult:
        if self.errors:
            raise self.errors.pop(0)
        return super().fetch_bars(requests)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many attempts as ever, with hardly a pause between them."""
    for name in ("DATABASE_PAUSES", "MARKET_PAUSES"):
        pauses = getattr(step_retries, name)
        monkeypatch.setattr(step_retries, name, (0.01,) * len(pauses))


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("error", [MarketDataError("HTTP 503"), TransientStorageError("the database is away")])
def test_vendors_and_database_are_tried_again(
    deploy: Deploy, priced: Database, awkward: ScriptedMarket, error: Exception
) -> None:
    run = deploy(priced, market=Flaky(awkward, [error, error])).run(JOB, MON, assets=PRICES)
    assert run.success
    assert run.retries == 2
    (batch,) = rows_of(priced, "SELECT * FROM batch_runs")
    assert (batch["status"], batch["error"], batch["counts"]["attempts"]) == ("succeeded", None, 3)


@pytest.mark.usefixtures("impatient")
def test_each_attempt_tells_why_the_one_before_failed(
    deploy: Deploy, priced: Database, awkward: ScriptedMarket
) -> None:
    """The orchestrator's events name the cause, and each attempt finds the row of the step running."""
    errors = [TransientStorageError("deadlock detected"), MarketDataError("HTTP 503")]
    run = deploy(priced, market=Flaky(awkward, errors)).run(JOB, MON, assets=PRICES)
    assert run.success
    causes = [event.step_retry_data.error for event in run.events(dg.DagsterEventType.STEP_UP_FOR_RETRY)]
    assert [cause.cause.message.strip() for cause in causes if cause and cause.cause] == [
        "sigmasight_assets.errors.TransientStorageError: deadlock detected",
        "sigmasight_assets.errors.MarketDataError: HTTP 503",
    ]


@pytest.mark.usefixtures("impatient")
def test_vendor_that_stays_away_fails_the_run_after_two_more_attempts(
    deploy: Deploy, priced: Database, awkward: ScriptedMarket
) -> None:
    before = contents(priced, PRICE_TABLES)
    run = deploy(priced, market=Flaky(awkward, [MarketDataError("HTTP 503")] * 9)).run(JOB, MON, assets=PRICES)
    assert not run.success
    assert (run.retries, run.failure) == (2, "HTTP 503")
    (batch,) = rows_of(priced, "SELECT * FROM batch_runs")
    assert (batch["kind"], batch["status"], batch["error"]) == ("symbol_prices", "failed", "HTTP 503")
    assert batch["counts"] == {"vendor_calls": 1, "attempts": 3}
    assert batch["finished_at"] is not None
    assert contents(priced, PRICE_TABLES) == before


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (NotReadyError("the products of Monday are missing"), "the products of Monday are missing"),
        (PublicationError("coverage 0.4"), "coverage 0.4"),
        (StorageError("the disk is full"), "the disk is full"),
        (MarketSetupError("nothing is tracked"), "nothing is tracked"),
        (ValueError("shapes do not fit"), "ValueError: shapes do not fit"),
        (OverflowError("portfolio 3: too much money"), "OverflowError: portfolio 3: too much money"),
    ],
)
def test_nothing_else_is_tried_again(
    deploy: Deploy, priced: Database, awkward: ScriptedMarket, error: Exception, message: str
) -> None:
    run = deploy(priced, market=Flaky(awkward, [error])).run(JOB, MON, assets=PRICES)
    assert not run.success
    assert (run.retries, run.failure) == (0, message)
    (batch,) = rows_of(priced, "SELECT * FROM batch_runs")
    assert (batch["status"], batch["error"]) == ("failed", message)


class Watched(ScriptedMarket):
    """Keeps the state of the step's record at each of its calls, the first of which fails."""

    def __init__(self, market: ScriptedMarket, database: Database) -> None:
        super().__init__(market.bars, market.descriptions)
        self.database = database
        self.records: list[dict[str, object]] = []

    def fetch_bars(self, requests: Sequence[BarRequest]) -> FetchResult:
        self.records += rows_of(self.database, "SELECT status, error, finished_at, started_by FROM batch_runs")
        if len(self.records) == 1:
            raise MarketDataError("HTTP 503")
        return super().fetch_bars(requests)


def test_a_step_that_pauses_is_running_and_says_why(
    deploy: Deploy, priced: Database, awkward: ScriptedMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    during = []
    monkeypatch.setattr(
        time, "sleep", lambda seconds: during.append((seconds, *rows_of(priced, "SELECT * FROM batch_runs")))
    )
    market = Watched(awkward, priced)
    assert deploy(priced, market=market).run(JOB, MON, assets=PRICES).success
    ((pause, record),) = [item for item in during if len(item) == 2]
    assert pause == step_retries.MARKET_PAUSES[0]
    assert (record["status"], record["error"], record["finished_at"]) == ("running", "HTTP 503", None)
    fresh = {"status": "running", "error": None, "finished_at": None, "started_by": "manual"}
    assert market.records == [fresh, fresh]


@pytest.mark.parametrize(
    ("tags", "starter"),
    [
        ({}, "manual"),
        ({"dagster/partition": "2025-06-02", "dagster/backfill": "abc"}, "manual"),
        ({"dagster/schedule_name": "nightly_symbols"}, "nightly_symbols"),
        ({"dagster/sensor_name": "portfolio_gate", "dagster/retry_number": "1"}, "portfolio_gate"),
    ],
)
def test_who_started_a_run(tags: dict[str, str], starter: str) -> None:
    assert started_by(tags) == starter


def test_the_record_names_who_started_the_run(deploy: Deploy, priced: Database, awkward: ScriptedMarket) -> None:
    tags = {"dagster/schedule_name": "nightly_symbols"}
    assert deploy(priced, market=awkward).run(JOB, MON, assets=PRICES, tags=tags).success
    assert rows_of(priced, "SELECT started_by FROM batch_runs") == [{"started_by": "nightly_symbols"}]


class Slow(ScriptedMarket):
    """Answers once the step has given another sign of life."""

    def __init__(self, market: ScriptedMarket, database: Database) -> None:
        super().__init__(market.bars, market.descriptions)
        self.database = database

    def fetch_bars(self, requests: Sequence[BarRequest]) -> FetchResult:
        deadline = time.monotonic() + 30
        while not rows_of(self.database, "SELECT 1 AS seen FROM batch_runs WHERE seen_at > started_at"):
            assert time.monotonic() < deadline, "the step gives no sign of life"
            time.sleep(0.01)
        return super().fetch_bars(requests)


def test_a_running_step_gives_signs_of_life(
    deploy: Deploy, priced: Database, awkward: ScriptedMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signs_of_life, "INTERVAL_SECONDS", 0.05)
    assert deploy(priced, market=Slow(awkward, priced)).run(JOB, MON, assets=PRICES).success


@pytest.mark.usefixtures("impatient")
def test_database_that_is_away_is_named(deploy: Deploy, awkward: ScriptedMarket) -> None:
    nowhere = Database("postgresql+psycopg2://someone:secret@127.0.0.1:9/nothing")
    run = deploy(nowhere, market=awkward).run(JOB, MON, assets=PRICES)
    assert not run.success
    assert run.retries == len(step_retries.DATABASE_PAUSES)
    assert "127.0.0.1:9/nothing does not answer" in run.failure
    assert "check SIGMASIGHT_DATABASE_URL" in run.failure
    assert "secret" not in run.failure


def test_interrupted_step_is_recorded_as_failed(
    deploy: Deploy, priced: Database, awkward: ScriptedMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise dg.DagsterExecutionInterruptedError

    monkeypatch.setattr(market_assets, "update_prices", interrupted)
    run = deploy(priced, market=awkward).run(JOB, MON, assets=PRICES)
    assert (run.success, run.retries) == (False, 0)
    (batch,) = rows_of(priced, "SELECT * FROM batch_runs")
    assert (batch["status"], batch["error"]) == ("failed", "interrupted: DagsterExecutionInterruptedError")


def test_an_interruption_ends_the_pause_before_the_next_attempt(
    deploy: Deploy, priced: Database, awkward: ScriptedMarket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: float) -> None:
        raise dg.DagsterExecutionInterruptedError

    monkeypatch.setattr(time, "sleep", interrupted)
    run = deploy(priced, market=Flaky(awkward, [MarketDataError("HTTP 503")])).run(JOB, MON, assets=PRICES)
    assert (run.success, run.retries) == (False, 0)
    (batch,) = rows_of(priced, "SELECT * FROM batch_runs")
    assert (batch["status"], batch["error"]) == ("failed", "interrupted: DagsterExecutionInterruptedError")


def verdict(session: date, check: str = "coverage", *, passed: bool) -> Verdict:
    return Verdict(check, session, passed, f"{check} of {session:%d %B}")


def test_failed_sessions_text_is_a_line_per_verdict() -> None:
    verdicts = [verdict(MON, passed=False), verdict(TUE, "bars_valid", passed=False)]
    assert failed_sessions_text(verdicts) == (
        "2025-06-02 coverage: coverage of 02 June\n2025-06-03 bars_valid: bars_valid of 03 June"
    )


def test_markdown_table_is_cut_at_fifty_rows() -> None:
    assert markdown_table(("name", "count"), [("a", 1)]).value == "| name | count |\n| --- | --- |\n| a | 1 |"
    lines = str(markdown_table(("n",), [(number,) for number in range(53)]).value).splitlines()
    assert lines[-1] == "3 more"
    assert len([line for line in lines if line.startswith("| ")]) == 52


def test_markdown_table_keeps_its_shape_whatever_a_cell_holds() -> None:
    text = str(markdown_table(("symbol", "answer"), [("A|B", "line one\nline two")]).value)
    assert text.splitlines()[2:] == ["| A\\|B | line one line two |"]
