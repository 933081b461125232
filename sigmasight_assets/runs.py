"""Launch and follow Dagster runs over its GraphQL interface, without importing dagster.

Used by the command line and the API: both start the same runs as the UI.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import httpx

from sigmasight_assets.errors import ServiceError

LOCATION = "sigmasight"
REPOSITORY = "__repository__"
# A run with this tag computes and publishes also what is fresh.
FORCE_TAG = "sigmasight/force"
# The hash of the inputs that a run of the portfolio layer was started for.
INPUT_HASH_TAG = "sigmasight/input_hash"
# The operator who wanted a run.
REQUESTED_BY_TAG = "sigmasight/requested_by"
FINISHED = frozenset({"SUCCESS", "FAILURE", "CANCELED"})

LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""
STATUS = """
query Status($runId: ID!) {
  runOrError(runId: $runId) {
    __typename
    ... on Run { status jobName tags { key value } }
  }
}
"""
FAILURES = """
query Failures($runId: ID!) {
  logsForRun(runId: $runId) {
    __typename
    ... on EventConnection {
      events {
        __typename
        ... on ExecutionStepFailureEvent { error { message causes { message } } failureMetadata { description } }
        ... on RunFailureEvent { message error { message } }
      }
    }
  }
}
"""
RUNS = """
query Runs($filter: RunsFilter, $limit: Int) {
  runsOrError(filter: $filter, limit: $limit) {
    __typename
    ... on Runs { results { runId status } }
  }
}
"""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run as the orchestrator knows it; a lost one ``will_be_retried``, and then is ``retried_as`` another."""

    run_id: str
    status: str
    will_be_retried: bool = False
    retried_as: str | None = None

    @property
    def is_finished(self) -> bool:
        """Whether it has ended, well or not."""
        return self.status in FINISHED


def range_tags(first: date, last: date) -> dict[str, str]:
    """The tags by which Dagster runs several partitions as one run."""
    return {"dagster/asset_partition_range_start": str(first), "dagster/asset_partition_range_end": str(last)}


# Seconds before a read is asked again. The webserver keeps a connection per storage, and after a restart of the
# database the next request by each of them fails.
REREAD_PAUSES = (0.05, 0.2, 1.0, 2.0)

# Dagster records an event per asset and session before it answers: 15 s for nine assets and 950 sessions on an idle
# machine.
LAUNCH_TIMEOUT = 600.0


class DagsterClient:
    """The few calls SigmaSight makes to a Dagster webserver."""

    def __init__(self, url: str, *, timeout: float = 30.0) -> None:
        self._url = url
        self._timeout = timeout

    def launch_range(self, job: str, *, first: date, last: date, tags: Mapping[str, str] | None = None) -> str:
        """Start one run of the job over the sessions ``first`` to ``last``; returns its run id.

        Raises ``ServiceError`` when Dagster is away or refuses.
        """
        partition = {"dagster/partition": str(first)} if first == last else range_tags(first, last)
        selector = {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY, "jobName": job}
        all_tags = [{"key": key, "value": value} for key, value in {**partition, **(tags or {})}.items()]
        params = {"selector": selector, "executionMetadata": {"tags": all_tags}}
        answer = self.query(LAUNCH, {"params": params}, "launchRun", timeout=LAUNCH_TIMEOUT)
        if answer["__typename"] != "LaunchRunSuccess":
            problems = [item["message"] for item in answer.get("errors", [])] or [answer.get("message", "")]
            raise ServiceError(f"Dagster did not start {job}: {answer['__typename']} {' '.join(problems)}".strip())
        return str(answer["run"]["runId"])

    def run(self, run_id: str) -> RunSummary:
        """The run's current status; ``ServiceError`` when Dagster does not know it."""
        answer = self.query(STATUS, {"runId": run_id}, "runOrError")
        if answer["__typename"] != "Run":
            raise ServiceError(f"Dagster does not know the run {run_id}")
        tags = {item["key"]: item["value"] for item in answer.get("tags", [])}
        will_be_retried = tags.get("dagster/will_retry") == "true"
        return RunSummary(run_id, str(answer["status"]), will_be_retried, tags.get("dagster/auto_retry_run_id"))

    def runs(self, job: str, *, limit: int = 10) -> list[RunSummary]:
        """The newest runs of a job, newest first; ``ServiceError`` when Dagster cannot list them."""
        answer = self.query(RUNS, {"filter": {"pipelineName": job}, "limit": limit}, "runsOrError")
        if answer["__typename"] != "Runs":
            raise ServiceError(f"Dagster cannot list the runs of {job}: {answer['__typename']}")
        return [RunSummary(item["runId"], item["status"]) for item in answer["results"]]

    def failure_reason(self, run_id: str) -> str:
        """Why a run failed, in the words of its failed steps; of one that ended without them, in Dagster's own."""
        events = self.query(FAILURES, {"runId": run_id}, "logsForRun").get("events", [])
        reasons = [text for event in events if (text := _failure_text(event))]
        ends = [str(event["message"]) for event in events if event["__typename"] == "RunFailureEvent"]
        words = "\n".join(dict.fromkeys(reasons)) or "\n".join(ends)
        return words or "Dagster gives no reason; see the run in its UI"

    def _post(self, request: Mapping[str, Any], timeout: float) -> httpx.Response:
        """Send a request; a read that fails within Dagster is sent again, for nothing is done twice by it."""
        is_read = request["query"].lstrip().startswith("query")
        for pause in (*(REREAD_PAUSES if is_read else ()), None):
            # Dagster is on this machine or next to it, never behind the proxy of the environment.
            response = httpx.post(self._url, json=request, timeout=timeout, trust_env=False)
            if pause is None or not response.is_server_error:
                break
            time.sleep(pause)
        return response

    def query(
        self, query: str, variables: Mapping[str, Any], field: str, *, timeout: float | None = None
    ) -> dict[str, Any]:
        """Send a query or mutation and return the field of its data; ``ServiceError`` when there is none.

        ``timeout`` in seconds replaces the client's own.
        """
        request = {"query": query, "variables": dict(variables)}
        try:
            response = self._post(request, timeout or self._timeout)
            # A refusal of GraphQL comes with its reasons.
            if response.status_code != httpx.codes.BAD_REQUEST:
                response.raise_for_status()
            body = response.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise self._no_answer(str(error)) from error
        body = body if isinstance(body, dict) else {}
        if body.get("errors"):
            raise ServiceError(f"Dagster refused the request: {body['errors'][0]['message']}")
        answer = (body.get("data") or {}).get(field)
        if not isinstance(answer, dict):
            raise self._no_answer("what answers there is not Dagster")
        return answer

    def _no_answer(self, cause: str) -> ServiceError:
        return ServiceError(f"Dagster at {self._url} does not answer: {cause}. Is `make run` up?")


def _failure_text(event: Mapping[str, Any]) -> str:
    if event["__typename"] == "ExecutionStepFailureEvent":
        described = (event.get("failureMetadata") or {}).get("description")
        return str(described or (event.get("error") or {}).get("message", ""))
    if event["__typename"] == "RunFailureEvent" and event.get("error"):
        return str(event["error"]["message"])
    return ""
