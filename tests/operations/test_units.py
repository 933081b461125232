"""The files of the operators' documents: systemd reads the units, and scripts and settings do what is said of them."""

import json
import re
import subprocess
import threading
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from sigmasight_assets.commands.common import DONE_WITH_GAPS
from sigmasight_assets.settings import load_settings
from sigmasight_assets.storage.database import Database
from tests.api.market import publish, random_figures
from tests.operator_files import FILES, PAGES, environment, installed, program

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


def watched(database: Database, root: Path, *, mode: str, status: int) -> "subprocess.CompletedProcess[str]":
    """The watch beside an API of this state."""

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
            SIGMASIGHT_DATABASE_URL=database.url,
            SIGMASIGHT_API_PORT=str(server.server_address[1]),
            SIGMASIGHT_NOW=f"{date(2025, 7, 31)}T12:00:00-04:00",
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
    for line in FILES["/etc/sigmasight/sigmasight.env"].splitlines():
        name, _, value = line.partition("=")
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    assert (settings.market, str(settings.home)) == ("yahoo", "/var/lib/sigmasight")
    assert (settings.database_url, settings.now) == ("", None)


def test_the_command_for_people_has_the_settings_of_the_service(database: Database, tmp_path: Path) -> None:
    own = environment(tmp_path, SIGMASIGHT_DATABASE_URL=database.url)
    command = [str(installed("/usr/local/bin/sigmasight", tmp_path)), "db", "url"]
    done = subprocess.run(command, env=own, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, database.url)
