"""The night as a database to copy, the states that it goes through, and what an undisturbed one comes to."""

import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url

from sigmasight_assets.orchestration.price_update import update_prices
from sigmasight_assets.orchestration.profile_update import update_profiles
from sigmasight_assets.orchestration.symbol_invalidations import settle_invalidations
from sigmasight_assets.orchestration.symbol_outcome import SymbolPublication
from sigmasight_assets.orchestration.symbol_publication import publish_symbol_products
from sigmasight_assets.orchestration.symbol_slices import PublicationRun
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.universe import import_listings
from tests.conftest import NewDatabase
from tests.faults.campaign import Tally
from tests.faults.night_world import DAYS, HISTORY_START, SCRIPT, TONIGHT, enter_past, environment, market, restate
from tests.faults.readers import Reader, tables_since, view
from tests.faults.soak_invariants import broken
from tests.night_contents import HOW_IT_CAME, RESULT_TABLES
from tests.nights import MIN_COVERAGE
from tests.orchestration.contents import Contents, changed_keys, contents, rows_of

Known = Mapping[Reader, Sequence[tuple[Hashable, Hashable]]]

# What was changed and rejected, row by row; what was published and consumed at all, for how often depends on the fault.
RECORDS = {
    "restatements": "SELECT to_jsonb(each) - '{restatement_id, run_id, detected_at}'::text[] FROM restatements AS each",
    "price_quarantine": "SELECT to_jsonb(each) - ARRAY['quarantine_id', 'seen_at'] FROM price_quarantine AS each",
    "publications": "SELECT DISTINCT to_jsonb(ARRAY[layer, session::text]) FROM publications",
    "snapshot_inputs": "SELECT to_jsonb(session) FROM snapshot_inputs",
}
COUNTED = "SELECT row::text AS row, count(*) AS times FROM ({}) AS each(row) GROUP BY 1"


@dataclass(frozen=True)
class Night:
    """The evening before anything has run: the name of the database to copy, and a home with the market's script.

    ``known`` are the states that readers may see, in their order; ``expected`` is what the tables come to.
    """

    template: str
    home: Path
    known: Known
    expected: Contents
    new_database: NewDatabase

    @contextmanager
    def begun(self) -> Iterator[Database]:
        """A database of its own on that evening."""
        with self.new_database(self.template) as url, closing(Database(url)) as database:
            yield database

    def environment(self, database: Database) -> Mapping[str, str]:
        """The environment of a process that works on it."""
        return environment(self.home, database.url)

    @property
    def log(self) -> Path:
        """What workers have written."""
        return self.home / "worker.log"

    def rows_apart(self, database: Database, tally: Tally | None = None) -> list[str]:
        """How the tables differ from those of an undisturbed night, and what of them breaks an invariant.

        Rows that are missing are counted as lost.
        """
        found = exactly(database)
        if tally is not None:
            tally.rows_lost += lost(found, self.expected)
        return apart(found, self.expected) + broken(database)


def exactly(database: Database) -> Contents:
    """All that a night comes to, to the last bit, with its fingerprints and its record, but for numbers and times."""
    found = contents(database, RESULT_TABLES, ignoring=set(HOW_IT_CAME) - {"fingerprint"})
    for table, rows in RECORDS.items():
        found[table] = {(row["row"],): str(row["times"]) for row in rows_of(database, COUNTED.format(rows))}
    return found


def lost(found: Contents, expected: Contents) -> int:
    """How many rows are missing."""
    return sum(len(rows.keys() - found[table].keys()) for table, rows in expected.items())


def apart(found: Contents, expected: Contents) -> list[str]:
    """Where two of these differ at all: a run that is repeated computes the same slices by the same code."""
    return [
        f"{table} {key}: {found[table].get(key)}, {rows.get(key)}"
        for table, rows in expected.items()
        for key in sorted(changed_keys(found, expected, table), key=str)
    ]


def make_night(home: Path, new_database: NewDatabase, database: Database) -> Night:
    """The night on a migrated database without rows, which is the template from then on."""
    script = home / SCRIPT
    enter_past(database, script)
    restate(script)
    database.close()
    template = str(make_url(database.url).database)
    with new_database(template) as url, closing(Database(url)) as copied:
        readers = (tables_since(DAYS[0]), view)
        states = [[reader(copied) for reader in readers] for _ in _stages(copied, script)]
        known = {reader: [state[place].content for state in states] for place, reader in enumerate(readers)}
        expected = exactly(copied)
    assert len(set(known[readers[0]])) == len(states), "every stage changes the tables"
    return Night(template, home, known, expected, new_database)


def _stages(database: Database, script: Path) -> Iterator[None]:
    """An undisturbed night, paused after each of its transactions that readers can see."""
    source, calendar = market(TONIGHT, script), exchange_calendar()
    yield
    with database.begin() as connection:
        import_listings(connection, source.listings())
    update_prices(database, source, calendar, sessions=[TONIGHT], history_start=HISTORY_START, run_id="undisturbed")
    yield
    update_profiles(database, source, calendar, sessions=[TONIGHT], newest_session=TONIGHT)
    run = PublicationRun(database, calendar, MIN_COVERAGE, "undisturbed")
    settle_invalidations(run, SymbolPublication(times=run.times))
    yield
    publish_symbol_products(database, calendar, sessions=[TONIGHT], min_coverage=MIN_COVERAGE, run_id="undisturbed")
    yield


def wait_for(condition: Callable[[], object], what: str, *, seconds: float = 60.0, pause: float = 0.005) -> None:
    """Look again and again until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(pause)
