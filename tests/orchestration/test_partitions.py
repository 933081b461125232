"""Which partitions exist at which instant."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from sigmasight_assets.orchestration.partitions import session_partitions
from sigmasight_assets.sessions import NEW_YORK, SessionCalendar

START = date(2024, 1, 2)
PARTITIONS = session_partitions(START)


def newest(instant: datetime) -> date:
    return date.fromisoformat(PARTITIONS.get_partition_keys(current_time=instant)[-1])


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        # An ordinary session is offered from 21:00 of its day.
        ("2025-06-11 20:59:59", "2025-06-10"),
        ("2025-06-11 21:00:00", "2025-06-11"),
        ("2025-06-11 23:59:59", "2025-06-11"),
        ("2025-06-12 00:00:00", "2025-06-11"),
        ("2025-06-12 09:00:00", "2025-06-11"),
        # Friday's until Monday evening.
        ("2025-06-13 21:00:00", "2025-06-13"),
        ("2025-06-14 21:00:00", "2025-06-13"),
        ("2025-06-15 21:00:00", "2025-06-13"),
        ("2025-06-16 20:59:59", "2025-06-13"),
        ("2025-06-16 21:00:00", "2025-06-16"),
        # Holidays: Juneteenth, Good Friday, Independence Day, and the evening before the session after it.
        ("2025-06-19 20:59:59", "2025-06-18"),
        ("2025-06-19 21:00:00", "2025-06-18"),
        ("2025-06-20 20:59:59", "2025-06-18"),
        ("2025-04-18 21:30:00", "2025-04-17"),
        ("2025-07-04 21:30:00", "2025-07-03"),
        ("2025-07-07 21:00:00", "2025-07-07"),
        # Early closes are offered at 21:00 as well.
        ("2024-07-03 17:30:00", "2024-07-02"),
        ("2024-07-03 21:00:00", "2024-07-03"),
        ("2024-12-24 21:00:00", "2024-12-24"),
        ("2024-12-25 21:00:00", "2024-12-24"),
        # A day of mourning that no rule foresees.
        ("2025-01-09 21:00:00", "2025-01-08"),
        ("2025-01-10 20:59:59", "2025-01-08"),
        ("2025-01-10 21:00:00", "2025-01-10"),
        # Clocks go forward and back on a Sunday.
        ("2024-03-08 20:59:59", "2024-03-07"),
        ("2024-03-08 21:00:00", "2024-03-08"),
        ("2024-03-10 21:00:00", "2024-03-08"),
        ("2024-03-11 20:59:59", "2024-03-08"),
        ("2024-03-11 21:00:00", "2024-03-11"),
        ("2024-11-01 21:00:00", "2024-11-01"),
        ("2024-11-03 21:00:00", "2024-11-01"),
        ("2024-11-04 20:59:59", "2024-11-01"),
        ("2024-11-04 21:00:00", "2024-11-04"),
        # A leap day, and the turn of a year.
        ("2024-02-29 21:00:00", "2024-02-29"),
        ("2025-01-01 21:00:00", "2024-12-31"),
    ],
)
def test_newest_partition(calendar: SessionCalendar, instant: str, expected: str) -> None:
    local = datetime.fromisoformat(instant).replace(tzinfo=NEW_YORK)
    assert newest(local) == date.fromisoformat(expected)
    assert calendar.last_complete(local) == date.fromisoformat(expected)


def test_keys_are_the_sessions(calendar: SessionCalendar) -> None:
    instant = datetime(2026, 11, 20, 21, 0, tzinfo=NEW_YORK)
    keys = PARTITIONS.get_partition_keys(current_time=instant)
    assert keys == [str(day) for day in calendar.between(START, date(2026, 11, 20))]


def test_first_session_of_a_start_that_is_none(calendar: SessionCalendar) -> None:
    saturday = date(2025, 5, 24)
    partitions = session_partitions(saturday)
    instant = datetime(2025, 6, 2, 21, 0, tzinfo=NEW_YORK)
    expected = [str(day) for day in calendar.between(saturday, date(2025, 6, 2))]
    assert partitions.get_partition_keys(current_time=instant) == expected
    assert expected[0] == "2025-05-27"


def test_nothing_is_offered_before_the_first_evening() -> None:
    partitions = session_partitions(date(2025, 6, 2))
    before = datetime(2025, 6, 2, 20, 59, 59, tzinfo=NEW_YORK)
    assert partitions.get_partition_keys(current_time=before) == []
    assert partitions.get_partition_keys(current_time=before + timedelta(seconds=1)) == ["2025-06-02"]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles"])
@pytest.mark.fault(18)
def test_the_zone_of_the_instant_does_not_matter(zone: str) -> None:
    complete = datetime(2025, 6, 11, 21, 0, tzinfo=NEW_YORK).astimezone(ZoneInfo(zone))
    assert newest(complete) == date(2025, 6, 11)
    assert newest(complete - timedelta(seconds=1)) == date(2025, 6, 10)


def test_the_same_start_gives_an_equal_definition() -> None:
    assert session_partitions(START) == PARTITIONS
    assert session_partitions(date(2024, 1, 3)) != PARTITIONS
