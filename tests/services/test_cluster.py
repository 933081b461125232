"""Tests of making the data directory and of its place."""

import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from sigmasight_assets.errors import ServiceError
from sigmasight_assets.services.binaries import find_binaries
from sigmasight_assets.services.cluster import Cluster
from sigmasight_assets.services.home import Home
from sigmasight_assets.services.privileges import server_user
from tests.services.conftest import MakeServer
from tests.services.servers import data_directory, query, running_pid

START = """
import sys
from pathlib import Path
from sigmasight_assets.services.postgres import EmbeddedPostgres
EmbeddedPostgres(Path(sys.argv[1]), relocation_root=Path(sys.argv[2])).start()
"""


def test_an_initialisation_killed_halfway_is_redone(make_server: MakeServer, passable_directory: Path) -> None:
    home = passable_directory / "home"
    command = [sys.executable, "-c", START, str(home), str(passable_directory / "relocated")]
    with subprocess.Popen(command) as starting:
        while not list(home.glob("postgres/data.*.incomplete/global")):
            assert starting.poll() is None
            time.sleep(0.001)
        starting.kill()
    server = make_server(home)
    assert not server.status().running
    server.start()
    assert query(server, "select 1") == [1]
    assert list(passable_directory.rglob("*.incomplete")) == []


def test_a_directory_that_is_no_database_is_named_and_kept(make_server: MakeServer, home: Home) -> None:
    (home.postgres / "data").mkdir()
    (home.postgres / "data" / "thesis.txt").write_text("mine")
    with pytest.raises(ServiceError, match=r"data is not a PostgreSQL data directory: move it away"):
        make_server(home.root).start()
    assert (home.postgres / "data" / "thesis.txt").read_text() == "mine"


@pytest.mark.usefixtures("as_root")
def test_below_a_closed_directory_the_data_is_elsewhere_and_the_directory_stays_closed(
    make_server: MakeServer, passable_directory: Path
) -> None:
    closed = passable_directory / "closed to others"
    closed.mkdir(mode=0o700)
    server = make_server(closed / "home")
    server.start()
    assert passable_directory / "relocated" in data_directory(server).parents
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    query(server, "create table kept as select 42 as answer")
    server.stop()
    server.start()
    assert query(server, "select answer from kept") == [42]

    # The home is thrown away with its server still running, and made anew at the same place.
    forgotten = running_pid(server)
    subprocess.run(["rm", "-r", str(closed / "home")], check=True)
    server.start()
    assert not psutil.pid_exists(forgotten) or psutil.Process(forgotten).status() == psutil.STATUS_ZOMBIE
    assert query(server, "select to_regclass('kept')") == [None]
    names = sorted(path.name for path in (passable_directory / "relocated").iterdir())
    assert names == [names[0], f"{names[0]}.previous"]


@pytest.mark.usefixtures("as_root")
def test_programs_in_a_closed_directory_are_copied_to_where_the_servers_user_may_run_them(
    home: Home, passable_directory: Path
) -> None:
    binaries = find_binaries()
    if binaries.wheel is None:
        pytest.skip("this platform has no wheel with PostgreSQL programs")
    cluster = Cluster(home, passable_directory / "relocated")
    user = server_user(home.postgres / "data")
    assert cluster.runnable(binaries.copied_to(passable_directory), user).directory.is_relative_to(passable_directory)
    closed = passable_directory / "closed"
    closed.mkdir(mode=0o700)
    runnable = cluster.runnable(binaries.copied_to(closed), user)
    assert passable_directory / "relocated" in runnable.postgres.parents
    assert user.can_run(runnable.initdb)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert cluster.runnable(binaries.copied_to(closed), user) == runnable
