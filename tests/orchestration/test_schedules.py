"""What the nightly schedule asks for, evening by evening."""

import os
from datetime import date, datetime

import dagster as dg
import pytest

from sigmasight_assets.definitions import build_definitions
from sigmasight_assets.orchestration.jobs import SYMBOL_LAYER
from sigmasight_assets.orchestration.lanes import LANE_TAG
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.orchestration.run_requests import NIGHTLY_SYMBOLS
from sigmasight_assets.orchestration.schedules import nightly_symbols
from sigmasight_assets.sessions import NEW_YORK, exchange_calendar
from sigmasight_assets.storage.database import Database
from tests.operations.ledger_rows import decide, publish
from tests.orchestration.deployments import RANGE_END, RANGE_START

MON, TUE, WED, THU, FRI = (date(2025, 7, day) for day in range(21, 26))


@pytest.fixture(autouse=True)
def real_clock(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """No settings but the defaults; ticks come with their own time."""
    for name in [name for name in os.environ if name.startswith("SIGMASIGHT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(str(tmp_path))


def evaluate(url: str, instant: str) -> list[dg.RunRequest] | dg.SkipReason:
    local = datetime.fromisoformat(instant)
    return tick(url, local if local.tzinfo else local.replace(tzinfo=NEW_YORK))


def tick(url: str, instant: datetime) -> list[dg.RunRequest] | dg.SkipReason:
    resources = {"pipeline": Pipeline(database_url=url)}
    with dg.build_schedule_context(resources=resources, scheduled_execution_time=instant) as context:
        answer = nightly_symbols(context)
    assert isinstance(answer, list | dg.SkipReason)
    return answer


def requested(url: str, instant: str) -> dg.RunRequest:
    answer = evaluate(url, instant)
    assert isinstance(answer, list)
    (request,) = answer
    return request


def skipped(url: str, instant: str) -> str:
    answer = evaluate(url, instant)
    assert isinstance(answer, dg.SkipReason)
    assert answer.skip_message is not None
    return answer.skip_message


@pytest.mark.parametrize(
    "day",
    ["2025-06-11", "2024-07-03", "2024-02-29", "2024-03-11", "2024-11-04", "2025-01-10", "2024-12-31"],
    ids=["ordinary", "early close", "leap day", "clocks forward", "clocks back", "after mourning", "last of the year"],
)
@pytest.mark.fault(18)
def test_session_is_requested_once(database: Database, day: str) -> None:
    request = requested(database.url, f"{day} 21:00")
    assert (request.run_key, request.partition_key) == (f"daily:{day}", day)
    assert request.tags == NIGHTLY_SYMBOLS
    assert (request.tags["dagster/priority"], request.tags[LANE_TAG]) == ("10", "nightly")


@pytest.mark.parametrize(
    ("day", "nearest"),
    [
        ("2025-06-14", "2025-06-13 and 2025-06-16"),
        ("2025-06-19", "2025-06-18 and 2025-06-20"),
        ("2025-01-09", "2025-01-08 and 2025-01-10"),
        ("2025-12-25", "2025-12-24 and 2025-12-26"),
    ],
    ids=["Saturday", "holiday", "day of mourning", "Christmas"],
)
@pytest.mark.fault(18)
def test_other_evenings_are_skipped_with_the_reason(database: Database, day: str, nearest: str) -> None:
    expected = f"{day} is not a session of the exchange (XNYS); the nearest are {nearest}"
    assert skipped(database.url, f"{day} 21:00") == expected


def test_the_day_is_that_of_new_york(database: Database) -> None:
    """21:00 in New York is the next day in UTC."""
    assert requested(database.url, "2025-06-12T01:00:00+00:00").partition_key == "2025-06-11"


def test_it_ticks_when_a_session_completes() -> None:
    assert (nightly_symbols.cron_schedule, nightly_symbols.execution_timezone) == ("0 21 * * *", "America/New_York")
    assert nightly_symbols.job_name == SYMBOL_LAYER
    assert nightly_symbols.default_status == dg.DefaultScheduleStatus.RUNNING


def test_a_month_of_evenings_asks_for_every_session(database: Database) -> None:
    calendar = exchange_calendar()
    sessions = [str(day) for day in calendar.between(date(2025, 1, 1), date(2025, 1, 31))]
    answers = [evaluate(database.url, f"2025-01-{day:02} 21:00") for day in range(1, 32)]
    assert [item.partition_key for answer in answers if isinstance(answer, list) for item in answer] == sessions


def test_missed_sessions_come_along_in_one_range(database: Database) -> None:
    publish(database, MON)
    publish(database, WED)
    request = requested(database.url, f"{FRI} 21:00")
    assert (request.run_key, request.partition_key) == (f"daily:{FRI}", None)
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == (str(TUE), str(FRI))
    assert request.tags["dagster/priority"] == "10"


def test_a_late_tick_asks_for_its_own_evening(database: Database) -> None:
    """After the daemon was away: what came after that evening is not its business."""
    publish(database, MON)
    request = requested(database.url, f"{WED} 21:00")
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == (str(TUE), str(WED))


def test_a_session_published_by_hand_is_requested_all_the_same(database: Database) -> None:
    publish(database, THU, FRI)
    request = requested(database.url, f"{FRI} 21:00")
    assert (request.run_key, request.partition_key) == (f"daily:{FRI}", str(FRI))


def test_closed_dates_are_skipped_and_spanned(database: Database) -> None:
    publish(database, MON)
    decide(database, WED, "closed")
    told = skipped(database.url, f"{WED} 21:00")
    assert told.startswith("2025-07-23 is no session: closed by ann on ")
    assert told.endswith("(the vendor has a hole)")
    request = requested(database.url, f"{THU} 21:00")
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == (str(TUE), str(THU))


def test_a_waived_session_splits_what_was_missed(database: Database) -> None:
    publish(database, MON)
    decide(database, WED, "waived")
    answer = evaluate(database.url, f"{FRI} 21:00")
    assert isinstance(answer, list)
    earlier, evening = answer
    assert (earlier.run_key, earlier.partition_key) == (f"daily:{FRI}:{TUE}", str(TUE))
    assert (evening.run_key, evening.partition_key) == (f"daily:{FRI}", None)
    assert (evening.tags[RANGE_START], evening.tags[RANGE_END]) == (str(THU), str(FRI))


def test_a_waived_evening_is_not_requested(database: Database) -> None:
    publish(database, MON)
    decide(database, TUE, "waived")
    assert skipped(database.url, f"{TUE} 21:00") == "2025-07-22 is waived: the vendor has a hole"


@pytest.mark.parametrize("held", ["2025-07-24T22:00:00-04:00", "2025-07-25T20:59:59-04:00"])
def test_a_clock_held_in_the_past_is_a_reason(database: Database, monkeypatch: pytest.MonkeyPatch, held: str) -> None:
    monkeypatch.setenv("SIGMASIGHT_NOW", held)
    assert skipped(database.url, f"{FRI} 21:00") == (
        "2025-07-25 is not complete: a session is offered from 21:00 New York of its day; the newest is 2025-07-24"
    )
    assert requested(database.url, f"{THU} 21:00").partition_key == str(THU)


def test_a_database_that_is_away_is_a_reason() -> None:
    message = skipped("postgresql+psycopg2://someone:secret@127.0.0.1:9/nothing", f"{FRI} 21:00")
    assert "127.0.0.1:9/nothing does not answer" in message
    assert "secret" not in message


def test_the_orchestrator_accepts_what_it_asks_for(database: Database) -> None:
    """A tick as the daemon evaluates it, with partitions checked and tags added."""
    publish(database, WED)
    definitions = build_definitions(resource_overrides={"pipeline": Pipeline(database_url=database.url)})
    schedule = definitions.resolve_schedule_def("nightly_symbols")
    repository = definitions.get_repository_def()
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_schedule_context(
            instance=instance,
            repository_def=repository,
            resources={"pipeline": Pipeline(database_url=database.url)},
            scheduled_execution_time=datetime(2025, 7, 24, 21, tzinfo=NEW_YORK),
        ) as context,
    ):
        (request,) = schedule.evaluate_tick(context).run_requests or []
    assert request.run_key == f"daily:{THU}"
    assert (request.partition_key, request.tags["dagster/partition"]) == (str(THU), str(THU))
    assert request.tags["dagster/schedule_name"] == "nightly_symbols"
