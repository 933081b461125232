"""Tests of the look at this home's services: those that hold its locks and answer, as services do."""

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sigmasight_assets.commands.status_services import ServicesStatus, read_services
from sigmasight_assets.services.home import Home
from sigmasight_assets.services.locks import file_lock
from sigmasight_assets.services.ports import LOOPBACK, free_port
from sigmasight_assets.services.run import RUN_LOCK
from sigmasight_assets.services.stack import DAGSTER_LOCK
from sigmasight_assets.settings import Settings

DOWN = ServicesStatus(dagster=None, api=None)


class Answers(BaseHTTPRequestHandler):
    """Answers every path as the API or Dagster's webserver would."""

    status, document = 200, '{"mode": "cache", "reason": null}'

    def do_GET(self) -> None:
        content = self.document.encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def answers() -> Iterator[type[Answers]]:
    class Own(Answers):
        port = 0

    with ThreadingHTTPServer((LOOPBACK, 0), Own) as server:
        Own.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield Own
        server.shutdown()
        thread.join()


def settings(home: Path, port: int) -> Settings:
    return Settings(home=home, api_port=port)


def test_a_home_that_was_never_used_has_none_and_gets_none(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert read_services(settings(home, free_port())) == DOWN
    assert not home.exists()


def test_a_stranger_on_the_port_is_not_the_api_of_this_home(tmp_path: Path, answers: type[Answers]) -> None:
    Home.at(tmp_path).create()
    assert read_services(settings(tmp_path, answers.port)) == DOWN  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("status", "document", "api", "reason"),
    [
        (200, {"mode": "cache", "reason": None}, "cache", None),
        (200, {"mode": "db_fallback", "reason": "30 s without a view"}, "db_fallback", "30 s without a view"),
        (503, {"mode": "loading", "detail": "the view loads"}, "loading", "the view loads"),
        (200, ["something else"], None, None),
    ],
)
def test_services_that_hold_the_homes_locks_are_asked(
    tmp_path: Path, answers: type[Answers], *, status: int, document: object, api: str | None, reason: str | None
) -> None:
    answers.status, answers.document = status, json.dumps(document)
    port: int = answers.port  # type: ignore[attr-defined]
    home = Home.at(tmp_path)
    home.create()
    (home.run / "dagster.url").write_text(f"http://{LOOPBACK}:{port}/graphql")
    with ExitStack() as held:
        for name in (RUN_LOCK, DAGSTER_LOCK):
            held.enter_context(file_lock(home.run / name, purpose="running"))
        found = read_services(settings(tmp_path, port))
    # Dagster's webserver counts as up when it answers with 200.
    dagster = f"http://{LOOPBACK}:{port}" if status == 200 else None
    assert found == ServicesStatus(dagster, api, reason)


def test_a_run_whose_api_is_not_there_yet(tmp_path: Path) -> None:
    home = Home.at(tmp_path)
    home.create()
    with file_lock(home.run / RUN_LOCK, purpose="running"):
        assert read_services(settings(tmp_path, free_port())) == DOWN
