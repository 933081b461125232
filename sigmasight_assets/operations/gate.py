"""The gate's planner: from what is published and what snapshots have consumed to the next range to run.

A pure function. Staleness is in the database, written with the data, so a lost cursor or a purged run history changes
nothing. Why sessions wait is worded in ``gate_causes``, what earlier runs mean is in ``gate_runs``.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property

from sigmasight_assets.operations.gate_causes import (
    SIGN_OF_LIFE,
    Cause,
    Hole,
    behind_cause,
    describe_all,
    hole_cause,
    mark_cause,
    named,
    onboarding_cause,
    waiting,
)
from sigmasight_assets.operations.gate_runs import Clearance, Earlier, LaunchedRun, clear
from sigmasight_assets.storage.gated_runs import GatedRun, RunningStep
from sigmasight_assets.storage.lot_terms import TOO_LARGE
from sigmasight_assets.storage.recorded_runs import PORTFOLIO_STEPS

ONBOARDING_TAKES = timedelta(seconds=120)
NO_PORTFOLIO = "no portfolio needs a snapshot"
NOTHING_PUBLISHED = "the symbol layer has not published any session yet (job symbol_layer)"


@dataclass(frozen=True)
class GateState:
    """What the gate decides on, as of one moment.

    ``now``
        the database's clock
    ``sessions``
        those of the exchange from the first that a portfolio needs to the newest complete one; none without portfolios
    ``symbol_generations``, ``published_at``
        newest generation, and its time, of the sessions whose every symbol product is published
    ``consumed``
        generation that each session's snapshots were computed from
    ``snapshot_generation``
        the newest that published snapshots
    ``stale_books``
        portfolios with edits: (portfolio, version, date from which its snapshots are stale)
    ``unpublished``
        sessions of which snapshots have been written slice by slice that nobody has published yet
    ``left_out``
        portfolios whose amounts are too large to be exact, and the first session that they have no snapshot of
    ``waived``
        sessions that are spanned while they are not published, with the operator's reason
    ``open_requests``
        when the onboarding of held symbols was asked for that is not done
    ``marked``
        symbols whose figures are older than their prices, and the first session of which that is so
    ``holes``
        what is known of sessions that are not published
    ``runs``
        the newest recorded run by the hash of its inputs, at least for those of the range that is ready
    ``running``
        recorded steps of either layer that have not ended
    """

    now: datetime
    sessions: Sequence[date]
    symbol_generations: Mapping[date, int]
    consumed: Mapping[date, int]
    published_at: Mapping[date, datetime] = field(default_factory=dict)
    snapshot_generation: int = 0
    stale_books: Sequence[tuple[int, int, date]] = ()
    unpublished: Collection[date] = ()
    left_out: Mapping[int, date] = field(default_factory=dict)
    waived: Mapping[date, str] = field(default_factory=dict)
    open_requests: Mapping[str, datetime] = field(default_factory=dict)
    marked: Mapping[str, date] = field(default_factory=dict)
    holes: Mapping[date, Hole] = field(default_factory=dict)
    runs: Mapping[str, GatedRun] = field(default_factory=dict)
    running: Sequence[RunningStep] = ()

    @cached_property
    def needed(self) -> list[date]:
        """The sessions that snapshots are made of, or would be if they were published; ascending.

        Sessions before the first published one are not needed: a portfolio's first snapshot is at the first session
        that has figures. Nor are sessions before the first snapshots, unless every one up to them is published. After
        that every session is needed but for the waived ones that are not published.
        """
        published = self.symbol_generations
        sessions = [day for day in self.sessions if day in published or day not in self.waived]
        begin = min(published, default=date.min)
        first_consumed = min(self.consumed, default=date.min)
        before = [day for day in sessions if begin <= day < first_consumed]
        if not all(day in published for day in before):
            begin = first_consumed
        return [day for day in sessions if day >= begin]

    @cached_property
    def symbol_run(self) -> str | None:
        """The run that is at work on the symbol layer or onboards symbols, if any."""
        steps = (step for step in self.running if step.kind not in PORTFOLIO_STEPS)
        return next((step.run_id for step in steps if self.now - step.seen_at < SIGN_OF_LIFE), None)

    @cached_property
    def outdated_from(self) -> date:
        """The first session with figures that are older than prices."""
        return min(self.marked.values(), default=date.max)

    def is_ready(self, day: date) -> bool:
        """Whether the session's own inputs are all there."""
        return day in self.symbol_generations and day < self.outdated_from

    def is_stale(self, day: date) -> bool:
        """Whether the snapshots of a published session are missing or older than their inputs, or not published."""
        is_current = self.consumed.get(day) == self.symbol_generations[day] and day not in self.unpublished
        return day >= self._edited_from or not is_current

    @cached_property
    def _edited_from(self) -> date:
        return min((stale_from for _, _, stale_from in self.stale_books), default=date.max)


@dataclass(frozen=True)
class GateRange:
    """A range of sessions to run once for these inputs; later attempts at the same have numbers from 1."""

    first: date
    last: date
    input_hash: str
    attempt: int = 0

    @property
    def run_key(self) -> str:
        """The key under which the orchestrator starts this attempt exactly once."""
        key = f"portfolio:{self.first}:{self.last}:{self.input_hash}"
        return f"{key}:{self.attempt}" if self.attempt else key

    @property
    def span(self) -> str:
        """The sessions in words."""
        return str(self.first) if self.first == self.last else f"{self.first} to {self.last}"


@dataclass(frozen=True)
class GateDecision:
    """The range to run now, if any, and in words what keeps the rest waiting.

    ``blocked`` tells the same by session, of all that wait. ``failed_run`` is the run that failed for the inputs as
    they are: until someone acts, nothing will start. ``is_pending`` tells that nothing starts now but will by itself:
    a run is under way, or an onboarding is waited for.
    """

    range: GateRange | None
    reasons: tuple[str, ...]
    failed_run: str | None = None
    is_pending: bool = False
    blocked: Mapping[date, str] = field(default_factory=dict)


def plan(state: GateState, launched: Sequence[LaunchedRun] = ()) -> GateDecision:
    """Decide what runs next; ``launched`` are the runs that the orchestrator knows, if it was asked.

    The range starts at the first session that is new or stale and ends at the last one before a session that is not
    ready: snapshots build on each other, so that one holds back every later one. Nothing starts while an earlier run is
    under way or has failed for the same inputs, or while held symbols are being onboarded.
    """
    if not state.sessions:
        return GateDecision(None, (NO_PORTFOLIO,))
    if not state.needed:
        return GateDecision(None, (_nothing_needed(state),))
    causes = _causes(state)
    chosen = ready_range(state)
    if chosen is None:
        return _decide(state, causes, None, () if causes else _current(state))
    onboarding = _open_onboarding(state, chosen)
    if onboarding is not None:
        causes |= dict.fromkeys(_days(state, chosen), onboarding)
        return _decide(state, causes, None, is_pending=True)
    earlier = Earlier(state.runs.get(chosen.input_hash), state.running, launched)
    cleared = clear(earlier, input_hash=chosen.input_hash, run_key=chosen.run_key, now=state.now)
    if cleared.attempt is None:
        return _held(state, causes, chosen, cleared)
    return _decide(state, causes, GateRange(chosen.first, chosen.last, chosen.input_hash, cleared.attempt))


def ready_range(state: GateState) -> GateRange | None:
    """What is to be computed and has its inputs, whatever the runs and requests under way."""
    ready: list[date] = []
    for day in state.needed:
        if not state.is_ready(day):
            break
        ready.append(day)
    first = next((place for place, day in enumerate(ready) if state.is_stale(day)), None)
    if first is None:
        return None
    days = ready[first:]
    return GateRange(days[0], days[-1], _input_hash(state, days))


def _causes(state: GateState) -> dict[date, Cause]:
    """Why each session that is not current and cannot run waits, without regard to runs and requests."""
    causes: dict[date, Cause] = {}
    barrier: date | None = None
    marks = mark_cause(state.marked, symbol_run=state.symbol_run) if state.marked else None
    for day in state.needed:
        if day not in state.symbol_generations:
            causes[day] = hole_cause(state.holes.get(day, Hole()), now=state.now)
        elif barrier is not None and state.is_stale(day):
            causes[day] = behind_cause(barrier)
        if marks is not None and day >= state.outdated_from and day in state.symbol_generations and state.is_stale(day):
            causes[day] = marks
        if barrier is None and not state.is_ready(day):
            barrier = day
    return causes


def _open_onboarding(state: GateState, chosen: GateRange) -> Cause | None:
    """The held symbols whose onboarding is waited for: until so long after the request and the newest publication."""
    times = [state.published_at[day] for day in _days(state, chosen) if day in state.published_at]
    until = {
        symbol: max(requested_at, *times) + ONBOARDING_TAKES if times else requested_at + ONBOARDING_TAKES
        for symbol, requested_at in state.open_requests.items()
    }
    waited_for = sorted(symbol for symbol, end in until.items() if end > state.now)
    return onboarding_cause(waited_for, until=max(until[symbol] for symbol in waited_for)) if waited_for else None


def _held(state: GateState, causes: dict[date, Cause], chosen: GateRange, cleared: Clearance) -> GateDecision:
    reason = f"{chosen.span}: {cleared.reason}"
    rest = describe_all(causes, state.needed)
    causes = {**causes, **dict.fromkeys(_days(state, chosen), Cause(cleared.reason))}
    return GateDecision(None, (reason, *rest), cleared.failed_run, cleared.is_pending, _blocked(causes))


def _decide(
    state: GateState,
    causes: Mapping[date, Cause],
    chosen: GateRange | None,
    reasons: tuple[str, ...] = (),
    *,
    is_pending: bool = False,
) -> GateDecision:
    lines = describe_all(causes, state.needed)
    if not state.symbol_generations:
        lines = (NOTHING_PUBLISHED, *lines)
    lines = (*lines, *_left_out(state))
    return GateDecision(chosen, (*reasons, *lines), is_pending=is_pending, blocked=_blocked(causes))


def _blocked(causes: Mapping[date, Cause]) -> dict[date, str]:
    return {day: causes[day].describe(day, day) for day in sorted(causes)}


def _current(state: GateState) -> tuple[str, ...]:
    """That everything is current, and what is about to change."""
    reason = f"snapshots are current up to {state.needed[-1]}"
    if state.outdated_from > state.needed[-1]:
        return (reason,)
    marks = mark_cause(state.marked, symbol_run=state.symbol_run)
    return (reason, f"{waiting(state.outdated_from, state.needed[-1])}: {marks.text}")


def _left_out(state: GateState) -> tuple[str, ...]:
    """Which portfolios have no snapshots although their sessions do."""
    if not state.left_out:
        return ()
    names = named([f"portfolio {key} from {first} on" for key, first in sorted(state.left_out.items())])
    return (f"left out, because their amounts are {TOO_LARGE}: {names}; correct their lots",)


def _nothing_needed(state: GateState) -> str:
    if all(day in state.waived for day in state.sessions):
        return f"every session from {state.sessions[0]} to {state.sessions[-1]} is waived"
    begin = min(state.symbol_generations)
    return f"the first published session {begin} is after the newest {state.sessions[-1]}"


def _days(state: GateState, chosen: GateRange) -> list[date]:
    return [day for day in state.needed if chosen.first <= day <= chosen.last]


def _input_hash(state: GateState, days: Sequence[date]) -> str:
    """Hash of the symbol generations of the range, of the edited books that reach into it and of the snapshots so far.

    Snapshots build on those before them, so the same edit may have to run again when these were published anew.
    """
    inputs = [f"snapshots={state.snapshot_generation}"]
    inputs += [f"{day}={state.symbol_generations[day]}" for day in days]
    inputs += [f"{book}:{version}" for book, version, stale_from in sorted(state.stale_books) if stale_from <= days[-1]]
    return hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:16]
