"""A night, a backfill of ranges and the snapshots, spread over workers: the tables are those of one process."""

import pytest

from tests.celery.conftest import Cluster
from tests.celery.workers import WORKER_TAG
from tests.e2e.conftest import Compare
from tests.e2e.world import DAYS, TONIGHT
from tests.orchestration.contents import rows_of

pytestmark = [pytest.mark.e2e, pytest.mark.long]

RANGES = [(DAYS[begin], DAYS[begin + 14]) for begin in (0, 15, 30, 45)]
DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


@pytest.mark.parametrize(("count", "used"), [(2, 2), (4, 3)])
def test_the_night_and_ranges_beside_it(cluster: Cluster, compare: Compare, count: int, used: int) -> None:
    stack = cluster.stack
    with cluster.workers(count) as workers:
        stack.begin("books", TONIGHT)
        ranges = [stack.launch(first, last) for first, last in RANGES]
        stack.succeed(*ranges, stack.nightly(TONIGHT))
        stack.wait_for_snapshots(TONIGHT)
        compare(DAYS[:61])
    runs = stack.runs()
    assert {run.status for run in runs} == {"SUCCESS"}
    hosts = {run.tags[WORKER_TAG].partition("@")[0] for run in runs}
    assert hosts <= {worker.name for worker in workers}
    assert len(hosts) >= used
    assert rows_of(stack.database, DEADLOCKS) == [{"deadlocks": 0}]
