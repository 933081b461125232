"""Tests of ``sigmasight token``."""

import json
from datetime import UTC, datetime

import pytest

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.tokens import find_holder
from tests.commands.conftest import NO_ANSWER, NO_SERVER, Sigmasight, words
from tests.contents import contents

NOW = datetime(2025, 8, 1, 2, tzinfo=UTC)


def speaks_for(database: Database, token: str, now: datetime = NOW) -> str | None:
    with database.begin() as connection:
        holder = find_holder(connection, token, now=now)
    return None if holder is None else f"{holder.user_name}{' (admin)' if holder.is_admin else ''}"


def test_a_token_is_printed_alone_and_works(sigmasight: Sigmasight, database: Database) -> None:
    outcome = sigmasight("token", "create", "--user", " ann ")
    assert outcome.code == 0
    assert outcome.out.count("\n") == 1
    assert speaks_for(database, outcome.out.strip()) == "ann"


def test_json_says_what_it_is(sigmasight: Sigmasight, database: Database) -> None:
    answer = json.loads(sigmasight("token", "create", "--user", "ops", "--admin", "--days", "2", "--json").out)
    token = answer.pop("token")
    assert answer == {"user": "ops", "is_admin": True, "expires_at": "2025-08-03T02:00:00+00:00"}
    assert speaks_for(database, token) == "ops (admin)"
    assert speaks_for(database, token, datetime(2025, 8, 3, 2, tzinfo=UTC)) is None


def test_the_list_shows_everything_but_the_token(sigmasight: Sigmasight) -> None:
    assert sigmasight("token", "list").out == "Tokens: none\n"
    token = sigmasight("token", "create", "--user", "ann").out.strip()
    listed = json.loads(sigmasight("token", "list", "--json").out)
    (record,) = listed["items"]
    assert (listed["total"], record["user_name"], record["is_admin"]) == (1, "ann", False)
    assert (record["expires_at"], record["revoked_at"]) == (None, None)
    for shown in (sigmasight("token", "list").out, json.dumps(listed)):
        assert "ann" in shown
        assert token[4:] not in shown


def test_a_revoked_token_is_refused(sigmasight: Sigmasight, database: Database) -> None:
    token = sigmasight("token", "create", "--user", "ann").out.strip()
    number = str(json.loads(sigmasight("token", "list", "--json").out)["items"][0]["token_id"])
    outcome = sigmasight("token", "revoke", number)
    assert (outcome.code, outcome.out) == (0, f"Token {number} is revoked\n")
    assert speaks_for(database, token) is None


@pytest.mark.parametrize("number", ["77", "99999999999999999999"])
def test_an_unknown_number_is_named(sigmasight: Sigmasight, refused: Sigmasight, number: str) -> None:
    sigmasight("token", "create", "--user", "ann")
    outcome = refused("token", "revoke", number)
    assert outcome.code == 1
    assert outcome.err == f"error: There is no token {number}; `sigmasight token list` shows the numbers\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create"], "Missing option '--user'"),
        (["create", "--user", ""], "Invalid value for '--user': '' is not a name of 1 to 100 printable characters"),
        (["create", "--user", "\udcff"], "is not a name of 1 to 100 printable characters"),
        (["create", "--user", "ann", "--days", "0"], "'--days': Input should be greater than or equal to 1"),
        (["create", "--user", "ann", "--days", "36501"], "'--days': Input should be less than or equal to 36500"),
        (["create", "--user", "ann", "--days", "9" * 30], "'--days': Input should be less than or equal to 36500"),
        (["create", "--user", "ann", "--days", "soon"], "Invalid value for '--days'"),
        (["revoke"], "Missing argument"),
        (["revoke", "first"], "Input should be a valid integer"),
        (["lend"], "No such command 'lend'"),
    ],
)
def test_misuse_is_told(refused: Sigmasight, arguments: list[str], message: str) -> None:
    outcome = refused("token", *arguments)
    assert outcome.code == 2
    assert message in words(outcome.err)


@pytest.mark.parametrize("arguments", [["create", "--user", "ann"], ["list"], ["revoke", "1"]])
def test_a_database_that_is_away_or_empty_is_told(
    refused: Sigmasight, database_url: str, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("SIGMASIGHT_DATABASE_URL", NO_SERVER)
    outcome = refused("token", *arguments)
    assert (outcome.code, outcome.err) == (1, NO_ANSWER)
    monkeypatch.setenv("SIGMASIGHT_DATABASE_URL", database_url)
    outcome = refused("token", *arguments)
    assert outcome.code == 1
    assert outcome.err.endswith("Run `sigmasight db migrate`.\n")


def test_creating_leaves_the_rest_as_it_was(sigmasight: Sigmasight, database: Database) -> None:
    sigmasight("token", "create", "--user", "ann")
    before = set(contents(database))
    sigmasight("token", "create", "--user", "ann")
    added = set(contents(database)) - before
    assert [name for name, _ in added] == ["api_tokens"]
    assert before < set(contents(database))
