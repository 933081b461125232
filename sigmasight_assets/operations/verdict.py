"""The state of everything in one sentence, and what comes next: what people want to know before anything else."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from sigmasight_assets.operations.failures import Failure
from sigmasight_assets.operations.status import SystemStatus
from sigmasight_assets.operations.symbol_plan import lateness, local

State = Literal["current", "due", "empty", "late", "failing"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How things stand.

    ``current``: everything that should be published is. ``due``: a session is complete and not published yet, and that
    is in time. ``empty``: nothing was ever published. ``late``: snapshots are not there, or older than their inputs, at
    an hour at which they should be current. ``failing``: an attempt at a session has failed or the session itself is
    late, or something else is critical. ``next_step`` is what happens next and when, None where nothing is to come.
    """

    state: State
    sentence: str
    next_step: str | None

    @property
    def has_gaps(self) -> bool:
        """Whether somebody should look: what is late, and what is failing."""
        return self.state in ("late", "failing")


def judge(found: SystemStatus) -> Verdict:
    """The verdict on a status, whatever of it is shown. Warnings alone do not change it; they are counted."""
    critical = [item for item in found.failures if item.severity == "critical"]
    if critical:
        others = [item for item in critical if item.kind != "session_not_published"]
        parts = [_not_published(critical), *(f"{_in_words(item.kind)}: {item.subject}" for item in others)]
        return Verdict("failing", "; ".join(part for part in parts if part) + _warnings(found), _next_step(found))
    behind = _late_snapshots(found)
    if behind:
        return Verdict("late", behind + _warnings(found), found.next_snapshots)
    if not any(item.newest for item in found.freshness if item.product is None and item.layer == "symbol"):
        return Verdict("empty", "nothing is published yet" + _warnings(found), found.next_symbols)
    due = [item.session for item in found.judged if item.state == "due"]
    if due:
        is_are = "is" if len(due) == 1 else "are"
        return Verdict("due", f"{_named(due)} {is_are} due, in time" + _warnings(found), _next_step(found))
    return Verdict("current", _current(found) + _warnings(found), None)


def _late_snapshots(found: SystemStatus) -> str:
    """In words the published sessions whose snapshots should be there by this hour and are not, or are out of date."""
    missing, stale = (
        sorted(day for day in days if lateness(day, found.clock) is not None)
        for days in (found.without_snapshots, found.stale_snapshots)
    )
    parts = [f"snapshots of {_named(days)} are {how}" for days, how in ((missing, "missing"), (stale, "stale")) if days]
    return "; ".join(parts)


def _next_step(found: SystemStatus) -> str:
    """What becomes of the newest late session by itself, and the command for now; else the first failure's way out."""
    critical = next((item for item in found.failures if item.severity == "critical"), None)
    if critical is None:
        return found.next_symbols
    by_itself = next((item.next_step for item in found.judged if item.session == critical.session), None)
    if critical.kind != "session_not_published" or by_itself is None:
        return critical.next_step
    return f"{by_itself}; at once: `sigmasight retry`"


def _current(found: SystemStatus) -> str:
    newest = next((item for item in found.judged if item.state == "published"), None)
    if newest is None:
        return "all current"
    when = f", {local(newest.published_at)}" if newest.published_at else ""
    generation = f", generation {newest.symbol_generation}" if newest.symbol_generation else ""
    return f"all current: {newest.session} is published{when}{generation}"


def _not_published(failures: Sequence[Failure]) -> str:
    """The sessions that should be published and are not: those that failed count at once."""
    days = sorted(item.session for item in failures if item.kind == "session_not_published" and item.session)
    if not days:
        return ""
    return f"{_named(days)} {'is' if len(days) == 1 else 'are'} not published"


def _named(days: Sequence[date]) -> str:
    """Days in words: all of a few, else how many."""
    if len(days) <= 2:
        return " and ".join(map(str, days))
    return f"{len(days)} sessions from {days[0]} to {days[-1]}"


def _warnings(found: SystemStatus) -> str:
    count = sum(item.severity == "warning" for item in found.failures)
    return f"; {count} warning{'' if count == 1 else 's'}" if count else ""


def _in_words(kind: str) -> str:
    return kind.replace("_", " ")
