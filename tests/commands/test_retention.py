"""Tests of ``sigmasight retention``: what is asked for, what is said, and what is refused before anything is opened."""

import json
from datetime import date
from pathlib import Path

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.metadata import FIRST_PARTITION_YEAR, LAST_PARTITION_YEAR
from sigmasight_assets.storage.retention import PARTITIONED
from sigmasight_assets.storage.tables import symbol_market_beta
from tests.commands.conftest import Sigmasight, words
from tests.operations.ledger_rows import publish
from tests.orchestration.contents import execute, rows_of
from tests.storage.rows import ROWS, insert

WHY = ("--reason", "disk is full")


def fill(database: Database) -> None:
    """A row of 2024, and publications of both years."""
    insert(database, symbol_market_beta, {**ROWS[symbol_market_beta], "session": date(2024, 7, 1)})
    publish(database, date(2024, 7, 1))
    publish(database, date(2025, 7, 1))


def test_every_partition_is_listed(sigmasight: Sigmasight, database: Database) -> None:
    execute(database, "ANALYZE symbol_market_beta")
    found = json.loads(sigmasight("retention", "list", "--json").out)["items"]
    years = [*range(FIRST_PARTITION_YEAR, LAST_PARTITION_YEAR + 1), None]
    assert sorted((row["table"], row["year"] or 0) for row in found) == sorted(
        (table, year or 0) for table in PARTITIONED for year in years
    )
    assert all(row["bytes"] > 0 for row in found)
    fill(database)
    execute(database, "ANALYZE symbol_market_beta")
    found = json.loads(sigmasight("retention", "list", "--json").out)["items"]
    assert [(row["table"], row["year"]) for row in found if row["rows"]] == [("symbol_market_beta", 2024)]
    assert "2024" in words(sigmasight("retention", "list").out)


def test_years_are_archived_and_dropped(sigmasight: Sigmasight, database: Database, tmp_path: Path) -> None:
    fill(database)
    done = sigmasight("retention", "archive", "--before", "2025", "--to", "old")
    assert (done.code, done.out) == (0, "2 rows of 2024 are in 8 files in old\n")
    assert (tmp_path / "old" / "manifest.json").exists()
    done = sigmasight("retention", "drop", "--before", "2025", "--archive", "old", *WHY)
    assert done.code == 0
    assert done.out.startswith("Figures of 2024 are dropped: ")
    assert rows_of(database, "SELECT * FROM symbol_market_beta") == []
    again = sigmasight("retention", "drop", "--before", "2025", "--without-archive", *WHY)
    assert (again.code, again.err) == (1, "error: No figures of a year before 2025 are stored\n")


def test_a_drop_says_whether_there_is_an_archive(refused: Sigmasight, database: Database) -> None:
    fill(database)
    for options in ((), ("--archive", "old", "--without-archive")):
        outcome = refused("retention", "drop", "--before", "2025", *WHY, *options)
        assert outcome.code == 2
        assert "--without-archive" in words(outcome.err)
    assert refused("retention", "drop", "--before", "2025", *WHY, "--archive", "none").code == 1
    assert refused("retention", "drop", "--before", "2025", "--without-archive").code == 2
    assert refused("retention", "drop", "--before", "2019", "--without-archive", *WHY).code == 2
