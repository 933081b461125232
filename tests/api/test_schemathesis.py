"""The whole OpenAPI document against the running application: schemathesis with every check it has."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from fastapi import FastAPI

from sigmasight_api.app import create_app
from sigmasight_api.settings import Settings
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.roles import API_ROLE, OPERATOR_ROLE
from tests.api.conftest import Serve, wait_until
from tests.api.market import SESSIONS, add_portfolio, add_token, publish, publish_snapshot, random_figures, track
from tests.api.operations import give_example_ids, operations
from tests.api.processes import server_process
from tests.faults.campaign import Tally
from tests.webservers import webserver

SYMBOLS = ("AAPL", "BRK-B", "MSFT", "SPY")
# What a schema cannot say: requests of these operations may be well-formed and still make no sense, which is a 422. So
# may those with a range from a date to another, and those about a session, which is one of the calendar.
MEANINGS = {
    "POST /api/v1/admin/symbol-batch/run": "the first session is not after the last, and both are closed sessions",
    "POST /api/v1/portfolios": "the first session is a complete one, the terms of each lot fit each other",
    "POST /api/v1/portfolios.csv": "the same, line by line",
    "PATCH /api/v1/portfolios/{portfolio_id}": "the first session is a complete one",
    "POST /api/v1/portfolios/{portfolio_id}/positions": "the terms of each lot fit each other",
    "POST /api/v1/portfolios/{portfolio_id}/positions.csv": "the same, line by line",
    "POST /api/v1/portfolios/{portfolio_id}/capital-flows": "after the first session and not in the future, not zero",
    "POST /api/v1/positions": "the terms of the lot fit each other",
    "PATCH /api/v1/positions/{position_id}": "the terms of the lot still fit each other",
    "PUT /api/v1/positions/{position_id}/valuations/{valued_on}": "of a private lot, while it is held",
    "DELETE /api/v1/positions/{position_id}/valuations/{valued_on}": "of a private lot, which keeps one",
}
# A document that it could not read would give none.
LEAST_CASES = 1_000
RUN = {"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": "5d2a6c4e-1d1f-4d53-9a3c-0d2f6a4b7e55"}}}


@dataclass(frozen=True)
class Served:
    """The application, where it is served, and the tokens of two operators who own one book each."""

    app: FastAPI
    url: str
    tokens: Mapping[str, str]


@pytest.fixture
def examples(database: Database) -> dict[str, str]:
    """A market and a book with the symbols of the document's examples, and a book of somebody else; the tokens."""
    for symbol in SYMBOLS:
        track(database, symbol)
    publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=1))
    for user in ("peer", "root"):
        portfolio = add_portfolio(database, user, dict.fromkeys(SYMBOLS, "10"))
        publish_snapshot(database, portfolio, SESSIONS[-1], Decimal(100_000))
    return {user: add_token(database, user, is_admin=True) for user in ("root", "peer")}


@pytest.fixture
def beside(database: Database, examples: dict[str, str], serve: Serve) -> Iterator[Served]:
    """The application beside the test, in one process."""
    with webserver() as dagster, serve(dagster=dagster.answer(RUN).url) as api:
        give_example_ids(database, api.app)
        yield Served(api.app, str(api.http.base_url), examples)


@pytest.fixture
def alone(database: Database, examples: dict[str, str], role_urls: dict[str, str], tmp_path: Path) -> Iterator[Served]:
    """The real server as a process of its own, with the rights that it has in production."""
    own = {"SIGMASIGHT_DATABASE_URL": role_urls[API_ROLE], "SIGMASIGHT_OPERATOR_DATABASE_URL": role_urls[OPERATOR_ROLE]}
    app = create_app(Settings.model_validate({"database_url": role_urls[API_ROLE]}))
    give_example_ids(database, app)
    with (
        webserver() as dagster,
        server_process(database, tmp_path, SIGMASIGHT_DAGSTER_GRAPHQL=dagster.answer(RUN).url, **own) as process,
    ):
        wait_until(lambda: process.http.get("/health/ready").json()["mode"] == "cache")
        yield Served(app, f"http://127.0.0.1:{process.port}", examples)


def configuration(app: FastAPI) -> str:
    """Who asks, and which statuses are right answers beside those that schemathesis knows."""
    every = operations(app)
    assert MEANINGS.keys() <= {item.name for item in every}
    refusals = ["400", "401", "403", "404", "405", "409", "413", "414", "415", "422"]
    parts = [
        '[auth.wfc]\npath = "users.json"\nuser = "root"\npeers = ["root", "peer"]\n',
        f"[checks]\nnegative_data_rejection.expected-statuses = {refusals}\n",
    ]
    for item in every:
        checks = {}
        is_range = {"from", "to"} <= item.query_types().keys()
        if item.name in MEANINGS or is_range or "{session}" in item.path:
            checks["positive_data_acceptance"] = ["2xx", "401", "403", "404", "409", "422"]
        if "dry_run" in item.query_types():
            # What is wrong with a file is the answer.
            checks["negative_data_rejection"] = ["200", *refusals]
        if checks:
            parts.append(f'[[operations]]\ninclude-name = "{item.name}"\n')
            parts += [f"checks.{check}.expected-statuses = {statuses}\n" for check, statuses in checks.items()]
    return "".join(parts)


def run_every_check(served: Served, directory: Path, *, examples: int, seed: int | None) -> str:
    """All checks in all phases; what schemathesis wrote, and the test fails where it found something."""
    (directory / "schemathesis.toml").write_text(configuration(served.app))
    users = [
        {"name": name, "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {token}"}]}
        for name, token in served.tokens.items()
    ]
    (directory / "users.json").write_text(json.dumps({"auth": users}))
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{served.url}/openapi.json"),
        *("--checks", "all", "--phases", "examples,coverage,fuzzing,stateful"),
        *("--max-examples", str(examples)),
        # The deterministic mode knows no seed.
        *(("--generation-deterministic",) if seed is None else ("--seed", str(seed))),
        *("--continue-on-failure", "--no-color", "--warnings", "off", "--suppress-health-check", "all"),
    ]
    environment = {**os.environ, "COLUMNS": "160"}
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    # Requests may be of a mebibyte.
    shown = "\n".join(line[:1_000] for line in done.stdout.splitlines())
    assert done.returncode == 0, shown[-20_000:] + done.stderr[-5_000:]
    assert "will not run" not in done.stdout + done.stderr
    return done.stdout


@pytest.mark.fault(23, 24, 25, 26)
def test_the_application_is_what_its_document_says(beside: Served, tmp_path: Path) -> None:
    run_every_check(beside, tmp_path, examples=5, seed=None)


@pytest.mark.fault(23, 24, 25, 26)
@pytest.mark.campaign
def test_the_real_server_is_what_its_document_says(
    alone: Served, tmp_path: Path, tally: Tally, request: pytest.FixtureRequest
) -> None:
    shown = run_every_check(alone, tmp_path, examples=30, seed=request.config.getoption("--fault-seed"))
    (cases,) = re.findall(r"(\d[\d,]*) generated", shown)
    assert int(cases.replace(",", "")) >= LEAST_CASES
    # However many requests it thinks of, it is one tool that found nothing; none of its answers has figures to judge.
    tally.survive()
