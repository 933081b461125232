"""Two hosts of the API behind HAProxy as docs/operator/proxy.md has it: one is cut off, and what it missed then."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from sigmasight_assets.services.ports import LOOPBACK, free_port
from sigmasight_assets.services.postgres import EmbeddedPostgres
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.roles import API_ROLE, set_password
from sigmasight_assets.storage.schema import migrate
from tests.api.conftest import bearer, wait_until
from tests.api.market import NOW, SESSIONS, add_portfolio, add_token, publish, random_figures
from tests.api.test_proxies import replaced, written
from tests.conftest import ROLE_PASSWORD, VOLATILE
from tests.network import Host, Network, network, require

pytestmark = [pytest.mark.e2e, pytest.mark.long]

PORT, PROCESSES = 8000, 2
START_SECONDS = 120.0
# What is published is in every process by then: the contract.
CONTRACT_SECONDS = 30.0
# Longer than a host may wait for a connection that is lost.
OUTAGE_SECONDS = 20.0
STATUS = "/api/v1/admin/cache/status"
SYMBOLS = ("AAA", "BBB")


class Fleet:
    """Two hosts with the API, the database that they share, and the address in front of them."""

    def __init__(self, net: Network, database: Database, port: int) -> None:
        self.net = net
        self.database = database
        self.address = f"http://{LOOPBACK}:{port}"
        self.seed = 0
        self.publish()
        record = add_portfolio(database, "ann", {"AAA": "10", "BBB": "-3"})
        self.path = f"/api/v1/analytics/portfolio/{record.public_id}/factor-exposures"
        self.owner, self.operator = add_token(database, "ann"), add_token(database, "root", is_admin=True)

    def publish(self) -> int:
        self.seed += 1
        return publish(self.database, SESSIONS[-1], random_figures(SYMBOLS, self.seed))

    def ask(self, path: str, token: str, *, of: str = "") -> httpx.Response:
        """One request on a connection of its own, to the address in front or to a host."""
        return httpx.get(f"{of or self.address}{path}", headers=bearer(token), timeout=90.0, trust_env=False)

    def hosts(self, asked: int = 40) -> set[str]:
        """The hosts that requests to the address in front reach; each of them is answered."""
        answers = [self.ask(STATUS, self.operator) for _ in range(asked)]
        return {answer.raise_for_status().json()["host"] for answer in answers}

    def are_answering(self, *names: str) -> bool:
        try:
            return self.hosts() == set(names)
        except httpx.HTTPError:
            return False

    def has(self, host: Host, generation: int) -> bool:
        """Whether all processes of a host answer with this generation."""
        of, generations = f"http://{host.address}:{PORT}", {}
        for _ in range(40):
            try:
                state = self.ask(STATUS, self.operator, of=of).raise_for_status().json()
            except httpx.HTTPError:
                return False
            generations[state["process_id"]] = state["generation"]
        return len(generations) == PROCESSES and set(generations.values()) == {generation}


@contextmanager
def shared_database(net: Network, directory: Path) -> Iterator[tuple[Database, str]]:
    """A database that the hosts reach over the bridge: the owner's handle, and the URL of the API's role there."""
    options = {**VOLATILE, "listen_addresses": f"{LOOPBACK},{net.address}"}
    server = EmbeddedPostgres(directory / "home", relocation_root=directory / "relocated", options=options)
    try:
        server.start()
        url = server.url()
        migrate(url)
        data = server.status().data_directory
        assert data is not None
        with (data / "pg_hba.conf").open("a", encoding="utf-8") as rules:
            rules.write(f"host all {API_ROLE} {net.subnet} scram-sha-256\n")
        with closing(Database(url)) as database:
            with database.begin() as connection:
                set_password(connection, API_ROLE, ROLE_PASSWORD)
                connection.execute(sa.select(sa.func.pg_reload_conf()))
            seen = make_url(url).set(host=net.address, username=API_ROLE, password=ROLE_PASSWORD)
            yield database, seen.render_as_string(hide_password=False)
    finally:
        server.stop()


@contextmanager
def serving(host: Host, url: str, directory: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The API on a host."""
    own = {"SIGMASIGHT_DATABASE_URL": url, "SIGMASIGHT_NOW": NOW, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "sigmasight_api.server", "--host", host.address, "--port", str(PORT)]
    with (
        (directory / f"{host.name}.log").open("wb") as log,
        subprocess.Popen(
            host.command(*command, "--processes", str(PROCESSES)),
            cwd=directory,
            env={**os.environ, **own, "PYTHONPATH": str(Path(__file__).parents[2])},
            stderr=log,
        ) as child,
    ):
        try:
            yield child
        finally:
            child.terminate()
            child.wait(timeout=60)


@contextmanager
def haproxy(net: Network, directory: Path, port: int) -> Iterator[None]:
    """The proxy of the documents, without TLS."""
    first, second = net.hosts
    site = replaced(
        written("/etc/haproxy/haproxy.cfg"),
        {
            "bind :443 ssl crt /etc/haproxy/sigmasight.pem": f"bind {LOOPBACK}:{port}",
            "10.0.0.11:8000": f"{first.address}:{PORT}",
            "10.0.0.12:8000": f"{second.address}:{PORT}",
            "gt 200": "gt 100000",
        },
    )
    (directory / "haproxy.cfg").write_text(site, encoding="utf-8")
    command = [require("haproxy"), "-db", "-f", str(directory / "haproxy.cfg")]
    with (directory / "haproxy.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as child:
        try:
            yield
        finally:
            child.terminate()
            child.wait(timeout=30)


@pytest.fixture
def fleet(tmp_path: Path, open_directory: Path) -> Iterator[Fleet]:
    require("haproxy")
    port = free_port()
    with ExitStack() as stack:
        net = stack.enter_context(network("api-1", "api-2"))
        database, url = stack.enter_context(shared_database(net, open_directory / "hosts"))
        found = Fleet(net, database, port)
        for host in net.hosts:
            stack.enter_context(serving(host, url, tmp_path))
        stack.enter_context(haproxy(net, tmp_path, port))
        wait_until(lambda: found.are_answering("api-1", "api-2"), seconds=START_SECONDS)
        yield found


def test_a_host_that_is_cut_off_is_taken_out_and_comes_back_with_what_it_missed(fleet: Fleet) -> None:
    first, second = fleet.net.hosts
    published = fleet.publish()
    for host in (first, second):
        wait_until(lambda: fleet.has(host, published), seconds=CONTRACT_SECONDS)  # noqa: B023
    second.unplug()
    wait_until(lambda: fleet.are_answering("api-1"), seconds=START_SECONDS)
    missed = fleet.publish()
    wait_until(lambda: fleet.has(first, missed), seconds=CONTRACT_SECONDS)
    until = time.monotonic() + OUTAGE_SECONDS
    while time.monotonic() < until:
        answer = fleet.ask(fleet.path, fleet.owner)
        assert (answer.status_code, answer.headers["X-Data-Generation"]) == (200, str(missed))
        missed = fleet.publish()
        wait_until(lambda: fleet.has(first, missed), seconds=CONTRACT_SECONDS)  # noqa: B023
    second.plug_in()
    wait_until(lambda: fleet.has(second, missed), seconds=CONTRACT_SECONDS)
    wait_until(lambda: fleet.are_answering("api-1", "api-2"), seconds=START_SECONDS)
    # The other way round, and both know of the next one.
    first.unplug()
    wait_until(lambda: fleet.are_answering("api-2"), seconds=START_SECONDS)
    newest = fleet.publish()
    wait_until(lambda: fleet.has(second, newest), seconds=CONTRACT_SECONDS)
    first.plug_in()
    wait_until(lambda: fleet.has(first, newest), seconds=CONTRACT_SECONDS)
