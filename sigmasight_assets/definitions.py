"""The code location: everything Dagster loads. Nothing is read or connected to at import."""

import warnings
from collections.abc import Mapping

import dagster as dg

from sigmasight_assets.orchestration.assets.market import build_market_assets
from sigmasight_assets.orchestration.assets.portfolio_products import build_portfolio_products
from sigmasight_assets.orchestration.assets.symbol_products import build_symbol_products
from sigmasight_assets.orchestration.jobs import JOBS
from sigmasight_assets.orchestration.partitions import session_partitions
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.orchestration.schedules import nightly_symbols
from sigmasight_assets.orchestration.sensors.portfolio_gate import portfolio_gate
from sigmasight_assets.settings import load_settings


def build_definitions(*, resource_overrides: Mapping[str, object] | None = None) -> dg.Definitions:
    """The definitions; tests replace resources by name."""
    partitions = session_partitions(load_settings().history_start)
    resources = {"pipeline": Pipeline(database_url=dg.EnvVar("SIGMASIGHT_DATABASE_URL")), **(resource_overrides or {})}
    with warnings.catch_warnings():
        # A range in one run rests on this parameter, which Dagster calls beta; other warnings are to be seen.
        warnings.filterwarnings("ignore", message="Parameter `backfill_policy`", category=dg.BetaWarning)
        assets = [
            *build_market_assets(partitions),
            build_symbol_products(partitions),
            build_portfolio_products(partitions),
        ]
    return dg.Definitions(
        assets=assets,
        jobs=JOBS,
        schedules=[nightly_symbols],
        sensors=[portfolio_gate],
        resources=resources,
        # Steps are short and share their imports: a process per step costs three times the run.
        executor=dg.in_process_executor,
    )


defs = build_definitions()
