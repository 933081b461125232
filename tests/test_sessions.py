"""Tests of the exchange calendar against another package, plain Python look-ups and dates from the newspapers."""

import time
import warnings
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import numpy as np
import pandas_market_calendars
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmasight_assets.errors import SessionError
from sigmasight_assets.sessions import NEW_YORK, SessionCalendar, exchange_calendar

CALENDAR = exchange_calendar()
EVERY_SESSION: list[date] = CALENDAR.sessions.tolist()
DATES = st.dates(date(2000, 1, 10), date(2035, 12, 20))


def new_york(day: date, hour: int, minute: int = 0, *, fold: int = 0) -> datetime:
    """An instant given by New York's wall clock, in UTC."""
    return datetime(day.year, day.month, day.day, hour, minute, fold=fold, tzinfo=NEW_YORK).astimezone(UTC)


@lru_cache(maxsize=1)
def closing_times() -> dict[date, datetime]:
    """When each session from 2000 to 2030 ended, by the other package."""
    calendar = pandas_market_calendars.get_calendar("NYSE")
    with warnings.catch_warnings():
        # Of pandas 3.1, about what the package calls.
        warnings.simplefilter("ignore", DeprecationWarning)
        closes = calendar.schedule("2000-01-01", "2030-12-31")["market_close"]
    return {day.date(): close.to_pydatetime() for day, close in closes.items()}


class TestSessions:
    def test_two_packages_agree_from_2000_to_2030(self) -> None:
        other = pandas_market_calendars.get_calendar("NYSE").valid_days("2000-01-01", "2030-12-31")
        ours = CALENDAR.between(date(2000, 1, 1), date(2030, 12, 31))
        assert ours == [stamp.date() for stamp in other]
        assert len(ours) > 7_700

    @pytest.mark.parametrize(
        "day",
        [
            date(2001, 9, 11),  # attacks: closed until the 17th
            date(2001, 9, 14),
            date(2004, 6, 11),  # mourning of President Reagan
            date(2012, 10, 29),  # hurricane Sandy
            date(2018, 12, 5),  # mourning of President Bush
            date(2025, 1, 9),  # mourning of President Carter
            date(2022, 6, 20),  # Juneteenth, first kept in 2022, on a Monday for the Sunday
            date(2024, 6, 19),
            date(2024, 11, 28),  # Thanksgiving
            date(2021, 12, 24),  # Christmas on a Saturday is kept on the Friday
            date(2023, 1, 2),
            date(2025, 4, 18),  # Good Friday
            date(2025, 7, 26),  # a Saturday
        ],
    )
    def test_closed_days_are_none(self, day: date) -> None:
        assert not CALENDAR.is_session(day)

    @pytest.mark.parametrize(
        "day",
        [
            date(2021, 6, 18),  # before Juneteenth was kept
            date(2021, 12, 31),  # New Year's Day on a Saturday is not kept on the Friday
            date(2024, 11, 29),  # half day after Thanksgiving
            date(2024, 7, 3),  # half day before Independence Day
            date(2024, 12, 24),  # half day
            date(2025, 1, 8),
            date(2025, 1, 10),
        ],
    )
    def test_open_days_are_some(self, day: date) -> None:
        assert CALENDAR.is_session(day)

    @pytest.mark.parametrize("year", range(2000, 2031))
    def test_juneteenth_is_kept_from_2022_on(self, year: int) -> None:
        day = date(year, 6, 19)
        observed = day + timedelta({5: -1, 6: 1}.get(day.weekday(), 0))
        assert CALENDAR.is_session(observed) is (year < 2022)

    @pytest.mark.parametrize("year", range(2000, 2031))
    def test_the_friday_after_thanksgiving_is_a_session_of_half_a_day(self, year: int) -> None:
        first = date(year, 11, 1)
        thanksgiving = first + timedelta((3 - first.weekday()) % 7 + 21)
        friday = thanksgiving + timedelta(1)
        assert not CALENDAR.is_session(thanksgiving)
        assert CALENDAR.is_session(friday)
        assert closing_times()[friday] == new_york(friday, 13)

    def test_they_are_ascending_and_each_once(self) -> None:
        assert sorted(set(EVERY_SESSION)) == EVERY_SESSION
        assert (EVERY_SESSION[0], EVERY_SESSION[-1]) == (date(2000, 1, 3), date(2035, 12, 31))


class TestLookUps:
    @given(DATES)
    def test_of_one_date(self, day: date) -> None:
        place = bisect_left(EVERY_SESSION, day)
        is_one = EVERY_SESSION[place] == day
        assert CALENDAR.is_session(day) is is_one
        assert CALENDAR.on_or_before(day) == EVERY_SESSION[bisect_right(EVERY_SESSION, day) - 1]
        if is_one:
            assert CALENDAR.index(day) == place

    @given(DATES, DATES)
    def test_of_a_range(self, first: date, last: date) -> None:
        assert CALENDAR.between(first, last) == [
            day for day in EVERY_SESSION[bisect_left(EVERY_SESSION, first) :] if day <= last
        ]

    @given(st.sampled_from(EVERY_SESSION), st.integers(-9_100, 9_100))
    def test_offsets_count_sessions(self, day: date, count: int) -> None:
        place = EVERY_SESSION.index(day) + count
        if 0 <= place < len(EVERY_SESSION):
            assert CALENDAR.offset(day, count) == EVERY_SESSION[place]
        else:
            with pytest.raises(SessionError, match=rf"^{count} sessions from {day} is outside the calendar \(2000 to "):
                CALENDAR.offset(day, count)

    @given(DATES, st.integers(0, 40))
    def test_weekday_closures(self, first: date, length: int) -> None:
        days = [first + timedelta(number) for number in range(length + 1)]
        expected = [day for day in days if day.weekday() < 5 and not CALENDAR.is_session(day)]
        assert CALENDAR.weekday_closures(days[0], days[-1]) == expected

    def test_a_reversed_range_is_empty(self) -> None:
        assert CALENDAR.between(date(2025, 7, 31), date(2025, 7, 1)) == []

    @pytest.mark.parametrize(
        ("day", "nearest"),
        [
            (date(2025, 1, 9), "2025-01-08 and 2025-01-10"),
            (date(2025, 7, 4), "2025-07-03 and 2025-07-07"),
            (date(2001, 9, 12), "2001-09-10 and 2001-09-17"),
        ],
    )
    def test_a_closed_day_is_refused_with_the_nearest_sessions(self, day: date, nearest: str) -> None:
        for refuse in (CALENDAR.index, lambda day: CALENDAR.offset(day, 1)):
            with pytest.raises(SessionError) as caught:
                refuse(day)
            message = f"{day} is not a session of the exchange (XNYS); the nearest are {nearest}"
            assert str(caught.value) == message

    @pytest.mark.parametrize("day", [date.min, date(1999, 12, 31), date(2036, 1, 2), date.max])
    def test_dates_outside_the_calendar_are_refused(self, day: date) -> None:
        assert not CALENDAR.is_session(day)
        with pytest.raises(SessionError, match=rf"^{day} is outside the calendar \(2000 to 2035\)"):
            CALENDAR.index(day)
        with pytest.raises(SessionError, match=rf"^{day} is outside the calendar \(2000 to 2035\)"):
            CALENDAR.on_or_before(day)

    def test_a_calendar_takes_dates_of_any_resolution(self) -> None:
        days = np.array(["2025-01-08", "2025-01-10"], dtype="datetime64[ns]")
        assert SessionCalendar(days).between(date(2025, 1, 1), date(2025, 1, 9)) == [date(2025, 1, 8)]


@pytest.fixture(params=["UTC", "America/New_York", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def host_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The machine's own time zone."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


class TestClosures:
    """2025-07-03 is a Thursday before a holiday, 2025-07-08 a Tuesday."""

    CLOSED = CALENDAR.without({date(2025, 7, 3): "closed by ann", date(2025, 7, 8): "closed by pat"})

    def test_they_are_no_sessions_and_say_why(self) -> None:
        assert self.CLOSED.between(date(2025, 7, 2), date(2025, 7, 9)) == [
            date(2025, 7, 2),
            date(2025, 7, 7),
            date(2025, 7, 9),
        ]
        assert self.CLOSED.offset(date(2025, 7, 2), 2) == date(2025, 7, 9)
        with pytest.raises(SessionError, match=r"^2025-07-08 is no session: closed by pat$"):
            self.CLOSED.index(date(2025, 7, 8))
        assert CALENDAR.is_session(date(2025, 7, 8))

    def test_without_any_it_is_the_same(self) -> None:
        assert CALENDAR.without({}) is CALENDAR

    @pytest.mark.parametrize(
        ("first", "last", "days"),
        [(2, 9, [2, 7, 9]), (3, 8, [7]), (3, 9, [7, 9]), (2, 8, [2, 7]), (7, 7, [7])],
    )
    def test_a_range_may_end_at_them(self, first: int, last: int, days: list[int]) -> None:
        found = self.CLOSED.complete_between(date(2025, 7, first), date(2025, 7, last), new_york(date(2025, 7, 9), 21))
        assert found == [date(2025, 7, day) for day in days]

    @pytest.mark.parametrize(
        ("first", "last", "message"),
        [
            (8, 8, "2025-07-08 is no session: closed by pat"),
            (4, 7, "2025-07-04 is not a session"),
            (2, 4, "2025-07-04 is not a session"),
            (9, 7, "The range is reversed: 2025-07-09 is after 2025-07-07"),
            (7, 10, "2025-07-10 is not complete"),
        ],
    )
    def test_other_ranges_are_refused(self, first: int, last: int, message: str) -> None:
        with pytest.raises(SessionError, match=message):
            self.CLOSED.complete_between(date(2025, 7, first), date(2025, 7, last), new_york(date(2025, 7, 9), 21))


class TestCompletion:
    @pytest.mark.usefixtures("host_zone")
    @pytest.mark.parametrize(
        "day",
        [
            date(2025, 1, 8),  # before an unscheduled closure
            date(2024, 3, 8),  # before clocks go forward
            date(2024, 3, 11),  # after they went
            date(2024, 11, 1),  # before clocks go back
            date(2024, 11, 4),  # after they went
            date(2024, 11, 29),  # half day: closed at 13:00, complete at 21:00 all the same
            date(2024, 12, 31),
        ],
    )
    def test_a_session_is_complete_from_21_00_of_new_york(self, day: date) -> None:
        before, after = CALENDAR.offset(day, -1), CALENDAR.offset(day, 1)
        boundary = new_york(day, 21)
        assert CALENDAR.last_complete(boundary - timedelta(microseconds=1)) == before
        assert CALENDAR.last_complete(boundary) == day
        assert CALENDAR.last_complete(new_york(after, 20, 59)) == day
        assert CALENDAR.last_complete(new_york(after, 21)) == after

    def test_every_session_closed_hours_before_it_is_complete(self) -> None:
        closed = closing_times()
        assert len(closed) > 7_700
        for day, close in list(closed.items())[1:]:
            boundary = new_york(day, 21)
            # Clocks change on Sundays, so no session's evening is longer or shorter for it.
            assert timedelta(hours=5) <= boundary - close <= timedelta(hours=8), day
            assert CALENDAR.last_complete(boundary) == day
            assert CALENDAR.last_complete(close) < day

    @given(st.sampled_from(EVERY_SESSION[10:-10]), st.integers(-1_000_000, 1_000_000))
    def test_at_any_instant_it_is_the_newest_past_its_boundary(self, day: date, seconds: int) -> None:
        now = new_york(day, 21) + timedelta(seconds=seconds)
        newest = CALENDAR.last_complete(now)
        assert new_york(newest, 21) <= now < new_york(CALENDAR.offset(newest, 1), 21)

    @pytest.mark.parametrize(
        ("now", "expected"),
        [
            # The hour that clocks repeat, both times round.
            (new_york(date(2024, 11, 3), 1, 30), date(2024, 11, 1)),
            (new_york(date(2024, 11, 3), 1, 30, fold=1), date(2024, 11, 1)),
            # 21:00 in New York is 02:00 of the next day in UTC in winter, 01:00 in summer.
            (datetime(2025, 1, 11, 1, 59, tzinfo=UTC), date(2025, 1, 8)),
            (datetime(2025, 1, 11, 2, 0, tzinfo=UTC), date(2025, 1, 10)),
            (datetime(2025, 8, 1, 0, 59, tzinfo=UTC), date(2025, 7, 30)),
            (datetime(2025, 8, 1, 1, 0, tzinfo=UTC), date(2025, 7, 31)),
            # Closed days keep the session before them, at any hour.
            (new_york(date(2025, 1, 9), 23), date(2025, 1, 8)),
            (new_york(date(2025, 7, 6), 23), date(2025, 7, 3)),
        ],
    )
    def test_awkward_instants(self, now: datetime, expected: date) -> None:
        assert CALENDAR.last_complete(now) == expected

    def test_a_complete_session_is_handed_back(self) -> None:
        day = date(2025, 7, 31)
        assert CALENDAR.require_complete(day, new_york(day, 21)) == day

    def test_an_incomplete_one_is_refused_with_the_newest(self) -> None:
        with pytest.raises(SessionError) as caught:
            CALENDAR.require_complete(date(2025, 7, 31), new_york(date(2025, 7, 31), 20, 59))
        assert str(caught.value) == (
            "2025-07-31 is not complete: a session is offered from 21:00 New York of its day; the newest is 2025-07-30"
        )

    def test_a_future_closed_day_is_refused_as_no_session(self) -> None:
        with pytest.raises(SessionError, match="the nearest are 2025-08-29 and 2025-09-02"):
            CALENDAR.require_complete(date(2025, 9, 1), new_york(date(2025, 7, 31), 22))

    @pytest.mark.parametrize("year", [1999, 2041])
    def test_a_clock_outside_the_calendar_is_refused(self, year: int) -> None:
        with pytest.raises(SessionError, match=rf"^{year}-07-01 is outside the calendar"):
            CALENDAR.last_complete(datetime(year, 7, 1, 12, tzinfo=UTC))
