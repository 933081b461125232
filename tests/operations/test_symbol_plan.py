"""The symbol layer's planner on cases: what is due, what runs when, and which sessions people are told of."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmasight_assets.operations.gate_causes import Hole
from sigmasight_assets.operations.symbol_plan import (
    Attempt,
    SymbolRange,
    SymbolState,
    UnderWay,
    completed_at,
    due_ranges,
    due_sessions,
    plan,
)
from sigmasight_assets.storage.symbol_attempts import Refusal, SymbolStep

MON, TUE, WED, THU, FRI = WEEK = tuple(date(2025, 7, day) for day in range(21, 26))
PAUSE = timedelta(minutes=30)
# 22:00 New York of that Friday.
EVENING = datetime(2025, 7, 26, 2, 0, tzinfo=UTC)

REFUSED = Hole(refusals=[Refusal("coverage", "10 of 500", EVENING)])
BROKEN = Hole(steps=[SymbolStep("r1", "symbol_prices", "failed", "no answer", EVENING, EVENING)])


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def attempt(ago: float, number: int = 1) -> Attempt:
    """A run that ended so many minutes before the evening."""
    return Attempt("r1", EVENING - minutes(ago), number)


def marks(*symbols: str) -> dict[str, datetime]:
    return dict.fromkeys(symbols, EVENING - minutes(60))


def state(**changes: Any) -> SymbolState:
    """Friday evening; Monday to Thursday are published, and nobody has tried Friday."""
    usual = SymbolState(sessions=WEEK, published=frozenset(WEEK[:4]), clock=EVENING, now=EVENING, pause=PAUSE)
    return replace(usual, **changes)


@dataclass(frozen=True)
class Case:
    name: str
    state: SymbolState
    runs: SymbolRange | None
    says: tuple[str, ...] = ()
    next_attempt: datetime | None = None


CASES = [
    Case(
        "nothing was ever published",
        state(sessions=(), published=frozenset()),
        None,
        ("the symbol layer has not published any session yet",),
    ),
    Case(
        "the first published session is not complete by this clock",
        state(sessions=(), published=frozenset({FRI})),
        None,
        ("the first published session 2025-07-25 is not complete yet",),
    ),
    Case(
        "everything is published",
        state(published=frozenset(WEEK)),
        None,
        ("symbol products are published up to 2025-07-25",),
    ),
    Case("an untried session runs", state(), SymbolRange(FRI, FRI, 1), next_attempt=EVENING),
    Case(
        "the first ten minutes after 21:00 are the schedule's",
        state(clock=completed_at(FRI) + minutes(9.99)),
        None,
        ("2025-07-25: until 2025-07-25 21:10 New York it is the turn of the schedule nightly_symbols",),
    ),
    Case("ten minutes after 21:00 are over", state(clock=completed_at(FRI) + minutes(10)), SymbolRange(FRI, FRI, 1)),
    Case(
        "a session that waits for the schedule holds back what was missed before it",
        state(published=frozenset(WEEK[:3]), clock=completed_at(FRI) + minutes(1)),
        None,
        ("the turn of the schedule",),
    ),
    Case(
        "the schedule has no turn at a session it has tried",
        state(
            clock=completed_at(FRI) + minutes(5),
            now=completed_at(FRI) + minutes(5),
            attempts={FRI: Attempt("r1", completed_at(FRI) + minutes(1), 1)},
        ),
        None,
        ("2025-07-25 not published; attempt 2 at 2025-07-25 21:31 New York",),
        completed_at(FRI) + minutes(31),
    ),
    Case(
        "a failed session waits for the pause, with the cause",
        state(attempts={FRI: attempt(10)}, holes={FRI: REFUSED}),
        None,
        ("2025-07-25 not published: symbol_daily_metrics, check coverage: 10 of 500; attempt 2 at 2025-07-25 22:20",),
        EVENING + minutes(20),
    ),
    Case(
        "after the pause it runs again",
        state(attempts={FRI: attempt(30, number=3)}, holes={FRI: REFUSED}),
        SymbolRange(FRI, FRI, 4),
    ),
    Case(
        "the pause goes by the time that has passed, not by the exchange's",
        state(attempts={FRI: attempt(10)}, now=EVENING + timedelta(days=90)),
        SymbolRange(FRI, FRI, 2),
    ),
    Case(
        "a run at work on the session is waited for",
        state(running=[UnderWay("r7", WED, FRI)]),
        None,
        ("run r7 of the symbol layer is under way",),
    ),
    Case("so is one of which the sessions are not known", state(running=[UnderWay("r7")]), None, ("run r7 of the",)),
    Case(
        "a backfill of other sessions is not waited for",
        state(running=[UnderWay("r7", MON, THU)]),
        SymbolRange(FRI, FRI, 1),
    ),
    Case(
        "but marks do wait for it",
        state(published=frozenset(WEEK), marked=marks("AAA"), running=[UnderWay("r7", MON, MON)]),
        None,
        ("run r7 of the symbol layer is under way",),
    ),
    Case(
        "missed sessions run in order with the newest, as one range",
        state(published=frozenset({MON, WED}), attempts={TUE: attempt(900, number=5), THU: attempt(900)}),
        SymbolRange(TUE, FRI, 6),
    ),
    Case(
        "an older session that was just tried does not hold back an untried one",
        state(published=frozenset(WEEK[:3]), attempts={THU: attempt(1, number=2)}),
        SymbolRange(THU, FRI, 3),
    ),
    Case("a waived session is not due", state(waived={FRI}), None, ("published up to 2025-07-24",)),
    Case(
        "a waived session splits the range: it would only fail again",
        state(published=frozenset({MON, THU}), waived={WED}, attempts={}),
        SymbolRange(TUE, TUE, 1),
    ),
    Case(
        "what is behind a waived session runs next",
        state(published=frozenset({MON, THU}), waived={WED}, attempts={TUE: attempt(5)}),
        SymbolRange(FRI, FRI, 1),
    ),
    Case(
        "both sides of a waived session wait for their pause",
        state(published=frozenset({MON, THU}), waived={WED}, attempts={TUE: attempt(5), FRI: attempt(12)}),
        None,
        ("2025-07-22 not published; attempt 2 at 2025-07-25 22:25", "2025-07-25 not published; attempt 2"),
        EVENING + minutes(18),
    ),
    Case(
        "a waived session that is published does not split",
        state(published=frozenset({MON, WED, THU}), waived={WED}),
        SymbolRange(TUE, FRI, 1),
    ),
    Case(
        "attempts go on until six in the morning",
        state(clock=completed_at(FRI) + minutes(539), attempts={FRI: attempt(60)}),
        SymbolRange(FRI, FRI, 2),
    ),
    Case(
        "then the session is missed and the next night takes it up",
        state(clock=completed_at(FRI) + minutes(540), attempts={FRI: attempt(60)}, holes={FRI: BROKEN}),
        None,
        ("2025-07-25 missed: symbol_prices failed in run r1: no answer; attempts ended at 2025-07-26 06:00",),
    ),
    Case(
        "a hole behind a published session is taken up by the next night",
        state(published=frozenset({MON, TUE, WED, FRI}), attempts={THU: attempt(60)}),
        None,
        ("2025-07-24 missed; attempts ended at 2025-07-25 06:00 New York",),
    ),
    Case(
        "the missed session runs with the next one",
        state(published=frozenset(WEEK[:3]), attempts={THU: attempt(900, number=14)}, clock=EVENING),
        SymbolRange(THU, FRI, 15),
    ),
    Case(
        "marks are settled by a run of their own",
        state(published=frozenset(WEEK), marked=marks("AAA")),
        SymbolRange(FRI, FRI, 1, settles=True),
    ),
    Case(
        "marks wait for the pause since the last run",
        state(
            published=frozenset(WEEK),
            marked=marks(*(f"S{place:02}" for place in range(22))),
            last_ended_at=EVENING - minutes(25),
            attempts={FRI: attempt(25)},
        ),
        None,
        ("published figures of S00, S01", "S19 and 2 more await recomputation: next attempt at 2025-07-25 22:05"),
        EVENING + minutes(5),
    ),
    Case(
        "marks are settled after the pause, as the next attempt at their session",
        state(
            published=frozenset(WEEK),
            marked=marks("AAA"),
            last_ended_at=EVENING - minutes(30),
            attempts={FRI: attempt(30, number=2)},
        ),
        SymbolRange(FRI, FRI, 3, settles=True),
    ),
    Case(
        "marks that were set after the last run do not wait",
        state(published=frozenset(WEEK), marked=marks("AAA"), last_ended_at=EVENING - minutes(61)),
        SymbolRange(FRI, FRI, 1, settles=True),
    ),
    Case("due sessions settle marks on their way", state(marked=marks("AAA")), SymbolRange(FRI, FRI, 1)),
    Case(
        "marks do not wait for a session that was missed",
        state(clock=completed_at(FRI) + minutes(600), marked=marks("AAA")),
        SymbolRange(THU, THU, 1, settles=True),
        ("2025-07-25 missed",),
    ),
    Case(
        "marks leave the schedule its turn",
        state(clock=completed_at(FRI) + minutes(1), marked=marks("AAA")),
        None,
        ("the turn of the schedule",),
    ),
    Case(
        "both wait and say so; the sooner is next",
        state(attempts={FRI: attempt(10)}, marked=marks("AAA"), last_ended_at=EVENING - minutes(1)),
        None,
        ("2025-07-25 not published", "figures of AAA await recomputation"),
        EVENING + minutes(20),
    ),
    Case(
        "published beyond the clock: marks are settled at the newest complete session",
        state(sessions=WEEK[:3], published=frozenset(WEEK), marked=marks("AAA")),
        SymbolRange(WED, WED, 1, settles=True),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_plan(case: Case) -> None:
    decision = plan(case.state)
    assert decision.chosen == case.runs
    reasons = "; ".join(decision.reasons)
    for words in case.says:
        assert words in reasons
    assert decision.chosen is not None or reasons
    if case.runs is None or case.next_attempt is not None:
        assert decision.next_attempt == case.next_attempt


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        ("2025-07-25T22:59:59-04:00", []),
        ("2025-07-25T23:00:00-04:00", ["late:2025-07-25"]),
        ("2025-07-26T05:59:59-04:00", ["late:2025-07-25"]),
        ("2025-07-26T06:00:00-04:00", ["missed:2025-07-25"]),
        ("2025-07-28T20:59:59-04:00", ["missed:2025-07-25"]),
    ],
)
@pytest.mark.parametrize("running", [[], [UnderWay("r7")]])
def test_people_are_told_by_the_hour_of_new_york(clock: str, running: list[UnderWay], expected: list[str]) -> None:
    decision = plan(state(clock=datetime.fromisoformat(clock), running=running))
    assert [item.alert_key for item in decision.late] == expected


@pytest.mark.parametrize(
    ("session", "late", "missed"),
    [
        # The Fridays before the clocks change, and the half days.
        (date(2024, 3, 8), "2024-03-09T04:00:00+00:00", "2024-03-09T11:00:00+00:00"),
        (date(2024, 11, 1), "2024-11-02T03:00:00+00:00", "2024-11-02T10:00:00+00:00"),
        (date(2024, 7, 3), "2024-07-04T03:00:00+00:00", "2024-07-04T10:00:00+00:00"),
        (date(2024, 12, 24), "2024-12-25T04:00:00+00:00", "2024-12-25T11:00:00+00:00"),
    ],
)
def test_hours_are_those_of_new_york_all_year(session: date, late: str, missed: str) -> None:
    def told(instant: str, before: timedelta = timedelta(0)) -> list[str]:
        clock = datetime.fromisoformat(instant) - before
        sessions = (session - timedelta(days=1), session)
        decision = plan(state(sessions=sessions, published=frozenset(sessions[:1]), clock=clock))
        return [item.lateness for item in decision.late]

    second = timedelta(seconds=1)
    assert (told(late, second), told(late), told(missed, second), told(missed)) == ([], ["late"], ["late"], ["missed"])


def test_each_session_is_told_of_for_itself() -> None:
    missing = state(published=frozenset({MON}), waived={WED}, clock=completed_at(FRI) + minutes(121))
    assert [(item.session, item.lateness) for item in plan(missing).late] == [
        *((TUE, "missed"), (THU, "missed")),
        (FRI, "late"),
    ]


def test_a_run_key_names_range_and_attempt() -> None:
    assert SymbolRange(TUE, FRI, 3).run_key == "symbols:2025-07-22:2025-07-25:3"
    assert SymbolRange(FRI, FRI, 1, settles=True).run_key == "marks:2025-07-25:2025-07-25:1"


@st.composite
def states(draw: st.DrawFn) -> SymbolState:
    """Any week: some sessions published, waived and tried, at any hour up to two days after the last."""
    published = draw(st.sets(st.sampled_from(WEEK), min_size=1))
    tried = draw(st.dictionaries(st.sampled_from(WEEK), st.tuples(st.integers(0, 90), st.integers(1, 9))))
    clock = completed_at(FRI) + minutes(draw(st.integers(0, 2_880)))
    return SymbolState(
        sessions=[day for day in WEEK if day >= min(published)],
        published=published,
        clock=clock,
        now=clock,
        pause=PAUSE,
        waived=draw(st.sets(st.sampled_from(WEEK))),
        attempts={day: Attempt("r", clock - minutes(ago), number) for day, (ago, number) in tried.items()},
        marked=marks(*draw(st.sets(st.sampled_from(["AAA", "BBB"])))),
        last_ended_at=draw(st.sampled_from([None, clock - minutes(5), clock - minutes(50)])),
    )


@given(states())
def test_a_range_holds_due_sessions_at_both_ends_and_no_waived_one(drawn: SymbolState) -> None:
    decision = plan(drawn)
    chosen = decision.chosen
    if chosen is None:
        assert decision.reasons
        return
    if chosen.settles:
        assert chosen.last in drawn.published or not drawn.published & set(drawn.sessions)  # type: ignore[operator]
        assert drawn.marked
        return
    due = due_sessions(drawn)
    assert {chosen.first, chosen.last} <= set(due)
    inside = [day for day in drawn.sessions if chosen.first <= day <= chosen.last]
    assert all(day in due or day in drawn.published for day in inside)


@given(states())
def test_ranges_hold_every_due_session_once(drawn: SymbolState) -> None:
    found = [day for first, last in due_ranges(drawn) for day in due_sessions(drawn) if first <= day <= last]
    assert found == due_sessions(drawn)


@given(states())
def test_no_attempt_follows_another_within_the_pause(drawn: SymbolState) -> None:
    """Whoever tries a range gets the same answer, until the pause is over, that it has been tried."""
    chosen = plan(drawn).chosen
    if chosen is None:
        return
    tried = Attempt("again", drawn.now, chosen.attempt)
    inside = [day for day in drawn.sessions if chosen.first <= day <= chosen.last]
    later = replace(drawn, attempts={**drawn.attempts, **dict.fromkeys(inside, tried)}, last_ended_at=drawn.now)
    following = plan(later).chosen
    assert following is None or not overlap(following, chosen)


def overlap(left: SymbolRange, right: SymbolRange) -> bool:
    return left.first <= right.last and right.first <= left.last


def test_published_sessions_may_be_a_mapping() -> None:
    assert plan(state(published=dict.fromkeys(WEEK[:4], 7))) == plan(state())
