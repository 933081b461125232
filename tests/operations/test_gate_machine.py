"""Whatever happens in which order, the gate starts what is ready, once, in order, and in the end all is current.

On the real database, against a plain model of what is ready.
"""

import random
from datetime import date

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from sigmasight_assets.operations.gate import GateDecision, GateRange, ready_range
from sigmasight_assets.operations.gate_state import read_gate_state
from sigmasight_assets.storage.database import Database
from tests.contents import clear
from tests.operations.evenings import Evenings
from tests.operations.gate_states import WEEK

pytestmark = [pytest.mark.fault(2, 3, 17)]

places = st.integers(0, len(WEEK) - 1)


class Gate(RuleBasedStateMachine):
    """Evenings on which things come late, fail, are killed, are forgotten, and are mended."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        clear(self.database)
        self.evenings = Evenings(self.database)
        # Keys of the runs that were launched, and the inputs by how their newest run ended.
        self.keys: set[str] = set()
        self.succeeded: set[str] = set()
        self.failed: set[str] = set()
        # Inputs of runs that came to nothing otherwise; after them the gate may wait, or ask for an operator.
        self.ended: set[str] = set()
        self.has_forgotten = False
        self.loses_launches = False
        # Keys of runs that were stored, by their inputs.
        self.stored: dict[str, str] = {}
        self.is_asked_for = False
        # Whether a worker that was killed has told a moment ago that it lives.
        self.seems_alive = False

    @precondition(lambda self: self.evenings.tonight + 1 < len(WEEK))
    @rule()
    def another_session_is_complete(self) -> None:
        self.evenings.tonight += 1

    @rule(place=places)
    def publish(self, place: int) -> None:
        self.evenings.publish(self._day(place))

    @rule(place=places, which=st.integers(0, 1))
    def edit(self, place: int, which: int) -> None:
        self.evenings.edit(self.evenings.books[which], self._day(place))

    @precondition(lambda self: len(self.evenings.waived) < len(self._open()))
    @rule()
    def waive_the_newest(self) -> None:
        day = self._open()[-1]
        if day not in self.evenings.waived:
            self.evenings.waive(day)

    @precondition(lambda self: self.evenings.published and self.evenings.marked_from is None)
    @rule(place=places)
    def change_a_price(self, place: int) -> None:
        self.evenings.mark(self._day(place))

    @precondition(lambda self: self.evenings.marked_from is not None)
    @rule()
    def recompute_marked(self) -> None:
        self.evenings.recompute_marked()

    @precondition(lambda self: not self.is_asked_for)
    @rule()
    def ask_for_symbol(self) -> None:
        self.evenings.ask_for_symbol()
        self.is_asked_for = True

    @precondition(lambda self: self.is_asked_for)
    @rule()
    def onboard(self) -> None:
        self.evenings.onboard()
        self.is_asked_for = False

    @rule(minutes=st.sampled_from((1, 3, 20, 150)))
    def let_time_pass(self, minutes: int) -> None:
        self.evenings.let_pass(minutes)
        self.seems_alive &= minutes < 2

    @rule(loses=st.booleans())
    def daemon(self, loses: bool) -> None:
        """Whether the daemon is killed between storing the runs that the gate requests and launching them."""
        self.loses_launches = loses

    @invariant()
    def tick(self) -> None:
        """The gate is asked after everything that happens."""
        decision = self.evenings.ask()
        if decision.range is None:
            self._judge_waiting(decision)
            return
        self._judge_start(decision.range)
        if self.loses_launches:
            self.stored.setdefault(decision.range.input_hash, decision.range.run_key)
            self.evenings.create(decision.range)
        else:
            self.keys.add(decision.range.run_key)
            self.evenings.launch(decision.range)

    @precondition(lambda self: self.evenings.work is not None and not self.evenings.work.has_begun)
    @rule()
    def begin(self) -> None:
        self.evenings.begin()

    @precondition(lambda self: self.evenings.work is not None)
    @rule(how=st.sampled_from(("well", "badly", "by an operator", "killed")))
    def end(self, how: str) -> None:
        chosen, has_begun = self._chosen(), self.evenings.work is not None and self.evenings.work.has_begun
        if how == "well":
            self.evenings.succeed()
            self.succeeded.add(chosen.input_hash)
        elif how == "badly":
            self.evenings.fail()
            self.failed.add(chosen.input_hash)
        elif how == "killed":
            self.evenings.die()
            self.seems_alive = has_begun
            (self.failed if has_begun else self.ended).add(chosen.input_hash)
        else:
            self.evenings.cancel()
            self.ended.add(chosen.input_hash)

    @rule()
    def purge_history(self) -> None:
        """The orchestrator forgets its runs that have ended; its keys with them."""
        self.evenings.launched = [run for run in self.evenings.launched if not run.is_finished]
        self.has_forgotten = True

    @precondition(lambda self: self.failed | self.ended)
    @rule()
    def retry(self) -> None:
        """What an operator has started again runs well."""
        decision = self.evenings.ask()
        if decision.failed_run is not None:
            self._retry(decision)

    @invariant()
    def consumes_nothing_before_its_time(self) -> None:
        """Snapshots build on each other: none without those of the session before, unless it is spanned."""
        held = self.evenings
        begin = min(held.consumed, default=date.max)
        last = max(held.consumed, default=date.min)
        needed = [day for day in held.sessions if begin <= day <= last and day not in held.waived]
        assert [day for day in needed if day not in held.consumed] == []

    def teardown(self) -> None:
        """Once all has come that the gate waits for, all is current, and nothing was computed in between twice."""
        decision = self.evenings.settle(self._retry)
        held = self.evenings
        assert decision.range is None
        assert decision.blocked == {}
        needed = [day for day in held.sessions if day in held.published]
        assert [day for day in held.edited.values() if day <= max(needed, default=date.min)] == []
        assert {day: held.consumed.get(day) for day in needed} == {day: held.published[day] for day in needed}

    def _day(self, place: int) -> date:
        return WEEK[min(place, self.evenings.tonight)]

    def _open(self) -> list[date]:
        """The sessions so far that are not published."""
        return [day for day in self.evenings.sessions if day not in self.evenings.published]

    def _chosen(self) -> GateRange:
        assert self.evenings.work is not None
        return self.evenings.work.chosen

    def _retry(self, decision: GateDecision) -> None:
        """As ``sigmasight retry``: the ready range once more, under a run without a key of the gate's."""
        chosen = ready_range(read_gate_state(self.database, now=self.evenings.clock))
        assert chosen is not None, decision
        again = GateRange(chosen.first, chosen.last, chosen.input_hash, attempt=1000 + self.evenings.runs)
        self.evenings.launch(again)
        self.evenings.succeed()
        self.succeeded.add(chosen.input_hash)

    def _judge_start(self, chosen: GateRange) -> None:
        held = self.evenings
        assert held.work is None, "a run is at work already"
        assert chosen.run_key not in self.keys or self.has_forgotten, "launched twice under one key"
        stored = self.stored.get(chosen.input_hash, chosen.run_key)
        assert stored == chosen.run_key or stored in self.keys or self.has_forgotten, "stored twice for the same inputs"
        assert chosen.input_hash not in self.succeeded, "computed twice from the same inputs"
        assert chosen.input_hash not in self.failed, "failed inputs wait for an operator"
        assert (chosen.first, chosen.last) == self._ready()

    def _judge_waiting(self, decision: GateDecision) -> None:
        held = self.evenings
        ready = self._ready()
        if ready is None:
            assert decision.failed_run is None
            return
        chosen = ready_range(read_gate_state(self.database, now=held.clock))
        assert chosen is not None
        assert decision.reasons
        is_waited_for = held.work is not None or self.seems_alive or self.is_asked_for
        if not is_waited_for and chosen.input_hash not in self.failed | self.ended:
            pytest.fail(f"{chosen} is ready, and nothing keeps it: {decision}")
        if decision.failed_run is not None:
            assert chosen.input_hash in self.failed | self.ended
        assert set(decision.blocked) >= {day for day in held.published if chosen.first <= day <= chosen.last}

    def _ready(self) -> tuple[date, date] | None:
        """The first stale session, if all before it are current, and the last one before a hole, in plain words."""
        held = self.evenings
        needed = [day for day in held.sessions if day in held.published or day not in held.waived]
        published = [day for day in needed if day in held.published]
        if not published:
            return None
        begin = published[0]
        first_snapshot = min(held.consumed, default=begin)
        if any(day not in held.published for day in needed if begin <= day < first_snapshot):
            begin = first_snapshot
        ready = list[date]()
        for day in (day for day in needed if day >= begin):
            if day not in held.published or (held.marked_from is not None and day >= held.marked_from):
                break
            ready.append(day)
        edited = min(held.edited.values(), default=date.max)
        stale = [day for day in ready if day >= edited or held.consumed.get(day) != held.published[day]]
        return (stale[0], ready[-1]) if stale else None


def check(database: Database, *, examples: int, number: int) -> None:
    Gate.database = database
    run_state_machine_as_test(
        seed(number)(Gate),
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            database=None,
            # A failure is found in seconds and would be made smaller for many minutes.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("number", [2, 3])
def test_gate_does_what_its_model_says(database: Database, number: int) -> None:
    check(database, examples=6, number=number)


@pytest.mark.campaign
def test_gate_does_what_its_model_says_for_long(database: Database, chance: random.Random) -> None:
    for _ in range(6):
        check(database, examples=25, number=chance.randrange(2**32))
