"""The symbol layer's planner: which sessions are due, what is to run now, and which sessions are late.

A pure function. Which sessions are complete and late goes by the exchange's time, the pause between attempts by the
time that has passed since the last one ended.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from sigmasight_assets.operations.gate import NOTHING_PUBLISHED
from sigmasight_assets.operations.gate_causes import Hole, hole_cause, named
from sigmasight_assets.sessions import COMPLETE_AT, NEW_YORK

CATCH_UP_SESSIONS = 20
# After its session is complete: when the schedule's turn is over, when people are told, when attempts end.
SCHEDULE_TURN = timedelta(minutes=10)
LATE_AFTER = timedelta(hours=2)
ATTEMPTS_END_AFTER = timedelta(hours=9)

Lateness = Literal["late", "missed"]
SEVERITIES: Mapping[Lateness, Literal["warning", "critical"]] = {"late": "warning", "missed": "critical"}


@dataclass(frozen=True, slots=True)
class Attempt:
    """The newest run that covered a session and has ended; ``number`` counts the runs that covered it."""

    run_id: str
    ended_at: datetime
    number: int
    has_failed: bool = True


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A run of the symbol layer, or an onboarding, that has not ended; any session may be in it without ``first``."""

    run_id: str
    first: date | None = None
    last: date | None = None

    def covers(self, first: date, last: date) -> bool:
        """Whether it may be at work on one of the sessions from ``first`` to ``last``."""
        return self.first is None or self.last is None or (self.first <= last and first <= self.last)

    @property
    def reason(self) -> str:
        """That it is waited for, in words."""
        return f"run {self.run_id} of the symbol layer is under way"


@dataclass(frozen=True)
class SymbolState:
    """What the planner decides on.

    ``sessions`` are the complete ones of the catch-up window, ascending, none before the first that was ever
    published. All those ``published`` have every symbol product, ``waived`` ones are not waited for. ``attempts``
    holds the newest ended run of each session, ``holes`` what is known of due ones, and before the first publication
    of the newest. ``marked`` are symbols whose published figures await recomputation, with the time since when they
    do, and ``last_ended_at`` is when a run of the layer last ended. ``clock`` says what is complete and late, ``now``
    how long ago something happened.
    """

    sessions: Sequence[date]
    published: Collection[date]
    clock: datetime
    now: datetime
    pause: timedelta
    waived: Collection[date] = ()
    attempts: Mapping[date, Attempt] = field(default_factory=dict)
    holes: Mapping[date, Hole] = field(default_factory=dict)
    marked: Mapping[str, datetime] = field(default_factory=dict)
    last_ended_at: datetime | None = None
    running: Sequence[UnderWay] = ()


@dataclass(frozen=True, slots=True)
class SymbolRange:
    """Sessions to run as one; ``settles`` tells that only marked symbols of published sessions are to be computed."""

    first: date
    last: date
    attempt: int
    settles: bool = False

    @property
    def run_key(self) -> str:
        """The key under which the orchestrator starts this attempt exactly once."""
        return f"{'marks' if self.settles else 'symbols'}:{self.first}:{self.last}:{self.attempt}"

    @property
    def span(self) -> str:
        """The sessions in words."""
        return _span(self.first, self.last)


@dataclass(frozen=True, slots=True)
class LateSession:
    """A session that should be published and is not, at an hour at which people are to be told."""

    session: date
    lateness: Lateness

    @property
    def alert_key(self) -> str:
        """The key under which people are told once."""
        return f"{self.lateness}:{self.session}"


@dataclass(frozen=True)
class SymbolDecision:
    """The range to run now, if any, else in words why there is none; and what is late.

    ``next_attempt`` is when a range will run if nothing else changes, None where no time is known; ``waits_for`` is the
    run that is waited for.
    """

    chosen: SymbolRange | None
    reasons: tuple[str, ...]
    late: tuple[LateSession, ...] = ()
    next_attempt: datetime | None = None
    waits_for: str | None = None


def completed_at(session: date) -> datetime:
    """The instant from which a session is offered: 21:00 New York of its day."""
    return datetime.combine(session, COMPLETE_AT, NEW_YORK).astimezone(UTC)


def lateness(session: date, clock: datetime) -> Lateness | None:
    """How a session that is not published is late: from 23:00 New York on, and from 06:00 on given up for the night."""
    age = clock - completed_at(session)
    if age >= ATTEMPTS_END_AFTER:
        return "missed"
    return "late" if age >= LATE_AFTER else None


def due_sessions(state: SymbolState) -> list[date]:
    """Sessions that should be published and are not, ascending."""
    return [day for day in state.sessions if day not in state.published and day not in state.waived]


def due_ranges(state: SymbolState) -> list[tuple[date, date]]:
    """The due sessions in order, as the fewest ranges without a waived session, which would only fail again."""
    ranges: list[tuple[date, date]] = []
    begin: date | None = None
    for day in state.sessions:
        if day in state.published:
            continue
        if day in state.waived:
            begin = None
        elif begin is None:
            begin = day
            ranges.append((day, day))
        else:
            ranges[-1] = (begin, day)
    return ranges


def plan(state: SymbolState) -> SymbolDecision:
    """Decide what of the symbol layer runs next.

    Nothing does while a run is at work on a due session; a backfill of others is not waited for, but by marks.
    Due sessions run in order and as one range: at once when no run has tried the last of them, else once the pause
    since then is over, until attempts for the newest of them end. What is marked is settled with the next range, or
    by a run of its own when there is none: at once, or once the pause since the last run is over if that has left it.
    """
    if not state.published:
        return SymbolDecision(None, (NOTHING_PUBLISHED,))
    if not state.sessions:
        return SymbolDecision(None, (f"the first published session {min(state.published)} is not complete yet",))
    due = due_sessions(state)
    late = tuple(LateSession(day, how) for day in due if (how := lateness(day, state.clock)) is not None)
    steps = [_next_range(state, due)] if due else []
    if state.marked and not any(step.chosen for step in steps) and not _is_schedules_turn(state, due):
        steps.append(_next_settling(state))
    return SymbolDecision(
        chosen=next((step.chosen for step in steps if step.chosen), None),
        reasons=tuple(dict.fromkeys(reason for step in steps for reason in step.reasons))
        or (f"symbol products are published up to {newest_published(state)}",),
        late=late,
        next_attempt=min((step.next_attempt for step in steps if step.next_attempt), default=None),
        waits_for=next((step.waits_for for step in steps if step.waits_for), None),
    )


def newest_published(state: SymbolState) -> date:
    """The newest published session that is complete; there must be a session."""
    return max((day for day in state.published if day <= state.sessions[-1]), default=state.sessions[0])


def local(instant: datetime) -> str:
    """An instant in words, by the exchange's time."""
    return f"{instant.astimezone(NEW_YORK):%Y-%m-%d %H:%M} New York"


def marks_in_words(marked: Collection[str]) -> str:
    """Which symbols' published figures await recomputation."""
    return f"published figures of {named(sorted(marked))} await recomputation"


def _next_range(state: SymbolState, due: Sequence[date]) -> SymbolDecision:
    """The first range of due sessions that may run now, else why none may."""
    newest = due[-1]
    at_work = next((run for run in state.running if any(run.covers(*item) for item in due_ranges(state))), None)
    if at_work is not None:
        return SymbolDecision(None, (at_work.reason,), waits_for=at_work.run_id)
    if lateness(newest, state.clock) == "missed":
        ended = local(completed_at(newest) + ATTEMPTS_END_AFTER)
        reason = f"{_span(due[0], newest)} missed{_cause(state, newest)}; attempts ended at {ended}"
        return SymbolDecision(None, (f"{reason}, the next night takes up what is missing",))
    if _is_schedules_turn(state, due):
        until = local(completed_at(newest) + SCHEDULE_TURN)
        return SymbolDecision(None, (f"{newest}: until {until} it is the turn of the schedule nightly_symbols",))
    waiting: list[datetime] = []
    reasons: list[str] = []
    for first, last in due_ranges(state):
        number = max((item.number for day, item in state.attempts.items() if first <= day <= last), default=0) + 1
        ready_at = state.attempts[last].ended_at + state.pause if last in state.attempts else state.now
        if ready_at <= state.now:
            return SymbolDecision(SymbolRange(first, last, number), (), next_attempt=ready_at)
        waiting.append(ready_at)
        reasons.append(
            f"{_span(first, last)} not published{_cause(state, last)}; attempt {number} at {local(ready_at)}"
        )
    return SymbolDecision(None, tuple(reasons), next_attempt=min(waiting))


def _next_settling(state: SymbolState) -> SymbolDecision:
    """A run that settles the marks: at once when all were set after the last run, else once the pause is over."""
    if state.running:
        return SymbolDecision(None, (state.running[0].reason,), waits_for=state.running[0].run_id)
    session = newest_published(state)
    ended = state.last_ended_at
    was_tried = ended is not None and any(since <= ended for since in state.marked.values())
    ready_at = ended + state.pause if ended is not None and was_tried else state.now
    if ready_at <= state.now:
        number = state.attempts[session].number + 1 if session in state.attempts else 1
        return SymbolDecision(SymbolRange(session, session, number, settles=True), (), next_attempt=ready_at)
    reason = f"{marks_in_words(state.marked)}: next attempt at {local(ready_at)}"
    return SymbolDecision(None, (reason,), next_attempt=ready_at)


def _is_schedules_turn(state: SymbolState, due: Sequence[date]) -> bool:
    """Whether the newest session has just been completed and the schedule has had no time to act."""
    newest = state.sessions[-1]
    is_untried = newest in due and newest not in state.attempts
    return is_untried and state.clock < completed_at(newest) + SCHEDULE_TURN


def _cause(state: SymbolState, session: date) -> str:
    return f": {hole_cause(state.holes[session], now=state.now).text}" if session in state.holes else ""


def _span(first: date, last: date) -> str:
    return str(first) if first == last else f"{first} to {last}"
