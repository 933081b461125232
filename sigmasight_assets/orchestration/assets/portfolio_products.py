"""Assets of the portfolio layer: snapshots and factor exposures, one step, started by the gate."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from sigmasight_assets.errors import PublicationError
from sigmasight_assets.orchestration.portfolio_publication import PortfolioPublication, publish_portfolio_products
from sigmasight_assets.orchestration.portfolio_slices import LEDGER_IDENTITY, PRODUCTS
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.orchestration.standing_checks import BACKSTOP
from sigmasight_assets.orchestration.steps import (
    Step,
    check_results,
    failed_sessions_text,
    markdown_table,
    materializations,
    recorded_step,
)

DESCRIPTIONS = {
    "portfolio_snapshots": "Value, P&L and equity of every portfolio, the value of each of its lots, options expired.",
    "portfolio_factor_exposures": "Exposure of every portfolio to the twelve factors, in ratios and dollars.",
}
CHECK_ASSETS = {LEDGER_IDENTITY: "portfolio_snapshots"}


def build_portfolio_products(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """The multi-asset on the given session partitions.

    It cannot be subset: both products share a fingerprint and are replaced together. Snapshots build on those of the
    session before, but a dependency of the asset on itself would split a range into two runs; the step refuses a
    session whose predecessors are missing instead.
    """

    @dg.multi_asset(
        name="portfolio_products",
        specs=[
            dg.AssetSpec(
                product,
                group_name="portfolio_layer",
                description=description,
                deps=["symbol_daily_metrics"],
                kinds={"numpy", "postgres"},
                freshness_policy=BACKSTOP,
            )
            for product, description in DESCRIPTIONS.items()
        ],
        check_specs=[
            dg.AssetCheckSpec(
                LEDGER_IDENTITY,
                asset="portfolio_snapshots",
                blocking=True,
                description="Equity, P&L, flows and values of every portfolio add up to the last unit",
            )
        ],
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def portfolio_products(
        context: dg.AssetExecutionContext, pipeline: Pipeline
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetMaterialization | dg.AssetCheckResult]:
        with recorded_step(context, pipeline, "portfolio_products") as step:
            outcome = publish_portfolio_products(
                step.database, pipeline.calendar, sessions=step.sessions, run_id=step.run_id
            )
            step.counts = _counts(outcome)
            selected = frozenset(context.selected_asset_check_keys)
            yield from check_results(outcome.verdicts, CHECK_ASSETS, selected=selected)
            metadata = _metadata(outcome, step)
            if outcome.failed:
                yield from materializations(dict.fromkeys(PRODUCTS, metadata), outcome.published)
                failures = [item for item in outcome.verdicts if not item.passed]
                raise PublicationError(f"Snapshots were not published:\n{failed_sessions_text(failures)}")
            for product in PRODUCTS:
                yield dg.MaterializeResult(asset_key=product, metadata=metadata)

    return portfolio_products


def _counts(outcome: PortfolioPublication) -> dict[str, Any]:
    return {
        "sessions_published": len(outcome.published),
        "sessions_failed": len(outcome.failed),
        "sessions_waived": len(outcome.waived),
        "generation": outcome.generation,
        "portfolios": outcome.portfolios,
        "portfolios_computed": outcome.computed,
        "snapshots_computed": outcome.changed,
        "snapshots_fresh": outcome.snapshots - outcome.changed,
        "seconds": outcome.times.rounded,
    }


def _metadata(outcome: PortfolioPublication, step: Step) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "sessions": len(outcome.published),
        "sessions_failed": len(outcome.failed),
        "portfolios": outcome.portfolios,
        "portfolios_computed": outcome.computed,
        "snapshots": outcome.snapshots,
        "computed": outcome.changed,
        "fresh": outcome.snapshots - outcome.changed,
        "partial_snapshots": outcome.partial,
        "seconds": step.seconds,
    }
    if outcome.generation is not None:
        metadata["generation"] = outcome.generation
    if outcome.waived:
        metadata["waived_sessions"] = markdown_table(
            ("session without symbol products, spanned by later ones",), [(day,) for day in outcome.waived]
        )
    return metadata
