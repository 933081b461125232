"""The instance on Kubernetes has the limits of the project's own, and the chart's values say the same."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from dagster._core.instance.config import dagster_instance_config
from dagster._core.instance.ref import InstanceRef
from dagster_k8s import K8sRunLauncher, k8s_job_executor

from sigmasight_assets.orchestration.jobs import JOBS
from sigmasight_assets.orchestration.pod_resources import TAG
from sigmasight_assets.runs import LOCATION
from sigmasight_assets.services.stack import CHECKOUT, DEFINITIONS_MODULE
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
        queue = snake(DAEMON["runCoordinator"]["config"]["queuedRunCoordinator"])
        assert DAEMON["runCoordinator"]["type"] == INSTANCE["run_coordinator"]["class"]
        assert queue == INSTANCE["run_coordinator"]["config"]
        # The value of a limit is passed on as it is written.
        runs = VALUES["concurrency"]["runs"]
        assert runs["maxConcurrentRuns"] == INSTANCE["concurrency"]["runs"]["max_concurrent_runs"]
        assert runs["tagConcurrencyLimits"] == INSTANCE["concurrency"]["runs"]["tag_concurrency_limits"]
        assert VALUES["concurrency"]["enabled"] is True

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


def test_every_job_tells_what_its_runs_need() -> None:
    for job in JOBS:
        resources = yaml.safe_load((job.tags or {})[TAG])["container_config"]["resources"]
        assert set(resources) == {"requests", "limits"}
        assert set(resources["requests"]) == {"cpu", "memory"}
        # A limit of processor time would slow a run down on an idle node.
        assert set(resources["limits"]) == {"memory"}


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
