"""Tests of the client of Dagster's GraphQL interface against a small HTTP server that answers badly.

That Dagster itself answers well is tested with Dagster, in the tests of the orchestration.
"""

import json
from collections.abc import Callable, Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from sigmasight_assets.errors import ServiceError
from sigmasight_assets.runs import FORCE_TAG, DagsterClient, RunSummary
from tests import webservers
from tests.webservers import Webserver

DAY, NEXT = date(2025, 7, 30), date(2025, 7, 31)
LOOPBACK = "127.0.0.1"


@pytest.fixture
def webserver() -> Iterator[Webserver]:
    with webservers.webserver() as server:
        yield server


CALLS: dict[str, Callable[[DagsterClient], object]] = {
    "launch": lambda client: client.launch_range("symbol_layer", first=DAY, last=NEXT),
    "run": lambda client: client.run("r1"),
    "runs": lambda client: client.runs("symbol_layer"),
    "failure_reason": lambda client: client.failure_reason("r1"),
}


@pytest.fixture(params=CALLS)
def call(request: pytest.FixtureRequest) -> Callable[[DagsterClient], object]:
    """Each of the calls."""
    return CALLS[request.param]


class TestNoAnswer:
    @pytest.mark.parametrize(
        ("status", "content"),
        [
            (200, b"<!doctype html><title>Not Dagster</title>"),
            (200, b""),
            (200, b"\xff\xfe"),
            (200, b"[]"),
            (200, b"null"),
            (200, b'{"detail": "a service of another kind"}'),
            (200, b'{"data": null}'),
            (200, b'{"data": {}}'),
            (404, b"nothing here"),
            (502, b"<html>bad gateway</html>"),
        ],
    )
    def test_what_is_not_dagster_is_named_with_the_way_out(
        self, webserver: Webserver, status: int, content: bytes
    ) -> None:
        webserver.status, webserver.content = status, content
        with pytest.raises(ServiceError) as caught:
            webserver.client.run("r1")
        assert str(caught.value).startswith(f"Dagster at {webserver.url} does not answer: ")
        assert str(caught.value).endswith(" Is `make run` up?")

    @pytest.mark.fault(4)
    def test_a_read_that_fails_within_dagster_is_asked_again(self, webserver: Webserver) -> None:
        """As the first ones do after a restart of its database."""
        webserver.answer({"runOrError": {"__typename": "Run", "status": "STARTED", "tags": []}}).failing = 2
        assert webserver.client.run("r1").status == "STARTED"
        assert len(webserver.requests) == 3

    def test_a_launch_is_sent_once(self, webserver: Webserver) -> None:
        webserver.failing = 1
        with pytest.raises(ServiceError, match="500 Internal Server Error"):
            webserver.client.launch_range("symbol_layer", first=date(2025, 7, 31), last=date(2025, 7, 31))
        assert len(webserver.requests) == 1

    def test_every_call_says_so(self, webserver: Webserver, call: Callable[[DagsterClient], object]) -> None:
        webserver.answer({"version": "1.13"})
        with pytest.raises(ServiceError, match=r"does not answer: what answers there is not Dagster\. Is `make run`"):
            call(webserver.client)

    @pytest.mark.parametrize(
        "url", [f"http://{LOOPBACK}:9/graphql", "http://nowhere.invalid/graphql", "localhost:3000", "http://[::1", ""]
    )
    def test_an_address_without_a_server_is_named(self, url: str) -> None:
        with pytest.raises(ServiceError, match=r"Dagster at .* does not answer: .+ Is `make run` up\?") as caught:
            DagsterClient(url).run("r1")
        assert f"Dagster at {url} does" in str(caught.value)

    def test_a_server_that_is_silent_is_given_up(self) -> None:
        with ThreadingHTTPServer((LOOPBACK, 0), BaseHTTPRequestHandler) as server:
            client = DagsterClient(f"http://{LOOPBACK}:{server.server_port}/graphql", timeout=0.1)
            with pytest.raises(ServiceError, match="does not answer: timed out"):
                client.run("r1")

    def test_a_proxy_of_the_environment_is_passed_by(
        self, webserver: Webserver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://{LOOPBACK}:9")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        webserver.answer({"runOrError": {"__typename": "Run", "status": "STARTED"}})
        assert webserver.client.run("r1") == RunSummary("r1", "STARTED")

    @pytest.mark.parametrize(
        ("tags", "summary"),
        [
            ({"dagster/will_retry": "false"}, RunSummary("r1", "FAILURE")),
            ({"dagster/will_retry": "true"}, RunSummary("r1", "FAILURE", will_be_retried=True)),
            (
                {"dagster/will_retry": "true", "dagster/auto_retry_run_id": "r2"},
                RunSummary("r1", "FAILURE", will_be_retried=True, retried_as="r2"),
            ),
        ],
    )
    def test_a_lost_run_tells_what_takes_its_place(
        self, webserver: Webserver, tags: dict[str, str], summary: RunSummary
    ) -> None:
        listed = [{"key": key, "value": value} for key, value in tags.items()]
        webserver.answer({"runOrError": {"__typename": "Run", "status": "FAILURE", "tags": listed}})
        assert webserver.client.run("r1") == summary


class TestRefusals:
    def test_an_error_of_graphql_is_told(self, webserver: Webserver, call: Callable[[DagsterClient], object]) -> None:
        webserver.content = json.dumps({"errors": [{"message": "Cannot query field runOrError"}]}).encode()
        with pytest.raises(ServiceError, match=r"^Dagster refused the request: Cannot query field runOrError$"):
            call(webserver.client)

    def test_it_is_told_whatever_the_status(self, webserver: Webserver) -> None:
        webserver.status = 400
        webserver.content = json.dumps({"errors": [{"message": "Syntax Error"}], "data": None}).encode()
        with pytest.raises(ServiceError, match=r"^Dagster refused the request: Syntax Error$"):
            webserver.client.run("r1")

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            (
                {"__typename": "PythonError", "message": "the code location is gone"},
                "PythonError the code location is gone",
            ),
            (
                {"__typename": "RunConfigValidationInvalid", "errors": [{"message": "no op"}, {"message": "no job"}]},
                "RunConfigValidationInvalid no op no job",
            ),
            ({"__typename": "PipelineNotFoundError"}, "PipelineNotFoundError"),
        ],
    )
    def test_a_run_that_is_not_started_says_why(
        self, webserver: Webserver, answer: dict[str, Any], reason: str
    ) -> None:
        webserver.answer({"launchRun": answer})
        with pytest.raises(ServiceError) as caught:
            webserver.client.launch_range("symbol_layer", first=DAY, last=NEXT)
        assert str(caught.value) == f"Dagster did not start symbol_layer: {reason}"

    def test_an_unknown_run_is_named(self, webserver: Webserver) -> None:
        webserver.answer({"runOrError": {"__typename": "RunNotFoundError"}})
        with pytest.raises(ServiceError, match=r"^Dagster does not know the run r1$"):
            webserver.client.run("r1")

    def test_runs_that_cannot_be_listed_are_no_empty_list(self, webserver: Webserver) -> None:
        webserver.answer({"runsOrError": {"__typename": "PythonError"}})
        with pytest.raises(ServiceError, match=r"^Dagster cannot list the runs of symbol_layer: PythonError$"):
            webserver.client.runs("symbol_layer")


class TestRequests:
    def test_one_session_is_a_partition_and_several_are_a_range(self, webserver: Webserver) -> None:
        client = webserver.answer({"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": "r1"}}}).client
        assert client.launch_range("symbol_layer", first=DAY, last=DAY, tags={FORCE_TAG: "true"}) == "r1"
        assert webserver.tags == {"dagster/partition": "2025-07-30", FORCE_TAG: "true"}
        assert client.launch_range("symbol_layer", first=DAY, last=NEXT) == "r1"
        assert webserver.tags == {
            "dagster/asset_partition_range_start": "2025-07-30",
            "dagster/asset_partition_range_end": "2025-07-31",
        }
        selector = webserver.requests[-1]["variables"]["params"]["selector"]
        assert (selector["jobName"], selector["repositoryLocationName"]) == ("symbol_layer", "sigmasight")

    @pytest.mark.parametrize(
        ("status", "is_finished"),
        [("QUEUED", False), ("STARTED", False), ("CANCELING", False)]
        + [(status, True) for status in ("SUCCESS", "FAILURE", "CANCELED")],
    )
    def test_a_run_is_finished_well_or_not(self, webserver: Webserver, status: str, is_finished: bool) -> None:
        webserver.answer({"runOrError": {"__typename": "Run", "status": status}})
        assert webserver.client.run("r1").is_finished is is_finished

    def test_the_newest_runs_are_listed_as_asked(self, webserver: Webserver) -> None:
        results = [{"runId": "b", "status": "STARTED"}, {"runId": "a", "status": "FAILURE"}]
        webserver.answer({"runsOrError": {"__typename": "Runs", "results": results}})
        assert webserver.client.runs("symbol_layer", limit=2) == [
            RunSummary("b", "STARTED"),
            RunSummary("a", "FAILURE"),
        ]
        assert webserver.requests[-1]["variables"] == {"filter": {"pipelineName": "symbol_layer"}, "limit": 2}


class TestFailureReason:
    def test_it_is_each_failed_steps_own_words_once(self, webserver: Webserver) -> None:
        events = [
            {"__typename": "ExecutionStepStartEvent"},
            {
                "__typename": "ExecutionStepFailureEvent",
                "failureMetadata": {"description": "2025-07-30: coverage 0.5"},
                "error": {"message": "Failure"},
            },
            {"__typename": "ExecutionStepFailureEvent", "failureMetadata": None, "error": {"message": "boom"}},
            {"__typename": "ExecutionStepFailureEvent", "failureMetadata": {"description": ""}, "error": None},
            {"__typename": "RunFailureEvent", "message": "steps failed", "error": None},
            {"__typename": "RunFailureEvent", "message": "", "error": {"message": "boom"}},
        ]
        webserver.answer({"logsForRun": {"__typename": "EventConnection", "events": events}})
        assert webserver.client.failure_reason("r1") == "2025-07-30: coverage 0.5\nboom"

    def test_of_a_run_that_was_ended_from_outside_it_is_the_message(self, webserver: Webserver) -> None:
        events = [{"__typename": "RunFailureEvent", "message": "The worker was lost", "error": None}]
        webserver.answer({"logsForRun": {"__typename": "EventConnection", "events": events}})
        assert webserver.client.failure_reason("r1") == "The worker was lost"

    @pytest.mark.parametrize(
        "logs", [{"__typename": "RunNotFoundError"}, {"__typename": "EventConnection", "events": []}]
    )
    def test_without_any_it_says_where_to_look(self, webserver: Webserver, logs: dict[str, Any]) -> None:
        webserver.answer({"logsForRun": logs})
        assert webserver.client.failure_reason("r1") == "Dagster gives no reason; see the run in its UI"
