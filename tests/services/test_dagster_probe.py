"""Tests of the questions to Dagster, put to a running one."""

import time

import pytest

from sigmasight_assets.errors import ServiceError
from sigmasight_assets.services.dagster_probe import DagsterProbe
from sigmasight_assets.services.ports import free_port
from tests.services.conftest import StartedDagster

LAUNCH = """
mutation Launch {
  launchRun(executionParams: {
    selector: {repositoryLocationName: "sigmasight", repositoryName: "__repository__", jobName: "waiting"}
    runConfigData: {}
  }) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}
"""
STATUS = "query Status($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"


@pytest.fixture
def client(dagster: StartedDagster) -> DagsterProbe:
    return DagsterProbe(dagster.services.graphql_url)


def status(client: DagsterProbe, run_id: str) -> str:
    return str(client.query(STATUS, {"id": run_id}, "runOrError")["status"])


def test_a_loaded_location_has_no_problem_and_an_unknown_one_is_named(client: DagsterProbe) -> None:
    assert client.location_problem("sigmasight") is None
    assert client.location_problem("elsewhere") == "the workspace has no code location elsewhere"


def test_only_heartbeats_since_the_start_count(client: DagsterProbe) -> None:
    assert client.daemon_problem(since=0.0) is None
    problem = client.daemon_problem(since=time.time() + 3600)
    assert problem is not None
    assert problem.startswith("no heartbeat yet of ")
    assert "SENSOR" in problem


def test_runs_from_before_are_ended_and_later_ones_kept(client: DagsterProbe) -> None:
    before = time.time() - 1
    run_id = client.query(LAUNCH, {}, "launchRun")["run"]["runId"]
    while status(client, run_id) != "STARTED":
        time.sleep(0.1)
    assert client.cancel_unfinished(before) == []
    assert status(client, run_id) == "STARTED"
    assert client.cancel_unfinished(time.time() + 1) == [run_id]
    assert status(client, run_id) == "CANCELED"
    assert client.cancel_unfinished(time.time() + 1) == []


def test_a_refused_query_says_why(client: DagsterProbe) -> None:
    with pytest.raises(ServiceError, match=r"refused the request: .*nonsense"):
        client.query("{ nonsense }", {}, "nonsense")


def test_a_webserver_that_is_away_is_named() -> None:
    url = f"http://127.0.0.1:{free_port()}/graphql"
    with pytest.raises(ServiceError, match=f"Dagster at {url} does not answer"):
        DagsterProbe(url).query("{ version }", {}, "version")
