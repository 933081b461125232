"""The pipeline's surroundings."""

from datetime import date

import pytest

from sigmasight_assets.errors import SessionError
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.database import Database
from tests.operations.ledger_rows import decide
from tests.orchestration.conftest import TARGETS

pytestmark = pytest.mark.usefixtures("evening")
URL = "postgresql+psycopg2://someone@127.0.0.1:9/nothing"


@pytest.fixture
def pipeline(database: Database) -> Pipeline:
    return Pipeline(database_url=database.url)


def test_nothing_connects_before_the_first_use() -> None:
    database = Pipeline(database_url=URL).database()
    assert database.url == URL
    database.close()


def test_calendar_and_market_are_those_of_the_settings(pipeline: Pipeline) -> None:
    assert pipeline.calendar is exchange_calendar()
    market = pipeline.market()
    assert isinstance(market, SimulatedMarket)
    assert len(market.listings()) == 58


def test_sessions_of_one_key_and_of_a_range(pipeline: Pipeline) -> None:
    assert pipeline.complete_sessions("2025-06-04", "2025-06-04") == [date(2025, 6, 4)]
    assert pipeline.complete_sessions("2025-05-19", "2025-06-04") == TARGETS
    assert pipeline.complete_sessions("2025-05-23", "2025-05-27") == [date(2025, 5, 23), date(2025, 5, 27)]


def test_a_closed_date_is_refused_alone_and_left_out_of_a_range(pipeline: Pipeline, database: Database) -> None:
    decide(database, date(2025, 6, 4), "closed")
    decide(database, date(2025, 6, 2), "closed")
    for first, last in (("2025-06-04", "2025-06-04"), ("2025-06-02", "2025-06-02")):
        with pytest.raises(SessionError, match=f"{first} is no session: closed by ann on .*the vendor has a hole"):
            pipeline.complete_sessions(first, last)
    days = [date(2025, 5, 30), date(2025, 6, 3)]
    assert pipeline.complete_sessions("2025-05-30", "2025-06-03") == days
    assert pipeline.complete_sessions("2025-05-30", "2025-06-04") == days
    assert pipeline.complete_sessions("2025-06-02", "2025-06-04") == days[1:]
    # A closed end does not make a range of what is not complete yet.
    decide(database, date(2025, 6, 6), "closed")
    with pytest.raises(SessionError, match="2025-06-05 is not complete"):
        pipeline.complete_sessions("2025-06-03", "2025-06-06")


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        ("2025-05-26", "2025-05-27", "2025-05-26 is not a session"),
        ("2025-05-23", "2025-05-26", "2025-05-26 is not a session"),
        ("2025-06-05", "2025-06-05", "2025-06-05 is not complete"),
        ("2025-05-28", "2025-05-27", "The range is reversed: 2025-05-28 is after 2025-05-27"),
        ("2024-02-29", "2024-03-01", "2024-02-29 is before SIGMASIGHT_HISTORY_START 2024-03-01"),
        ("yesterday", "2025-05-27", "'yesterday' is not a date like 2025-07-31"),
        ("2025-05-27", "2025-02-30", "'2025-02-30' is not a date like 2025-07-31"),
    ],
)
def test_other_keys_are_errors(pipeline: Pipeline, first: str, last: str, message: str) -> None:
    with pytest.raises(SessionError, match=message):
        pipeline.complete_sessions(first, last)


def test_the_clock_is_read_anew(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMASIGHT_NOW", "2025-06-05T20:59:59-04:00")
    with pytest.raises(SessionError, match="2025-06-05 is not complete"):
        pipeline.complete_sessions("2025-06-05", "2025-06-05")
    monkeypatch.setenv("SIGMASIGHT_NOW", "2025-06-05T21:00:00-04:00")
    assert pipeline.complete_sessions("2025-06-05", "2025-06-05") == [date(2025, 6, 5)]
