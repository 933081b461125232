"""A night with the real services in trace mode, with a vendor that says its key back: no secret is found anywhere.

Looked through are every file of the home and the working directory, every row of every schema of the database (what
Dagster stores compressed too), every command line, every answer of the API and of Dagster, and what commands print.
"""

import base64
import contextlib
import json
import os
import secrets
import stat
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psutil
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from sigmasight_assets.runs import DagsterClient
from sigmasight_assets.services.home import Home
from sigmasight_assets.services.ports import free_port
from sigmasight_assets.services.stack import CHECKOUT, DagsterServices, api_service
from sigmasight_assets.services.supervisor import Supervisor
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.settings import load_settings
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import NewLot, create_portfolio
from sigmasight_assets.storage.roles import API_ROLE, OPERATOR_ROLE, ROLES, set_password
from sigmasight_assets.storage.tokens import create_token
from sigmasight_assets.storage.universe import import_listings
from tests.api.conftest import bearer
from tests.conftest import NewDatabase
from tests.faults.campaign import Tally
from tests.faults.nights import wait_for
from tests.orchestration.markets import option, stock
from tests.receivers import Receiver, webhook
from tests.vendors import server
from tests.vendors.polygon import PolygonMarketplace
from tests.vendors.server import StandIn, stand_in
from tests.vendors.yahoo import Company, YahooMarketplace, bar_of

pytestmark = pytest.mark.fault(33)

FIRST, TONIGHT = date(2025, 6, 2), date(2025, 6, 30)
DAYS = exchange_calendar().between(FIRST, TONIGHT)
CONTRACT = "ABC250718C00100000"
# A tag of a run: shows that what is looked through is what is written.
CONTROL = "control-7d1f0c"
WAIT_SECONDS = 180.0
# Loaded by every Python process of the services, before anything else: everything that libraries say of themselves.
TRACE = """
import logging, sys
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
for name in ("sqlalchemy.engine", "sqlalchemy.pool", "httpx", "httpcore", "urllib3", "psycopg", "peewee", "yfinance"):
    logger = logging.getLogger(name)
    logger.setLevel(logging.DEBUG)
    logger.addHandler(logging.StreamHandler(sys.stderr))
"""
EVERYTHING_OF_RUNS = """
query Everything {
  instance { info }
  runsOrError(limit: 50) { ... on Runs { results {
    runId status runConfigYaml tags { key value } executionPlan { artifactsPersisted }
    stats { __typename } eventConnection { events { __typename ... on MessageEvent { message }
      ... on ExecutionStepFailureEvent { error { message stack causes { message stack } } }
      ... on MaterializationEvent { metadataEntries { label description ... on TextMetadataEntry { text }
        ... on MarkdownMetadataEntry { mdStr } ... on JsonMetadataEntry { jsonString } } } } }
  } } }
  repositoriesOrError { ... on RepositoryConnection { nodes {
    allTopLevelResourceDetails { name configuredValues { key value type } }
    sensors { name sensorState { ticks(limit: 20) { status skipReason error { message stack } } } }
  } } }
}
"""


@dataclass
class Planted:
    """The secrets by name, and every spelling of each that is looked for."""

    values: dict[str, str]

    def found_in(self, text: str) -> list[str]:
        """Names of the secrets that the text holds."""
        return [name for name, value in self.values.items() if any(form in text for form in spellings(value))]


def spellings(value: str) -> set[str]:
    """A secret as it is, in a URL, backwards, in Base64 wherever it begins, and in hexadecimal digits."""
    coded = {base64.b64encode(b"x" * lead + value.encode()).decode()[4:-4] for lead in range(3)}
    return {value, quote(value, safe=""), value[::-1], value.encode().hex(), *coded}


@dataclass
class World:
    """The services and what they are told."""

    directory: Path
    home: Home
    database: Database
    services: DagsterServices
    client: DagsterClient
    api: str
    planted: Planted
    polygon: StandIn
    receiver: Receiver
    # What was shown, by where.
    shown: dict[str, str] = field(default_factory=dict)


@pytest.fixture
def world(
    new_database: NewDatabase, schema_template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    trace = tmp_path / "trace"
    trace.mkdir()
    (trace / "sitecustomize.py").write_text(TRACE)
    values = {name: f"{name}-{secrets.token_urlsafe(24)}" for name in ("vendor", "hook", *ROLES)}
    companies = {"ABC": Company({day: bar_of(50.0 + place) for place, day in enumerate(DAYS)})}
    with (
        new_database(schema_template) as url,
        webhook() as receiver,
        stand_in(PolygonMarketplace().routes) as polygon,
        stand_in(YahooMarketplace(companies).routes) as yahoo,
    ):
        database = Database(url)
        with database.begin() as connection:
            for role in ROLES:
                set_password(connection, role, values[role])
            values |= {name: create_token(connection, name, is_admin=name == "root") for name in ("ann", "root")}
        values["owner"] = str(make_url(url).password)
        roles = {
            role: make_url(url).set(username=role, password=values[role]).render_as_string(hide_password=False)
            for role in ROLES
        }
        for name in [name for name in os.environ if name.startswith("SIGMASIGHT_")]:
            monkeypatch.delenv(name)
        for name, value in {
            "SIGMASIGHT_HOME": str(tmp_path / "home"),
            "SIGMASIGHT_DATABASE_URL": url,
            "SIGMASIGHT_API_DATABASE_URL": roles[API_ROLE],
            "SIGMASIGHT_OPERATOR_DATABASE_URL": roles[OPERATOR_ROLE],
            "SIGMASIGHT_MARKET": "yahoo",
            "SIGMASIGHT_YAHOO_URL": yahoo.url,
            "SIGMASIGHT_YAHOO_RATE": "100",
            "SIGMASIGHT_VENDOR_TIMEOUT": "1",
            "SIGMASIGHT_HISTORY_START": str(FIRST),
            "SIGMASIGHT_NOW": f"{TONIGHT}T22:00:00-04:00",
            "SIGMASIGHT_WEBHOOK_URL": f"{receiver.url}?signature={values['hook']}",
            "SIGMASIGHT_API_PORT": str(free_port()),
            "SIGMASIGHT_UI_PORT": str(free_port()),
            "POLYGON_API_KEY": values["vendor"],
            "POLYGON_BASE_URL": polygon.url,
            "SIGMASIGHT_POLYGON_RATE": "600",
            "PYTHONPATH": f"{CHECKOUT}{os.pathsep}{trace}",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(tmp_path)
        settings = load_settings()
        services = DagsterServices(settings, url, ui_port=settings.ui_port)
        supervisor = Supervisor(Home.at(settings.home), report=lambda _: None)
        try:
            enter_book(database)
            services.start()
            supervisor.start(api_service(settings, roles[API_ROLE], operator_database_url=roles[OPERATOR_ROLE]))
            client = DagsterClient(services.graphql_url)
            api = f"http://127.0.0.1:{settings.api_port}"
            home = Home.at(settings.home)
            yield World(tmp_path, home, database, services, client, api, Planted(values), polygon, receiver)
        finally:
            supervisor.stop()
            services.stop()
            database.close()


def enter_book(database: Database) -> None:
    """A share and a contract, so that both vendors are asked."""
    lots = [
        NewLot("ABC", Decimal(10), Decimal(50), DAYS[3]),
        NewLot(CONTRACT, Decimal(1), Decimal(1), DAYS[3], investment_class="OPTIONS"),
    ]
    with database.begin() as connection:
        import_listings(connection, [stock("ABC"), option(CONTRACT)])
        create_portfolio(connection, user="ann", name="A", equity=Decimal(1000), as_of=DAYS[2], lots=lots)


@pytest.mark.parametrize(
    "hidden",
    [
        "{}",
        "postgresql://u:{}@host/db",
        "?apiKey={url}&a=1",
        "Basic {base64}",
        "x{base64_of_pair}y",
        "\\x{hex}",
        "{backwards}",
    ],
)
def test_a_secret_is_found_in_every_spelling(hidden: str) -> None:
    secret = "a/secret+with=signs-1234567890"
    text = hidden.format(
        secret,
        url=quote(secret, safe=""),
        base64=base64.b64encode(secret.encode()).decode(),
        base64_of_pair=base64.b64encode(f"user:{secret}@".encode()).decode(),
        hex=secret.encode().hex(),
        backwards=secret[::-1],
    )
    assert Planted({"it": secret}).found_in(text) == ["it"]
    assert Planted({"it": secret}).found_in(text.lower()[:20]) == []


@pytest.mark.campaign
@pytest.mark.usefixtures("role_passwords")
def test_no_secret_is_in_anything_that_is_written_or_shown(world: World, tally: Tally) -> None:
    key, hook = world.planted.values["vendor"], world.planted.values["hook"]
    # The vendor says the key back: in its error, in an address that it sends the client to, and in a page.
    world.polygon.script(
        CONTRACT,
        server.redirect(f"{world.polygon.url}/elsewhere?apiKey={key}"),
        server.sends(f"<html>{key}</html>".encode(), 500),
        server.sends({"status": "ERROR", "error": f"Unknown API Key {key}"}, 403),
    )
    world.receiver.status = 500
    run_id = world.client.launch_range("symbol_layer", first=TONIGHT, last=TONIGHT, tags={"control": CONTROL})
    wait_for(lambda: world.client.run(run_id).is_finished, "the run", seconds=WAIT_SECONDS, pause=0.2)
    wait_for(lambda: world.receiver.requests, "an alert that is refused", seconds=WAIT_SECONDS, pause=0.2)
    world.receiver.status = 200
    # It did use them.
    assert key in str([request.headers for request in world.polygon.requests])
    assert hook in str(world.receiver.requests)
    ask_the_api(world)
    ask_dagster(world)
    run_commands(world)
    hold_command_lines(world)
    texts = {**world.shown, **files_of(world.directory), **rows_of_all(world.database)}
    found = {where: names for where, text in texts.items() if (names := world.planted.found_in(text))}
    tally.tried += len(world.planted.values)
    assert found == {}
    tally.survived += len(world.planted.values)
    tally.answers = len(texts)
    # What was looked through is what is written: the tag of the run is in the database and in Dagster's answers.
    with_control = {where.partition(" ")[0] for where, text in texts.items() if CONTROL in text}
    assert {"row", "dagster"} <= with_control
    traced = "".join(text for where, text in texts.items() if where.startswith("file"))
    assert {"sqlalchemy.engine", "urllib3", "httpcore"} <= {name for name in TRACE.split('"') if name in traced}


def ask_the_api(world: World) -> None:
    """Every page, the document, operators' routes, and errors of every kind, with tokens in wrong places too."""
    ann, root = world.planted.values["ann"], world.planted.values["root"]
    with httpx.Client(base_url=world.api, timeout=30, trust_env=False) as http:
        wait_for(lambda: http.get("/health/ready").status_code == 200, "the API", seconds=WAIT_SECONDS, pause=0.2)
        paths = ["/", "/ops", "/docs", "/openapi.json", "/health/ready", "/api/v1/portfolios", "/api/v1/nothing"]
        paths += [path for path in http.get("/openapi.json").json()["paths"] if "{" not in path]
        for path in dict.fromkeys(paths):
            for name, token in (("nobody", None), ("owner", ann), ("admin", root), ("wrong", ann[:-1])):
                for method in ("GET", "POST"):
                    answer = http.request(method, path, headers=bearer(token))
                    world.shown[f"api {method} {path} {name}"] = answer.text + str(answer.headers)
        for path in (f"/api/v1/portfolios?token={ann}", f"/api/v1/portfolios/{ann}", f"/{root}"):
            answer = http.get(path, headers={"Authorization": f"Bearer {ann}, Bearer {root}", "Cookie": f"t={ann}"})
            assert answer.status_code in {401, 404}
            world.shown[f"api {path.partition(ann)[0]} misplaced"] = answer.text
        with world.database.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE portfolios RENAME COLUMN name TO renamed")
        answer = http.get("/api/v1/portfolios", headers=bearer(ann))
        assert answer.status_code == 500
        world.shown["api error"] = answer.text
        with world.database.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE portfolios RENAME COLUMN renamed TO name")


def ask_dagster(world: World) -> None:
    """What the UI shows of the instance, of runs, of resources and of sensors."""
    with httpx.Client(timeout=60, trust_env=False) as http:
        address = world.services.graphql_url
        answer = http.post(address, json={"query": EVERYTHING_OF_RUNS})
        assert "errors" not in answer.json(), answer.text[:2_000]
        world.shown["dagster graphql"] = answer.text
        for path in ("/", "/server_info", "/locations", "/config"):
            world.shown[f"dagster {path}"] = http.get(address.replace("/graphql", path)).text


def run_commands(world: World) -> None:
    """What commands print, also of settings that are wrong; but for those that are there to print a secret."""
    wrong: list[Mapping[str, str]] = [
        {"SIGMASIGHT_DATABASE_URL": f"mysql://u:{world.planted.values['owner']}@127.0.0.1/x"},
        {"SIGMASIGHT_DATABASE_URL": world.database.url.replace("127.0.0.1", "127.0.0.2").replace("sigmasight:", "no:")},
        {"SIGMASIGHT_WEBHOOK_URL": world.planted.values["hook"]},
        {"POLYGON_API_KEY": f"{world.planted.values['vendor']} \u00e9"},
    ]
    commands = ("status", "status --json", "db status", "token list", "universe list", "bars list", "retry", "--help")
    runs: list[tuple[str, Mapping[str, str]]] = [(command, {}) for command in commands]
    runs += [("status", setting) for setting in wrong]
    runs += [("universe import", setting) for setting in wrong]
    for number, (command, setting) in enumerate(runs):
        done = subprocess.run(
            [sys.executable, "-m", "sigmasight_assets", *command.split()],
            env={**os.environ, **setting, "PYTHONPATH": str(CHECKOUT)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        world.shown[f"command {number} {command}"] = done.stdout + done.stderr


def hold_command_lines(world: World) -> None:
    """Command lines of all processes, which every user of the machine can read."""
    lines = []
    for process in psutil.process_iter():
        try:
            lines.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    assert any("sigmasight_api.server" in line for line in lines)
    world.shown["command lines"] = "\n".join(lines)


def files_of(directory: Path) -> dict[str, str]:
    """Every file below, but for those that hold a secret by intent, which nobody else may read."""
    found = {}
    for path in directory.rglob("*"):
        if not path.is_file() or path.is_symlink():
            continue
        if path.name == ".env" or path.name.startswith("password"):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
            continue
        found[f"file {path.relative_to(directory)}"] = path.read_bytes().decode("latin-1")
    assert len(found) > 10
    return found


def rows_of_all(database: Database) -> dict[str, str]:
    """Every row of every table of every schema; compressed values as what they hold."""
    found: dict[str, str] = {}
    tables = sa.text(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
        "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    with database.begin() as connection:
        for table in connection.execute(tables).scalars().all():
            rows = connection.exec_driver_sql(f"SELECT * FROM {table}").all()
            found[f"row {table}"] = json.dumps([[_readable(value) for value in row] for row in rows], default=str)
    assert any(where.startswith("row dagster.") for where in found)
    return found


def _readable(value: Any) -> Any:
    if not isinstance(value, (bytes, memoryview)):
        return value
    content = bytes(value)
    with contextlib.suppress(zlib.error):
        content = zlib.decompress(content)
    return content.decode("latin-1")
