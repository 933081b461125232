"""The files of the operators' documents: systemd reads the units, and scripts and settings do what is said of them."""

import json
import os
import re
import subprocess
import threading
from datetime import date
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from sigmasight_assets.commands.common import DONE_WITH_GAPS
from sigmasight_assets.settings import load_settings
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import create_portfolio
from tests.api.market import publish, random_figures
from tests.operations import ledger_rows
from tests.operator_files import FILES, PAGES, environment, installed, program, quoted, unusual

UNITS = {path: body for path, body in FILES.items() if path.startswith("/etc/systemd/system/")}


def test_systemd_understands_every_line_of_the_units(tmp_path: Path) -> None:
    analyze = program("systemd-analyze")
    written = []
    for path, body in UNITS.items():
        # It looks whether the programs are there.
        for script in FILES:
            if script.startswith("/usr/local/"):
                body = body.replace(script, "/bin/true")  # noqa: PLW2901
        body = body.replace("/opt/sigmasight/.venv/bin/python", "/bin/true")  # noqa: PLW2901
        unit = tmp_path / Path(path).name.replace("@.", "@8001.")
        unit.write_text(body)
        written.append(str(unit))
    done = subprocess.run([analyze, "verify", "--man=no", *written], capture_output=True, text=True, check=False)
    # Of other units of the machine it may say something too.
    assert [line for line in done.stderr.splitlines() if "sigmasight" in line] == []
    assert done.returncode == 0
    assert len(written) >= 5


def test_the_path_of_a_file_stands_above_it() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for path in re.findall(r"^```\w+ (/\S+)$", text, flags=re.MULTILINE):
            assert re.search(rf"^`{re.escape(path)}`:\n\n```\w+ {re.escape(path)}$", text, flags=re.MULTILINE), path


def test_every_file_that_a_unit_names_is_in_the_documents() -> None:
    named = {
        word for body in UNITS.values() for word in body.replace("=", " ").split() if word.startswith("/usr/local/")
    }
    assert named
    assert named <= set(FILES)


@pytest.mark.parametrize(
    ("mode", "status", "end"),
    [("cache", 200, 0), ("db_fallback", 200, 1), ("loading", 503, 1)],
    ids=["all is well", "the view is not loaded", "it begins"],
)
def test_the_watch_tells_of_an_api_that_is_not_itself(
    database: Database, tmp_path: Path, mode: str, status: int, end: int
) -> None:
    done = watched(database, tmp_path, mode=mode, status=status)
    assert done.returncode == end, done.stderr
    assert ("the API" in done.stderr) == (end == 1)


def test_the_watch_tells_what_is_late(database: Database, tmp_path: Path) -> None:
    publish(database, date(2025, 7, 28), random_figures(["SPY"], 1))
    done = watched(database, tmp_path, mode="cache", status=200)
    assert done.returncode == DONE_WITH_GAPS
    assert "2025-07-30" in done.stdout


def test_the_watch_tells_of_late_snapshots_while_a_newer_session_is_due(database: Database, tmp_path: Path) -> None:
    with database.begin() as connection:
        create_portfolio(connection, user="ann", name="main", equity=Decimal(1), as_of=date(2025, 7, 28), lots=[])
    generation = ledger_rows.publish(database, date(2025, 7, 28), date(2025, 7, 29))
    ledger_rows.consume(database, generation, date(2025, 7, 28))
    done = watched(database, tmp_path, mode="cache", status=200, clock="2025-07-30T21:30:00-04:00")
    assert done.returncode == DONE_WITH_GAPS, done.stdout + done.stderr
    assert "snapshots of 2025-07-29 are missing" in done.stdout


def watched(
    database: Database, root: Path, *, mode: str, status: int, clock: str = "2025-07-31T12:00:00-04:00"
) -> "subprocess.CompletedProcess[str]":
    """The watch at this time beside an API of this state."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"mode": mode, "reason": None}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing to the terminal."""

    with HTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        own = environment(
            root,
            SIGMASIGHT_DATABASE_URL=unusual(database.url),
            SIGMASIGHT_API_PORT=str(server.server_address[1]),
            SIGMASIGHT_NOW=clock,
        )
        script = installed("/usr/local/sbin/sigmasight-watch", root)
        done = subprocess.run([script], env=own, capture_output=True, text=True, check=False)
        server.shutdown()
    return done


def test_logs_are_rotated_while_services_write(tmp_path: Path) -> None:
    rotate = program("logrotate")
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "api.log"
    configuration = FILES["/etc/logrotate.d/sigmasight"].replace("/var/lib/sigmasight", str(tmp_path))
    configuration = configuration.replace("    su sigmasight sigmasight\n", "")
    (tmp_path / "rotate.conf").write_text(configuration)
    (tmp_path / "rotate.conf").chmod(0o644)
    with log.open("ab") as service:
        service.write(b"before\n" * 100)
        service.flush()
        command = [rotate, "--force", "--state", str(tmp_path / "state"), str(tmp_path / "rotate.conf")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        service.write(b"after\n")
    assert log.read_bytes() == b"after\n"
    assert log.with_name("api.log.1").read_bytes() == b"before\n" * 100


def test_old_output_of_runs_goes(tmp_path: Path) -> None:
    tmpfiles = program("systemd-tmpfiles")
    place = tmp_path / "var/lib/sigmasight/dagster/storage"
    for name in ("old", "new"):
        (place / name / "compute_logs").mkdir(parents=True)
        (place / name / "compute_logs" / "step.out").write_text("printed")
    (tmp_path / "etc/tmpfiles.d").mkdir(parents=True)
    (tmp_path / "etc/tmpfiles.d/sigmasight.conf").write_text(FILES["/etc/tmpfiles.d/sigmasight.conf"])
    command = [tmpfiles, f"--root={tmp_path}", "--clean", "sigmasight.conf"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    # Times of creation cannot be set, so nothing here is old enough to go; a limit of no time takes all.
    assert len(list(place.rglob("*.out"))) == 2
    at_once = FILES["/etc/tmpfiles.d/sigmasight.conf"].replace("90d", "0")
    (tmp_path / "etc/tmpfiles.d/sigmasight.conf").write_text(at_once)
    subprocess.run(command, check=True)
    assert list(place.rglob("*.out")) == []


def test_the_file_of_settings_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in read_by_a_shell(FILES["/etc/sigmasight/sigmasight.env"], tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    assert (settings.market, str(settings.home)) == ("yahoo", "/var/lib/sigmasight")
    assert (settings.database_url, settings.now) == ("", None)


def test_the_command_for_people_has_the_settings_of_the_service(database: Database, tmp_path: Path) -> None:
    url = unusual(database.url)
    own = environment(tmp_path, SIGMASIGHT_DATABASE_URL=url)
    command = [str(installed("/usr/local/bin/sigmasight", tmp_path)), "db", "url"]
    done = subprocess.run(command, env=own, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, url), done.stderr


def test_every_setting_of_the_documents_stands_in_single_quotes() -> None:
    lines = FILES["/etc/sigmasight/sigmasight.env"].splitlines()
    examples = re.findall(r"`(SIGMASIGHT_\w*DATABASE_URL=\S+?)`", "".join(page.read_text("utf-8") for page in PAGES))
    assert lines
    assert examples
    assert [line for line in (*lines, *examples) if not re.fullmatch(r"[A-Z_]+='[^']*'", line)] == []


def test_a_shell_takes_a_value_of_the_file_as_systemd_does(tmp_path: Path) -> None:
    values = {
        "SIGMASIGHT_DATABASE_URL": "postgresql://one:two@db/three?sslmode=verify-full&sslrootcert=/etc/ca.pem",
        "SIGMASIGHT_WEBHOOK_URL": 'https://hooks.example/a b;c#d?e=$HOME&f=`g`"\\',
    }
    assert read_by_a_shell("".join(f"{name}={quoted(value)}\n" for name, value in values.items()), tmp_path) == values


def read_by_a_shell(text: str, root: Path) -> dict[str, str]:
    """What the documents' scripts find in a file of settings of this text."""
    (root / "settings.env").write_text(text)
    command = ["sh", "-euc", 'set -a; . "$1"; set +a; exec env -0', "sh", str(root / "settings.env")]
    done = subprocess.run(command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True)
    found = dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
    return {name: value for name, value in found.items() if name.startswith(("SIGMASIGHT_", "POLYGON_"))}
