"""However many faults the nights meet, in the end the tables are those of a backfill that met none."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest

from sigmasight_assets.storage.database import Database
from tests.conftest import NewDatabase
from tests.faults.campaign import Tally
from tests.faults.nights import lost
from tests.faults.soak import Size, Soak, undisturbed
from tests.night_contents import differences
from tests.orchestration.contents import Contents

pytestmark = [pytest.mark.fault(35), pytest.mark.campaign]

SHORT = Size(first=date(2024, 6, 3), sessions=12, symbols=30, books=5, share=0.35)
LONG = Size(first=date(2024, 6, 3), sessions=250, symbols=200, books=12, share=0.05)


@contextmanager
def soaked(
    new_database: NewDatabase, template: str, directory: Path, size: Size, chance: random.Random
) -> Iterator[Soak]:
    """A market that has lived through its evenings."""
    directory.mkdir(exist_ok=True)
    with new_database(template) as url:
        database = Database(url)
        try:
            soak = Soak(database, directory, size, chance)
            soak.live()
            yield soak
        finally:
            database.close()


def expectation(soak: Soak, new_database: NewDatabase, template: str, directory: Path) -> Contents:
    """The tables of the backfill that knows from the start what is known in the end."""
    with new_database(template) as url:
        database = Database(url)
        try:
            return undisturbed(soak, database, directory)
        finally:
            database.close()


def test_250_evenings_with_random_faults_end_as_one_backfill_without_any(
    new_database: NewDatabase, schema_template: str, tmp_path: Path, chance: random.Random, tally: Tally
) -> None:
    with soaked(new_database, schema_template, tmp_path, LONG, chance) as soak:
        diary = soak.diary
        print(f"\ntried: {dict(diary.tried)}; runs that failed: {diary.failed_runs}")  # noqa: T201
        print(f"sessions by evenings until published: {dict(diary.behind)}; closes read: {diary.answers}")  # noqa: T201
        tally.tried += sum(diary.tried.values())
        tally.answers, tally.wrong_answers = diary.answers, len(diary.wrong)
        found, expected = soak.results(), expectation(soak, new_database, schema_template, tmp_path)
        tally.rows_lost = lost(found, expected)
        # Night after night floats are added up in another order than in one backfill.
        assert differences(found, expected) == []
        tally.survived = tally.tried
        # A draw that leaves out what the soak is for would prove nothing.
        assert {"killed", "cut", "timed_out", "missing"} <= diary.tried.keys()
        assert sum(diary.tried.values()) >= 30
        assert set(diary.behind) <= {0, 1, 2}


def test_the_same_seed_lives_through_the_same_and_ends_the_same(
    new_database: NewDatabase, schema_template: str, tmp_path: Path, chance: random.Random, tally: Tally
) -> None:
    seed, lives = chance.random(), []
    for name in ("first", "second"):
        with soaked(new_database, schema_template, tmp_path / name, SHORT, random.Random(seed)) as soak:
            lives.append((soak.diary.events, soak.diary.tried, soak.digest()))
            tally.tried += sum(soak.diary.tried.values())
            if name == "second":
                expected = expectation(soak, new_database, schema_template, tmp_path)
                assert differences(soak.results(), expected) == []
    first, second = lives
    assert first == second
    assert sum(first[1].values()) > 10
    tally.survived = tally.tried
