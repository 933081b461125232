"""Tests of engines and of what people are told when the database is away, not migrated or misnamed."""

import socket
import threading

import psycopg2
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ProgrammingError

from sigmasight_assets.errors import StorageError, TransientStorageError
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.engine import create_engine, readable_errors, without_password

WAY_OUT = "Start the embedded one with `sigmasight db up`, or check SIGMASIGHT_DATABASE_URL."


def ask(url: str, query: str) -> object:
    """The one value of a query."""
    engine = create_engine(url)
    try:
        with readable_errors(url), engine.connect() as connection:
            return connection.exec_driver_sql(query).scalar_one()
    finally:
        engine.dispose()


def test_instants_are_in_utc(postgres_url: str) -> None:
    assert ask(postgres_url, "SELECT current_setting('TimeZone')") == "UTC"


def test_a_machine_that_vanished_is_noticed_by_the_server(database: Database) -> None:
    """Its locks are free again after a minute."""
    shown = "SELECT current_setting('tcp_keepalives_idle') || ' ' || current_setting('tcp_keepalives_count') AS kept"
    assert ask(database.url, shown) == "30 3"
    with database.bulk() as transaction:
        assert transaction.read(shown)["kept"].to_pylist() == ["30 3"]


def test_options_of_the_url_are_kept(postgres_url: str) -> None:
    url = make_url(postgres_url).update_query_dict({"options": "-c search_path=elsewhere", "application_name": "me"})
    shown = "SELECT concat_ws(' ', current_setting('search_path'), current_setting('application_name'), now()::text)"
    answer = str(ask(url.render_as_string(hide_password=False), shown))
    assert answer.startswith("elsewhere me ")
    assert answer.endswith("+00")


def test_a_restarted_server_is_noticed(postgres_url: str) -> None:
    engine = create_engine(postgres_url)
    with engine.connect() as connection:
        lost = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    ask(postgres_url, f"SELECT pg_terminate_backend({lost}, 1000)")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one() != lost
    engine.dispose()


@pytest.mark.parametrize("password", ["s3cret", "p@ss:/#? %\\'\"é"])
def test_no_password_is_shown(password: str) -> None:
    url = sa.URL.create("postgresql+psycopg2", "me", password, "127.0.0.1", 9, "name")
    text = url.render_as_string(hide_password=False)
    assert without_password(text) == "postgresql+psycopg2://me:***@127.0.0.1:9/name"
    with pytest.raises(StorageError) as caught:
        ask(text, "SELECT 1")
    assert str(caught.value) == (
        "The database postgresql+psycopg2://me:***@127.0.0.1:9/name does not answer: "
        f'connection to server at "127.0.0.1", port 9 failed: Connection refused. {WAY_OUT}'
    )


class TestReadableErrors:
    @pytest.mark.parametrize(
        ("change", "cause"),
        [
            ({"database": "no_such_database"}, 'database "no_such_database" does not exist'),
            ({"password": "wrong"}, "password authentication failed"),
            ({"host": "nowhere.invalid"}, 'could not translate host name "nowhere.invalid"'),
            ({"query": {"sslmode": "require"}}, "server does not support SSL, but SSL was required"),
            ({"query": {"nonsense": "1"}}, 'invalid connection option "nonsense"'),
        ],
    )
    def test_a_wrong_address_is_told_with_its_cause(
        self, postgres_url: str, change: dict[str, str], cause: str
    ) -> None:
        url = make_url(postgres_url).set(**change).render_as_string(hide_password=False)  # type: ignore[arg-type]
        with pytest.raises(StorageError) as caught:
            ask(url, "SELECT 1")
        assert cause in str(caught.value)
        assert str(caught.value).endswith(WAY_OUT)

    def test_a_server_that_hangs_up_is_away(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:

            def hang_up() -> None:
                server.accept()[0].close()

            thread = threading.Thread(target=hang_up)
            thread.start()
            url = f"postgresql+psycopg2://me@127.0.0.1:{server.getsockname()[1]}/name?sslmode=disable"
            with pytest.raises(StorageError, match=r"does not answer: .+\. Start the embedded one"):
                ask(url, "SELECT 1")
            thread.join()

    def test_a_database_that_was_not_migrated_is_told_so(self, postgres_url: str) -> None:
        with pytest.raises(StorageError, match=r"has no current schema\. Run `sigmasight db migrate`\.$"):
            ask(postgres_url, "SELECT * FROM symbol_universe")

    @pytest.mark.parametrize(
        ("sqlstate", "kind", "told"),
        [
            ("40P01", TransientStorageError, "is busy: told by the server. Nothing was stored; try again."),
            ("57014", TransientStorageError, "is busy: told by the server. Nothing was stored; try again."),
            ("57P01", TransientStorageError, f"does not answer: told by the server. {WAY_OUT}"),
            ("53100", StorageError, "refuses: told by the server. Nothing was stored; mend this first."),
            ("42501", StorageError, "refuses: told by the server. Nothing was stored; mend this first."),
        ],
        ids=["deadlock", "statement timeout", "shutdown", "disk full", "permission"],
    )
    def test_trouble_that_passes_is_told_from_trouble_that_stays(
        self, postgres_url: str, sqlstate: str, kind: type[StorageError], told: str
    ) -> None:
        refuse = f"DO $$ BEGIN RAISE EXCEPTION 'told by the server' USING ERRCODE = '{sqlstate}'; END $$"
        with pytest.raises(StorageError) as caught:
            ask(postgres_url, refuse)
        assert type(caught.value) is kind
        assert str(caught.value) == f"The database {without_password(postgres_url)} {told}"

    def test_mistakes_of_ours_stay_what_they_are(self, postgres_url: str) -> None:
        with pytest.raises(ProgrammingError, match="syntax error"):
            ask(postgres_url, "SELEC 1")
        unadaptable = ProgrammingError("SELECT", None, psycopg2.ProgrammingError("can't adapt type 'object'"))
        with pytest.raises(ProgrammingError, match="can't adapt"), readable_errors(postgres_url):
            raise unadaptable


def test_a_database_that_is_busy_is_not_said_to_be_away(database: Database) -> None:
    def wait_for_a_lock() -> None:
        with database.begin() as holder, database.begin() as other:
            holder.exec_driver_sql("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
            other.exec_driver_sql("SET LOCAL lock_timeout = '10ms'")
            other.exec_driver_sql("SELECT * FROM users")

    with pytest.raises(
        TransientStorageError, match=r"is busy: canceling statement due to lock timeout\. Nothing was stored"
    ):
        wait_for_a_lock()
