"""Tests of ``sigmasight session`` and ``universe cash-out``."""

import getpass
import json

import pytest

from sigmasight_assets.storage.database import Database
from tests.commands.conftest import Sigmasight, words
from tests.operations.test_cash_out import held  # noqa: F401
from tests.orchestration.contents import rows_of

WHY = ("--reason", "the vendor has no data")


def test_a_waiver_comes_and_goes(sigmasight: Sigmasight, database: Database) -> None:
    assert sigmasight("session", "list").out == "Decided sessions: none\n"
    done = sigmasight("session", "waive", "2025-07-30", *WHY)
    assert (done.code, words(done.out)) == (
        0,
        "2025-07-30 is waived: later sessions no longer wait for it; if it is published, it counts",
    )
    (found,) = json.loads(sigmasight("session", "list", "--json").out)["items"]
    assert (found["session"], found["kind"], found["actor"]) == ("2025-07-30", "waived", getpass.getuser())
    again = sigmasight("session", "waive", "2025-07-30", *WHY)
    assert again.code == 1
    assert again.err.startswith("error: 2025-07-30 is already waived by")
    assert sigmasight("session", "unwaive", "2025-07-30", *WHY).code == 0
    assert [row["kind"] for row in rows_of(database, "SELECT kind FROM operator_actions ORDER BY action_id")] == [
        "waive_session",
        "unwaive_session",
    ]


def test_a_closed_date_is_no_session_for_any_command(sigmasight: Sigmasight) -> None:
    assert sigmasight("session", "close", "2025-07-30", *WHY).out == "2025-07-30 is closed: 0 bars are in quarantine\n"
    refused = sigmasight("backfill", "--from", "2025-07-30", "--to", "2025-07-30")
    assert refused.code == 1
    assert "There is no session from 2025-07-30 to 2025-07-30" in refused.err
    assert sigmasight("session", "reopen", "2025-07-30", *WHY).code == 0


@pytest.mark.parametrize("reason", ["", " ", "two\nlines"])
def test_a_reason_is_required(sigmasight: Sigmasight, database: Database, reason: str) -> None:
    assert sigmasight("session", "waive", "2025-07-30").code == 2
    assert sigmasight("session", "waive", "2025-07-30", "--reason", reason).code == 2
    assert rows_of(database, "SELECT * FROM operator_actions") == []


def test_a_delisted_symbol_is_cashed_out(sigmasight: Sigmasight, held: Database) -> None:  # noqa: F811
    options = ("--on", "2025-07-24", "--price", "17.25", *WHY)
    done = sigmasight("universe", "cash-out", "GONE", *options)
    assert (done.code, done.out) == (0, "3 lots of GONE in 2 portfolios closed on 2025-07-24 at 17.25\n")
    again = sigmasight("universe", "cash-out", "GONE", *options)
    assert (again.code, again.err) == (1, "error: GONE has no open PUBLIC lot: there is nothing to close\n")
    assert sigmasight("universe", "cash-out", "GONE", "--on", "2025-07-24", "--price", "-1", *WHY).code == 2
    assert len(rows_of(held, "SELECT * FROM operator_actions")) == 1
