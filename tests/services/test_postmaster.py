"""Tests of ending servers and of what killed ones leave, on a real server."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sigmasight_assets.services import postmaster
from sigmasight_assets.services.postgres import EmbeddedPostgres
from sigmasight_assets.services.privileges import server_user
from tests.services.servers import data_directory, processes_in, query, running_pid


@pytest.fixture
def sleeper() -> Iterator[int]:
    """A foreign process of the server's own user, as which PostgreSQL itself cannot tell it from a server."""
    user = server_user(Path("/absent"))
    with subprocess.Popen(["sleep", "600"], user=user.uid, group=user.gid, extra_groups=user.groups) as process:
        yield process.pid
        assert process.poll() is None
        process.kill()


def test_stopping_leaves_no_process_and_no_pid_file_and_starting_again_has_the_data(server: EmbeddedPostgres) -> None:
    directory, url = data_directory(server), server.url()
    server.stop()
    server.stop()
    assert not server.status().running
    assert processes_in(directory) == []
    assert not (directory / "postmaster.pid").exists()
    server.start()
    assert server.url() == url
    assert query(server, "select answer from kept") == [42]


def test_after_a_kill_it_starts_again_with_the_data(server: EmbeddedPostgres) -> None:
    killed = running_pid(server)
    os.kill(killed, signal.SIGKILL)
    server.start()
    assert running_pid(server) != killed
    assert query(server, "select answer from kept") == [42]


def test_a_foreign_process_in_the_pid_file_is_left_alone(server: EmbeddedPostgres, sleeper: int) -> None:
    directory = data_directory(server)
    os.kill(running_pid(server), signal.SIGKILL)
    lines = (directory / "postmaster.pid").read_text().splitlines()
    (directory / "postmaster.pid").write_text("\n".join([str(sleeper), *lines[1:]]) + "\n")
    assert not server.status().running
    server.stop()
    server.start()
    assert running_pid(server) != sleeper
    assert query(server, "select answer from kept") == [42]


def test_a_server_that_does_not_listen_to_signals_is_ended(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postmaster, "STOP_STEPS", ((signal.SIGINT, 0.1), (signal.SIGQUIT, 0.1), (signal.SIGKILL, 30.0)))
    directory = data_directory(server)
    os.kill(running_pid(server), signal.SIGSTOP)
    server.stop()
    assert not server.status().running
    assert processes_in(directory) == []
