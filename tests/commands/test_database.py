"""Tests of ``sigmasight db`` on a server of one's own and on the embedded one."""

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from sigmasight_assets.storage import schema
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.roles import is_restricted
from tests.commands.conftest import NO_ANSWER, NO_SERVER, Sigmasight

NEWEST = schema.newest_revision()


class TestOwnServer:
    def test_status_says_which_schema_it_has(
        self, sigmasight: Sigmasight, database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert sigmasight("db", "status").out == f"embedded: False\nschema: {NEWEST}\nnewest schema: {NEWEST}\n"
        monkeypatch.setenv("SIGMASIGHT_DATABASE_URL", database_url)
        assert json.loads(sigmasight("db", "status", "--json").out) == {
            "embedded": False,
            "schema": None,
            "newest_schema": NEWEST,
        }

    def test_migrate_makes_the_schema_and_then_does_nothing(
        self, sigmasight: Sigmasight, database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SIGMASIGHT_DATABASE_URL", database_url)
        for _ in range(2):
            outcome = sigmasight("db", "migrate")
            assert (outcome.code, outcome.out) == (0, f"The schema is at {NEWEST}\n")
        schema.require_current(database_url)

    def test_a_newer_schema_is_not_touched(
        self, refused: Sigmasight, database_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engine = sa.create_engine(database_url, poolclass=NullPool)
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE alembic_version AS SELECT '99990101_0001' AS version_num")
        monkeypatch.setenv("SIGMASIGHT_DATABASE_URL", database_url)
        outcome = refused("db", "migrate")
        assert outcome.code == 1
        assert "cannot be migrated" in outcome.err
        assert "A newer version of SigmaSight made it: use that one." in outcome.err

    def test_url_prints_it_with_and_without_the_password(self, sigmasight: Sigmasight, database: Database) -> None:
        assert sigmasight("db", "url").out == f"{database.url}\n"
        hidden = make_url(database.url).render_as_string(hide_password=True)
        assert sigmasight("db", "url", "--hide-password").out == f"{hidden}\n"

    @pytest.mark.usefixtures("role_passwords")
    def test_roles_makes_urls_that_the_api_can_use(self, sigmasight: Sigmasight) -> None:
        lines = dict(line.split("=", 1) for line in sigmasight("db", "roles").out.splitlines())
        assert set(lines) == {"SIGMASIGHT_API_DATABASE_URL", "SIGMASIGHT_OPERATOR_DATABASE_URL"}
        for url in lines.values():
            handle = Database(url)
            with handle.begin() as connection:
                assert is_restricted(connection)
                connection.exec_driver_sql("SELECT count(*) FROM portfolios")
            handle.close()
        again = sigmasight("db", "roles").out
        assert not set(again.splitlines()) & {f"{name}={url}" for name, url in lines.items()}

    @pytest.mark.parametrize("command", ["up", "down"])
    def test_it_is_not_ours_to_start_or_stop(self, refused: Sigmasight, command: str) -> None:
        outcome = refused("db", command)
        assert outcome.code == 1
        assert outcome.err == (
            "error: SIGMASIGHT_DATABASE_URL names a server of your own: start and stop it yourself, "
            "or unset the variable\n"
        )

    @pytest.mark.parametrize("command", ["status", "migrate"])
    def test_one_that_is_away_is_told(self, refused: Sigmasight, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
        monkeypatch.setenv("SIGMASIGHT_DATABASE_URL", NO_SERVER)
        outcome = refused("db", command)
        assert (outcome.code, outcome.err) == (1, NO_ANSWER)


class TestEmbeddedServer:
    def test_before_the_first_start(
        self, sigmasight: Sigmasight, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.delenv("SIGMASIGHT_DATABASE_URL")
        assert json.loads(sigmasight("db", "status", "--json").out) == {
            "embedded": True,
            "running": False,
            "port": None,
        }
        for command in (["db", "url"], ["db", "migrate"], ["token", "list"]):
            outcome = sigmasight(*command)
            assert (outcome.code, outcome.out) == (1, "")
            assert outcome.err.endswith("has no database yet: run `sigmasight db up`.\n")
        assert sigmasight("db", "down").out == "PostgreSQL is stopped\n"
        assert list(tmp_path.iterdir()) == []

    def test_it_starts_keeps_its_data_and_stops(
        self, sigmasight: Sigmasight, monkeypatch: pytest.MonkeyPatch, open_directory: Path
    ) -> None:
        monkeypatch.delenv("SIGMASIGHT_DATABASE_URL")
        monkeypatch.setenv("SIGMASIGHT_HOME", str(open_directory / "command home"))
        try:
            started = sigmasight("db", "up")
            assert started.code == 0
            port = json.loads(sigmasight("db", "status", "--json").out)["port"]
            assert started.out == f"PostgreSQL answers on port {port}\n"
            assert sigmasight("token", "list").err.endswith("Run `sigmasight db migrate`.\n")
            assert sigmasight("db", "migrate").code == 0
            assert sigmasight("token", "create", "--user", "ann").code == 0
        finally:
            assert sigmasight("db", "down").code == 0
        status = json.loads(sigmasight("db", "status", "--json").out)
        assert status == {"embedded": True, "running": False, "port": port}
        assert "does not answer" in sigmasight("token", "list").err
