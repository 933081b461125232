"""Writes that the database refuses: the disk is full, the statement takes too long, a deadlock; on each path of writes.

The run fails and names the cause, nothing of it is published, and the same run afterwards ends as if nothing had been.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from sigmasight_assets.orchestration import step_retries
from sigmasight_assets.orchestration.jobs import PORTFOLIO_LAYER, SYMBOL_LAYER
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.publications import LOCKS
from tests.faults.deployed import deployed
from tests.faults.night_world import DAYS, HISTORY_START, SCRIPT, TONIGHT, market
from tests.faults.nights import Night, apart, exactly
from tests.faults.own_server import OwnServer
from tests.faults.readers import tables_since
from tests.faults.small_disk import SmallDisk, small_disk
from tests.faults.soak_invariants import broken
from tests.nights import run_layer, run_portfolio_layer
from tests.orchestration.contents import Contents, execute, rows_of
from tests.orchestration.deployments import Deployment, Run

pytestmark = [pytest.mark.campaign, pytest.mark.fault(5)]

PRICES = ["symbol_universe", "company_profiles", "symbol_prices"]
SNAPSHOTS = ("portfolio_snapshots", "portfolio_lot_values", "portfolio_exposures", "snapshot_inputs")
WAITS_FOR = "SELECT 1 FROM pg_locks WHERE relation = CAST(:table AS regclass) AND NOT granted"
# Longer than any statement of such a night takes on a busy machine.
PATIENCE_SECONDS = 3
PUBLISHED = "SELECT 1 FROM publications WHERE layer = :layer AND session = :session"


@dataclass(frozen=True)
class WritePath:
    """A path of writes: its layer, the table that it writes, its lock, what has to be there before, and the run."""

    layer: str
    table: str
    lock: int
    before: Callable[[Deployment, Database], object]
    run: Callable[[Deployment], Run]


def without_snapshots(deployment: Deployment, database: Database) -> None:
    """The night's figures, and no snapshot yet."""
    assert deployment.run(SYMBOL_LAYER, TONIGHT).success
    execute(database, f"TRUNCATE {', '.join(SNAPSHOTS)}")
    execute(database, "DELETE FROM publications WHERE layer = 'portfolio'")


PATHS = {
    "prices": WritePath(
        "symbol",
        "symbol_prices_daily",
        LOCKS["prices"],
        lambda *_: None,
        lambda deployment: deployment.run(SYMBOL_LAYER, TONIGHT),
    ),
    "symbols": WritePath(
        "symbol",
        "symbol_daily_metrics",
        LOCKS["symbol"],
        lambda deployment, _: deployment.run(SYMBOL_LAYER, TONIGHT, assets=PRICES),
        lambda deployment: deployment.run(SYMBOL_LAYER, TONIGHT),
    ),
    "portfolios": WritePath(
        "portfolio",
        "portfolio_snapshots",
        LOCKS["portfolio"],
        without_snapshots,
        lambda deployment: deployment.run(PORTFOLIO_LAYER, DAYS[0], TONIGHT),
    ),
}


# For the block the fault lasts; it gives the words that name it.
Fault = Callable[[Database, WritePath], AbstractContextManager[str]]


@pytest.fixture
def full_disk(disk: SmallDisk) -> Fault:
    """No byte is free where the table is."""

    @contextmanager
    def fault(database: Database, path: WritePath) -> Iterator[str]:
        disk.take(database, [path.table])
        try:
            disk.fill()
            yield "No space left on device"
        finally:
            disk.make_room()

    return fault


@pytest.fixture
def statement_timeout() -> Fault:
    """Another session reads the table and does not end, so the statement that writes it waits for too long."""

    @contextmanager
    def fault(database: Database, path: WritePath) -> Iterator[str]:
        name = make_url(database.url).database
        execute(database, f"ALTER DATABASE \"{name}\" SET statement_timeout = '{PATIENCE_SECONDS}s'")
        database.close()
        engine = sa.create_engine(database.url, poolclass=sa.NullPool)
        try:
            with engine.connect() as connection:
                connection.execute(sa.text(f"LOCK TABLE {path.table} IN SHARE MODE"))
                yield "canceling statement due to statement timeout"
        finally:
            execute(database, f'ALTER DATABASE "{name}" RESET statement_timeout')
            database.close()

    return fault


@pytest.fixture
def deadlock() -> Fault:
    """Another session holds the table and asks for the lock of the layer, at each attempt of the run.

    Only who has waited for ``deadlock_timeout`` looks for a circle: that is always the run.
    """

    @contextmanager
    def fault(database: Database, path: WritePath) -> Iterator[str]:
        name = make_url(database.url).database
        execute(database, f"ALTER DATABASE \"{name}\" SET deadlock_timeout = '{PATIENCE_SECONDS}s'")
        database.close()
        stopped = threading.Event()
        thread = threading.Thread(target=_stand_in_the_way, args=(database.url, path, stopped), daemon=True)
        thread.start()
        try:
            yield "deadlock detected"
        finally:
            stopped.set()
            thread.join(30)
            assert not thread.is_alive()

    return fault


def _stand_in_the_way(url: str, path: WritePath, stopped: threading.Event) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    while not stopped.is_set():
        with engine.connect() as connection:
            connection.execute(sa.text("SET deadlock_timeout = '10min'"))
            connection.execute(sa.text(f"LOCK TABLE {path.table} IN SHARE MODE"))
            while not connection.execute(sa.text(WAITS_FOR), {"table": path.table}).first():
                if stopped.wait(0.005):
                    return
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": path.lock})
            connection.rollback()


# Every path meets a disk that is full and a refusal that the disk has no part in.
CASES = (
    *(("full_disk", path) for path in PATHS),
    ("statement_timeout", "prices"),
    ("statement_timeout", "symbols"),
    ("deadlock", "portfolios"),
)


@pytest.fixture(scope="module")
def disk(server: OwnServer, open_directory: Path) -> Iterator[SmallDisk]:
    """One small disk for all tests."""
    with small_disk(server, open_directory) as made:
        yield made


@pytest.fixture(scope="module")
def expected(own_night: Night) -> Contents:
    """The tables after an undisturbed night, with its snapshots."""
    with own_night.begun() as database:
        run_layer(database, market(TONIGHT, own_night.home / SCRIPT), [TONIGHT], history_start=HISTORY_START)
        run_portfolio_layer(database, TONIGHT)
        return exactly(database)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """One further attempt, without a pause; as shipped there are four."""
    monkeypatch.setattr(step_retries, "DATABASE_PAUSES", (0.01,))


@pytest.mark.parametrize(("fault", "path"), CASES)
def test_the_run_names_the_cause_publishes_nothing_and_ends_well_when_run_again(
    request: pytest.FixtureRequest, own_night: Night, expected: Contents, fault: str, path: str
) -> None:
    strike: Fault = request.getfixturevalue(fault)
    chosen, look, known = PATHS[path], tables_since(DAYS[0]), next(iter(own_night.known.values()))
    with own_night.begun() as database, deployed(own_night, database) as deployment:
        chosen.before(deployment, database)
        began = known.index(look(database).content)
        with strike(database, chosen) as words:
            failed = chosen.run(deployment)
        assert not failed.success
        assert words in failed.failure
        (step,) = rows_of(database, "SELECT error FROM batch_runs WHERE status = 'failed'")
        assert words in step["error"]
        # What was published before may have been mended by a transaction of its own; of the night there is nothing.
        reached = known.index(look(database).content)
        assert reached == began or (path, began, reached) == ("symbols", 1, 2)
        assert rows_of(database, PUBLISHED, layer=chosen.layer, session=TONIGHT) == []
        assert broken(database) == []
        assert chosen.run(deployment).success
        run_portfolio_layer(database, TONIGHT)
        assert apart(exactly(database), expected) == []
        assert broken(database) == []
