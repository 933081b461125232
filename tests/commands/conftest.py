"""The command line as people call it, on one migrated database that is emptied before each test."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sigmasight_assets import cli
from sigmasight_assets.settings import PREFIX
from sigmasight_assets.storage.database import Database
from tests.conftest import NewDatabase
from tests.contents import clear, contents

# The evening of Thursday 2025-07-31: that session is complete.
NOW = "2025-07-31T22:00:00-04:00"
NO_SERVER = "postgresql://me:s3cret@127.0.0.1:9/name"
NO_ANSWER = (
    "error: The database postgresql+psycopg2://me:***@127.0.0.1:9/name does not answer: "
    'connection to server at "127.0.0.1", port 9 failed: Connection refused. '
    "Start the embedded one with `sigmasight db up`, or check SIGMASIGHT_DATABASE_URL.\n"
)


@dataclass(frozen=True)
class Outcome:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str


# Runs `sigmasight` with the arguments.
Sigmasight = Callable[..., Outcome]


@pytest.fixture(scope="session")
def migrated(new_database: NewDatabase, schema_template: str) -> Iterator[Database]:
    with new_database(schema_template) as url:
        database = Database(url)
        yield database
        database.close()


@pytest.fixture
def database(migrated: Database) -> Database:
    """The database that commands use, without rows."""
    clear(migrated)
    return migrated


@pytest.fixture
def sigmasight(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Sigmasight:
    """The command in an empty directory, with the simulated market of fifty shares and a clock that stands still."""
    for name in list(os.environ):
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIGMASIGHT_DATABASE_URL", database.url)
    monkeypatch.setenv("SIGMASIGHT_NOW", NOW)
    monkeypatch.setenv("SIGMASIGHT_DEMO_SYMBOLS", "50")

    def run(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["sigmasight", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = capsys.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture
def refused(sigmasight: Sigmasight, database: Database) -> Sigmasight:
    """The command, for calls that must fail: nothing on standard output, nothing stored is changed."""

    def run(*arguments: str) -> Outcome:
        before = contents(database)
        outcome = sigmasight(*arguments)
        assert outcome.code in (1, 2)
        assert outcome.out == ""
        assert "Traceback" not in outcome.err
        assert contents(database) == before
        return outcome

    return run


def words(text: str) -> str:
    """Text without the frame and the line breaks that people's output has."""
    return " ".join(text.translate(str.maketrans("╭╮╰╯│─", "      ")).split())
