"""What a fetch says of its length and of how far it has come."""

import pytest

from sigmasight_assets.durations import duration
from sigmasight_assets.orchestration.price_progress import PriceProgress
from sigmasight_assets.orchestration.vendor_access import MeteredMarket
from tests.orchestration.markets import ScriptedMarket


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def told(*steps: tuple[float, int], total: int, rate: float | None = 2.0, symbols_per_call: int = 1) -> list[str]:
    """The lines after telling, at each second, how many symbols are done."""
    lines: list[str] = []
    clock = Clock()
    market = MeteredMarket(ScriptedMarket({}, [], symbols_per_call=symbols_per_call), calls_per_second=rate)
    progress = PriceProgress(market, lines.append, clock)
    for second, done in steps:
        clock.now = 100.0 + second
        progress(done, total)
    return lines


def test_the_expected_time_comes_first() -> None:
    assert told((0, 0), total=5000) == ["Asking scripted for 5,000 symbols at 2 calls a second: at least 42 min"]


def test_many_symbols_a_call_take_fewer_calls() -> None:
    assert told((0, 0), total=5001, symbols_per_call=100) == [
        "Asking scripted for 5,001 symbols at 2 calls a second: at least 26 s"
    ]


def test_without_a_limit_nothing_is_promised() -> None:
    assert told((0, 0), total=3, rate=None) == ["Asking scripted for 3 symbols"]


def test_nothing_to_ask_is_nothing_to_say() -> None:
    assert told((0, 0), total=0) == []


def test_progress_is_told_every_half_minute_with_what_is_left() -> None:
    lines = told((0, 0), (29, 58), (31, 62), (45, 90), (62, 124), (3000, 6000), total=6000)
    assert lines[1:] == [
        "62 of 6,000 symbols asked for and stored; about 49 min left",
        "124 of 6,000 symbols asked for and stored; about 49 min left",
    ]


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2.0 h")]
)
def test_durations_are_said_as_people_do(seconds: float, said: str) -> None:
    assert duration(seconds) == said
