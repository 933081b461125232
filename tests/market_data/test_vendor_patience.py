"""How often a vendor is asked again, after what pauses, and when it counts as down."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from sigmasight_assets.errors import MarketDataError, MarketSetupError, RateLimitedError
from sigmasight_assets.market_data.vendor_calls import CallRules, Failure, VendorCallError
from sigmasight_assets.market_data.vendor_patience import Patience


@dataclass
class NotedTurns:
    pauses: list[float] = field(default_factory=list)

    def wait(self) -> None:
        """At once."""

    def slow_down(self, seconds: float) -> None:
        self.pauses.append(seconds)


@dataclass
class Script:
    """A call that fails as listed, then answers; it counts how often it was made."""

    failures: list[VendorCallError]
    calls: int = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return "answer"


def failed(failure: Failure, retry_after: float | None = None) -> VendorCallError:
    return VendorCallError(failure, "as it was scripted", retry_after=retry_after)


def limited(*retry_after: float | None) -> Script:
    return Script([failed(Failure.RATE_LIMITED, seconds) for seconds in retry_after])


@pytest.fixture
def turns() -> NotedTurns:
    return NotedTurns()


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def patience(turns: NotedTurns, clock: Clock) -> Patience:
    return Patience("Vendor", CallRules(turns=turns), failures_in_a_row=3, clock=clock)


ORDINARY = [kind for kind in Failure if kind not in (Failure.RATE_LIMITED, Failure.REFUSED)]


def test_an_answer_is_asked_for_once(patience: Patience, turns: NotedTurns) -> None:
    script = Script([])
    assert patience.ask(script) == "answer"
    assert (script.calls, turns.pauses) == (1, [])


@pytest.mark.parametrize("kind", ORDINARY)
def test_a_failure_is_asked_for_once_more_without_a_pause(patience: Patience, turns: NotedTurns, kind: Failure) -> None:
    script = Script([failed(kind)])
    assert patience.ask(script) == "answer"
    script = Script([failed(kind)] * 2)
    with pytest.raises(VendorCallError, match=f"^{kind.value}: "):
        patience.ask(script)
    assert (script.calls, turns.pauses) == (2, [])


@pytest.mark.fault(6)
def test_too_many_calls_wait_twice_as_long_each_time(patience: Patience, turns: NotedTurns) -> None:
    assert patience.ask(limited(None, None, None)) == "answer"
    assert turns.pauses == [2.0, 4.0, 8.0]


def test_the_vendors_own_pause_counts_when_it_is_longer(patience: Patience, turns: NotedTurns) -> None:
    assert patience.ask(limited(30.0, 1.0, None)) == "answer"
    assert turns.pauses == [30.0, 4.0, 8.0]


def test_the_last_refusal_slows_the_others_down_too(patience: Patience, turns: NotedTurns) -> None:
    script = limited(*[None] * 9)
    with pytest.raises(RateLimitedError, match="Vendor: rate_limited") as caught:
        patience.ask(script)
    assert (script.calls, turns.pauses, caught.value.retry_after) == (4, [2.0, 4.0, 8.0, 16.0], None)


def test_pauses_have_a_longest(turns: NotedTurns) -> None:
    patience = Patience("Vendor", CallRules(turns=turns), limited_attempts=6, first_pause=20.0)
    assert patience.ask(limited(*[None] * 5)) == "answer"
    assert turns.pauses == [20.0, 40.0, 60.0, 60.0, 60.0]


def test_a_vendor_that_wants_a_longer_pause_is_left_alone_at_once(patience: Patience, turns: NotedTurns) -> None:
    script = limited(61.0)
    with pytest.raises(RateLimitedError) as caught:
        patience.ask(script)
    assert (script.calls, turns.pauses, caught.value.retry_after) == (1, [60.0], 61.0)


def test_refusals_and_failures_are_counted_apart(patience: Patience, turns: NotedTurns) -> None:
    script = Script([failed(Failure.TIMEOUT), *(failed(Failure.RATE_LIMITED) for _ in range(3))])
    assert patience.ask(script) == "answer"
    assert (script.calls, turns.pauses) == (5, [2.0, 4.0, 8.0])


def test_refused_access_is_not_asked_again(patience: Patience) -> None:
    script = Script([failed(Failure.REFUSED)])
    with pytest.raises(MarketSetupError, match="Vendor: as it was scripted"):
        patience.ask(script)
    assert script.calls == 1


def fail(patience: Patience, kind: Failure = Failure.TIMEOUT) -> None:
    patience.ask(Script([failed(kind)] * 2))


class TestDown:
    @pytest.fixture
    def failing(self, patience: Patience) -> Callable[[], None]:
        def twice() -> None:
            for _ in range(2):
                with pytest.raises(VendorCallError):
                    fail(patience)

        return twice

    def test_failures_in_a_row_are_a_vendor_that_is_down(self, patience: Patience, failing: Callable[[], None]) -> None:
        failing()
        with pytest.raises(
            MarketDataError, match="Vendor is down: 3 calls in a row failed, the last one: garbage"
        ) as caught:
            fail(patience, Failure.GARBAGE)
        assert not isinstance(caught.value, MarketSetupError | RateLimitedError)

    def test_an_answer_between_them_starts_the_count_anew(
        self, patience: Patience, failing: Callable[[], None]
    ) -> None:
        failing()
        patience.ask(Script([failed(Failure.TIMEOUT)]))
        failing()
        with pytest.raises(MarketDataError, match="is down"):
            fail(patience)

    def test_a_vendor_that_is_down_is_left_alone_for_a_while(
        self, patience: Patience, failing: Callable[[], None], clock: Clock
    ) -> None:
        failing()
        with pytest.raises(MarketDataError, match="is down"):
            fail(patience)
        script = Script([])
        clock.now += patience.rest - 1
        with pytest.raises(MarketDataError, match="is down: 3 calls in a row failed"):
            patience.ask(script)
        assert script.calls == 0
        clock.now += 1
        assert patience.ask(script) == "answer"
        failing()

    def test_after_the_rest_one_call_decides(
        self, patience: Patience, failing: Callable[[], None], clock: Clock
    ) -> None:
        failing()
        with pytest.raises(MarketDataError, match="is down"):
            fail(patience)
        clock.now += patience.rest
        with pytest.raises(MarketDataError, match="is down: it still does not answer, the last one: timeout"):
            fail(patience)
        script = Script([])
        with pytest.raises(MarketDataError, match="it still does not answer"):
            patience.ask(script)
        assert script.calls == 0

    def test_so_is_one_that_wants_fewer_calls(self, patience: Patience, clock: Clock) -> None:
        with pytest.raises(RateLimitedError):
            patience.ask(limited(*[None] * 4))
        script = Script([])
        with pytest.raises(RateLimitedError):
            patience.ask(script)
        assert script.calls == 0
        clock.now += patience.rest
        assert patience.ask(script) == "answer"
