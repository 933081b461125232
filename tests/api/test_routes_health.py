"""Tests of readiness over HTTP: loading, fallback, cache, and a database that goes away."""

from decimal import Decimal

import pytest
import sqlalchemy as sa

from sigmasight_api.components import Timing
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.publications import CHANNEL
from tests.api.conftest import Api, Serve, wait_until
from tests.api.market import SESSIONS, add_portfolio, add_token, publish, publish_snapshot, random_figures

NEVER = Timing(poll_seconds=600.0, retry_seconds=600.0)


def mode_of(api: Api) -> str:
    return str(api.get("/health/ready").json()["mode"])


def test_a_loaded_view_is_ready(api: Api) -> None:
    assert api.get("/health/live").json() == {"status": "ok"}
    assert api.get("/health/ready").json() == {"mode": "cache", "reason": None}


def test_while_the_view_loads_it_is_not_ready_and_after_thirty_seconds_it_falls_back(
    serve: Serve, database: Database
) -> None:
    seconds = [0.0]
    blocker = database.engine.connect()
    blocker.execute(sa.text("LOCK TABLE symbol_exclusions IN ACCESS EXCLUSIVE MODE"))
    with serve(mode="loading", timing=Timing(monotonic=lambda: seconds[0])) as api:
        loading = api.get("/health/ready")
        assert loading.status_code == 503
        assert loading.headers["Content-Type"] == "application/problem+json"
        assert loading.headers["Retry-After"]
        assert api.get("/health/live").status_code == 200
        seconds[0] = 30.0
        fallback = api.get("/health/ready")
        assert (fallback.status_code, fallback.json()["mode"]) == (200, "db_fallback")
        assert "30 s" in fallback.json()["reason"]
        blocker.rollback()
        wait_until(lambda: mode_of(api) == "cache")
    blocker.close()


@pytest.mark.fault(20)
def test_after_a_failed_load_answers_come_from_queries_until_a_load_succeeds(serve: Serve, database: Database) -> None:
    publish(database, SESSIONS[-1], random_figures(["AAA", "BBB"], seed=1))
    record = add_portfolio(database, "ann", {"AAA": "3", "BBB": "-2"})
    publish_snapshot(database, record, SESSIONS[-1], Decimal(1000))
    token = add_token(database, "ann")
    path = f"/api/v1/analytics/portfolio/{record.public_id}/factor-exposures"
    with database.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE symbol_exclusions RENAME TO away")
    try:
        with serve(mode="db_fallback", timing=NEVER) as api:
            fallback = api.get("/health/ready")
            assert fallback.status_code == 200
            assert "failed" in fallback.json()["reason"]
            assert "symbol_exclusions" not in fallback.text
            refused = api.get(path, token)
            assert refused.status_code == 503
            assert "symbol_exclusions" not in refused.text
            with database.begin() as connection:
                connection.exec_driver_sql("ALTER TABLE away RENAME TO symbol_exclusions")
            from_queries = api.get(path, token)
            assert from_queries.status_code == 200
            assert mode_of(api) == "db_fallback"
            with database.begin() as connection:
                connection.execute(sa.select(sa.func.pg_notify(CHANNEL, "0")))
            wait_until(lambda: mode_of(api) == "cache")
            assert api.get(path, token).json() == from_queries.json()
    finally:
        with database.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE IF EXISTS away RENAME TO symbol_exclusions")


def test_without_a_database_only_health_answers(serve: Serve) -> None:
    away = "postgresql+psycopg2://nobody:secret@127.0.0.1:9/nothing"
    with serve(url=away, mode="db_fallback", timing=NEVER) as api:
        assert api.get("/health/live").status_code == 200
        answer = api.get("/api/v1/portfolios", "sgm_token")
        assert answer.status_code == 503
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["Retry-After"]
        for hidden in ("127.0.0.1", "nobody", "secret"):
            assert hidden not in answer.text + api.get("/health/ready").text


def test_connections_that_the_server_ended_are_not_noticed_by_callers(api: Api, database: Database) -> None:
    token = add_token(database, "ann")
    assert api.get("/api/v1/portfolios", token).status_code == 200
    with database.begin() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert api.get("/api/v1/portfolios", token).status_code == 200
    wait_until(lambda: api.components.refresher.is_listening)
