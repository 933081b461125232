"""Tests of the application as a whole: its document, errors outside routes, and the server command."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sigmasight_api.app import create_app
from sigmasight_assets.errors import ConfigurationError
from sigmasight_assets.storage.database import Database
from tests.api.conftest import Api
from tests.api.market import add_token

JSON_TYPES = {"application/json", "application/problem+json"}


def schemas_in(node: Any) -> list[dict[str, Any]]:
    """Every object schema below a node."""
    found = []
    if isinstance(node, dict):
        if "properties" in node:
            found.append(node)
        for value in node.values():
            found += schemas_in(value)
    if isinstance(node, list):
        for value in node:
            found += schemas_in(value)
    return found


def test_every_field_of_the_document_is_described(api: Api) -> None:
    document = api.get("/openapi.json").json()
    described = schemas_in(document["components"])
    assert len(described) > 15
    for schema in described:
        for name, field in schema["properties"].items():
            assert field.get("description") or "$ref" in field or "const" in field, (schema["title"], name)
    for methods in document["paths"].values():
        for operation in methods.values():
            assert operation["description"]
            for answer in operation["responses"].values():
                assert set(answer.get("content", {})) <= {*JSON_TYPES, "text/csv"}


def test_nothing_refers_to_another_host(api: Api) -> None:
    assert "http://" not in api.get("/openapi.json").text
    assert "https://" not in api.get("/openapi.json").text
    for path in ("/redoc", "/docs/oauth2-redirect"):
        assert api.get(path).status_code == 404


@pytest.mark.parametrize(
    "path", ["/api", "/api/v1", "/api/v1/portfolios/", "/api/v2/portfolios", "/health", "/%00", "/é"]
)
def test_unknown_paths_are_problems(api: Api, path: str) -> None:
    answer = api.get(path)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json() == {"type": "about:blank", "title": "Not Found", "status": 404, "detail": "Not Found"}


def test_wrong_methods_are_problems_that_name_the_right_ones(api: Api) -> None:
    for path, method, allowed in (("/health/live", "DELETE", "GET"), ("/api/v1/admin/symbol-batch/run", "GET", "POST")):
        answer = api.http.request(method, path)
        assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["status"] == 405


def test_an_unforeseen_error_is_a_problem_without_its_inside(api: Api, database: Database) -> None:
    token = add_token(database, "ann")
    with database.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE portfolios RENAME COLUMN name TO renamed")
    try:
        answer = api.get("/api/v1/portfolios", token)
    finally:
        with database.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE portfolios RENAME COLUMN renamed TO name")
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "The request could not be answered; the error was logged.",
    }
    assert api.get("/api/v1/portfolios", token).status_code == 200


def test_wrong_settings_stop_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIGMASIGHT_DATABASE_URL", raising=False)
    with pytest.raises(ConfigurationError, match="SIGMASIGHT_DATABASE_URL"):
        create_app()


def test_importing_the_application_imports_no_orchestration() -> None:
    code = (
        "import json, sys, sigmasight_api.app; "
        "print(json.dumps([name for name in sys.modules if not name.startswith('_')]))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = json.loads(shown.stdout)
    roots = {name.split(".")[0] for name in modules}
    assert not roots & {"dagster", "pandas", "exchange_calendars", "sklearn", "statsmodels"}
    own = [name.removeprefix("sigmasight_assets.") for name in modules if name.startswith("sigmasight_assets.")]
    assert not {name.split(".")[0] for name in own} & {"orchestration", "services"}
    # Of the market's side only its vocabulary, no vendor.
    assert {name for name in own if name.startswith("market_data.")} == {"market_data.options", "market_data.protocol"}
