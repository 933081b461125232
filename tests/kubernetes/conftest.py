"""The real Dagster services with the instance of Kubernetes, whose runs are Jobs of a stand-in cluster."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from sigmasight_assets.runs import DagsterClient
from sigmasight_assets.services import stack
from sigmasight_assets.services.ports import free_port
from sigmasight_assets.services.stack import DagsterServices, dagster_database_url
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.settings import Settings
from sigmasight_assets.storage.database import Database
from tests.conftest import NewDatabase
from tests.documents import DOCS
from tests.kubernetes.cluster import Cluster, stand_in_cluster

FILES = DOCS / "deployment" / "kubernetes"
IMAGE = "registry.example/sigmasight:0.1.0"
NOW = "2024-06-14T21:05:00-04:00"
DAY = date(2024, 6, 14)
WAIT_SECONDS = 180.0
POLL_SECONDS = 0.1


def manifests(name: str) -> list[dict[str, Any]]:
    """The documents of a file of the deployment."""
    return [item for item in yaml.safe_load_all((FILES / name).read_text(encoding="utf-8")) if item]


def until(holds: Callable[[], bool], what: str, told: Callable[[], str] = str) -> None:
    """Return when it holds; fail with ``what`` and what ``told`` says after a generous while."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} within {WAIT_SECONDS:.0f} s: {told()}")
        time.sleep(POLL_SECONDS)


@dataclass(frozen=True)
class Deployed:
    """The services, the cluster that their runs are in, and their database."""

    client: DagsterClient
    cluster: Cluster
    database: Database

    def status(self, run_id: str) -> str:
        """Dagster's status of a run."""
        return self.client.run(run_id).status

    def job(self, run_id: str) -> dict[str, Any]:
        """The Job of a run, as soon as it is posted."""
        name = f"dagster-run-{run_id}"
        until(lambda: name in self.cluster.jobs, f"no Job {name}", lambda: f"{self.cluster.refused}")
        return self.cluster.jobs[name]

    def log(self, run_id: str) -> str:
        """What the container of a run printed."""
        return self.cluster.log_of(f"dagster-run-{run_id}")

    def wait(self, run_id: str, status: str) -> None:
        """Return when the run has the status."""
        until(lambda: self.status(run_id) == status, f"{run_id} is not {status}", lambda: self.status(run_id))


@contextmanager
def deployed(directory: Path, url: str, module: str = stack.DEFINITIONS_MODULE) -> Iterator[Deployed]:
    """Code server, webserver and daemon with the instance of ``dagster.yaml``, for the block."""
    secrets = {
        "sigmasight-pipeline": {
            "SIGMASIGHT_DATABASE_URL": url,
            "SIGMASIGHT_DAGSTER_URL": dagster_database_url(url),
            "POLYGON_API_KEY": "a key of a vendor",
        }
    }
    (settings_map,) = manifests("settings.yaml")
    settings = {
        **settings_map["data"],
        "SIGMASIGHT_MARKET": "simulated",
        "SIGMASIGHT_DEMO_SYMBOLS": "50",
        "SIGMASIGHT_HISTORY_START": str(exchange_calendar().offset(DAY, -200)),
        "SIGMASIGHT_MIN_COVERAGE": "0.9",
        "SIGMASIGHT_NOW": NOW,
    }
    instance: dict[str, str] = {}
    maps = {"sigmasight-settings": settings, "dagster-instance": instance}
    with (
        stand_in_cluster(directory, secrets=secrets, config_maps=maps) as cluster,
        pytest.MonkeyPatch.context() as patch,
    ):
        instance["dagster.yaml"] = _instance(cluster, directory)
        (directory / "checkout").mkdir()
        (directory / "checkout" / "dagster.yaml").write_text(instance["dagster.yaml"], encoding="utf-8")
        for name in [name for name in os.environ if name.startswith("SIGMASIGHT_")]:
            patch.delenv(name)
        patch.chdir(directory)
        patch.setenv("PYTHONPATH", str(DOCS.parent))
        patch.setenv("DAGSTER_CURRENT_IMAGE", IMAGE)
        for name, value in settings.items():
            patch.setenv(name, value)
        patch.setattr(stack, "CHECKOUT", directory / "checkout")
        chosen = Settings(home=directory / "home", database_url=url, ui_port=free_port(), api_port=free_port())
        services = DagsterServices(chosen, url, ui_port=chosen.ui_port, module=module)
        database = Database(url)
        try:
            services.start()
            yield Deployed(DagsterClient(services.graphql_url), cluster, database)
        finally:
            services.stop()
            database.close()


def _instance(cluster: Cluster, directory: Path) -> str:
    """The instance of the deployment, with the addresses of the test and a monitoring that looks more often."""
    settings = yaml.safe_load((FILES / "dagster.yaml").read_text(encoding="utf-8"))
    launcher = settings["run_launcher"]["config"]
    launcher |= {"load_incluster_config": False, "kubeconfig_file": str(cluster.kubeconfig)}
    launcher["dagster_home"] = str(directory / "pod" / "dagster_home")
    settings["run_monitoring"]["poll_interval_seconds"] = 1
    written: str = yaml.safe_dump(settings)
    return written


@pytest.fixture(scope="package")
def deployment(
    new_database: NewDatabase, schema_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployed]:
    """The services on a migrated database without rows."""
    with new_database(schema_template) as url, deployed(tmp_path_factory.mktemp("kubernetes"), url) as running:
        yield running


@pytest.fixture
def slow_market(deployment: Deployed) -> Iterator[Callable[[], object]]:
    """Runs that start now take minutes: their market gives one answer in a hundred seconds. Called, it ends this."""
    settings = deployment.cluster.config_maps["sigmasight-settings"]
    assert isinstance(settings, dict)
    settings["SIGMASIGHT_MARKET_RATE"] = "0.01"

    def end() -> object:
        return settings.pop("SIGMASIGHT_MARKET_RATE", None)

    yield end
    end()
