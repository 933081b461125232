"""Two sessions by two workers, within `make test`."""

from pathlib import Path

from sigmasight_assets.orchestration.jobs import PORTFOLIO_LAYER, SYMBOL_LAYER
from tests.celery.conftest import running_cluster
from tests.celery.workers import WORKER_TAG
from tests.conftest import NewDatabase
from tests.e2e.conftest import comparison
from tests.e2e.world import DAYS


def test_two_workers_share_two_sessions_and_their_snapshots(
    new_database: NewDatabase, schema_template: str, tmp_path: Path
) -> None:
    first, second = DAYS[:2]
    with new_database(schema_template) as url, running_cluster(tmp_path, url, published=False) as cluster:
        stack = cluster.stack
        with cluster.workers(2):
            stack.begin("books", second)
            stack.succeed(stack.launch(first), stack.launch(second))
            stack.wait_for_snapshots(second)
            comparison(stack, new_database, schema_template)([first, second])
        found = {run.run_id: run for run in stack.runs(SYMBOL_LAYER)}
        assert {run.tags[WORKER_TAG].partition("@")[0] for run in found.values()} == {"w1", "w2"}
        assert {run.status for run in stack.runs(PORTFOLIO_LAYER)} == {"SUCCESS"}
        assert all(WORKER_TAG in run.tags for run in stack.runs(PORTFOLIO_LAYER))
