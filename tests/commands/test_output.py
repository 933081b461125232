"""Tests of where commands write, of colour, and of readers that go away: with real pipes and a real terminal."""

import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from sigmasight_assets.commands.output import report, show, show_json
from tests.commands.conftest import NO_SERVER
from tests.commands.terminal import CHECKOUT, terminal

TWO_LINES = """
from sigmasight_assets.commands.output import console, patient_output, remark, result, show_on
with patient_output():
    remark("first")
    show_on(console(), lambda output: output.print("second", style="bold red"))
    result("third")
"""
MANY_LINES = """
import sys
from sigmasight_assets.commands.output import patient_output, remark, result
with patient_output():
    for number in range(50_000):
        result(f"line {number}")
    print("unflushed")
remark("went on to its own end")
sys.exit(3)
"""


@dataclass(frozen=True)
class Row:
    name: str
    amount: Decimal
    day: date | None = None


class TestTables:
    @pytest.mark.parametrize("name", ["[/]", "[red]x[/red]", ":smile:", "a [b] c", "\\[x]", "Estée", "x" * 300])
    def test_values_are_shown_as_they_are(self, capsys: pytest.CaptureFixture[str], name: str) -> None:
        show([Row(name, Decimal("1.50"))], title="Rows", as_json=False)
        shown = capsys.readouterr().out
        assert name in "".join(line.split("│")[1].strip() if "│" in line else "" for line in shown.splitlines())
        assert "1.50" in shown
        assert "None" not in shown

    def test_no_rows_are_said_so(self, capsys: pytest.CaptureFixture[str]) -> None:
        show([], title="Rows [/]", as_json=False)
        assert capsys.readouterr().out == "Rows [/]: none\n"


class TestJson:
    def test_lists_have_their_total(self, capsys: pytest.CaptureFixture[str]) -> None:
        rows = [Row("é", Decimal("0.00000001"), date(2025, 7, 31)), {"name": "b", "amount": None}]
        show(rows, title="Rows", as_json=True)
        assert json.loads(capsys.readouterr().out) == {
            "items": [{"name": "é", "amount": "0.00000001", "day": "2025-07-31"}, {"name": "b", "amount": None}],
            "total": 2,
        }
        show([], title="Rows", as_json=True)
        assert json.loads(capsys.readouterr().out) == {"items": [], "total": 0}

    def test_values_without_a_json_type_are_text(self, capsys: pytest.CaptureFixture[str]) -> None:
        key = UUID(int=7)
        show_json({"key": key, "at": datetime(2025, 7, 31, 22, tzinfo=UTC), "share": 0.5})
        expected = {"key": str(key), "at": "2025-07-31T22:00:00+00:00", "share": 0.5}
        assert json.loads(capsys.readouterr().out) == expected

    def test_what_was_done_is_a_sentence_or_a_document(self, capsys: pytest.CaptureFixture[str]) -> None:
        report({"day": date(2025, 7, 31)}, "it is [/] done", as_json=False)
        assert capsys.readouterr().out == "it is [/] done\n"
        report({"day": date(2025, 7, 31)}, "it is done", as_json=True)
        assert json.loads(capsys.readouterr().out) == {"day": "2025-07-31"}


def run(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(CHECKOUT), "TERM": "xterm", **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )


def test_results_and_remarks_go_their_own_ways_and_a_pipe_gets_no_colour() -> None:
    done = run(TWO_LINES)
    assert (done.stdout, done.stderr) == ("second\nthird\n", "first\n")


@pytest.mark.parametrize(
    ("environment", "has_colour"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({"NO_COLOR": ""}, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
)
def test_a_terminal_gets_colour_unless_it_is_told_not_to(
    tmp_path: Path, *, environment: dict[str, str], has_colour: bool
) -> None:
    with terminal(sys.executable, "-c", TWO_LINES, environment=environment, directory=tmp_path) as shown:
        assert shown.wait() == 0
    assert ("\x1b[" in shown.written) is has_colour
    assert "second" in shown.written


def test_colour_can_be_forced_on_a_pipe() -> None:
    assert "\x1b[1;31msecond" in run(TWO_LINES, FORCE_COLOR="1").stdout


def test_a_reader_that_goes_away_does_not_end_the_command() -> None:
    command = subprocess.Popen(
        [sys.executable, "-c", MANY_LINES],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stdout is not None
    assert command.stderr is not None
    assert command.stdout.readline() == "line 0\n"
    command.stdout.close()
    assert command.stderr.read() == "went on to its own end\n"
    command.stderr.close()
    assert command.wait(timeout=120) == 3


def test_a_closed_output_is_no_error_and_a_full_disk_is_one_line(tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(CHECKOUT)}
    command = f'"{sys.executable}" -m sigmasight_assets session --help'
    database = f'"{sys.executable}" -m sigmasight_assets db url --hide-password'
    own = {**environment, "SIGMASIGHT_DATABASE_URL": NO_SERVER}
    for line, code, said in (
        (f"{database} >&-", 0, ""),
        (f"{database} > /dev/full", 1, "error: The output cannot be written: No space left on device\n"),
        (f"{command} > /dev/full", 1, "error: The output cannot be written: No space left on device\n"),
    ):
        done = subprocess.run(
            ["bash", "-c", line], env=own, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
        )
        assert (done.returncode, done.stderr) == (code, said), line
