"""Tests of ``sigmasight bars``."""

import getpass
import json

import pytest

from sigmasight_assets.storage.database import Database
from tests.commands.conftest import NO_ANSWER, NO_SERVER, Sigmasight, words
from tests.orchestration.contents import rows_of
from tests.stored_bars import DAYS, FALLEN, compare, fallen, hold, lot, publish_figures, store_bars

DAY = str(FALLEN)
WHY = ("--reason", "the exchange says so")


def test_nothing_waits(sigmasight: Sigmasight) -> None:
    outcome = sigmasight("bars", "list")
    assert (outcome.code, outcome.out) == (0, "Suspect bars: none\n")
    assert json.loads(sigmasight("bars", "list", "--json").out) == {"items": [], "total": 0}


def test_the_list_for_people_and_for_programs(sigmasight: Sigmasight, database: Database) -> None:
    fallen(database, "AAA")
    fallen(database, "BBB", to="400.5")
    publish_figures(database, FALLEN, "AAA")
    hold(database, "one", lot("AAA"))
    found = json.loads(sigmasight("bars", "list", "--json").out)
    assert found["total"] == 2
    first, second = found["items"]
    assert first.pop("since").endswith("+00:00")
    assert first == {
        "symbol": "AAA",
        "session": DAY,
        "close_price": "25.0000",
        "previous_session": str(DAYS[-2]),
        "previous_close_price": "100.0000",
        "move_percent": -75.0,
        "is_published": True,
        "portfolios": 1,
        "second_source": None,
        "second_close_price": None,
    }
    assert (second["symbol"], second["move_percent"], second["portfolios"]) == ("BBB", 300.5, 0)
    shown = words(sigmasight("bars", "list").out.replace("┃", " "))
    assert "symbol session doubt close previous close held by" in shown
    assert (
        f"AAA {DAY} -75.00 % 25.0000 100.0000 1 portfolio BBB {DAY} +300.50 % 400.5000 100.0000 0 portfolios" in shown
    )


def test_a_bar_that_a_second_market_states_otherwise(sigmasight: Sigmasight, database: Database) -> None:
    store_bars(database, "AAA", {FALLEN: "100"})
    compare(database, "AAA", FALLEN, "100", "102")
    (found,) = json.loads(sigmasight("bars", "list", "--json").out)["items"]
    assert (found["second_source"], found["second_close_price"]) == ("second", "102.0000")
    assert (found["move_percent"], found["previous_session"], found["previous_close_price"]) == (None, None, None)
    shown = sigmasight("bars", "list").out
    assert [text in shown for text in ("second:", "102.0000", "100.0000", "None")] == [True, True, True, False]
    assert sigmasight("bars", "accept", "AAA", DAY, *WHY).code == 0
    assert sigmasight("bars", "list").out == "Suspect bars: none\n"


def test_accepting(sigmasight: Sigmasight, database: Database) -> None:
    fallen(database, "AAA")
    publish_figures(database, FALLEN, "AAA")
    outcome = sigmasight("bars", "accept", "AAA", DAY, "--reason", "  it is in the news ")
    assert outcome.code == 0
    assert outcome.out == (
        f"The bar of AAA at {DAY} with the close 25.0000 is accepted: "
        "the next symbol run publishes again what rests on it\n"
    )
    (action,) = rows_of(database, "SELECT kind, actor, reason FROM operator_actions")
    assert action == {"kind": "accept_bar", "actor": getpass.getuser(), "reason": "it is in the news"}
    assert sigmasight("bars", "list").out == "Suspect bars: none\n"


def test_rejecting_and_taking_it_back(sigmasight: Sigmasight, database: Database) -> None:
    fallen(database, "AAA")
    outcome = sigmasight("bars", "reject", "AAA", DAY, *WHY)
    assert (
        outcome.out == f"The bar of AAA at {DAY} with the close 25.0000 is rejected: no published figure rests on it\n"
    )
    outcome = sigmasight("bars", "accept", "AAA", DAY, *WHY)
    assert outcome.out == (
        f"The bar of AAA at {DAY} with the close 25.0000 is accepted: "
        "the next price update asks the market for it again\n"
    )
    kinds = [row["kind"] for row in rows_of(database, "SELECT kind FROM operator_actions ORDER BY action_id")]
    assert kinds == ["reject_bar", "accept_bar"]


@pytest.mark.parametrize("command", ["accept", "reject"])
def test_a_bar_that_is_not_there_is_named(refused: Sigmasight, database: Database, command: str) -> None:
    fallen(database, "AAA")
    outcome = refused("bars", command, "aaa", DAY, *WHY)
    assert outcome.code == 1
    assert outcome.err == f"error: There is no bar of aaa at {DAY}; `sigmasight bars list` shows what waits\n"


def test_a_decision_that_does_not_fit_is_told(refused: Sigmasight, database: Database) -> None:
    store_bars(database, "AAA", dict.fromkeys(DAYS, "100"))
    outcome = refused("bars", "accept", "AAA", DAY, *WHY)
    assert outcome.code == 1
    assert outcome.err.startswith(f"error: The bar of AAA at {DAY} is not suspect: it moved +0.00 % from")


@pytest.mark.parametrize("command", ["accept", "reject"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["AAA", DAY], "Missing option '--reason'"),
        (["AAA", DAY, "--reason", " "], "is not a reason of 1 to 500 printable characters"),
        (["AAA", DAY, "--reason", "two\nlines"], "is not a reason of 1 to 500 printable characters"),
        (["AAA", DAY, "--reason", "x" * 501], "is not a reason of 1 to 500 printable characters"),
        (["AAA", "yesterday", *WHY], "'yesterday' is not a date like 2025-07-31"),
        (["AAA", *WHY], "Missing argument 'D'"),
        (list(WHY), "Missing argument 'SYMBOL'"),
    ],
)
def test_misuse_is_told(
    refused: Sigmasight, database: Database, command: str, arguments: list[str], message: str
) -> None:
    fallen(database, "AAA")
    outcome = refused("bars", command, *arguments)
    assert outcome.code == 2
    assert message in words(outcome.err)


@pytest.mark.parametrize("arguments", [["list"], ["accept", "AAA", DAY, *WHY], ["reject", "AAA", DAY, *WHY]])
def test_a_database_that_is_away_or_empty_is_told(
    refused: Sigmasight, database_url: str, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("SIGMASIGHT_DATABASE_URL", NO_SERVER)
    outcome = refused("bars", *arguments)
    assert (outcome.code, outcome.err) == (1, NO_ANSWER)
    monkeypatch.setenv("SIGMASIGHT_DATABASE_URL", database_url)
    outcome = refused("bars", *arguments)
    assert outcome.code == 1
    assert outcome.err.endswith("Run `sigmasight db migrate`.\n")
