"""The gate's planner: from what is published and what snapshots have consumed to the next range to run.

A pure function. Staleness is in the database, written with the data, so a lost cursor or a purged run history changes
nothing.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date


@dataclass(frozen=True)
class GateState:
    """What the gate decides on.

    ``sessions`` are those of the exchange from the first that a portfolio needs to the newest complete one, empty
    without portfolios. ``symbol_generations`` holds the sessions whose every symbol product is published,
    ``consumed`` the generation that each session's snapshots were computed from. ``stale_books`` are the portfolios
    with edits: (portfolio, version, date from which its snapshots are stale). ``failed_checks`` tells why a session
    was not published, ``failed_runs`` maps the input hash of failed runs to their id.
    """

    sessions: Sequence[date]
    symbol_generations: Mapping[date, int]
    consumed: Mapping[date, int]
    stale_books: Sequence[tuple[int, int, date]] = ()
    failed_checks: Mapping[date, str] = field(default_factory=dict)
    failed_runs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class GateRange:
    """A range of sessions to run once for these inputs."""

    first: date
    last: date
    input_hash: str

    @property
    def run_key(self) -> str:
        """The key under which the orchestrator starts this range exactly once."""
        return f"portfolio:{self.first}:{self.last}:{self.input_hash}"


@dataclass(frozen=True)
class GateDecision:
    """The range to run now, if any, and in words what keeps the rest waiting.

    ``failed_run`` is the run that failed for the inputs as they are: until someone acts, nothing will start.
    """

    range: GateRange | None
    reasons: tuple[str, ...]
    failed_run: str | None = None


def plan(state: GateState) -> GateDecision:
    """Decide what runs next.

    Sessions before the first published one are not needed: a portfolio's first snapshot is at the first session that
    has figures. Nor are sessions before the first snapshots, unless every one up to them is published. After that a
    session without a publication holds back every later one, because snapshots build on each other. The range starts
    at the first session that is new or stale and ends at the last one that is ready.
    """
    if not state.sessions:
        return GateDecision(None, ("no portfolio needs a snapshot",))
    if not state.symbol_generations:
        return GateDecision(None, ("the symbol layer has not published any session yet (job symbol_layer)",))
    begin = _begin(state)
    needed = [day for day in state.sessions if day >= begin]
    if not needed:
        return GateDecision(None, (f"the first published session {begin} is after the newest {state.sessions[-1]}",))
    ready = _until_first_hole(needed, state.symbol_generations)
    reasons = _hole_reason(state, needed[len(ready)]) if len(ready) < len(needed) else ()
    first = next((day for day in ready if _is_stale(state, day)), None)
    if first is None:
        return GateDecision(None, reasons or (f"snapshots are current up to {ready[-1]}",))
    chosen = GateRange(first, ready[-1], _input_hash(state, [day for day in ready if day >= first]))
    failed_run = state.failed_runs.get(chosen.input_hash)
    if failed_run is not None:
        reason = (
            f"{chosen.first} to {chosen.last}: run {failed_run} failed for these same inputs; "
            "mend the cause, then re-execute that run"
        )
        return GateDecision(None, (reason, *reasons), failed_run)
    return GateDecision(chosen, reasons)


def _begin(state: GateState) -> date:
    """The first session that snapshots are made of."""
    begin = max(state.sessions[0], min(state.symbol_generations))
    first_consumed = min(state.consumed, default=begin)
    before = [day for day in state.sessions if begin <= day < first_consumed]
    return begin if all(day in state.symbol_generations for day in before) else first_consumed


def _until_first_hole(needed: Sequence[date], published: Mapping[date, int]) -> list[date]:
    ready = []
    for day in needed:
        if day not in published:
            break
        ready.append(day)
    return ready


def _hole_reason(state: GateState, hole: date) -> tuple[str, ...]:
    following = min((day for day in state.symbol_generations if day > hole), default=state.sessions[-1])
    missing = [day for day in state.sessions if hole <= day <= following and day not in state.symbol_generations]
    not_run = f"the symbol layer has not run for it: `sigmasight backfill --from {hole} --to {missing[-1]}`"
    why = state.failed_checks.get(hole, not_run)
    return (f"{hole} waits: market_beta, ir_beta, ... are not published: {why}",)


def _is_stale(state: GateState, day: date) -> bool:
    edited = any(stale_from <= day for _, _, stale_from in state.stale_books)
    return edited or state.consumed.get(day) != state.symbol_generations[day]


def _input_hash(state: GateState, days: Sequence[date]) -> str:
    """Hash of the symbol generations of the range and of the edited books that reach into it."""
    inputs = [f"{day}={state.symbol_generations[day]}" for day in days]
    inputs += [f"{book}:{version}" for book, version, stale_from in sorted(state.stale_books) if stale_from <= days[-1]]
    return hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:16]
