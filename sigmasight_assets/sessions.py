"""Sessions of the New York Stock Exchange: which dates exist, and which of them are complete.

The calendar package does the knowing (holidays, early closes, one-off closures); this module gives it the few
questions SigmaSight asks. Nothing here reads the clock: the instant is always an argument.
"""

from collections.abc import Mapping
from datetime import date, datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from sigmasight_assets.errors import SessionError

EXCHANGE = "XNYS"
NEW_YORK = ZoneInfo("America/New_York")
# Vendors finish their corrections in the evening; a session is offered from this local time of its own day.
COMPLETE_AT = time(21, 0)
FIRST_YEAR = 2000
LAST_YEAR = 2035

ONE_DAY = np.timedelta64(1, "D")

Sessions = NDArray[np.datetime64]


class SessionCalendar:
    """Sorted session dates with the look-ups built on them."""

    def __init__(self, sessions: Sessions, *, closures: Mapping[date, str] | None = None) -> None:
        """``closures`` are dates that are no sessions by an operator's decision, with words on it."""
        self.sessions: Sessions = sessions.astype("datetime64[D]")
        self.closures: Mapping[date, str] = closures or {}

    def without(self, closures: Mapping[date, str]) -> "SessionCalendar":
        """The calendar without dates on which the exchange did not trade after all, given with words on why."""
        if not closures:
            return self
        closed = np.array(sorted(closures), dtype="datetime64[D]")
        return SessionCalendar(np.setdiff1d(self.sessions, closed), closures=closures)

    def is_session(self, day: date) -> bool:
        """Whether the exchange trades on this date."""
        position = self._position(day)
        return position < len(self.sessions) and bool(self.sessions[position] == np.datetime64(day, "D"))

    def index(self, day: date) -> int:
        """Position of a session in ``sessions``; ``SessionError`` when the date is none."""
        position = self._position(day)
        if position < len(self.sessions) and self.sessions[position] == np.datetime64(day, "D"):
            return position
        raise SessionError(self._no_session(day, position))

    def between(self, first: date, last: date) -> list[date]:
        """Every session from ``first`` to ``last``, both included; empty when the range is reversed."""
        window = self.sessions[self._position(first) : self._position(last, side="right")]
        return [day for day in window.tolist() if isinstance(day, date)]

    def offset(self, day: date, count: int) -> date:
        """The session ``count`` sessions after (before, when negative) the session ``day``."""
        position = self.index(day) + count
        if not 0 <= position < len(self.sessions):
            raise SessionError(_outside(f"{count} sessions from {day}"))
        return self._date(position)

    def on_or_before(self, day: date) -> date:
        """The last session that is not after ``day``; ``SessionError`` when the calendar does not reach it."""
        position = self._position(day, side="right") - 1
        if position < 0 or day.year > LAST_YEAR:
            raise SessionError(_outside(day))
        return self._date(position)

    def last_complete(self, now: datetime) -> date:
        """The newest session whose data is due: its day has reached 21:00 in New York."""
        local = now.astimezone(NEW_YORK)
        newest = self.on_or_before(local.date())
        if newest == local.date() and local.time() < COMPLETE_AT:
            return self.offset(newest, -1)
        return newest

    def require_complete(self, day: date, now: datetime) -> date:
        """Return ``day`` when it is a complete session, else raise ``SessionError`` with the way out."""
        self.index(day)
        newest = self.last_complete(now)
        if day > newest:
            raise SessionError(
                f"{day} is not complete: a session is offered from 21:00 New York of its day; the newest is {newest}"
            )
        return day

    def complete_between(self, first: date, last: date, now: datetime) -> list[date]:
        """The sessions of a range whose ends are complete sessions; a range may also end at dates that were closed.

        Raises ``SessionError`` for other ends and when nothing is left.
        """
        for day in (first, last):
            if day not in self.closures:
                self.index(day)
        if first > last:
            raise SessionError(f"The range is reversed: {first} is after {last}")
        sessions = self.between(first, last)
        self.require_complete(sessions[-1] if sessions else last, now)
        return sessions

    def weekday_closures(self, first: date, last: date) -> list[date]:
        """Mondays to Fridays between the dates on which the exchange does not trade."""
        days = np.arange(np.datetime64(first, "D"), np.datetime64(last, "D") + ONE_DAY)
        weekdays = days[np.is_busday(days)]
        return [day for day in np.setdiff1d(weekdays, self.sessions).tolist() if isinstance(day, date)]

    def _position(self, day: date, side: str = "left") -> int:
        return int(np.searchsorted(self.sessions, np.datetime64(day, "D"), side=side))  # type: ignore[call-overload]

    def _date(self, position: int) -> date:
        day: date = self.sessions[position].item()
        return day

    def _no_session(self, day: date, position: int) -> str:
        if day in self.closures:
            return f"{day} is no session: {self.closures[day]}"
        if not 0 < position < len(self.sessions):
            return _outside(day)
        before, after = self._date(position - 1), self._date(position)
        return f"{day} is not a session of the exchange ({EXCHANGE}); the nearest are {before} and {after}"


def _outside(what: date | str) -> str:
    return f"{what} is outside the calendar ({FIRST_YEAR} to {LAST_YEAR})"


@lru_cache(maxsize=1)
def exchange_calendar() -> SessionCalendar:
    """The calendar of the exchange from 2000 to 2035 (0.5 s at the first call: the package imports pandas)."""
    import exchange_calendars  # noqa: PLC0415

    calendar = exchange_calendars.get_calendar(EXCHANGE, start=f"{FIRST_YEAR}-01-01", end=f"{LAST_YEAR}-12-31")
    return SessionCalendar(calendar.sessions.to_numpy())
