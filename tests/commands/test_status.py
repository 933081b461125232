"""Tests of ``sigmasight status``: what is published, what is stale, what failed and what comes next."""

import json
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.onboarding import request_onboarding
from sigmasight_assets.storage.operations import Verdict, finish_batch, record_verdicts, start_batch
from sigmasight_assets.storage.portfolios import create_portfolio, mark_edited
from sigmasight_assets.storage.publications import (
    SYMBOL_PRODUCTS,
    Publication,
    next_generation,
    record_publications,
)
from sigmasight_assets.storage.snapshots import record_consumed
from tests.commands.conftest import NO_ANSWER, NO_SERVER, Sigmasight, words

MONDAY, TUESDAY, WEDNESDAY, THURSDAY = (date(2025, 7, day) for day in (28, 29, 30, 31))


def publish(database: Database, *days: date, products: Sequence[str] = SYMBOL_PRODUCTS) -> int:
    with database.bulk() as transaction:
        generation = next_generation(transaction)
        items = [Publication(day, tuple(products), 1, 0.98765, {}) for day in days]
        record_publications(transaction, generation, "symbol", items, run_id="r1")
    return generation


def consume(database: Database, generations: dict[date, int]) -> None:
    with database.bulk() as transaction:
        record_consumed(transaction, generations, run_id="r2")


def status(sigmasight: Sigmasight, *arguments: str) -> dict[str, Any]:
    outcome = sigmasight("status", "--json", *arguments)
    answer: dict[str, Any] = json.loads(outcome.out)
    assert outcome.code == (3 if answer["verdict"]["has_gaps"] else 0)
    assert outcome.err == ""
    assert answer["total"] == len(answer["items"])
    return answer


def by_session(answer: dict[str, Any]) -> dict[date, dict[str, Any]]:
    return {date.fromisoformat(item.pop("session")): item for item in answer["items"]}


def test_without_anything_it_names_the_newest_sessions(sigmasight: Sigmasight) -> None:
    answer = status(sigmasight)
    assert [item["session"] for item in answer["items"]] == [
        *("2025-07-31", "2025-07-30", "2025-07-29", "2025-07-28", "2025-07-25"),
        *("2025-07-24", "2025-07-23", "2025-07-22", "2025-07-21", "2025-07-18"),
    ]
    nothing: dict[str, Any] = {
        "state": "not_published",
        "coverage": None,
        "symbol_generation": None,
        "published_at": None,
        "stale_symbols": 0,
        "snapshots": "none",
        "failed": None,
        "waived": None,
        "closed": None,
        "next_step": None,
        "products": [],
    }
    assert set(map(str, by_session(answer).values())) == {str(nothing)}
    assert answer["next"] == "no portfolio needs a snapshot"
    assert answer["next_symbols"] == "the symbol layer has not published any session yet (job symbol_layer)"
    lists = ("running", "runs", "failed_now", "onboarding")
    assert [answer[name] for name in lists] == [[], [], [], []]
    assert answer["alerts_undelivered"] == 0
    assert answer["verdict"] == {
        "state": "empty",
        "sentence": "nothing is published yet",
        "next_step": answer["next_symbols"],
        "has_gaps": False,
    }
    assert answer["services"] == {"dagster": None, "api": None, "reason": None}


def test_sessions_are_those_that_are_complete(sigmasight: Sigmasight, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGMASIGHT_NOW", "2025-07-06T12:00:00-04:00")
    assert list(by_session(status(sigmasight, "--sessions", "2"))) == [date(2025, 7, 3), date(2025, 7, 2)]


def test_it_follows_a_session_from_prices_to_snapshots(sigmasight: Sigmasight, database: Database) -> None:
    with database.begin() as connection:
        portfolio = create_portfolio(connection, user="ann", name="Main", equity=Decimal(1), as_of=MONDAY, lots=[])
        failed = Verdict("coverage", WEDNESDAY, passed=False, detail="0.5 < 0.98: AAA, [/]")
        # Published before it was judged again: what is published stays.
        again = Verdict("coverage", TUESDAY, passed=False, detail="0.6 < 0.98")
        record_verdicts(connection, [failed, again], layer="symbol", run_id="r1")
    waiting = status(sigmasight, "--sessions", "4")
    assert waiting["next"].startswith("the symbol layer has not published any session yet (job symbol_layer)")

    first = publish(database, MONDAY, TUESDAY)
    publish(database, WEDNESDAY, products=SYMBOL_PRODUCTS[:3])
    answer = status(sigmasight, "--sessions", "4")
    assert answer["next"] == "the gate starts snapshots of 2025-07-28 to 2025-07-29"
    published = {"coverage": "98.77%", "symbol_generation": first, "snapshots": "none", "failed": None}
    rows = by_session(answer)
    assert published.items() <= rows[MONDAY].items()
    assert published.items() <= rows[TUESDAY].items()
    assert rows[MONDAY]["products"] == sorted(SYMBOL_PRODUCTS)
    assert rows[WEDNESDAY]["products"] == sorted(SYMBOL_PRODUCTS[:3])
    assert (rows[MONDAY]["state"], rows[MONDAY]["next_step"]) == ("published", "the gate starts its snapshots")
    assert rows[WEDNESDAY]["failed"] == "symbol_daily_metrics, check coverage: 0.5 < 0.98: AAA, [/]"
    assert [item["subject"] for item in answer["failed_now"]] == ["2025-07-30"]
    assert (rows[WEDNESDAY]["symbol_generation"], rows[THURSDAY]["failed"]) == (None, None)

    consume(database, {MONDAY: first, TUESDAY: first})
    with database.begin() as connection:
        connection.exec_driver_sql("UPDATE portfolios SET stale_from = NULL")
    answer = status(sigmasight, "--sessions", "4")
    assert [item["snapshots"] for item in answer["items"]] == ["none", "none", "current", "current"]
    assert "2025-07-30 waits" in answer["next"]
    assert "0.5 < 0.98: AAA" in answer["next"]

    with database.begin() as connection:
        mark_edited(connection, portfolio.portfolio_id, edited_from=TUESDAY)
    assert by_session(status(sigmasight))[TUESDAY]["snapshots"] == "stale"
    assert by_session(status(sigmasight))[MONDAY]["snapshots"] == "current"
    publish(database, MONDAY)
    assert by_session(status(sigmasight))[MONDAY]["snapshots"] == "stale"


def test_the_verdict_is_the_same_however_many_sessions_are_shown(sigmasight: Sigmasight, database: Database) -> None:
    with database.begin() as connection:
        create_portfolio(connection, user="ann", name="Main", equity=Decimal(1), as_of=TUESDAY, lots=[])
    generation = publish(database, TUESDAY, WEDNESDAY, THURSDAY)
    consume(database, {TUESDAY: generation, THURSDAY: generation})
    with database.begin() as connection:
        connection.exec_driver_sql("UPDATE portfolios SET stale_from = NULL")
    answers = [status(sigmasight, "--sessions", count) for count in ("1", "5", "60")]
    assert [answer["total"] for answer in answers] == [1, 5, 60]
    for answer in answers:
        assert answer["verdict"]["state"] == "late"
        assert answer["verdict"]["sentence"] == "snapshots of 2025-07-30 are missing"


def test_people_read_the_same(sigmasight: Sigmasight, database: Database) -> None:
    generation = publish(database, THURSDAY)
    outcome = sigmasight("status", "--sessions", "1")
    assert outcome.code == 0
    assert outcome.out.startswith("CURRENT  all current: 2025-07-31 is published, ")
    row = next(line for line in outcome.out.splitlines() if line.startswith("2025-07-31"))
    assert row.split()[:-2] == [
        "2025-07-31",
        "█████████░",
        "98.77%",
        "6",
        "of",
        "6",
        str(generation),
        "none",
        "published",
    ]
    assert max(map(len, outcome.out.splitlines())) <= 120
    assert "Failed right now:\n  nothing\n" in outcome.out
    assert outcome.out.endswith("next snapshots: no portfolio needs a snapshot\n")
    assert "\x1b" not in outcome.out


def test_people_read_what_failed_and_what_ran(sigmasight: Sigmasight, database: Database) -> None:
    publish(database, MONDAY, TUESDAY)
    with database.begin() as connection:
        failed = Verdict("coverage", WEDNESDAY, passed=False, detail="0.5 < 0.98: AAA, [/]")
        record_verdicts(connection, [failed], layer="symbol", run_id="r1")
        start_batch(connection, run_id="r1", kind="symbol_products", sessions=[WEDNESDAY], started_by="nightly_symbols")
        counts = {"rows_computed": 7, "rows_fresh": 1, "rows_failed": 0, "vendor_calls": 3}
        finish_batch(connection, run_id="r1", kind="symbol_products", counts=counts, error="[/] not published")
        start_batch(connection, run_id="r2", kind="symbol_prices", sessions=[WEDNESDAY, THURSDAY])
        request_onboarding(connection, ["NEW"], requested_by="owner ann")
        connection.exec_driver_sql(
            "INSERT INTO alerts (alert_key, severity, payload, attempts) VALUES ('run:r1', 'critical', '{}', 2)"
        )
    outcome = sigmasight("status", "--sessions", "2")
    assert outcome.code == 3
    text = outcome.out
    first, second, *_ = text.splitlines()
    assert first == "FAILING  2025-07-30 is not published; 1 warning"
    assert second == "next: run r2 is under way; at once: `sigmasight retry`"
    cause = "✗ critical: session_not_published 2025-07-30: symbol_daily_metrics, check coverage: 0.5 < 0.98: AAA, [/]"
    assert f"  {cause}\n    → run r2 is under way; at once: `sigmasight retry`; " in text
    assert "  ! warning: alert_not_delivered run:r1: not taken yet\n    → it is sent again by itself; check " in text
    assert "Under way:\n  r2 symbol 2025-07-30 to 2025-07-31 running, " in text
    assert "  r1 symbol 2025-07-30 failed, " in text
    assert "by nightly_symbols (computed 7, fresh 1, failed 0, vendor calls 3): [/] not published\n" in text
    assert "Onboarding:\n  NEW: waiting to be onboarded\n" in text
    assert "alerts: 1 that the webhook has not taken\n" in text
    assert "services: Dagster of this home is down, so nothing runs by itself until `make run`; the API is down" in text
    assert "next symbol run: run r2 of the symbol layer is under way\n" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sessions", "0"], "'--sessions': Input should be greater than or equal to 1"),
        (["--sessions", "1001"], "'--sessions': Input should be less than or equal to 1000"),
        (["--sessions", "all"], "'--sessions': Input should be a valid integer"),
        (["now"], "Got unexpected extra argument"),
    ],
)
def test_misuse_is_told(refused: Sigmasight, arguments: list[str], message: str) -> None:
    outcome = refused("status", *arguments)
    assert outcome.code == 2
    assert message in words(outcome.err)


@pytest.mark.parametrize(
    ("now", "message"),
    [
        ("2041-07-01T12:00:00Z", "error: 2041-07-01 is outside the calendar (2000 to 2035)\n"),
        ("1999-07-01T12:00:00Z", "error: 1999-07-01 is outside the calendar (2000 to 2035)\n"),
        ("2025-07-01T12:00:00", "error: Wrong settings:\nSIGMASIGHT_NOW: Value error, needs a UTC offset"),
    ],
)
def test_a_clock_that_cannot_be_is_told(
    refused: Sigmasight, monkeypatch: pytest.MonkeyPatch, now: str, message: str
) -> None:
    monkeypatch.setenv("SIGMASIGHT_NOW", now)
    outcome = refused("status")
    assert outcome.code == 1
    assert outcome.err.startswith(message)


def test_a_database_that_is_away_or_empty_is_told(
    refused: Sigmasight, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGMASIGHT_DATABASE_URL", NO_SERVER)
    assert refused("status").err == NO_ANSWER
    monkeypatch.setenv("SIGMASIGHT_DATABASE_URL", database_url)
    assert refused("status", "--json").err.endswith("Run `sigmasight db migrate`.\n")
