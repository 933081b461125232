"""Assets of the portfolio layer: snapshots and factor exposures, one step, started by the gate."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from sigmasight_assets.errors import PublicationError
from sigmasight_assets.orchestration.catalog import described
from sigmasight_assets.orchestration.check_facts import CHECK_FACTS
from sigmasight_assets.orchestration.check_results import check_results
from sigmasight_assets.orchestration.drawings import draw_portfolios
from sigmasight_assets.orchestration.launchpad import PortfolioProductsOptions, is_forced
from sigmasight_assets.orchestration.materialized import materializations, results
from sigmasight_assets.orchestration.portfolio_help import workers_of
from sigmasight_assets.orchestration.portfolio_publication import PortfolioPublication, publish_portfolio_products
from sigmasight_assets.orchestration.portfolio_slices import AMOUNTS_FIT, LEDGER_IDENTITY, PRODUCTS
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.orchestration.standing_checks import BACKSTOP
from sigmasight_assets.orchestration.steps import (
    Step,
    failed_sessions_text,
    markdown_table,
    recorded_step,
)

CHECK_ASSETS = {LEDGER_IDENTITY: "portfolio_snapshots", AMOUNTS_FIT: "portfolio_snapshots"}


def build_portfolio_products(partitions: dg.PartitionsDefinition, api_address: str) -> dg.AssetsDefinition:
    """The multi-asset on the given session partitions; the API serves the documents it links to.

    It cannot be subset: both products share a fingerprint and are replaced together. Snapshots build on those of the
    session before, but a dependency of the asset on itself would split a range into two runs; the step refuses a
    session whose predecessors are missing instead.
    """

    @dg.multi_asset(
        name="portfolio_products",
        specs=[
            dg.AssetSpec(
                product,
                deps=["symbol_daily_metrics"],
                freshness_policy=BACKSTOP,
                **described(product, api_address),
            )
            for product in PRODUCTS
        ],
        check_specs=[
            dg.AssetCheckSpec(
                check,
                asset=asset,
                blocking=check == LEDGER_IDENTITY,
                description=CHECK_FACTS[check].description,
            )
            for check, asset in CHECK_ASSETS.items()
        ],
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def portfolio_products(
        context: dg.AssetExecutionContext, config: PortfolioProductsOptions, pipeline: Pipeline
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetMaterialization | dg.AssetCheckResult]:
        with recorded_step(context, pipeline, "portfolio_products") as step:
            outcome = publish_portfolio_products(
                step.database,
                pipeline.calendar,
                sessions=step.sessions,
                run_id=step.run_id,
                force=is_forced(config.force, context.run.tags),
                workers=workers_of(context.run.tags),
            )
            step.counts = _counts(outcome)
            selected = frozenset(context.selected_asset_check_keys)
            yield from check_results(outcome.verdicts, CHECK_ASSETS, selected=selected)
            metadata = _metadata(outcome, step)
            pictures = draw_portfolios(step.database, outcome.published)
            by_product = dict.fromkeys(PRODUCTS, metadata)
            if outcome.failed:
                yield from materializations(by_product, outcome.published, pictures)
                failures = [item for item in outcome.verdicts if not item.passed and item.is_blocking]
                raise PublicationError(f"Snapshots were not published:\n{failed_sessions_text(failures)}")
            yield from results(context, by_product, pictures)

    return portfolio_products


def _counts(outcome: PortfolioPublication) -> dict[str, Any]:
    return {
        "sessions_published": len(outcome.published),
        "sessions_failed": len(outcome.failed),
        "sessions_waived": len(outcome.waived),
        "generation": outcome.generation,
        "portfolios": outcome.portfolios,
        "portfolios_computed": outcome.computed,
        "portfolios_left_out": len(outcome.left_out),
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
    if outcome.left_out:
        metadata["left_out"] = markdown_table(
            ("portfolio with amounts that are too large", "without snapshots from"), sorted(outcome.left_out.items())
        )
    if outcome.waived:
        metadata["waived_sessions"] = markdown_table(
            ("session without symbol products, spanned by later ones",), [(day,) for day in outcome.waived]
        )
    return metadata
