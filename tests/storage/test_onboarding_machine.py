"""Whatever happens in which order, the onboarding queue does what a plain model of it says, on the real database."""

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.onboarding_claims import BACKOFF_SECONDS, LEASE_SECONDS, Claim
from tests.contents import clear
from tests.storage.onboarding_queue import ask, claimed, failed, let_pass, requests, taken

SYMBOLS = ("AAA", "BBB", "CCC", "DDD")
Held = tuple[str, Claim]


@dataclass
class Expected:
    """The newest request of a symbol: its place in the queue, when it is due again, and who holds it."""

    place: tuple[int, int]
    status: str = "pending"
    attempts: int = 0
    due: float = 0.0
    holder: str | None = None


class Queue(RuleBasedStateMachine):
    """Requests, workers that come and are lost, and time that passes."""

    database: Database
    claims: Bundle[Held] = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        clear(self.database)
        self.now = 0.0
        self.made = 0
        self.runs = 0
        self.expected: dict[str, Expected] = {}

    @rule(symbol=st.sampled_from(SYMBOLS), priority=st.integers(0, 3))
    def ask(self, symbol: str, priority: int) -> None:
        ask(self.database, symbol, priority=priority)
        known = self.expected.get(symbol)
        if known is not None and known.status in ("pending", "processing"):
            known.place = (min(known.place[0], -priority), known.place[1])
        else:
            self.made += 1
            self.expected[symbol] = Expected((-priority, self.made), due=self.now)

    @rule(target=claims, limit=st.integers(1, 3))
    def claim(self, limit: int) -> MultipleResults[Held]:
        for known in self.expected.values():
            if known.status == "processing" and known.due < self.now and known.attempts == 3:
                known.status = "failed"
        due = [
            (known.place, symbol)
            for symbol, known in self.expected.items()
            if (known.status == "pending" and known.due <= self.now)
            or (known.status == "processing" and known.due < self.now)
        ]
        chosen = {symbol for _, symbol in sorted(due)[:limit]}
        found = claimed(self.database, limit=limit)
        assert {item.symbol for item in found} == chosen
        for item in found:
            known = self.expected[item.symbol]
            known.status, known.attempts, known.holder = "processing", known.attempts + 1, None
            known.due = self.now + LEASE_SECONDS
            assert item.attempt == known.attempts
        return multiple(*((item.symbol, item) for item in found))

    @rule(target=claims, held=consumes(claims))
    def take(self, held: Held) -> Held:
        symbol, item = held
        self.runs += 1
        run_id = f"r{self.runs}"
        known = self.expected[symbol]
        is_ours = known.status == "processing" and known.attempts == item.attempt and known.holder is None
        is_ours &= item.request_id == requests(self.database)[symbol].request_id
        assert taken(self.database, [item], run_id=run_id) == ([symbol] if is_ours else [])
        if is_ours:
            known.holder, known.due = run_id, self.now + LEASE_SECONDS
        return (symbol, item)

    @rule(symbol=st.sampled_from(SYMBOLS), run=st.integers(1, 9), is_final=st.booleans())
    def fail(self, symbol: str, run: int, is_final: bool) -> None:
        run_id = f"r{run}"
        known = self.expected.get(symbol)
        given_up = failed(self.database, run_id, is_final=is_final, **{symbol: "away"})
        if known is None or known.status != "processing" or known.holder != run_id:
            assert given_up == []
            return
        if is_final or known.attempts == 3:
            assert given_up == [symbol]
            known.status = "failed"
        else:
            assert given_up == []
            known.status, known.due = "pending", self.now + BACKOFF_SECONDS[known.attempts - 1]

    # No sum of these comes near the length of a lease or of a pause.
    @rule(seconds=st.sampled_from((45, 90, 200)))
    def let_time_pass(self, seconds: int) -> None:
        let_pass(self.database, seconds)
        self.now += seconds

    @invariant()
    def is_as_expected(self) -> None:
        found = requests(self.database)
        assert {symbol: (item.status, item.attempts) for symbol, item in found.items()} == {
            symbol: (item.status, item.attempts) for symbol, item in self.expected.items()
        }


@pytest.mark.usefixtures("database")
def test_queue_does_what_its_model_says(migrated: Database) -> None:
    Queue.database = migrated
    run_state_machine_as_test(
        Queue,
        settings=settings(
            max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
