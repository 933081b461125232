"""``docs/operator/secrets.md``: passwords and tokens are changed as it says, and who is running goes on."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy.engine import make_url
from typer.testing import CliRunner

from sigmasight_assets.cli import app
from sigmasight_assets.services.postgres import EmbeddedPostgres
from sigmasight_assets.services.stack import CHECKOUT
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.engine import libpq_settings
from sigmasight_assets.storage.roles import API_ROLE, ROLES
from tests.documents import DOCS, blocks
from tests.operator_files import FILES

PAGE = (DOCS / "operator" / "secrets.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def home(open_directory: Path) -> Iterator[Path]:
    """A home with a running server of its own, whose passwords may be changed."""
    home = open_directory / "home of secrets"
    server = EmbeddedPostgres(home, relocation_root=open_directory / "relocated", options={"fsync": "off"})
    server.start()
    yield home
    server.stop()


def run(name: str, home: Path, root: Path) -> None:
    """Run a block of the page, with the paths of the test; it succeeds and is silent."""
    done = typed(name, home, root, "-eu")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def typed(name: str, home: Path, root: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    """Run a block of the page with the paths of the test, by a shell with these options."""
    (script,) = (block.body for block in blocks(PAGE) if block.info == f"sh {name}")
    server = FILES["/etc/sigmasight/database.sh"].replace("/var/lib/sigmasight", f"'{home}'")
    (root / "database.sh").write_text(server.replace("/opt/sigmasight", str(CHECKOUT)))
    script = script.replace("/etc/sigmasight/database.sh", str(root / "database.sh"))
    for role in ROLES:
        file = f"/var/lib/sigmasight/postgres/password.{role}"
        script = script.replace(file, f"'{home}/postgres/password.{role}'")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("SIGMASIGHT_", "PG"))}
    return subprocess.run(["sh", *options, "-c", script], env=clean, capture_output=True, text=True, check=False)


def lets_in(url: str) -> bool:
    """Whether the server takes this user and password."""
    try:
        psycopg2.connect(**libpq_settings(url)).close()
    except psycopg2.OperationalError as error:
        assert "password authentication failed" in str(error)  # noqa: PT017 - another error is a failure
        return False
    return True


def test_the_owner_of_the_embedded_database_gets_another_password(home: Path, tmp_path: Path) -> None:
    server = EmbeddedPostgres(home)
    before = server.url()
    held = psycopg2.connect(**libpq_settings(before))
    run("owner", home, tmp_path)
    after = server.url()
    assert (before != after, lets_in(before), lets_in(after)) == (True, False, True)
    with held.cursor() as cursor:
        cursor.execute("SELECT 42")
        assert cursor.fetchone() == (42,)
    held.close()
    assert (home / "postgres" / "password").stat().st_mode & 0o077 == 0
    assert not list((home / "postgres").glob("password.new"))


def test_the_password_stays_when_the_server_does_not_take_another(home: Path, tmp_path: Path) -> None:
    server = EmbeddedPostgres(home, options={"fsync": "off"})
    kept = (home / "postgres" / "password").read_bytes()
    server.stop()
    try:
        # A shell that people type into goes on after a line that failed.
        done = typed("owner", home, tmp_path)
        assert done.returncode != 0
        assert "connection to server" in done.stderr
        assert (home / "postgres" / "password").read_bytes() == kept
    finally:
        server.start()
    assert lets_in(server.url())


def test_the_roles_of_the_embedded_database_get_other_passwords(home: Path, tmp_path: Path) -> None:
    server = EmbeddedPostgres(home)
    before = [server.url_as(role) for role in ROLES]
    run("roles", home, tmp_path)
    after = [server.url_as(role) for role in ROLES]
    assert [lets_in(url) for url in before] == [False, False]
    assert [lets_in(url) for url in after] == [True, True]


def test_who_is_connected_goes_on_when_the_roles_of_an_own_server_get_other_passwords(
    database: Database, role_passwords: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert role_passwords is None
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIGMASIGHT_DATABASE_URL", database.url)

    def urls() -> dict[str, str]:
        done = CliRunner().invoke(app, ["db", "roles"])
        assert done.exit_code == 0, done.output
        lines = [line.split("=", 1) for line in done.output.splitlines()]
        return {str(make_url(url).username): url for _, url in lines}

    before = urls()[API_ROLE]
    running = Database(before)
    with running.begin() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM portfolios")
    after = urls()[API_ROLE]
    with running.begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM portfolios").scalar_one() == 0
    running.close()
    assert (lets_in(before), lets_in(after)) == (False, True)


def test_a_second_login_takes_the_place_of_the_owner_without_a_gap(home: Path) -> None:
    server = EmbeddedPostgres(home)
    (statements,) = (block.body for block in blocks(PAGE) if block.info == "sql")
    owner = Database(server.url())
    with owner.begin() as connection:
        connection.exec_driver_sql("CREATE ROLE operator_1 LOGIN CREATEROLE PASSWORD 'one'")
        connection.exec_driver_sql("GRANT ALL ON SCHEMA public TO operator_1")
        written = statements.replace("sigmasight", "operator_1").replace("'...'", "'two'")
        connection.exec_driver_sql(written)
    second = Database(make_url(server.url()).set(username="operator_1_2", password="two").render_as_string(False))
    with second.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE made_by_the_second (held integer)")
        query = "SELECT tableowner FROM pg_tables WHERE tablename = 'made_by_the_second'"
        assert connection.exec_driver_sql(query).scalar_one() == "operator_1"
        connection.exec_driver_sql("DROP TABLE made_by_the_second")
    second.close()
    owner.close()
