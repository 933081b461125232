"""Tests of Ctrl-C in a real terminal: it ends at once, with 130, in words and without a traceback."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psycopg2
import pytest

from sigmasight_assets.services.home import Home
from sigmasight_assets.services.locks import file_lock
from sigmasight_assets.services.stack import DAGSTER_LOCK
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


@contextmanager
def dagster_that_takes_its_time(directory: Path) -> Iterator[threading.Event]:
    """A webserver of the home that has got the request of a run, of which it tells, and does not answer it."""
    asked, ended = threading.Event(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.set()
            ended.wait(60)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    home = Home.at(directory)
    home.create()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        (home.run / "dagster.url").write_text(f"http://127.0.0.1:{server.server_port}/graphql")
        try:
            with file_lock(home.run / DAGSTER_LOCK, purpose="running"):
                yield asked
        finally:
            ended.set()
            server.shutdown()
            thread.join()


def test_a_backfill_that_waits_for_its_run_to_start_says_that_it_may_have(database: Database, tmp_path: Path) -> None:
    environment = {
        "SIGMASIGHT_DATABASE_URL": database.url,
        "SIGMASIGHT_HOME": str(tmp_path),
        "SIGMASIGHT_NOW": "2025-07-31T22:00:00-04:00",
    }
    command = (*MODULE, "backfill", "--from", "2025-07-30", "--to", "2025-07-31")
    with (
        dagster_that_takes_its_time(tmp_path) as asked,
        terminal(*command, environment=environment, directory=tmp_path, columns=240) as shown,
    ):
        shown.wait_for("using the Dagster that runs")
        assert asked.wait(60)
        shown.type("\x03")
        assert shown.wait() == 130
    told = (
        "Interrupted: a run was asked for and may have been started: the runs of symbol_layer in Dagster's UI and "
        "`sigmasight status` tell. 0 of 2 sessions are published; the same command takes up the rest"
    )
    assert told in shown.text
    assert "Traceback" not in shown.text


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
