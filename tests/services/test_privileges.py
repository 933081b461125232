"""Tests of the server's user; those that become another user need root."""

import os
import pwd
import shutil
import stat
from pathlib import Path

import pytest

from sigmasight_assets.services.privileges import PREFERRED_USERS, ServerUser, server_environment, server_user

TRUE = Path(shutil.which("true") or "/bin/true")


def test_an_ordinary_user_runs_the_server_itself(tmp_path: Path) -> None:
    user = ServerUser()
    assert user.run(["id", "-u"]).stdout.strip() == str(os.geteuid())
    assert user.can_run(TRUE)
    assert user.can_write_below(tmp_path)
    assert not user.can_run(tmp_path / "absent")


def test_secrets_of_the_environment_do_not_reach_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYGON_API_KEY", "secret-key")
    assert "secret-key" not in ServerUser().run(["env"]).stdout
    assert server_environment()["PATH"] == os.environ["PATH"]


@pytest.mark.usefixtures("as_root")
class TestAsRoot:
    def test_an_unprivileged_account_is_chosen(self, tmp_path: Path) -> None:
        user = server_user(tmp_path / "absent")
        assert user.uid is not None
        assert pwd.getpwuid(user.uid).pw_name in PREFERRED_USERS
        assert user.run(["id", "-u"]).stdout.strip() == str(user.uid)
        assert user.run(["id", "-G"]).stdout.strip() == str(user.gid)

    def test_existing_data_keeps_its_owner(self, tmp_path: Path) -> None:
        data = tmp_path / "data"
        data.mkdir()
        os.chown(data, 12345, 23456)
        assert server_user(data) == ServerUser(12345, 23456)

    def test_what_the_user_reaches_is_found_by_trying(self, passable_directory: Path) -> None:
        user = server_user(passable_directory / "absent")
        closed = passable_directory / "closed"
        closed.mkdir(mode=0o700)
        program = Path(shutil.copy2(TRUE, closed / "true"))
        assert not user.can_run(program)
        assert not user.can_write_below(closed)
        assert user.can_run(Path(shutil.copy2(TRUE, passable_directory / "true")))
        assert user.can_write_below(passable_directory)
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        assert list(closed.iterdir()) == [program]
