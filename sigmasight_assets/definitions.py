"""The code location: everything Dagster loads. Nothing is read or connected to at import."""

from collections.abc import Mapping

import dagster as dg

from sigmasight_assets.orchestration.assets.market import build_market_assets
from sigmasight_assets.orchestration.assets.onboarding import build_onboarded_symbols
from sigmasight_assets.orchestration.assets.portfolio_products import build_portfolio_products
from sigmasight_assets.orchestration.assets.symbol_products import build_symbol_products
from sigmasight_assets.orchestration.jobs import JOBS
from sigmasight_assets.orchestration.partitions import session_partitions
from sigmasight_assets.orchestration.portfolio_help import portfolio_slices_job
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.orchestration.schedules import nightly_symbols
from sigmasight_assets.orchestration.sensors.failed_runs import failed_runs
from sigmasight_assets.orchestration.sensors.late_sessions import late_sessions
from sigmasight_assets.orchestration.sensors.lost_runs import lost_runs
from sigmasight_assets.orchestration.sensors.onboarding_requests import onboarding_requests
from sigmasight_assets.orchestration.sensors.portfolio_gate import portfolio_gate
from sigmasight_assets.orchestration.standing_checks import build_standing_checks
from sigmasight_assets.settings import load_settings


def build_definitions(
    *,
    resource_overrides: Mapping[str, object] | None = None,
    # Steps are short and share their imports: a process per step costs three times the run.
    executor: dg.ExecutorDefinition = dg.in_process_executor,
) -> dg.Definitions:
    """The definitions; tests replace resources by name, other engines the executor."""
    settings = load_settings()
    partitions, api_address = session_partitions(settings.history_start), settings.api_address
    resources = {"pipeline": Pipeline(database_url=dg.EnvVar("SIGMASIGHT_DATABASE_URL")), **(resource_overrides or {})}
    return dg.Definitions(
        assets=[
            *build_market_assets(partitions, api_address),
            build_symbol_products(partitions, api_address),
            build_portfolio_products(partitions, api_address),
            build_onboarded_symbols(api_address),
        ],
        asset_checks=build_standing_checks(),
        jobs=[*JOBS, portfolio_slices_job],
        schedules=[nightly_symbols],
        sensors=[failed_runs, late_sessions, lost_runs, onboarding_requests, portfolio_gate],
        resources=resources,
        executor=executor,
    )


defs = build_definitions()
