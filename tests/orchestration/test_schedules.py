"""What the nightly schedule asks for, evening by evening."""

from datetime import date, datetime

import dagster as dg
import pytest

from sigmasight_assets.orchestration.jobs import SYMBOL_LAYER
from sigmasight_assets.orchestration.schedules import nightly_symbols
from sigmasight_assets.sessions import NEW_YORK, exchange_calendar


def evaluate(instant: str) -> dg.RunRequest | dg.SkipReason:
    local = datetime.fromisoformat(instant).replace(tzinfo=NEW_YORK)
    answer = nightly_symbols(dg.build_schedule_context(scheduled_execution_time=local))
    assert isinstance(answer, dg.RunRequest | dg.SkipReason)
    return answer


@pytest.mark.parametrize(
    "day",
    ["2025-06-11", "2024-07-03", "2024-02-29", "2024-03-11", "2024-11-04", "2025-01-10", "2024-12-31"],
    ids=["ordinary", "early close", "leap day", "clocks forward", "clocks back", "after mourning", "last of the year"],
)
def test_session_is_requested_once(day: str) -> None:
    request = evaluate(f"{day} 21:00")
    assert isinstance(request, dg.RunRequest)
    assert (request.run_key, request.partition_key) == (f"daily:{day}", day)


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
def test_other_evenings_are_skipped_with_the_reason(day: str, nearest: str) -> None:
    skipped = evaluate(f"{day} 21:00")
    assert isinstance(skipped, dg.SkipReason)
    assert skipped.skip_message == f"{day} is not a session of the exchange (XNYS); the nearest are {nearest}"


def test_the_day_is_that_of_new_york() -> None:
    """21:00 in New York is the next day in UTC."""
    midnight = datetime.fromisoformat("2025-06-12T01:00:00+00:00")
    request = nightly_symbols(dg.build_schedule_context(scheduled_execution_time=midnight))
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == "2025-06-11"


def test_it_ticks_when_a_session_completes() -> None:
    assert (nightly_symbols.cron_schedule, nightly_symbols.execution_timezone) == ("0 21 * * *", "America/New_York")
    assert nightly_symbols.job_name == SYMBOL_LAYER
    assert nightly_symbols.default_status == dg.DefaultScheduleStatus.RUNNING


def test_a_month_of_evenings_asks_for_every_session() -> None:
    calendar = exchange_calendar()
    sessions = [str(day) for day in calendar.between(date(2025, 1, 1), date(2025, 1, 31))]
    answers = [evaluate(f"2025-01-{day:02} 21:00") for day in range(1, 32)]
    assert [answer.partition_key for answer in answers if isinstance(answer, dg.RunRequest)] == sessions
