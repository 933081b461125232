"""Tests of the state directory."""

import os
import stat
import sys
from pathlib import Path

import pytest

from sigmasight_assets.errors import ServiceError
from sigmasight_assets.services.home import Home, read_text, write_atomically
from sigmasight_assets.services.privileges import server_user


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_directories_are_private_but_the_servers_user_may_pass(tmp_path: Path) -> None:
    home = Home.at(tmp_path / "state" / "here")
    home.create()
    assert {mode(directory) for directory in (home.logs, home.run, home.dagster)} == {0o700}
    assert {mode(home.root), mode(home.postgres)} == {0o711 if os.geteuid() == 0 else 0o700}


def test_creating_again_changes_nothing(tmp_path: Path) -> None:
    home = Home.at(tmp_path / "state")
    home.create()
    home.root.chmod(0o750)
    write_atomically(home.run / "kept", "content")
    home.create()
    assert mode(home.root) == 0o750
    assert read_text(home.run / "kept") == "content"


def test_a_relative_home_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Home.at(Path("state")).root == tmp_path / "state"


def test_a_file_in_the_way_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("not a directory")
    with pytest.raises(ServiceError, match=r"Cannot create the state directory .*state.*SIGMASIGHT_HOME"):
        Home.at(tmp_path / "state").create()
    assert (tmp_path / "state").read_text() == "not a directory"


def test_an_atomic_write_is_private_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_atomically(path, "first")
    write_atomically(path, "second")
    assert (path.read_text(), mode(path), list(tmp_path.iterdir())) == ("second", 0o600, [path])


def test_reading_what_is_absent_or_empty_gives_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text(" \n")
    assert read_text(tmp_path / "absent") is None
    assert read_text(tmp_path / "empty") is None


@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize("closed", ["", "run", "logs/postgres.log"])
def test_another_users_home_is_named_and_unchanged(passable_directory: Path, closed: str) -> None:
    user = server_user(Path("/absent"))
    python = Path("/usr/bin") / f"python3.{sys.version_info.minor}"
    if not user.can_run(python):
        pytest.skip(f"no {python.name} that another user may run")
    home = Home.at(passable_directory / "home")
    home.create()
    (home.logs / "postgres.log").touch()
    for path in (home.root, home.postgres, home.run, home.dagster, home.logs, home.logs / "postgres.log"):
        user.give(path)
    os.chown(home.root / closed, 0, 0)
    (home.root / closed).chmod(0o700)
    script = (
        f"import sys; sys.path[:0] = {[str(Path.cwd()), *sys.path]!r}\n"
        "from pathlib import Path\n"
        "from sigmasight_assets.services.postgres import EmbeddedPostgres\n"
        "from sigmasight_assets.errors import ServiceError\n"
        f"server = EmbeddedPostgres(Path({str(home.root)!r}))\n"
        "for question in (server.start, server.stop, server.status, server.url):\n"
        "    try: question()\n"
        "    except ServiceError as error: print(error)\n"
    )
    before = sorted(home.root.rglob("*"))
    output = user.run([str(python), "-c", script]).stdout
    if "ModuleNotFoundError" in output:
        pytest.skip("the environment's packages are closed to other users")
    lines = output.splitlines()
    assert len(lines) == 4
    assert all("SIGMASIGHT_HOME to " in line and str(home.root) in line for line in lines)
    assert sorted(home.root.rglob("*")) == before
