"""Tests of the command line as a process of its own: exit codes, streams, no traceback."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from sigmasight_assets.cli import app

SCRIPT = [str(Path(sys.executable).with_name("sigmasight"))]
MODULE = [sys.executable, "-m", "sigmasight_assets"]
CHECKOUT = Path(__file__).parents[1]


def run(program: list[str], *arguments: str, directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*program, *arguments],
        cwd=directory,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(CHECKOUT), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def commands() -> Iterator[tuple[str, set[str]]]:
    """Every command with its options."""

    def visit(command: object, name: str) -> Iterator[tuple[str, set[str]]]:
        children = getattr(command, "commands", None)
        if children is None:
            yield name, {option for item in command.params for option in item.opts}  # type: ignore[attr-defined]
        for child, item in (children or {}).items():
            yield from visit(item, f"{name} {child}".strip())

    return visit(get_command(app), "")


def test_an_error_of_ours_is_one_line_on_standard_error(tmp_path: Path) -> None:
    url = "postgresql://me:s3cret@127.0.0.1:9/name"
    outcome = run(SCRIPT, "token", "list", "--json", directory=tmp_path, SIGMASIGHT_DATABASE_URL=url)
    assert (outcome.returncode, outcome.stdout) == (1, "")
    assert outcome.stderr.startswith(
        "error: The database postgresql+psycopg2://me:***@127.0.0.1:9/name does not answer"
    )
    assert outcome.stderr.count("\n") == 1
    assert "s3cret" not in outcome.stderr


def test_the_module_is_the_same_command(tmp_path: Path) -> None:
    outcome = run(MODULE, "status", directory=tmp_path, SIGMASIGHT_API_PORT="http")
    assert (outcome.returncode, outcome.stdout) == (1, "")
    assert outcome.stderr.startswith("error: Wrong settings:\nSIGMASIGHT_API_PORT: ")


def test_misuse_ends_with_two_and_help_with_zero(tmp_path: Path) -> None:
    wrong = run(SCRIPT, "prtfolio", directory=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "No such command" in wrong.stderr
    helped = run(SCRIPT, "--help", directory=tmp_path)
    assert (helped.returncode, helped.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_the_commands_are_those_that_are_promised() -> None:
    assert {name for name, _ in commands()} == {
        *(f"db {name}" for name in ("up", "down", "migrate", "status", "url", "roles")),
        *(f"universe {name}" for name in ("import", "add", "list", "requests", "cash-out")),
        *(f"portfolio {name}" for name in ("import", "list", "lots", "close", "value")),
        *(f"token {name}" for name in ("create", "list", "revoke")),
        *(f"bars {name}" for name in ("list", "accept", "reject")),
        *(f"session {name}" for name in ("waive", "unwaive", "close", "reopen", "list")),
        *(f"retention {name}" for name in ("list", "archive", "drop")),
        *("backfill", "retry", "status", "up", "down"),
    }


# Of these the result is a line that programs read as it is, or nothing but that it is done.
PLAIN = {"up", "down", "db up", "db down", "db url", "db roles"}


@pytest.mark.parametrize(("name", "options"), list(commands()))
def test_commands_that_list_or_report_speak_json(name: str, options: set[str]) -> None:
    assert ("--json" in options) is (name not in PLAIN)
