"""A run is one worker's at a time, for as long as its connection lives."""

import pytest
from sqlalchemy.engine import make_url

from sigmasight_assets.errors import StorageError
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.precedence import precedence
from sigmasight_assets.storage.run_claims import SPACE, claimed_run
from tests.orchestration.contents import execute

NOWHERE = "postgresql+psycopg2://me:secret@127.0.0.1:9/nowhere"
# As when the machine of a worker is gone.
CUT = f"SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND classid = {SPACE}"


def test_a_second_worker_leaves_it_alone(database: Database) -> None:
    with claimed_run(database.url, "a run") as first:
        with claimed_run(database.url, "a run") as second, claimed_run(database.url, "another") as other:
            assert (first, second, other) == (True, False, True)
        with claimed_run(database.url, "a run") as third:
            assert third is False
    with claimed_run(database.url, "a run") as afterwards:
        assert afterwards is True


def test_a_worker_whose_connection_is_gone_has_it_no_longer(database: Database) -> None:
    with claimed_run(database.url, "a run"):
        execute(database, CUT)
        with claimed_run(database.url, "a run") as second:
            assert second is True


def test_a_failed_run_is_free_again(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), claimed_run(database.url, "a run"):
        raise ZeroDivisionError
    with claimed_run(database.url, "a run") as again:
        assert again is True


def test_it_has_nothing_to_do_with_precedence(database: Database) -> None:
    with precedence(database.url), claimed_run(database.url, "a run") as claimed:
        assert claimed is True


def test_a_database_that_is_away_is_said_so() -> None:
    with pytest.raises(StorageError, match="does not answer"), claimed_run(NOWHERE, "a run"):
        pass


def test_a_database_that_is_away_can_be_waited_for(database: Database) -> None:
    """Its role may not connect at first."""
    role, secret = "claims_for_later", "of-this-test"
    told = []

    def admit(error: StorageError) -> None:
        told.append(str(error))
        if len(told) == 2:
            execute(database, f"CREATE ROLE {role} LOGIN PASSWORD '{secret}'")

    url = make_url(database.url).set(username=role, password=secret).render_as_string(hide_password=False)
    try:
        with claimed_run(url, "a run", when_away=admit) as first, claimed_run(database.url, "a run") as second:
            assert (first, second) == (True, False)
    finally:
        execute(database, f"DROP ROLE IF EXISTS {role}")
    assert len(told) == 2
    assert secret not in "".join(told)
