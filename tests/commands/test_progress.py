"""Tests of how far a command says it is: plain lines at a low rate, a live line on a terminal, nothing to programs."""

import re
import sys
from pathlib import Path

import pytest

from sigmasight_assets.commands.progress import Progress, as_progress, progress
from sigmasight_assets.durations import duration
from tests.commands.terminal import terminal

LIVE = """
import sys, time
from sigmasight_assets.commands.progress import progress
with progress(as_json="--json" in sys.argv, stages="stages" in sys.argv) as shown:
    shown("first [/]")
    shown("second")
    for done in range(3):
        shown.count("counting", done, 3, "sessions")
        time.sleep(0.3)
    shown.close()
    shown("afterwards")
print("result")
"""


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lines() -> list[str]:
    return []


def test_counts_are_told_at_most_every_ten_seconds_and_at_their_end(clock: Clock, lines: list[str]) -> None:
    shown = Progress(lines.append, clock=clock)
    shown("a stage")
    for done in range(61):
        shown.count("symbol layer", done, 60, "sessions")
        clock.now += 0.5
    assert lines == [
        "a stage",
        "symbol layer: 20 of 60 sessions, 10 s, about 20 s left",
        "symbol layer: 40 of 60 sessions, 20 s, about 10 s left",
        "symbol layer: 60 of 60 sessions, 30 s",
    ]


def test_what_is_quick_is_not_counted(clock: Clock, lines: list[str]) -> None:
    shown = Progress(lines.append, clock=clock)
    for done in range(2001):
        shown.count("storing", done, 2000, "symbols")
        clock.now += 0.001
    assert lines == []


def test_each_count_has_its_own_time_and_nothing_is_guessed_of_what_stands_still(
    clock: Clock, lines: list[str]
) -> None:
    shown = Progress(lines.append, clock=clock)
    shown.count("prices", 500, 1000, "symbols")
    clock.now += 12
    shown.count("prices", 500, 1000, "symbols")
    clock.now += 12
    shown.count("prices", 600, 1000, "symbols")
    shown.count("layer", 0, 1000, "sessions")
    clock.now += 10
    shown.count("layer", 1, 1000, "sessions")
    assert lines == [
        "prices: 500 of 1,000 symbols, 12 s",
        "prices: 600 of 1,000 symbols, 24 s, about 96 s left",
        "layer: 1 of 1,000 sessions, 10 s, about 2.8 h left",
    ]


def test_anything_that_takes_lines_takes_counts(lines: list[str]) -> None:
    shown = as_progress(lines.append)
    shown("a line")
    assert as_progress(shown) is shown
    assert lines == ["a line"]


@pytest.mark.parametrize(("seconds", "words"), [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2.0 h")])
def test_times_are_as_people_say_them(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("as_json", "stages", "told"), [(False, True, "reading\n"), (False, False, ""), (True, True, "")]
)
def test_away_from_a_terminal_there_are_plain_lines_on_standard_error_and_none_for_programs(
    capsys: pytest.CaptureFixture[str], *, as_json: bool, stages: bool, told: str
) -> None:
    with progress(as_json=as_json, stages=stages) as shown:
        shown("reading")
        shown.count("reading", 0, 2, "files")
    assert capsys.readouterr() == ("", told)


@pytest.mark.parametrize("stages", [True, False])
def test_a_terminal_gets_one_line_that_moves_and_goes_away(tmp_path: Path, *, stages: bool) -> None:
    arguments = ["stages"] if stages else []
    with terminal(sys.executable, "-c", LIVE, *arguments, environment={}, directory=tmp_path) as shown:
        assert shown.wait() == 0
    assert re.search(r"counting [━╺╸]+ 2/3 sessions 0:00:0\d left 0:00:0\d", shown.text)
    # Stages of long commands stay, those of quick ones do not.
    assert shown.written.count("first [/]\r\n") == (1 if stages else 0)
    assert shown.written.endswith("afterwards\r\nresult\r\n")


def test_a_terminal_that_cannot_move_gets_plain_lines(tmp_path: Path) -> None:
    environment = {"TERM": "dumb"}
    with terminal(sys.executable, "-c", LIVE, "stages", environment=environment, directory=tmp_path) as shown:
        assert shown.wait() == 0
    assert shown.written == "first [/]\r\nsecond\r\nafterwards\r\nresult\r\n"
