"""Tests of the command line as a process of its own: exit codes, streams, no traceback."""

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from sigmasight_assets.cli import app
from sigmasight_assets.commands.common import DONE_WITH_GAPS, FAILED, INTERRUPTED
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.operations import Verdict
from tests.conftest import NewDatabase
from tests.operations.ledger_rows import judge, publish

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


def parameters() -> Iterator[tuple[str, str, str | None]]:
    """Every group and command and every option and argument of them, with what is said of it."""

    def visit(command: Any, name: str) -> Iterator[tuple[str, str, str | None]]:
        yield name, "", command.help
        yield from ((name, item.opts[0], item.help) for item in command.params)
        for child, item in getattr(command, "commands", {}).items():
            yield from visit(item, f"{name} {child}")

    return visit(get_command(app), "sigmasight")


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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["prtfolio"], "No such command 'prtfolio'. Did you mean 'portfolio'?"),
        (["token", "lst"], "No such command 'lst'. Did you mean 'list'?"),
        (["status", "--sesions", "3"], "No such option: --sesions"),
        (["backfill", "--from", "2025-02-30", "--to", "2025-03-01"], "'2025-02-30' is not a date like 2025-07-31"),
        (["token", "revoke"], "Missing argument"),
    ],
)
def test_misuse_ends_with_two_and_says_what_is_meant(tmp_path: Path, arguments: list[str], said: str) -> None:
    wrong = run(SCRIPT, *arguments, directory=tmp_path)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert said in " ".join(wrong.stderr.translate(str.maketrans("╭╮╰╯│─", "      ")).split())
    assert list(tmp_path.iterdir()) == []


def test_help_ends_with_zero(tmp_path: Path) -> None:
    helped = run(SCRIPT, "--help", directory=tmp_path)
    assert (helped.returncode, helped.stderr) == (0, "")
    assert "--install-completion" in helped.stdout
    assert "\x1b" not in helped.stdout
    assert list(tmp_path.iterdir()) == []


def test_help_needs_none_of_what_commands_work_with() -> None:
    script = (
        "import sys, sigmasight_assets.cli, typer\n"
        "typer.main.get_command(sigmasight_assets.cli.app)\n"
        "print(sorted({'dagster', 'pandas', 'numpy', 'sqlalchemy', 'pydantic', 'httpx'} & set(sys.modules)))"
    )
    done = run([sys.executable], "-c", script, directory=CHECKOUT)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_gaps_end_with_three(schema_template: str, new_database: NewDatabase, tmp_path: Path) -> None:
    with new_database(schema_template) as url:
        database = Database(url)
        publish(database, date(2025, 7, 29))
        judge(database, Verdict("coverage", date(2025, 7, 30), passed=False, detail="0.5 < 0.98: AAA"))
        database.close()
        own = {"SIGMASIGHT_DATABASE_URL": url, "SIGMASIGHT_NOW": "2025-07-31T20:00:00-04:00"}
        done = run(SCRIPT, "status", directory=tmp_path, **own)
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.startswith("FAILING  2025-07-30 is not published")


def test_the_commands_are_those_that_are_promised() -> None:
    assert {name for name, _ in commands()} == {
        *(f"db {name}" for name in ("up", "down", "migrate", "status", "url", "roles")),
        *(f"universe {name}" for name in ("import", "add", "list", "requests", "cash-out")),
        *(f"portfolio {name}" for name in ("import", "list", "lots", "close", "value")),
        *(f"token {name}" for name in ("create", "list", "revoke")),
        *(f"bars {name}" for name in ("list", "accept", "reject")),
        *(f"session {name}" for name in ("waive", "unwaive", "close", "reopen", "list")),
        *(f"retention {name}" for name in ("list", "archive", "drop")),
        *("backfill", "retry", "status", "up", "down", "worker"),
    }


# Of these the result is a line that programs read as it is, or nothing but that it is done.
PLAIN = {"up", "down", "worker", "db up", "db down", "db url", "db roles"}


@pytest.mark.parametrize(("name", "options"), list(commands()))
def test_commands_that_list_or_report_speak_json(name: str, options: set[str]) -> None:
    assert ("--json" in options) is (name not in PLAIN)


def test_everything_has_help_that_is_a_sentence() -> None:
    told = list(parameters())
    assert len(told) > 100
    without = [f"{command} {name}".strip() for command, name, words in told if not words]
    assert without == []
    assert [words for _, _, words in told if not (words or "").rstrip().endswith(".")] == []


def test_exit_codes_are_documented_where_people_look() -> None:
    for document in ("README.md", "docs/terminal.md"):
        told = re.findall(r"^\| (\d+) \|", (CHECKOUT / document).read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert told == [str(code) for code in (0, FAILED, 2, DONE_WITH_GAPS, INTERRUPTED)], document
