"""How many connections to the database each process takes: those that ``docs/operator/database.md`` adds up."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from sigmasight_assets.orchestration.jobs import SYMBOL_LAYER
from sigmasight_assets.services.home import Home
from sigmasight_assets.services.ports import free_port
from sigmasight_assets.services.stack import api_service
from sigmasight_assets.services.supervisor import Supervisor
from sigmasight_assets.settings import Settings
from sigmasight_assets.storage.tokens import create_token
from tests.documents import DOCS, section, tables
from tests.kubernetes.conftest import DAY, NOW, Deployed

# A word of the command line by which a process is known.
PROCESSES = {
    "api grpc": "code server",
    "dagster_webserver": "webserver",
    "dagster._daemon": "daemon",
    "execute_run": "run worker",
    "sigmasight_api.server": "API process",
}
TERMINATE = "mutation End($runId: String!) { terminateRun(runId: $runId) { __typename } }"
SAMPLED_SECONDS, RESTING_SECONDS = 10.0, 2.0
READERS = 60


def documented() -> dict[str, tuple[int, int]]:
    """At rest and at most, by process; between them is what a busy one takes."""
    page = (DOCS / "operator" / "database.md").read_text(encoding="utf-8")
    table = next(table for table in tables(section(page, "Connections")) if table[0][0] == "process")
    return {row[0]: (int(row[1]), int(row[3])) for row in table[1:]}


def counted(port: int, seconds: float) -> dict[str, int]:
    """The most connections at once of each process to the server at this port, while the test looks."""
    watched = [(process, name) for process in psutil.process_iter() if (name := _name(process)) is not None]
    most: Counter[str] = Counter()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for process, name in watched:
            with suppress(psutil.Error):
                sockets = process.net_connections(kind="tcp")
                count = sum(
                    item.status == "ESTABLISHED" and bool(item.raddr) and item.raddr.port == port for item in sockets
                )
                most[name] = max(most[name], count)
    return {name: most[name] for _, name in watched}


def _name(process: psutil.Process) -> str | None:
    """The kind of a process of these services; those of others on the machine work elsewhere."""
    try:
        line, is_near = " ".join(process.cmdline()), str(Path.cwd()) in str(process.cwd())
    except psutil.Error:
        return None
    return next((name for word, name in PROCESSES.items() if word in line and is_near), None)


@contextmanager
def api(deployment: Deployed, directory: Path) -> Iterator[tuple[str, str]]:
    """An API process beside the services: its address, and a token."""
    chosen = Settings(home=directory / "home", database_url=deployment.database.url, api_port=free_port())
    home = Home.at(chosen.home)
    home.create()
    with deployment.database.begin() as connection:
        token = create_token(connection, "owner", is_admin=True)
    supervisor = Supervisor(home, report=lambda _: None)
    try:
        supervisor.start(api_service(chosen, deployment.database.url))
        yield f"http://127.0.0.1:{chosen.api_port}", token
    finally:
        supervisor.stop()


@pytest.mark.e2e
@pytest.mark.long
@pytest.mark.usefixtures("slow_market")
def test_each_process_takes_what_the_document_says(deployment: Deployed, tmp_path: Path) -> None:
    assert NOW.startswith(str(DAY))
    limits, port = documented(), deployment.database.engine.url.port
    assert port is not None
    run_id = deployment.client.launch_range(SYMBOL_LAYER, first=DAY, last=DAY)
    deployment.job(run_id)
    deployment.wait(run_id, "STARTED")
    with api(deployment, tmp_path) as (address, token):
        headers = {"Authorization": f"Bearer {token}"}

        def read(number: int) -> int:
            with httpx.Client(base_url=address, headers=headers, timeout=60, trust_env=False) as client:
                paths = ("/api/v1/portfolios", "/api/v1/symbols?limit=5", "/api/v1/admin/batch/history")
                return [client.get(paths[(number + turn) % 3]).status_code for turn in range(12)].count(200)

        with ThreadPoolExecutor(READERS + 1) as threads:
            watching = threads.submit(counted, port, SAMPLED_SECONDS)
            assert sum(threads.map(read, range(READERS))) == 12 * READERS
            found = watching.result()
        time.sleep(2)
        resting = counted(port, RESTING_SECONDS)
    assert set(found) == set(resting) == set(PROCESSES.values())
    over = {name: count for name, count in found.items() if count > limits[name][1]}
    assert over == {}, f"more than documented at most: {found}, at rest {resting}, of {limits}"
    deployment.client.query(TERMINATE, {"runId": run_id}, "terminateRun")
    deployment.wait(run_id, "CANCELED")
