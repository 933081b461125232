"""The whole OpenAPI document against the running application: schemathesis with every check it has."""

import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from sigmasight_assets.storage.database import Database
from tests.api.conftest import Api, Serve
from tests.api.market import SESSIONS, add_portfolio, add_token, publish, publish_snapshot, random_figures, track
from tests.api.operations import give_example_ids, operations
from tests.webservers import webserver

SYMBOLS = ("AAPL", "BRK-B", "MSFT", "SPY")
SEED = 20_261_121
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
RUN = {"launchRun": {"__typename": "LaunchRunSuccess", "run": {"runId": "5d2a6c4e-1d1f-4d53-9a3c-0d2f6a4b7e55"}}}


@pytest.fixture
def examples_exist(database: Database, serve: Serve) -> Iterator[tuple[Api, str]]:
    """The application on a market and a book in which the ids and symbols of the document's examples exist."""
    token = add_token(database, "root", is_admin=True)
    for symbol in SYMBOLS:
        track(database, symbol)
    publish(database, SESSIONS[-1], random_figures(SYMBOLS, seed=1))
    portfolio = add_portfolio(database, "root", dict.fromkeys(SYMBOLS, "10"))
    publish_snapshot(database, portfolio, SESSIONS[-1], Decimal(100_000))
    with webserver() as dagster, serve(dagster=dagster.answer(RUN).url) as api:
        give_example_ids(database, api.app)
        yield api, token


def configuration(api: Api) -> str:
    """Which statuses are right answers beside those that schemathesis knows."""
    every = operations(api.app)
    assert MEANINGS.keys() <= {item.name for item in every}
    refusals = ["400", "401", "403", "404", "405", "409", "413", "414", "415", "422"]
    parts = [f"[checks]\nnegative_data_rejection.expected-statuses = {refusals}\n"]
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


def test_the_application_is_what_its_document_says(examples_exist: tuple[Api, str], tmp_path: Path) -> None:
    api, token = examples_exist
    (tmp_path / "schemathesis.toml").write_text(configuration(api))
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{api.http.base_url}/openapi.json"),
        *("--header", f"Authorization: Bearer {token}"),
        *("--checks", "all", "--phases", "examples,coverage,fuzzing,stateful"),
        *("--max-examples", "15", "--seed", str(SEED), "--generation-deterministic"),
        *("--continue-on-failure", "--no-color", "--warnings", "off", "--suppress-health-check", "all"),
    ]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "COLUMNS": "160"}, capture_output=True, text=True, check=False
    )
    # Requests may be of a mebibyte.
    shown = "\n".join(line[:1_000] for line in done.stdout.splitlines())
    assert done.returncode == 0, shown[-20_000:] + done.stderr[-5_000:]
