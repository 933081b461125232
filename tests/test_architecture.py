"""The architecture, seen from fresh interpreters: what importing a layer brings along, and that packages are empty."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("sigmasight_assets", "sigmasight_api")
QUANT = sorted(path.stem for path in (ROOT / "sigmasight_assets/quant").glob("[a-z]*.py"))


def modules_after_import(*names: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after importing these."""
    program = f"import sys, {', '.join(names)}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    # The project's code alone, not what pytest has loaded here.
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


def test_mathematics_brings_numpy_and_scipy_only() -> None:
    loaded = modules_after_import(*(f"sigmasight_assets.quant.{name}" for name in QUANT))
    assert {"numpy", "scipy"} <= loaded
    assert not loaded & {"pandas", "pyarrow", "sqlalchemy", "dagster", "fastapi", "sklearn", "statsmodels", "pydantic"}


@pytest.mark.parametrize(
    "module",
    [
        "sigmasight_assets.cli",
        "sigmasight_assets.market_data.source",
        "sigmasight_assets.operations.gate_state",
        "sigmasight_assets.runs",
        "sigmasight_assets.services.run",
        "sigmasight_assets.storage.schema",
        "sigmasight_api.app",
    ],
)
def test_dagster_stays_in_the_orchestration(module: str) -> None:
    assert "dagster" not in modules_after_import(module)


def test_pipeline_knows_no_web_framework() -> None:
    assert "fastapi" not in modules_after_import("sigmasight_assets.definitions", "sigmasight_assets.cli")


def test_api_starts_without_calendar_vendors_and_statistics_packages() -> None:
    loaded = modules_after_import("sigmasight_api.app")
    assert "fastapi" in loaded
    assert not loaded & {"exchange_calendars", "yfinance", "polygon", "sklearn", "statsmodels"}


@pytest.mark.parametrize("package", PACKAGES)
def test_package_files_hold_a_docstring_and_nothing_else(package: str) -> None:
    for path in (ROOT / package).rglob("__init__.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        assert len(body) == 1, path
        assert ast.get_docstring(ast.Module(body, [])), path


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_says_what_it_is_for(package: str) -> None:
    undocumented = [
        str(path.relative_to(ROOT))
        for path in (ROOT / package).rglob("*.py")
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert undocumented == []
