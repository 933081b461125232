"""What listens, listens on loopback alone; a second Dagster UI shows everything and changes nothing."""

import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import psutil

from sigmasight_api.server import configuration
from sigmasight_assets.services.home import Home
from sigmasight_assets.services.ports import LOOPBACK, free_port
from sigmasight_assets.services.postgres import EmbeddedPostgres
from sigmasight_assets.services.processes import ProcessRecord, find_processes
from tests.operator_files import environment, installed, unusual
from tests.services.conftest import StartedDagster
from tests.services.servers import running_pid

START_SECONDS = 120.0


def addresses(processes: list[psutil.Process]) -> set[str]:
    """Where the processes wait for connections."""
    found = [connection for process in processes for connection in process.net_connections("inet")]
    # gRPC takes a socket of both families for an address of one.
    return {item.laddr.ip.removeprefix("::ffff:") for item in found if item.status == psutil.CONN_LISTEN}


def test_every_service_is_on_loopback_alone(dagster: StartedDagster, server: EmbeddedPostgres) -> None:
    home = Home.at(dagster.settings.home)
    for name in ("dagster-code-server", "dagster-webserver"):
        record = ProcessRecord.load(home.run / f"{name}.json")
        assert record is not None
        assert addresses(find_processes(record.owns)) == {LOOPBACK}
    assert addresses([psutil.Process(running_pid(server))]) == {LOOPBACK}
    assert configuration("any:thing", port=1).host == LOOPBACK


def test_the_read_only_ui_shows_everything_and_changes_nothing(dagster: StartedDagster, tmp_path: Path) -> None:
    port = free_port()
    script = installed("/usr/local/sbin/sigmasight-readonly-ui", tmp_path, {"--port 3001": f"--port {port}"})
    home = dagster.settings.home
    own = environment(tmp_path, SIGMASIGHT_HOME=str(home), SIGMASIGHT_DATABASE_URL=unusual(dagster.database_url))
    with subprocess.Popen([script], env=own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as ui:
        try:
            url = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + START_SECONDS
            while ui.poll() is None and not answers(f"{url}/server_info"):
                assert time.monotonic() < deadline, "the second webserver does not answer"
                time.sleep(0.2)
            assert ui.poll() is None, ui.communicate()[0].decode()

            def ask(query: str) -> dict[str, Any]:
                told = httpx.post(f"{url}/graphql", json={"query": query}, timeout=30).json()
                assert "errors" not in told, told
                return dict(told["data"])

            shown = ask("{ repositoriesOrError { ... on RepositoryConnection { nodes { jobs { name } } } } }")
            assert {"name": "waiting"} in shown["repositoriesOrError"]["nodes"][0]["jobs"]
            for mutation in ('deletePipelineRun(runId: "none")', 'terminateRun(runId: "none")'):
                refused = ask(f"mutation {{ {mutation} {{ __typename }} }}")
                assert refused[mutation.partition("(")[0]]["__typename"] == "UnauthorizedError"
        finally:
            ui.terminate()
            ui.communicate(timeout=30)


def answers(url: str) -> bool:
    """Whether a GET succeeds."""
    try:
        return httpx.get(url, timeout=2).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
