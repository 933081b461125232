"""Tests of the embedded server: real servers, real ports, real users."""

import os
import socket
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg2
import pytest
from sqlalchemy.engine import make_url

from sigmasight_assets.errors import ServiceError
from sigmasight_assets.services.ports import LOOPBACK
from sigmasight_assets.services.postgres import EmbeddedPostgres
from sigmasight_assets.services.privileges import server_user
from sigmasight_assets.storage.roles import ROLES
from tests.services.conftest import MakeServer
from tests.services.servers import data_directory, processes_in, query, running_pid


class TestOneServer:
    def test_it_is_set_up_for_safety_and_reached_by_loopback_and_password_only(self, server: EmbeddedPostgres) -> None:
        expected = {
            "data_checksums": "on",
            "server_encoding": "UTF8",
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "password_encryption": "scram-sha-256",
            "synchronous_commit": "on",
            "TimeZone": "UTC",
            "jit": "off",
            "max_connections": "100",
        }
        names = ", ".join(f"'{name}'" for name in expected)
        settings = query(server, f"select name || '=' || setting from pg_settings where name in ({names})")
        assert set(settings) == {f"{name}={value}" for name, value in expected.items()}
        assert query(server, "select distinct auth_method from pg_hba_file_rules") == ["scram-sha-256"]
        assert query(server, "select datcollate from pg_database where datname = 'sigmasight'") == ["C"]
        url = make_url(server.url()).set(drivername="postgresql", password="wrong")
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            psycopg2.connect(url.render_as_string(hide_password=False))

    def test_a_second_start_uses_the_running_server(self, server: EmbeddedPostgres, server_home: Path) -> None:
        pid, url = running_pid(server), server.url()
        again = EmbeddedPostgres(server_home)
        again.start()
        assert (running_pid(again), again.url()) == (pid, url)

    def test_ctrl_c_in_the_terminal_does_not_reach_it(self, server: EmbeddedPostgres) -> None:
        assert os.getsid(running_pid(server)) == running_pid(server) != os.getsid(0)

    def test_the_password_is_the_owners_alone_and_on_no_command_line(
        self, server: EmbeddedPostgres, server_home: Path
    ) -> None:
        path = server_home / "postgres" / "password"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        password = path.read_text()
        assert password in server.url()
        for pid in processes_in(data_directory(server)) or [running_pid(server)]:
            assert password not in " ".join(psutil.Process(pid).cmdline())

    def test_roles_of_the_api_are_let_in_with_passwords_of_their_own(
        self, server: EmbeddedPostgres, server_home: Path
    ) -> None:
        urls = {role: server.url_as(role) for role in ROLES}
        assert urls == {role: server.url_as(role) for role in ROLES}
        passwords = {make_url(url).password for url in [*urls.values(), server.url()]}
        assert len(passwords) == 3
        for role, url in urls.items():
            assert stat.S_IMODE((server_home / "postgres" / f"password.{role}").stat().st_mode) == 0o600
            connection = psycopg2.connect(
                make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
            )
            with connection, connection.cursor() as cursor:
                cursor.execute("select current_user, current_setting('is_superuser')")
                assert cursor.fetchone() == (role, "off")
            connection.close()

    def test_a_lost_password_of_a_role_is_replaced(self, server: EmbeddedPostgres, server_home: Path) -> None:
        before = server.url_as(ROLES[0])
        (server_home / "postgres" / f"password.{ROLES[0]}").unlink()
        after = server.url_as(ROLES[0])
        assert after != before
        psycopg2.connect(make_url(after).set(drivername="postgresql").render_as_string(hide_password=False)).close()

    def test_a_taken_port_is_exchanged_for_another(self, server: EmbeddedPostgres) -> None:
        port = server.status().port
        server.stop()
        with socket.create_server((LOOPBACK, port or 0)):
            server.start()
            assert server.status().port != port
            assert query(server, "select answer from kept") == [42]

    def test_a_lost_port_file_is_made_again(self, server: EmbeddedPostgres, server_home: Path) -> None:
        (server_home / "postgres" / "port").unlink()
        server.start()
        assert query(server, "select answer from kept") == [42]

    def test_a_wrong_password_file_is_named_and_the_data_kept(
        self, server: EmbeddedPostgres, server_home: Path
    ) -> None:
        path = server_home / "postgres" / "password"
        right = path.read_text()
        path.write_text("wrong")
        with pytest.raises(ServiceError, match=rf"The password in {path} is not the database's"):
            server.start()
        path.write_text(right)
        assert query(server, "select answer from kept") == [42]


class TestStarting:
    def test_two_commands_at_once_get_one_server(self, make_server: MakeServer, passable_directory: Path) -> None:
        servers = [make_server(passable_directory / "home") for _ in range(3)]
        with ThreadPoolExecutor() as pool:
            list(pool.map(EmbeddedPostgres.start, servers))
        assert len({running_pid(server) for server in servers}) == 1

    def test_the_reason_of_a_failed_start_is_shown(self, server: EmbeddedPostgres, server_home: Path) -> None:
        server.stop()
        with pytest.raises(ServiceError, match=r'PostgreSQL does not start .*\n.*"shared_buffers": "unlimited"'):
            EmbeddedPostgres(server_home, options={"shared_buffers": "unlimited"}).start()
        assert not server.status().running

    def test_before_the_first_start_there_is_no_url_and_nothing_to_stop(
        self, make_server: MakeServer, passable_directory: Path
    ) -> None:
        server = make_server(passable_directory / "home")
        server.stop()
        assert server.status().data_directory is None
        with pytest.raises(ServiceError, match="run `sigmasight db up`"):
            server.url()
        assert not (passable_directory / "home").exists()


@pytest.mark.usefixtures("as_root")
class TestAsRoot:
    def test_the_server_runs_as_another_user_who_owns_the_data_only(
        self, server: EmbeddedPostgres, server_home: Path
    ) -> None:
        owner = data_directory(server).stat().st_uid
        assert owner != 0
        assert psutil.Process(running_pid(server)).uids().real == owner
        assert (server_home / "postgres").stat().st_uid == 0

    def test_an_ordinary_user_starts_and_stops_its_own_server(self, passable_directory: Path) -> None:
        user = server_user(Path("/absent"))
        python = Path("/usr/bin") / f"python3.{sys.version_info.minor}"
        if not user.can_run(python):
            pytest.skip(f"no {python.name} that another user may run")
        own = passable_directory / "own"
        own.mkdir(mode=0o700)
        user.give(own)
        script = (
            f"import sys; sys.path[:0] = {[str(Path.cwd()), *sys.path]!r}\n"
            "from pathlib import Path\n"
            "from sigmasight_assets.services.postgres import EmbeddedPostgres\n"
            f"server = EmbeddedPostgres(Path({str(own / 'home')!r}))\n"
            "server.start(); print(server.status().running, server.status().data_directory.owner())\n"
            "server.stop(); print(server.status().running)\n"
        )
        completed = user.run([str(python), "-c", script])
        if "ModuleNotFoundError" in completed.stdout:
            pytest.skip("the environment's packages are closed to other users")
        name = Path(own).owner()
        assert completed.stdout == f"True {name}\nFalse\n"
