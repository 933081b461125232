"""The services of one machine, a Redis, and workers that tests start, end and start again."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from sigmasight_assets.services.dagster_probe import DagsterProbe
from sigmasight_assets.services.ports import LOOPBACK
from tests.celery.broker import SHIPPED, Broker, broker
from tests.celery.workers import WORKER_TAG, Worker, running_workers, worker_settings
from tests.conftest import NewDatabase
from tests.e2e.conftest import Compare, comparison, running_stack
from tests.e2e.stack import Run, Stack
from tests.e2e.world import HISTORY_START, PUBLISHED
from tests.nights import MIN_COVERAGE

MODULE = "tests.celery.definitions"


@dataclass
class Cluster:
    """The services and their broker; the workers share nothing with them but the database, the broker and the clock."""

    stack: Stack
    broker: Broker
    directory: Path

    def workers(self, count: int) -> AbstractContextManager[Sequence[Worker]]:
        """So many workers for a `with` block."""
        return running_workers([self.worker(f"w{number}", self.stack.database.url) for number in range(1, count + 1)])

    def worker(self, name: str, database_url: str) -> Worker:
        """A worker that is not started yet, and where it finds the database."""
        settings = settings_of_workers(database_url, self.broker.url)
        return Worker(name, self.directory / name, settings, surroundings=self.stack.directory)

    def run(self, run_id: str) -> Run:
        """A run as Dagster has it now."""
        return next(run for run in self.stack.runs() if run.run_id == run_id)

    def owner(self, run_id: str, workers: Sequence[Worker]) -> Worker:
        """Whose run it is."""
        name = self.run(run_id).tags[WORKER_TAG].partition("@")[0]
        return next(worker for worker in workers if worker.name == name)


def settings_of_workers(database_url: str, broker_url: str) -> dict[str, str]:
    """The settings of the scenarios as a worker's machine has them."""
    return worker_settings(
        database_url, broker_url, history_start=str(HISTORY_START), min_coverage=str(MIN_COVERAGE), retry_minutes="0.2"
    )


@contextmanager
def running_cluster(
    directory: Path,
    url: str,
    *,
    published: bool = True,
    broker_addresses: Sequence[str] = (LOOPBACK,),
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[Cluster]:
    """Broker and services for the block; ``settings`` are those of the main machine."""
    services = directory / "services"
    services.mkdir()
    with broker(directory / "redis", broker_addresses) as redis:
        own = {"broker_url": redis.url, "dagster_config": SHIPPED / "dagster.yaml", **settings}
        with running_stack(services, url, module=MODULE, settings=own, published=published) as stack:
            yield Cluster(stack, redis, directory)


@pytest.fixture(scope="package")
def services(
    new_database: NewDatabase, schema_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Broker and services of all long scenarios."""
    # Without its links: a path of a test's name is longer than that of a socket may be.
    directory = Path(os.path.realpath(tmp_path_factory.mktemp("celery")))
    with new_database(schema_template) as url, running_cluster(directory, url) as cluster:
        yield cluster


@pytest.fixture
def cluster(services: Cluster) -> Cluster:
    """The services at the end of the last published evening, with an empty broker and no worker."""
    with services.broker.client() as client:
        client.flushall()
    # What a scenario that failed has left: its workers have ended.
    DagsterProbe(services.stack.services.graphql_url).cancel_unfinished(time.time())
    services.stack.begin("published", PUBLISHED[-1])
    return services


@pytest.fixture
def compare(cluster: Cluster, new_database: NewDatabase, schema_template: str) -> Compare:
    """A comparison of the tables with those of an undisturbed run in one process."""
    return comparison(cluster.stack, new_database, schema_template)
