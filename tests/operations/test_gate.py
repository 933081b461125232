"""The gate's planner: a table of situations, and what holds in all of them."""

import re
from dataclasses import dataclass, replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmasight_assets.operations.gate import GateDecision, GateRange, GateState, plan

MON, TUE, WED, THU, FRI = (date(2025, 7, day) for day in range(21, 26))
WEEK = (MON, TUE, WED, THU, FRI)
ALL_PUBLISHED = {day: 10 + position for position, day in enumerate(WEEK)}


def state(**changes: object) -> GateState:
    """A week of sessions that is published and consumed, with what a case changes."""
    current = GateState(sessions=WEEK, symbol_generations=ALL_PUBLISHED, consumed=ALL_PUBLISHED)
    return replace(current, **changes)  # type: ignore[arg-type]


def without(*days: date) -> dict[date, int]:
    return {day: generation for day, generation in ALL_PUBLISHED.items() if day not in days}


@dataclass(frozen=True)
class Case:
    """A situation, the range that must run, and words that the reasons must hold."""

    name: str
    state: GateState
    runs: tuple[date, date] | None
    says: tuple[str, ...] = ()


CASES = [
    Case("no portfolios", state(sessions=()), None, ("no portfolio needs a snapshot",)),
    Case(
        "nothing published",
        state(symbol_generations={}, consumed={}),
        None,
        ("has not published any session yet", "symbol_layer"),
    ),
    Case("everything current", state(), None, ("snapshots are current up to 2025-07-25",)),
    Case("nothing computed yet", state(consumed={}), (MON, FRI)),
    Case("a new session is ready", state(consumed=without(FRI)), (FRI, FRI)),
    Case("three new sessions are one range", state(consumed=without(WED, THU, FRI)), (WED, FRI)),
    Case(
        "the new session is not ready",
        state(symbol_generations=without(FRI), consumed=without(FRI)),
        None,
        ("2025-07-25 waits", "market_beta", "the symbol layer has not run for it"),
    ),
    Case(
        "the new session failed its checks",
        state(
            symbol_generations=without(FRI),
            consumed=without(FRI),
            failed_checks={FRI: "coverage: 12 of 500 active symbols have a bar", THU: "of another session"},
        ),
        None,
        ("2025-07-25 waits", "coverage: 12 of 500 active symbols have a bar"),
    ),
    Case(
        "a hole holds back what comes after it",
        state(
            symbol_generations=without(WED),
            consumed={MON: 10},
            failed_checks={WED: "factor_etfs_priced: no bar of SPY"},
        ),
        (TUE, TUE),
        ("2025-07-23 waits", "factor_etfs_priced: no bar of SPY"),
    ),
    Case(
        "a hole after everything that is ready",
        state(symbol_generations=without(WED), consumed={MON: 10, TUE: 11}),
        None,
        ("2025-07-23 waits",),
    ),
    Case("a correction of an old session", state(symbol_generations={**ALL_PUBLISHED, TUE: 99}), (TUE, FRI)),
    Case(
        "an edited book runs from its date",
        state(stale_books=[(7, 3, WED)]),
        (WED, FRI),
    ),
    Case("the earliest of two edited books counts", state(stale_books=[(7, 3, THU), (8, 2, TUE)]), (TUE, FRI)),
    Case("an edit of a day without session", state(stale_books=[(7, 3, MON - timedelta(days=1))]), (MON, FRI)),
    Case(
        "an edit of a day to come",
        state(stale_books=[(7, 3, FRI + timedelta(days=3))]),
        None,
        ("snapshots are current up to 2025-07-25",),
    ),
    Case(
        "sessions before the first published one are not needed",
        state(symbol_generations=without(MON, TUE), consumed={}),
        (WED, FRI),
    ),
    Case(
        "sessions before the first portfolio are not needed",
        state(sessions=(THU, FRI), consumed={}),
        (THU, FRI),
    ),
    Case(
        "sessions before the first snapshots are not needed while there is a hole among them",
        state(symbol_generations=without(TUE), consumed=without(MON, TUE)),
        None,
        ("snapshots are current up to 2025-07-25",),
    ),
    Case(
        "sessions before the first snapshots run once all of them are published",
        state(consumed=without(MON, TUE)),
        (MON, FRI),
    ),
    Case(
        "the way out of a hole names all that is missing up to the next published session",
        state(symbol_generations=without(TUE, WED), consumed={MON: 10}),
        None,
        ("`sigmasight backfill --from 2025-07-22 --to 2025-07-23`",),
    ),
    Case(
        "the way out of a hole at the end names everything to the newest session",
        state(symbol_generations=without(WED, THU, FRI), consumed={MON: 10, TUE: 11}),
        None,
        ("`sigmasight backfill --from 2025-07-23 --to 2025-07-25`",),
    ),
    Case(
        "published sessions lie beyond the newest complete one",
        state(sessions=(MON, TUE), symbol_generations={FRI: 14}, consumed={}),
        None,
        ("2025-07-25", "2025-07-22"),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_plan(case: Case) -> None:
    decision = plan(case.state)
    assert bounds(decision) == case.runs
    reasons = "; ".join(decision.reasons)
    for words in case.says:
        assert words in reasons
    assert decision.range is not None or reasons


def bounds(decision: GateDecision) -> tuple[date, date] | None:
    return (decision.range.first, decision.range.last) if decision.range else None


def test_failed_run_is_reported_and_not_repeated() -> None:
    wanted = state(consumed=without(FRI))
    chosen = required(plan(wanted))
    decision = plan(replace(wanted, failed_runs={chosen.input_hash: "run-17"}))
    assert decision.range is None
    assert "run run-17 failed for these same inputs" in decision.reasons[0]
    assert "2025-07-25 to 2025-07-25" in decision.reasons[0]


def test_failed_run_of_other_inputs_does_not_matter() -> None:
    assert bounds(plan(state(consumed=without(FRI), failed_runs={"0123456789abcdef": "run-17"}))) == (FRI, FRI)


@pytest.mark.parametrize(
    "new_inputs",
    [
        {"symbol_generations": {**ALL_PUBLISHED, FRI: 99}},
        {"stale_books": [(7, 4, FRI)]},
        {"stale_books": [(7, 3, FRI), (8, 1, FRI)]},
    ],
    ids=["a new publication", "a new edit of the book", "another edited book"],
)
def test_new_inputs_after_a_failure_run_again(new_inputs: dict[str, object]) -> None:
    wanted = state(consumed=without(FRI), stale_books=[(7, 3, FRI)])
    failed = {required(plan(wanted)).input_hash: "run-17"}
    decision = plan(replace(wanted, failed_runs=failed, **new_inputs))  # type: ignore[arg-type]
    assert bounds(decision) == (FRI, FRI)


def test_failure_does_not_hide_the_hole_behind_it() -> None:
    wanted = state(symbol_generations=without(THU), consumed=without(WED, THU, FRI))
    failed = {required(plan(wanted)).input_hash: "run-17"}
    reasons = plan(replace(wanted, failed_runs=failed)).reasons
    assert "run-17" in reasons[0]
    assert "2025-07-24 waits" in reasons[1]


def required(decision: GateDecision) -> GateRange:
    assert decision.range is not None
    return decision.range


@st.composite
def states(draw: st.DrawFn) -> GateState:
    """Any week: some sessions published, some of those consumed (perhaps at an older generation), some books edited."""
    published = draw(st.dictionaries(st.sampled_from(WEEK), st.integers(1, 30)))
    consumed = {
        day: generation if draw(st.booleans()) else generation - 1
        for day, generation in published.items()
        if draw(st.booleans())
    }
    books = draw(st.dictionaries(st.integers(1, 4), st.tuples(st.integers(1, 9), st.sampled_from(WEEK))))
    return GateState(
        sessions=WEEK[draw(st.integers(0, 4)) :],
        symbol_generations=published,
        consumed=consumed,
        stale_books=[(book, version, day) for book, (version, day) in books.items()],
    )


@given(states())
def test_range_is_the_ready_and_stale_part(state: GateState) -> None:
    decision = plan(state)
    if decision.range is None:
        assert decision.reasons
        return
    chosen = decision.range
    inside = [day for day in state.sessions if chosen.first <= day <= chosen.last]
    assert inside[0] == chosen.first
    assert inside[-1] == chosen.last
    assert all(day in state.symbol_generations for day in inside)
    assert is_stale(state, chosen.first)
    start = min(state.symbol_generations)
    first_snapshot = min(state.consumed, default=start)
    if any(day not in state.symbol_generations for day in state.sessions if start <= day < first_snapshot):
        start = first_snapshot
    before = [day for day in state.sessions if start <= day < chosen.first]
    assert not any(is_stale(state, day) for day in before)
    after = [day for day in state.sessions if day > chosen.last]
    assert not after or after[0] not in state.symbol_generations


def is_stale(state: GateState, day: date) -> bool:
    return state.consumed.get(day) != state.symbol_generations[day] or any(
        edited <= day for _, _, edited in state.stale_books
    )


@given(states())
def test_nothing_is_left_to_do_after_the_range_has_run(state: GateState) -> None:
    decision = plan(state)
    if decision.range is None:
        return
    done = [day for day in state.sessions if decision.range.first <= day <= decision.range.last]
    later = replace(
        state,
        consumed={**state.consumed, **{day: state.symbol_generations[day] for day in done}},
        stale_books=[book for book in state.stale_books if book[2] > decision.range.last],
    )
    assert plan(later).range is None


@given(states(), st.data())
def test_run_key_is_that_of_the_inputs(state: GateState, data: st.DataObject) -> None:
    decision = plan(state)
    if decision.range is None:
        return
    chosen = decision.range
    assert re.fullmatch(rf"portfolio:{chosen.first}:{chosen.last}:[0-9a-f]{{16}}", chosen.run_key)
    reordered = replace(
        state,
        stale_books=data.draw(st.permutations(state.stale_books)),
        symbol_generations=dict(data.draw(st.permutations(list(state.symbol_generations.items())))),
        failed_checks={MON: "of no importance"},
    )
    assert required(plan(reordered)).run_key == chosen.run_key
    day = data.draw(st.sampled_from([day for day in state.sessions if chosen.first <= day <= chosen.last]))
    corrected = replace(state, symbol_generations={**state.symbol_generations, day: 31})
    assert required(plan(corrected)).run_key != chosen.run_key
    edited = replace(state, stale_books=[*state.stale_books, (5, 1, day)])
    assert required(plan(edited)).run_key != chosen.run_key


@given(st.lists(st.tuples(st.integers(1, 999), st.integers(1, 999)), min_size=2, max_size=2, unique=True))
def test_run_keys_of_books_and_versions_are_not_confused(books: list[tuple[int, int]]) -> None:
    first, second = (required(plan(state(stale_books=[(book, version, FRI)]))).run_key for book, version in books)
    assert first != second
