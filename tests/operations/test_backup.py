"""``docs/operator/backup.md`` works as it is written: a real server is saved, destroyed, and brought back whole."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from sigmasight_assets.services.postgres import EmbeddedPostgres
from sigmasight_assets.services.privileges import server_user
from sigmasight_assets.services.stack import CHECKOUT
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.roles import ROLES, is_restricted
from sigmasight_assets.storage.schema import migrate
from sigmasight_assets.storage.tokens import create_token, find_holder
from tests.conftest import VOLATILE
from tests.contents import contents
from tests.documents import DOCS, blocks
from tests.night_contents import differences, results
from tests.nights import DAYS, live_evenings, run_portfolio_layer, run_symbol_layer
from tests.orchestration.contents import Contents

PAGE = (DOCS / "operator" / "backup.md").read_text(encoding="utf-8")
PATHS = ("/etc/sigmasight", "/var/lib/sigmasight", "/var/backups/sigmasight")
SAVED, NEXT = DAYS[:1], DAYS[1]


@dataclass(frozen=True)
class Machine:
    """The paths of the document, below a directory of the test."""

    root: Path

    @property
    def home(self) -> Path:
        """``SIGMASIGHT_HOME``."""
        return self.root / "var/lib/sigmasight"

    @property
    def backups(self) -> Path:
        """Where backups go."""
        return self.root / "var/backups/sigmasight"

    def written(self, name: str) -> str:
        """The block of this name, with the paths of the test."""
        (found,) = (block.body for block in blocks(PAGE) if block.info == f"sh {name}")
        for path in PATHS:
            found = found.replace(path, f"{self.root}{path}")
        return found.replace("/opt/sigmasight", str(CHECKOUT))

    def run(self, name: str, **variables: str) -> str:
        """Run a block in a shell of its own; what it printed."""
        with self.begun(name, **variables) as shell:
            printed, said = shell.communicate()
        assert shell.returncode == 0, printed + said
        return printed

    def begun(self, name: str, **variables: str) -> "subprocess.Popen[str]":
        """The shell of a block, in a process group of its own."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("SIGMASIGHT_", "PG"))}
        own = {"PYTHONPATH": str(CHECKOUT), "SIGMASIGHT_HOME": str(self.home), **variables}
        return subprocess.Popen(
            ["sh", "-eu", "-c", self.written(name)],
            env=clean | own,
            cwd=self.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def server(self) -> EmbeddedPostgres:
        """The server of the home; only what the documents start has the settings of real use."""
        return EmbeddedPostgres(self.home, options=VOLATILE)

    @contextmanager
    def database(self, name: str = "sigmasight") -> Iterator[Database]:
        """A database of the server, which is started when it does not run."""
        server = self.server()
        server.start()
        database = Database(server.url(name))
        try:
            yield database
        finally:
            database.close()


@dataclass(frozen=True)
class Original:
    """A machine whose backups were made, what its database held, and what the next evening makes of that."""

    machine: Machine
    token: str
    rows: list[tuple[str, str]]
    next_evening: Contents
    dump: Path


@pytest.fixture(scope="module")
def original(open_directory: Path) -> Iterator[Original]:
    machine = Machine(open_directory / "machine")
    for path in PATHS:
        (machine.root / path.lstrip("/")).mkdir(parents=True)
    for directory in (machine.root, *machine.root.rglob("*")):
        directory.chmod(0o711)
    (machine.root / "etc/sigmasight/database.sh").write_text(machine.written("/etc/sigmasight/database.sh"))
    try:
        with machine.database() as database:
            token = fill(database)
            rows = contents(database)
        next_evening = continued_copy(machine)
        dump = Path(machine.run("/usr/local/sbin/sigmasight-backup").strip())
        machine.run("base")
        yield Original(machine, token, rows, next_evening, dump)
    finally:
        machine.server().stop()
        shutil.rmtree(machine.root)


def fill(database: Database) -> str:
    """Evenings with owners' books, as they are published; a token of an owner."""
    migrate(database.url)
    live_evenings(database, SAVED)
    with database.begin() as connection:
        # In place of Dagster's own tables, which are in this schema.
        connection.exec_driver_sql("CREATE TABLE dagster.kept AS SELECT 42 AS answer")
        return create_token(connection, "owner", expires_at=datetime.now(UTC) + timedelta(days=1))


def live_on(database: Database) -> Contents:
    """What the next evening comes to."""
    run_symbol_layer(database, [NEXT])
    assert [span.last for span in run_portfolio_layer(database, NEXT)] == [NEXT]
    return results(database)


def continued_copy(machine: Machine) -> Contents:
    """What the next evening makes of the original, on a copy of it."""
    with machine.database("postgres") as server:
        engine = sa.create_engine(server.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql("CREATE DATABASE continued TEMPLATE sigmasight STRATEGY file_copy")
        with machine.database("continued") as copy:
            found = live_on(copy)
        with engine.connect() as connection:
            connection.exec_driver_sql("DROP DATABASE continued")
    return found


def destroy(machine: Machine) -> None:
    """Stop the server and leave nothing readable of its files; the documents move the directory aside."""
    data = machine.server().status().data_directory
    machine.server().stop()
    assert data is not None
    shutil.rmtree(data)
    shutil.rmtree(machine.home / "postgres.old", ignore_errors=True)


def assert_nothing_is_lost(original: Original) -> None:
    """Every row of every table is there, tokens are valid, and the roles have their rights and no more."""
    machine = original.machine
    with machine.database() as database:
        assert contents(database) == original.rows
        with database.begin() as connection:
            assert connection.exec_driver_sql("SELECT answer FROM dagster.kept").scalar_one() == 42
        with database.begin() as connection:
            holder = find_holder(connection, original.token, now=datetime.now(UTC))
        assert holder is not None
        assert holder.user_name == "owner"
        for role in ROLES:
            restricted = Database(machine.server().url_as(role))
            with restricted.begin() as connection:
                assert is_restricted(connection)
                assert connection.exec_driver_sql("SELECT count(*) FROM portfolios").scalar_one() > 0
            restricted.close()


def test_a_dump_brings_everything_back_and_the_next_session_goes_on_from_it(original: Original) -> None:
    machine = original.machine
    assert [path.suffix for path in machine.backups.glob("sigmasight-*")] == [".dump"]
    assert original.dump.stat().st_mode & 0o077 == 0
    destroy(machine)
    machine.run("restore", DUMP=str(original.dump))
    assert not machine.server().status().running
    assert_nothing_is_lost(original)
    with machine.database() as database:
        assert differences(live_on(database), original.next_evening) == []


def test_a_copy_of_the_files_brings_everything_back_with_its_passwords(original: Original) -> None:
    machine = original.machine
    password = (machine.backups / "password").read_text()
    destroy(machine)
    if os.geteuid() == 0:
        # Who restores as root gives the files to the server's user, as the document says.
        user = server_user(Path("/absent"))
        for path in (machine.backups / "base", *(machine.backups / "base").rglob("*")):
            user.give(path)
    machine.run("restore-base")
    if os.geteuid() == 0:
        (machine.home / "postgres").chmod(0o711)
    assert_nothing_is_lost(original)
    assert make_url(machine.server().url()).password == password


@pytest.mark.parametrize("end", ["the connection ends", "the script is stopped"])
def test_a_dump_that_is_not_finished_leaves_nothing(original: Original, end: str) -> None:
    machine = original.machine
    before = set(machine.backups.iterdir())
    waiting = "SELECT pid FROM pg_stat_activity WHERE application_name = 'pg_dump' AND wait_event_type = 'Lock'"
    with machine.database() as database, database.begin() as connection:
        # The dump waits for this table, so it is under way for as long as the test needs.
        connection.exec_driver_sql("LOCK TABLE portfolios IN ACCESS EXCLUSIVE MODE")
        with machine.begun("/usr/local/sbin/sigmasight-backup") as shell:
            try:
                deadline = time.monotonic() + 60
                while not (found := connection.exec_driver_sql(waiting).scalars().all()):
                    connection.exec_driver_sql("SELECT pg_stat_clear_snapshot()")
                    assert time.monotonic() < deadline
                    assert shell.poll() is None, shell.communicate()
                    time.sleep(0.05)
                assert [path.suffix for path in set(machine.backups.iterdir()) - before] == [".partial"]
                if end == "the script is stopped":
                    os.killpg(shell.pid, signal.SIGTERM)
                else:
                    connection.exec_driver_sql(f"SELECT pg_terminate_backend({found[0]})")
                shell.communicate(timeout=60)
            finally:
                if shell.poll() is None:
                    os.killpg(shell.pid, signal.SIGKILL)
    assert shell.returncode != 0
    assert set(machine.backups.iterdir()) == before


def test_old_dumps_go_and_the_others_stay(original: Original) -> None:
    machine = original.machine
    with machine.database():
        old, recent = (machine.backups / f"sigmasight-{name}.dump" for name in ("old", "recent"))
        for path, days in ((old, 16), (recent, 13)):
            path.write_bytes(b"")
            moment = (datetime.now(UTC) - timedelta(days=days)).timestamp()
            os.utime(path, (moment, moment))
        newest = Path(machine.run("/usr/local/sbin/sigmasight-backup").strip())
    assert set(machine.backups.glob("*.dump")) == {original.dump, recent, newest}
