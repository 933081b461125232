"""The code location as Dagster loads it."""

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from sigmasight_assets.definitions import build_definitions, defs
from sigmasight_assets.orchestration.partitions import session_partitions
from sigmasight_assets.orchestration.portfolio_slices import PRODUCTS
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.orchestration.standing_checks import STANDING_CHECKS
from sigmasight_assets.orchestration.symbol_checks import CHECKS
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from tests.documents import tables

MARKET = ("symbol_universe", "company_profiles", "symbol_prices")
ROOT = Path(__file__).resolve().parents[1]


def specs() -> dict[str, dg.AssetSpec]:
    return {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}


def test_it_loads() -> None:
    dg.Definitions.validate_loadable(build_definitions())


def test_assets_groups_and_dependencies() -> None:
    found = specs()
    assert set(found) == {*MARKET, *SYMBOL_PRODUCTS, *PRODUCTS, "onboarded_symbols"}
    groups = {name: spec.group_name for name, spec in found.items()}
    assert {name for name, group in groups.items() if group == "symbol_layer"} == {*MARKET, *SYMBOL_PRODUCTS}
    assert {name for name, group in groups.items() if group == "portfolio_layer"} == set(PRODUCTS)
    assert groups["onboarded_symbols"] == "onboarding"
    parents = {name: {dep.asset_key.to_user_string() for dep in spec.deps} for name, spec in found.items()}
    assert parents["symbol_prices"] == parents["company_profiles"] == {"symbol_universe"}
    assert parents["symbol_daily_metrics"] == {"symbol_prices", "company_profiles"}
    assert {name: parents[name] for name in SYMBOL_PRODUCTS if name != "symbol_daily_metrics"} == {
        name: {"symbol_prices"} for name in SYMBOL_PRODUCTS if name != "symbol_daily_metrics"
    }
    assert {name: parents[name] for name in PRODUCTS} == {name: {"symbol_daily_metrics"} for name in PRODUCTS}
    assert all(spec.description for spec in found.values())


def test_every_night_asset_has_the_session_partitions_and_runs_a_range_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SIGMASIGHT_HISTORY_START", "2025-03-03")
    assets = [asset for asset in build_definitions().resolve_asset_graph().assets_defs if asset.keys]
    nightly = [asset for asset in assets if asset.partitions_def is not None]
    assert {asset.op.name for asset in assets} - {asset.op.name for asset in nightly} == {"onboarded_symbols"}
    assert len(nightly) == 5
    for asset in nightly:
        assert asset.partitions_def == session_partitions(date(2025, 3, 3))
        assert asset.backfill_policy == dg.BackfillPolicy.single_run()


def test_no_asset_waits_for_a_pool_and_steps_retry_by_cause() -> None:
    """Calls of the vendor take turns one by one, and what is tried again is known only when it has failed."""
    for asset in defs.resolve_asset_graph().assets_defs:
        assert (asset.op.pool, asset.op.retry_policy) == (None, None)


def test_checks_block_but_for_those_that_only_tell() -> None:
    found = {spec.key: spec for asset in defs.resolve_asset_graph().assets_defs for spec in asset.check_specs}
    blocking = {key.name for key, spec in found.items() if spec.blocking}
    assert blocking == {*CHECKS, "ledger_identity"}
    telling = {key for key, spec in found.items() if not spec.blocking}
    assert telling - set(STANDING_CHECKS) == {dg.AssetCheckKey(dg.AssetKey("portfolio_snapshots"), "amounts_fit")}
    assert set(STANDING_CHECKS) <= telling


def test_jobs_schedules_and_sensors() -> None:
    repository = defs.get_repository_def()
    assert {job.name for job in repository.get_all_jobs()} >= {"symbol_layer", "portfolio_layer", "onboarding"}
    assert [item.name for item in repository.schedule_defs] == ["nightly_symbols"]
    assert {item.name for item in repository.sensor_defs} == {
        "failed_runs",
        "late_sessions",
        "lost_runs",
        "onboarding_requests",
        "portfolio_gate",
    }
    for name in ("symbol_layer", "portfolio_layer"):
        assert repository.get_job(name).executor_def.name == "in_process"


def test_resources_can_be_replaced() -> None:
    pipeline = Pipeline(database_url="postgresql+psycopg2://elsewhere/test")
    replaced = build_definitions(resource_overrides={"pipeline": pipeline})
    assert replaced.resources is not None
    assert replaced.resources["pipeline"] is pipeline


def test_the_database_url_is_a_secret_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read when a run starts and is not part of what the orchestrator stores or shows."""
    monkeypatch.setenv("SIGMASIGHT_DATABASE_URL", "postgresql+psycopg2://me:secret@nowhere/test")
    pipeline = (build_definitions().resources or {})["pipeline"]
    assert isinstance(pipeline, Pipeline)
    assert "secret" not in repr(pipeline)


def test_import_connects_to_nothing_and_warns_of_nothing() -> None:
    """The warnings of Dagster are errors here; a database that does not exist is not noticed."""
    program = (
        "import warnings, dagster; warnings.simplefilter('error', dagster.BetaWarning); "
        "warnings.simplefilter('error', dagster.PreviewWarning); import sigmasight_assets.definitions"
    )
    environment = {**os.environ, "SIGMASIGHT_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nothing"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_runbook_tells_how_often_each_sensor_looks() -> None:
    (rows,) = (
        table for table in tables((ROOT / "docs/runbook.md").read_text("utf-8")) if table[0][:2] == ["who", "when"]
    )
    told = {who.split("`")[1]: when for who, when, _ in rows if who.startswith("sensor ")}
    sensors = {sensor.name: sensor for sensor in build_definitions().sensors or ()}
    assert set(told) == set(sensors)
    every = {name: f"every {sensor.minimum_interval_seconds} s" for name, sensor in sensors.items()}
    # Failures are told as they come.
    assert {name: when for name, when in told.items() if name != "failed_runs"} == {
        name: when for name, when in every.items() if name != "failed_runs"
    }
