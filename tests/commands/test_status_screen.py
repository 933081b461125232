"""Tests of the status in a real terminal: the verdict is on the first screen, and wide ones show more."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.operations import Verdict
from tests.commands.terminal import MODULE, Terminal, terminal
from tests.operations.ledger_rows import judge, publish, run_step
from tests.orchestration.contents import execute

NOW = "2025-07-31T23:30:00-04:00"
DAYS = [date(2025, 7, 31) - timedelta(days=back) for back in range(20)]
WEEKDAYS = [day for day in DAYS if day.weekday() < 5]
CAUSE = "0.7 < 0.98: " + ", ".join(f"SYM{number}" for number in range(20)) + ": no_data_from_source"


@pytest.fixture
def failing(database: Database) -> Database:
    """A night at 23:30 whose session has failed, with five warnings of a kind."""
    publish(database, *WEEKDAYS[1:])
    judge(database, Verdict("coverage", WEEKDAYS[0], passed=False, detail=CAUSE), run_id="a" * 36)
    for number in range(4):
        run_step(database, f"{number}" * 36, WEEKDAYS[0], error="coverage: not published", ended_ago=number + 1.0)
    values = ", ".join(f"('GONE{number}', 'Gone', 'equity', 'error', 'unknown')" for number in range(5))
    execute(database, f"INSERT INTO symbol_universe (symbol, name, asset_type, status, status_reason) VALUES {values}")
    return database


def shown(database: Database, directory: Path, *arguments: str, columns: int, lines: int, **own: str) -> Terminal:
    environment = {"SIGMASIGHT_DATABASE_URL": database.url, "SIGMASIGHT_NOW": NOW, **own}
    command = (*MODULE, "status", *arguments)
    with terminal(*command, environment=environment, directory=directory, columns=columns, lines=lines) as screen:
        assert screen.wait() == 3
    return screen


def test_a_failing_night_fits_a_small_screen(failing: Database, tmp_path: Path) -> None:
    screen = shown(failing, tmp_path, columns=80, lines=24)
    lines = screen.text.splitlines()
    assert lines[0] == "FAILING  2025-07-31 is not published; 5 warnings"
    assert lines[1].startswith("next: ")
    assert "`sigmasight retry`" in " ".join(line.strip() for line in lines[1:3])
    assert len(lines) < 24
    assert max(map(len, lines)) <= 80
    # No word is broken: the cause reads as it is once its lines are joined.
    assert CAUSE in " ".join(line.strip() for line in lines)
    assert "! warning: 5 symbol_without_data: GONE0, GONE1 and 3 more" in screen.text
    rows = [line for line in lines if line.startswith("2025-07-")]
    assert rows[0].split() == ["2025-07-31", "░░░░░░░░░░", "·", "0", "of", "6", "none", "late"]
    assert rows[1].split()[1:3] == ["██████████", "100.00%"]
    assert "\x1b[" in screen.written


def test_a_wide_screen_has_a_column_for_each_product_and_more_sessions(failing: Database, tmp_path: Path) -> None:
    screen = shown(failing, tmp_path, columns=140, lines=60)
    lines = screen.text.splitlines()
    heading = next(line for line in lines if line.startswith("Session "))
    assert heading.split("  ")[0] == "Session"
    assert "mkt β  rate β  ridge  spread  cov  metrics" in heading
    rows = [line for line in lines if line.startswith("2025-07-")]
    assert len(rows) == 10
    assert rows[0].count("·") == 1 + 6
    assert rows[1].count("✓") == 6
    assert max(map(len, lines)) <= 140


def test_so_many_sessions_as_are_asked_for(failing: Database, tmp_path: Path) -> None:
    screen = shown(failing, tmp_path, "--sessions", "8", columns=80, lines=24, NO_COLOR="1")
    assert sum(line.startswith("2025-07-") for line in screen.text.splitlines()) == 8
    assert "\x1b" not in screen.written
