"""Snapshots of many portfolios, whose slices workers share: the tables are those of one process."""

from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from sigmasight_assets.orchestration.jobs import PORTFOLIO_LAYER, PORTFOLIO_SLICES
from sigmasight_assets.orchestration.portfolio_split import SPLIT_CELLS
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import create_portfolio
from sigmasight_assets.storage.snapshot_parts import read_announced
from tests.celery.conftest import Cluster, running_cluster
from tests.celery.workers import WORKER_TAG
from tests.conftest import NewDatabase
from tests.e2e.conftest import comparison
from tests.e2e.world import DAYS, PUBLISHED, STOCKS, lot
from tests.orchestration.contents import rows_of

pytestmark = [pytest.mark.e2e, pytest.mark.long]

PORTFOLIOS = 400
HELPING = "SELECT run_id FROM batch_runs WHERE kind = 'portfolio_slices' AND status = 'running'"
TAKEN = "SELECT counts FROM batch_runs WHERE kind = 'portfolio_slices' AND status = 'succeeded'"
LOCK = sa.text("SELECT pg_advisory_xact_lock(:part, :number)")


@pytest.mark.parametrize("count", [2, 4])
def test_every_worker_takes_slices(new_database: NewDatabase, schema_template: str, tmp_path: Path, count: int) -> None:
    """How many share them is a setting of the main machine alone: the workers' machines do not have it."""
    assert len(PUBLISHED) * PORTFOLIOS > SPLIT_CELLS
    settings = {"portfolio_workers": count}
    with (
        new_database(schema_template) as url,
        running_cluster(tmp_path, url, settings=settings) as cluster,
        cluster.workers(count) as workers,
    ):
        stack = cluster.stack
        stack.begin("published", PUBLISHED[-1])
        open_many(stack.database)
        hold_until_all_help(cluster, count - 1)
        stack.wait_for_snapshots(PUBLISHED[-1])
        comparison(stack, new_database, schema_template)(PUBLISHED)
        runs = stack.runs(PORTFOLIO_LAYER) + stack.runs(PORTFOLIO_SLICES)
        assert [run.status for run in runs] == ["SUCCESS"] * count
        assert {run.tags[WORKER_TAG].partition("@")[0] for run in runs} == {worker.name for worker in workers}
        taken = [row["counts"]["slices"] for row in rows_of(stack.database, TAKEN)]
        assert len(taken) == count - 1
        assert all(taken), taken


def open_many(database: Database) -> None:
    """Portfolios of six lots each, bought at several times, all in one edit."""
    with database.begin() as connection:
        for number in range(PORTFOLIOS):
            held = [(STOCKS[(number + 5 * place) % len(STOCKS)], place) for place in range(6)]
            create_portfolio(
                connection,
                user=f"owner {number % 7}",
                name=f"Book {number}",
                equity=Decimal(50_000 + number),
                as_of=DAYS[0],
                lots=[lot(symbol, 5 + number % 11, entered=DAYS[3 * place]) for symbol, place in held],
            )


def hold_until_all_help(cluster: Cluster, helpers: int) -> None:
    """Have slices in hand, as a slow worker would, until everybody else is there to take them."""
    stack = cluster.stack
    with stack.database.begin() as connection:

        def is_announced() -> bool:
            with stack.database.begin() as other:
                return read_announced(other) is not None

        stack.until(is_announced, "a part", told=stack.runs)
        part = read_announced(connection)
        assert part is not None
        for number in reversed(range(part.slices)):
            connection.execute(LOCK, {"part": part.part_id % 2**31, "number": number})

        def helping() -> int:
            return len(rows_of(stack.database, HELPING))

        stack.until(lambda: helping() == helpers, "helpers", told=helping)
