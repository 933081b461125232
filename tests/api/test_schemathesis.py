"""The whole OpenAPI document against the running application: schemathesis with every check it has."""

import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.metadata import METADATA
from tests.api.conftest import Api, Serve
from tests.api.market import SESSIONS, add_portfolio, add_token, publish, publish_snapshot, random_figures, track
from tests.api.operations import operations
from tests.api.test_access import TABLES_OF_IDS
from tests.webservers import webserver

SYMBOLS = ("AAPL", "BRK-B", "MSFT", "SPY")
SEED = 20_261_121
# What a schema cannot say: requests of these operations may be well-formed and still make no sense, which is a 422.
MEANINGS = {
    "POST /api/v1/admin/symbol-batch/run": "the first session is not after the last, and both are closed sessions",
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
        give_example_ids(database, api)
        yield api, token


def give_example_ids(database: Database, api: Api) -> None:
    """Let one row of each table have the id of the document's example."""
    examples = {name: value for item in operations(api.app) for name, value in item.parameters("path").items()}
    with database.begin() as connection:
        for name in TABLES_OF_IDS.keys() & examples.keys():
            table = METADATA.tables[TABLES_OF_IDS[name]]
            (key,) = table.primary_key.columns
            newest = sa.select(sa.func.max(key)).scalar_subquery()
            connection.execute(sa.update(table).where(key == newest).values(public_id=UUID(examples[name])))


def configuration() -> str:
    """Where a 422 is a right answer to what the schema allows."""
    expected = ["2xx", "401", "403", "404", "409", "422"]
    parts = [
        f'[[operations]]\ninclude-name = "{name}"\nchecks.positive_data_acceptance.expected-statuses = {expected}\n'
        for name in MEANINGS
    ]
    return "\n".join(parts)


def test_the_application_is_what_its_document_says(examples_exist: tuple[Api, str], tmp_path: Path) -> None:
    api, token = examples_exist
    (tmp_path / "schemathesis.toml").write_text(configuration())
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
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
