"""A run is a Job: what is in it, that it does the work, that it is ended, and that a lost one is noticed."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from sigmasight_assets.orchestration.jobs import SYMBOL_LAYER
from sigmasight_assets.quant.factors import FACTOR_ETFS
from tests.kubernetes.conftest import DAY, IMAGE, Deployed, until

TERMINATE = """
mutation End($runId: String!) {
  terminateRun(runId: $runId) { __typename ... on TerminateRunFailure { message } }
}
"""


def launch(deployment: Deployed) -> str:
    return deployment.client.launch_range(SYMBOL_LAYER, first=DAY, last=DAY)


def container_of(job: dict[str, Any]) -> dict[str, Any]:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return dict(container)


def published(deployment: Deployed) -> list[tuple[str, int]]:
    with deployment.database.begin() as connection:
        rows = connection.execute(text("SELECT session::text, count(*) FROM symbol_market_beta GROUP BY 1"))
        return [(str(session), int(count)) for session, count in rows]


pytestmark = [pytest.mark.e2e, pytest.mark.long]


@pytest.fixture(scope="module")
def finished(deployment: Deployed) -> str:
    """A run of the symbol layer that has succeeded."""
    run_id = launch(deployment)
    deployment.job(run_id)
    until(lambda: deployment.client.run(run_id).is_finished, "the run does not end", lambda: deployment.log(run_id))
    assert deployment.status(run_id) == "SUCCESS", deployment.log(run_id)
    return run_id


def test_the_command_of_the_job_does_the_work_of_the_run(deployment: Deployed, finished: str) -> None:
    job = deployment.job(finished)
    args = container_of(job)["args"]
    assert "execute_run" in args
    assert finished in args[-1]
    # Nobody has imported symbols: those that every figure needs are tracked by the run itself.
    assert published(deployment) == [(str(DAY), len(FACTOR_ETFS))]


def test_the_job_has_image_resources_and_rights(deployment: Deployed, finished: str) -> None:
    job = deployment.job(finished)
    container, pod = container_of(job), job["spec"]["template"]["spec"]
    assert job["metadata"]["namespace"] == "sigmasight"
    assert container["image"] == IMAGE
    assert container["resources"] == {"requests": {"cpu": "1", "memory": "1792Mi"}, "limits": {"memory": "4Gi"}}
    assert container["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["serviceAccountName"] == "dagster"
    assert pod["automountServiceAccountToken"] is False
    assert (pod["restartPolicy"], job["spec"]["backoffLimit"]) == ("Never", 0)
    assert job["metadata"]["labels"]["dagster/run-id"] == finished


def test_secrets_are_in_the_job_by_name_alone(deployment: Deployed, finished: str) -> None:
    job = deployment.job(finished)
    sources = container_of(job)["envFrom"]
    assert {"secretRef": {"name": "sigmasight-pipeline"}} in sources
    assert {"configMapRef": {"name": "sigmasight-settings"}} in sources
    written = json.dumps(job)
    secrets = deployment.cluster.secrets["sigmasight-pipeline"]
    assert [name for name, value in secrets.items() if value in written] == []
    password = deployment.database.engine.url.password
    assert password is not None
    assert password not in written


@pytest.mark.usefixtures("slow_market")
def test_ending_a_run_takes_its_job_away(deployment: Deployed) -> None:
    run_id = launch(deployment)
    deployment.job(run_id)
    deployment.wait(run_id, "STARTED")
    answer = deployment.client.query(TERMINATE, {"runId": run_id}, "terminateRun")
    assert answer["__typename"] == "TerminateRunSuccess", answer
    deployment.wait(run_id, "CANCELED")
    assert f"dagster-run-{run_id}" in deployment.cluster.deleted
    assert deployment.cluster.pods[f"dagster-run-{run_id}"].phase() != "Running"


def test_a_run_whose_pod_is_lost_is_failed_and_started_again(
    deployment: Deployed, slow_market: Callable[[], object]
) -> None:
    run_id = launch(deployment)
    deployment.job(run_id)
    deployment.wait(run_id, "STARTED")
    slow_market()
    deployment.cluster.pods[f"dagster-run-{run_id}"].kill()
    deployment.wait(run_id, "FAILURE")
    assert "K8s job has no active pods" in deployment.client.failure_reason(run_id)
    until(lambda: deployment.client.run(run_id).retried_as is not None, "the run is not started again")
    again = deployment.client.run(run_id).retried_as
    assert again is not None
    assert container_of(deployment.job(again))["args"] != container_of(deployment.job(run_id))["args"]
    deployment.wait(again, "SUCCESS")


@pytest.mark.usefixtures("finished")
def test_the_cluster_refused_nothing(deployment: Deployed) -> None:
    assert deployment.cluster.refused == []
