"""What holds of the gate's planner in every situation."""

import re
from dataclasses import replace
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sigmasight_assets.operations.gate import GateRange, GateState, plan, ready_range
from tests.operations.gate_states import FRI, MON, NOW, WEEK, bounds, refused, required, running, state


@st.composite
def states(draw: st.DrawFn) -> GateState:
    """Any week: sessions published, some consumed (perhaps at an older generation), waived, marked, books edited."""
    published = draw(st.dictionaries(st.sampled_from(WEEK), st.integers(1, 30)))
    consumed = {
        day: generation if draw(st.booleans()) else generation - 1
        for day, generation in published.items()
        if draw(st.booleans())
    }
    books = draw(st.dictionaries(st.integers(1, 4), st.tuples(st.integers(1, 9), st.sampled_from(WEEK))))
    return GateState(
        NOW,
        sessions=WEEK[draw(st.integers(0, 4)) :],
        symbol_generations=published,
        consumed=consumed,
        stale_books=[(book, version, day) for book, (version, day) in books.items()],
        waived=draw(st.dictionaries(st.sampled_from(WEEK), st.just("vendor hole"), max_size=2)),
        marked=draw(st.dictionaries(st.sampled_from(["AAPL", "MSFT"]), st.sampled_from(WEEK), max_size=2)),
    )


def inside(state: GateState, chosen: GateRange) -> list[date]:
    """The sessions that a run of the range computes."""
    days = [day for day in state.sessions if chosen.first <= day <= chosen.last]
    return [day for day in days if day in state.symbol_generations or day not in state.waived]


def is_stale(state: GateState, day: date) -> bool:
    return state.consumed.get(day) != state.symbol_generations[day] or any(
        edited <= day for _, _, edited in state.stale_books
    )


def begin(state: GateState) -> date:
    """The first needed session, by the rules in words."""
    spanned = {day for day in state.waived if day not in state.symbol_generations}
    start = min(state.symbol_generations, default=state.sessions[0])
    first_snapshot = min(state.consumed, default=start)
    early = [day for day in state.sessions if start <= day < first_snapshot and day not in spanned]
    return first_snapshot if any(day not in state.symbol_generations for day in early) else start


@given(states())
def test_range_is_the_ready_and_stale_part(state: GateState) -> None:
    decision = plan(state)
    if decision.range is None:
        assert decision.reasons
        return
    days = inside(state, decision.range)
    assert (days[0], days[-1]) == bounds(decision)
    assert all(day in state.symbol_generations for day in days)
    assert all(day < since for day in days for since in state.marked.values())
    assert is_stale(state, days[0])
    before = [day for day in state.sessions if begin(state) <= day < days[0] and day in state.symbol_generations]
    assert not any(is_stale(state, day) for day in before)


@given(states())
def test_every_needed_session_is_current_or_runs_or_has_a_reason(state: GateState) -> None:
    decision = plan(state)
    running = inside(state, decision.range) if decision.range else []
    for day in state.sessions:
        is_spanned = day in state.waived and day not in state.symbol_generations
        is_current = day in state.symbol_generations and not is_stale(state, day)
        if day < begin(state) or is_spanned or is_current:
            assert day not in decision.blocked
        else:
            assert (day in running) != (day in decision.blocked)
            assert day in running or decision.blocked[day]


@given(states())
def test_nothing_is_left_to_do_after_the_range_has_run(state: GateState) -> None:
    decision = plan(state)
    if decision.range is None:
        return
    done = inside(state, decision.range)
    later = replace(
        state,
        consumed={**state.consumed, **{day: state.symbol_generations[day] for day in done}},
        stale_books=[book for book in state.stale_books if book[2] > decision.range.last],
    )
    assert plan(later).range is None


@given(states())
def test_evening_after_evening_everything_is_computed_once_and_in_order(state: GateState) -> None:
    """What is missing comes evening by evening; each published session is computed, and no input twice."""
    computed: list[tuple[date, int]] = []
    consumed: dict[date, int] = {}
    state = replace(state, stale_books=[], marked={}, consumed={})
    for day in WEEK:
        known = {each: generation for each, generation in state.symbol_generations.items() if each <= day}
        now = replace(state, sessions=[each for each in state.sessions if each <= day], symbol_generations=known)
        decision = plan(replace(now, consumed=dict(consumed)))
        days = inside(now, decision.range) if decision.range else []
        computed += [(each, known[each]) for each in days]
        consumed |= {each: known[each] for each in days}
    assert len(set(computed)) == len(computed)
    assert [day for day, _ in computed] == sorted(consumed)


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
        holes={MON: refused("coverage", "of no importance")},
        now=NOW + timedelta(hours=1),
    )
    assert required(plan(reordered)).run_key == chosen.run_key
    day = data.draw(st.sampled_from(inside(state, chosen)))
    corrected = replace(state, symbol_generations={**state.symbol_generations, day: 31})
    assert required(plan(corrected)).run_key != chosen.run_key
    edited = replace(state, stale_books=[*state.stale_books, (5, 1, day)])
    assert required(plan(edited)).run_key != chosen.run_key


@given(st.lists(st.tuples(st.integers(1, 999), st.integers(1, 999)), min_size=2, max_size=2, unique=True))
def test_run_keys_of_books_and_versions_are_not_confused(books: list[tuple[int, int]]) -> None:
    first, second = (required(plan(state(stale_books=[(book, version, FRI)]))).run_key for book, version in books)
    assert first != second


@given(states())
def test_what_is_ready_does_not_depend_on_runs(state: GateState) -> None:
    chosen = ready_range(state)
    assert plan(state).range == chosen
    assert ready_range(replace(state, running=[running("portfolio_products")])) == chosen
