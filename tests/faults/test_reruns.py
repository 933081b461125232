"""Any partition run again, three times, with nothing changed: not one row is written."""

import random

import pytest

from sigmasight_assets.orchestration.jobs import PORTFOLIO_LAYER, SYMBOL_LAYER
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.metadata import METADATA
from tests.faults.campaign import Tally
from tests.faults.deployed import deployed
from tests.faults.night_world import DAYS, TONIGHT
from tests.faults.nights import Night
from tests.faults.small_disk import leaves
from tests.nights import run_portfolio_layer
from tests.orchestration.contents import rows_of

pytestmark = [pytest.mark.campaign, pytest.mark.fault(14)]

TIMES = 3
# Tables and partitions that hold rows: as many as there are products at least.
LEAST_FILLED = 10
# That there was a run, and what it judged, is recorded.
RECORDS = {"batch_runs", "data_quality_results"}
ROWS = (
    "SELECT coalesce(md5(string_agg(ctid::text || xmin::text || each::text, '|' ORDER BY ctid)), '') AS hash "
    "FROM {} AS each"
)


def versions(database: Database) -> dict[str, str]:
    """A hash of every row of each table, with its place and the transaction that wrote it."""
    tables = [table.name for table in METADATA.sorted_tables if table.name not in RECORDS]
    return {leaf: rows_of(database, ROWS.format(leaf))[0]["hash"] for leaf in leaves(database, tables)}


def test_a_partition_run_three_times_again_writes_no_row(night: Night, chance: random.Random, tally: Tally) -> None:
    with night.begun() as database, deployed(night, database) as deployment:
        assert deployment.run(SYMBOL_LAYER, TONIGHT).success
        run_portfolio_layer(database, TONIGHT)
        before = versions(database)
        assert sum(written != "" for written in before.values()) > LEAST_FILLED
        for day in (TONIGHT, chance.choice(DAYS[:-1])):
            for job in (SYMBOL_LAYER, PORTFOLIO_LAYER):
                for _ in range(TIMES):
                    assert deployment.run(job, day).success
                    after = versions(database)
                    assert {name for name in before if before[name] != after[name]} == set(), (day, job)
                tally.survive()
