"""Tests of Ctrl-C in a real terminal: it ends at once, with 130, in words and without a traceback."""

import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.engine import libpq_settings
from sigmasight_assets.storage.publications import LOCKS
from sigmasight_assets.storage.universe import read_universe
from tests.commands.terminal import MODULE, terminal

WAITS = """
import time
from sigmasight_assets import cli
from sigmasight_assets.commands import status
def wait(*_: object, **__: object) -> None:
    print("waiting", flush=True)
    time.sleep(60)
status.open_database = wait
cli.main()
"""


@pytest.fixture
def locked(database: Database) -> Iterator[None]:
    """A price update under way, as far as locks go."""
    connection = psycopg2.connect(**libpq_settings(database.url))
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (LOCKS["prices"],))
        yield
    connection.close()


@pytest.mark.usefixtures("locked")
def test_a_command_that_waits_for_a_lock_is_interrupted_and_says_what_is_stored(
    database: Database, tmp_path: Path
) -> None:
    (tmp_path / "list.csv").write_text("symbol,name,sector,sub_industry\nAAA,A,Energy,Oil\n")
    environment = {"SIGMASIGHT_DATABASE_URL": database.url, "SIGMASIGHT_DEMO_SYMBOLS": "50"}
    command = (*MODULE, "universe", "import", "list.csv")
    with terminal(*command, environment=environment, directory=tmp_path, columns=100) as shown:
        shown.wait_for("storing 9 symbols")
        shown.type("\x03")
        assert shown.wait() == 130
    assert "Interrupted: it is done as a whole or not at all; `sigmasight universe list` tells\r\n" in shown.text
    assert "Traceback" not in shown.text
    with database.begin() as connection:
        assert read_universe(connection) == []


def test_a_command_that_has_nothing_to_say_is_interrupted_with_a_word(tmp_path: Path) -> None:
    with terminal(sys.executable, "-c", WAITS, "status", environment={}, directory=tmp_path) as shown:
        shown.wait_for("Traceback|waiting")
        shown.type("\x03")
        assert shown.wait() == 130
    assert shown.text.endswith("Interrupted.\r\n")
    assert "Traceback" not in shown.text
