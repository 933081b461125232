"""The instance on Kubernetes has the limits of the project's own, and the chart's values say the same."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml  # type: ignore[import-untyped]
from dagster._core.instance.config import dagster_instance_config
from dagster._core.instance.ref import InstanceRef
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster_k8s import K8sRunLauncher, k8s_job_executor
from dagster_postgres.utils import get_conn_string
from sqlalchemy.engine import make_url

from sigmasight_assets.orchestration.jobs import JOBS, PORTFOLIO_LAYER, SYMBOL_LAYER
from sigmasight_assets.orchestration.pod_resources import TAG
from sigmasight_assets.orchestration.portfolio_help import portfolio_slices_job
from sigmasight_assets.runs import LOCATION
from sigmasight_assets.services.stack import CHECKOUT, DEFINITIONS_MODULE
from tests.documents import DOCS, blocks
from tests.kubernetes.cluster import stand_in_cluster
from tests.kubernetes.conftest import FILES

# What may differ from the project's instance: where runs are launched, and where their output goes.
OWN = {"run_launcher", "compute_logs"}


def load(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


INSTANCE = load(FILES / "dagster.yaml")
VALUES = load(FILES / "values.yaml")
DAEMON = VALUES["dagsterDaemon"]
QUEUE = DAEMON["runCoordinator"]["config"]["queuedRunCoordinator"]
LAUNCHER = VALUES["runLauncher"]["config"]["k8sRunLauncher"]


def snake(content: Any) -> Any:
    """The chart's words with the spelling of dagster.yaml."""
    if isinstance(content, Mapping):
        return {re.sub(r"(?<=[a-z])([A-Z])", r"_\1", key).lower(): snake(value) for key, value in content.items()}
    return [snake(item) for item in content] if isinstance(content, list) else content


def test_everything_but_the_launcher_is_the_projects_own_instance() -> None:
    shared = {key: value for key, value in INSTANCE.items() if key not in OWN}
    assert shared == load(CHECKOUT / "dagster.yaml")


@pytest.mark.parametrize("unset", ["SIGMASIGHT_DAGSTER_URL"])
def test_dagster_takes_the_instance_and_makes_its_launcher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unset: str
) -> None:
    monkeypatch.setenv(unset, "postgresql+psycopg2://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("DAGSTER_HOME", "/opt/dagster/dagster_home")
    with stand_in_cluster(tmp_path, secrets={}, config_maps={}) as cluster:
        # The only part that a machine outside of the cluster cannot have.
        told = {**INSTANCE["run_launcher"]["config"], "load_incluster_config": False}
        told["kubeconfig_file"] = str(cluster.kubeconfig)
        changed = {**INSTANCE, "run_launcher": {**INSTANCE["run_launcher"], "config": told}}
        (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(changed), encoding="utf-8")
        settings, _ = dagster_instance_config(str(tmp_path))
        assert settings["run_monitoring"]["poll_interval_seconds"] == 30
        launcher = InstanceRef.from_dir(str(tmp_path)).run_launcher
    assert isinstance(launcher, K8sRunLauncher)
    assert launcher.job_namespace == "sigmasight"
    assert launcher.dagster_home == "/opt/dagster/dagster_home"
    assert launcher.supports_check_run_worker_health


def test_a_wrong_word_in_the_instance_is_refused(tmp_path: Path) -> None:
    wrong = {**INSTANCE, "run_monitoring": {**INSTANCE["run_monitoring"], "poll_seconds": 3}}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(wrong), encoding="utf-8")
    with pytest.raises(Exception, match="poll_seconds"):
        dagster_instance_config(str(tmp_path))


class TestValues:
    """``values.yaml`` in the words of the chart; which keys it has was looked up by hand (kubernetes.md)."""

    def test_limits_are_those_of_the_instance(self) -> None:
        assert DAEMON["runCoordinator"]["type"] == INSTANCE["run_coordinator"]["class"]
        assert QUEUE["dequeueIntervalSeconds"] == INSTANCE["run_coordinator"]["config"]["dequeue_interval_seconds"]
        runs = INSTANCE["concurrency"]["runs"]
        assert QUEUE["maxConcurrentRuns"] == runs["max_concurrent_runs"]
        # The value of a limit is passed on as it is written.
        assert QUEUE["tagConcurrencyLimits"] == runs["tag_concurrency_limits"]

    def test_monitoring_retries_and_retention_are_those_of_the_instance(self) -> None:
        assert snake(DAEMON["runMonitoring"]) == INSTANCE["run_monitoring"]
        assert snake(DAEMON["runRetries"]) == INSTANCE["run_retries"]
        assert snake(VALUES["retention"]) == {"enabled": True, **INSTANCE["retention"]}
        assert VALUES["telemetry"] == INSTANCE["telemetry"]
        assert VALUES["additionalInstanceConfig"] == {"nux": INSTANCE["nux"]}
        assert VALUES["computeLogManager"]["type"] == INSTANCE["compute_logs"]["class"]

    def test_the_launcher_is_that_of_the_instance(self) -> None:
        told = INSTANCE["run_launcher"]["config"]
        assert VALUES["runLauncher"]["type"] == INSTANCE["run_launcher"]["class"]
        assert LAUNCHER["imagePullPolicy"] == told["image_pull_policy"]
        assert [item["name"] for item in LAUNCHER["envSecrets"]] == told["env_secrets"]
        assert [item["name"] for item in LAUNCHER["envConfigMaps"]] == told["env_config_maps"]
        assert LAUNCHER["resources"] == told["resources"]
        assert LAUNCHER["securityContext"] == told["security_context"]
        raw = told["run_k8s_config"]
        assert LAUNCHER["runK8sConfig"]["podSpecConfig"] == raw["pod_spec_config"]
        assert LAUNCHER["runK8sConfig"]["jobSpecConfig"] == raw["job_spec_config"]
        assert VALUES["global"]["serviceAccountName"] == told["service_account_name"]

    def test_the_code_location_is_the_one_that_the_api_asks_for(self) -> None:
        (location,) = VALUES["dagster-user-deployments"]["deployments"]
        assert location["name"] == LOCATION
        assert location["dagsterApiGrpcArgs"] == ["--module-name", DEFINITIONS_MODULE]

    def test_one_image_serves_everything(self) -> None:
        (location,) = VALUES["dagster-user-deployments"]["deployments"]
        assert DAEMON["image"] == VALUES["dagsterWebserver"]["image"] == location["image"]

    def test_nothing_is_deployed_that_is_not_used(self) -> None:
        assert VALUES["postgresql"]["enabled"] is False
        assert VALUES["generatePostgresqlPasswordSecret"] is False
        assert VALUES["generateCeleryConfigSecret"] is False
        assert "postgresqlPassword" not in VALUES["postgresql"]


def as_the_chart_writes_it(values: dict[str, Any]) -> dict[str, Any]:
    """The instance that the chart's template makes of the values: a translation by hand of what it says."""
    database = values["postgresql"]
    postgres = {
        "username": database["postgresqlUsername"],
        "password": {"env": "DAGSTER_PG_PASSWORD"},
        "hostname": database["postgresqlHost"],
        "db_name": database["postgresqlDatabase"],
        "port": database["service"]["port"],
        "params": database["postgresqlParams"],
        "scheme": database["postgresqlScheme"],
    }
    storages = {
        "run_storage": ("dagster_postgres.run_storage", "PostgresRunStorage"),
        "event_log_storage": ("dagster_postgres.event_log", "PostgresEventLogStorage"),
        "schedule_storage": ("dagster_postgres.schedule_storage", "PostgresScheduleStorage"),
    }
    launcher = {
        "load_incluster_config": LAUNCHER["loadInclusterConfig"],
        "job_namespace": "sigmasight",
        "image_pull_policy": LAUNCHER["imagePullPolicy"],
        "service_account_name": values["global"]["serviceAccountName"],
        "dagster_home": "/opt/dagster/dagster_home",
        "instance_config_map": "sigmasight-dagster-instance",
        "postgres_password_secret": values["global"]["postgresqlSecretName"],
        "env_config_maps": [item["name"] for item in LAUNCHER["envConfigMaps"]],
        "env_secrets": [item["name"] for item in LAUNCHER["envSecrets"]],
        "resources": LAUNCHER["resources"],
        "security_context": LAUNCHER["securityContext"],
        "run_k8s_config": {
            "pod_spec_config": LAUNCHER["runK8sConfig"]["podSpecConfig"],
            "job_spec_config": LAUNCHER["runK8sConfig"]["jobSpecConfig"],
        },
    }
    # With the chart's own defaults.
    queue = {**snake({**QUEUE, "tagConcurrencyLimits": []}), "dequeue_use_threads": True, "dequeue_num_workers": 4}
    queue["tag_concurrency_limits"] = QUEUE["tagConcurrencyLimits"]
    monitoring = {"max_resume_run_attempts": 0, "free_slots_after_run_end_seconds": 0, **snake(DAEMON["runMonitoring"])}
    return {
        "scheduler": {"module": "dagster.core.scheduler", "class": "DagsterDaemonScheduler"},
        **{
            name: {"module": module, "class": kind, "config": {"postgres_db": postgres}}
            for name, (module, kind) in storages.items()
        },
        "run_launcher": {"module": "dagster_k8s", "class": values["runLauncher"]["type"], "config": launcher},
        "run_coordinator": {
            "module": "dagster.core.run_coordinator",
            "class": DAEMON["runCoordinator"]["type"],
            "config": queue,
        },
        "compute_logs": {
            "module": "dagster.core.storage.noop_compute_log_manager",
            "class": values["computeLogManager"]["type"],
        },
        "run_monitoring": monitoring,
        "run_retries": snake(DAEMON["runRetries"]),
        "sensors": {"use_threads": True, "num_workers": 4},
        "schedules": {"use_threads": True, "num_workers": 4},
        "telemetry": values["telemetry"],
        "retention": {key: value for key, value in snake(values["retention"]).items() if key != "enabled"},
        **values["additionalInstanceConfig"],
    }


def test_dagster_takes_what_the_chart_makes_of_the_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_PG_PASSWORD", "a p@ssword")
    written = as_the_chart_writes_it(VALUES)
    with stand_in_cluster(tmp_path, secrets={}, config_maps={}) as cluster:
        written["run_launcher"]["config"] |= {
            "load_incluster_config": False,
            "kubeconfig_file": str(cluster.kubeconfig),
        }
        (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(written), encoding="utf-8")
        dagster_instance_config(str(tmp_path))
        reference = InstanceRef.from_dir(str(tmp_path))
        launcher, coordinator = reference.run_launcher, reference.run_coordinator
    assert isinstance(launcher, K8sRunLauncher)
    assert isinstance(coordinator, QueuedRunCoordinator)
    limits = coordinator.get_run_queue_config()
    assert (limits.max_concurrent_runs, limits.tag_concurrency_limits) == (12, QUEUE["tagConcurrencyLimits"])
    storage = written["run_storage"]["config"]["postgres_db"]
    address = make_url(get_conn_string(**{**storage, "password": "a p@ssword"}))
    assert address.drivername == "postgresql+psycopg2"
    assert address.query["options"] == "-csearch_path=dagster"
    assert address.password == "a p@ssword"


def test_every_job_tells_what_its_runs_need() -> None:
    for tags in (*((job.tags or {}) for job in JOBS), portfolio_slices_job.tags):
        resources = yaml.safe_load(tags[TAG])["container_config"]["resources"]
        assert set(resources) == {"requests", "limits"}
        assert set(resources["requests"]) == {"cpu", "memory"}
        # A limit of processor time would slow a run down on an idle node.
        assert set(resources["limits"]) == {"memory"}


def test_a_helper_needs_what_the_run_needs_that_it_helps() -> None:
    (helped,) = (job.tags or {} for job in JOBS if job.name == PORTFOLIO_LAYER)
    assert portfolio_slices_job.tags[TAG] == helped[TAG]


def test_a_pod_for_each_step_is_the_same_definitions() -> None:
    from sigmasight_assets.definitions import defs as in_process  # noqa: PLC0415
    from sigmasight_assets.kubernetes_definitions import defs  # noqa: PLC0415

    assert defs.executor is k8s_job_executor
    for job in JOBS:
        chosen = defs.resolve_job_def(job.name)
        assert chosen.executor_def.name == "k8s"
        assert list(chosen.nodes_in_topological_order) != []
        assert {node.name for node in chosen.nodes} == {
            node.name for node in in_process.resolve_job_def(job.name).nodes
        }


def test_the_run_config_of_the_document_is_one_of_these_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    # The resource's address is looked up, and not used.
    monkeypatch.setenv("SIGMASIGHT_DATABASE_URL", "postgresql+psycopg2://nobody@127.0.0.1:1/none")
    from sigmasight_assets.kubernetes_definitions import defs  # noqa: PLC0415

    page = (DOCS / "operator" / "kubernetes.md").read_text(encoding="utf-8")
    (written,) = (yaml.safe_load(block.body) for block in blocks(page) if block.info == "yaml")
    job = defs.resolve_job_def(SYMBOL_LAYER)
    checked = dg.validate_run_config(job, written)
    assert checked["execution"]["k8s"]["max_concurrent"] == 2
    steps = set(written["execution"]["config"]["per_step_k8s_config"])
    assert steps <= {node.name for node in job.nodes}
    with pytest.raises(dg.DagsterInvalidConfigError, match="most_concurrent"):
        dg.validate_run_config(job, {"execution": {"config": {"most_concurrent": 2}}})
