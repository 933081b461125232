"""Assets of the derived symbol products: six tables, computed, judged and published by one subsettable step."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from sigmasight_assets.errors import PublicationError
from sigmasight_assets.operations.check_assets import CHECK_ASSETS
from sigmasight_assets.orchestration.catalog import described
from sigmasight_assets.orchestration.check_facts import CHECK_FACTS
from sigmasight_assets.orchestration.check_results import check_results
from sigmasight_assets.orchestration.drawings import Drawn, draw_betas, draw_covariances, draw_coverage
from sigmasight_assets.orchestration.launchpad import SymbolProductsOptions, is_forced
from sigmasight_assets.orchestration.materialized import materializations, results
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.orchestration.standing_checks import BACKSTOP
from sigmasight_assets.orchestration.steps import (
    Step,
    failed_sessions_text,
    markdown_table,
    recorded_step,
)
from sigmasight_assets.orchestration.symbol_checks import named
from sigmasight_assets.orchestration.symbol_outcome import SymbolPublication
from sigmasight_assets.orchestration.symbol_publication import publish_symbol_products
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS

PRICES = "symbol_prices"
UPSTREAM = {**dict.fromkeys(SYMBOL_PRODUCTS, (PRICES,)), "symbol_daily_metrics": (PRICES, "company_profiles")}


def build_symbol_products(partitions: dg.PartitionsDefinition, api_address: str) -> dg.AssetsDefinition:
    """The multi-asset on the given session partitions; the API serves the documents it links to."""

    @dg.multi_asset(
        name="symbol_products",
        specs=[
            dg.AssetSpec(
                product,
                deps=UPSTREAM[product],
                freshness_policy=BACKSTOP,
                skippable=True,
                **described(product, api_address),
            )
            for product in SYMBOL_PRODUCTS
        ],
        check_specs=[
            dg.AssetCheckSpec(check, asset=asset, blocking=True, description=CHECK_FACTS[check].description)
            for check, asset in CHECK_ASSETS.items()
        ],
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        can_subset=True,
    )
    def symbol_products(
        context: dg.AssetExecutionContext, config: SymbolProductsOptions, pipeline: Pipeline
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetMaterialization | dg.AssetCheckResult]:
        chosen = [product for product in SYMBOL_PRODUCTS if dg.AssetKey(product) in context.selected_asset_keys]
        with recorded_step(context, pipeline, "symbol_products") as step:
            outcome = publish_symbol_products(
                step.database,
                pipeline.calendar,
                sessions=step.sessions,
                products=chosen,
                min_coverage=pipeline.settings.min_coverage,
                run_id=step.run_id,
                force=is_forced(config.force, context.run.tags),
            )
            step.counts = _counts(outcome)
            selected = frozenset(context.selected_asset_check_keys)
            yield from check_results(outcome.verdicts, CHECK_ASSETS, selected=selected)
            metadata = {product: _metadata(product, outcome, step) for product in chosen}
            pictures = _pictures(step.database, chosen, outcome, needed=pipeline.settings.min_coverage)
            if outcome.failed or outcome.unsettled:
                yield from materializations(metadata, outcome.published, pictures)
                raise PublicationError(_failure_text(outcome))
            yield from results(context, metadata, pictures)

    return symbol_products


def _pictures(
    database: Database, chosen: Sequence[str], outcome: SymbolPublication, *, needed: float
) -> dict[str, Drawn]:
    symbols = max(outcome.active.values(), default=0)
    drawn = draw_betas(database, chosen, outcome.published, symbols=symbols)
    if "factor_covariances" in chosen:
        drawn["factor_covariances"] = draw_covariances(database, outcome.published)
    if "symbol_daily_metrics" in chosen:
        drawn["symbol_daily_metrics"] = draw_coverage(outcome.active, outcome.present, needed=needed)
    return drawn


def _failure_text(outcome: SymbolPublication) -> str:
    text = ""
    if outcome.failed:
        text = (
            f"{len(outcome.failed)} of {len(outcome.failed) + len(outcome.published)} sessions were not published; "
            "the others were. "
        )
    if outcome.unsettled:
        text += (
            f"Facts behind published sessions changed for {named(sorted(outcome.unsettled))}, and these could not be "
            "published again. "
        )
    return f"{text}Mend the cause and materialise them again:\n{failed_sessions_text(outcome.failures)}"


def _counts(outcome: SymbolPublication) -> dict[str, Any]:
    computed, present = sum(outcome.rows_computed.values()), sum(outcome.rows_present.values())
    return {
        "sessions_published": len(outcome.published),
        "sessions_failed": len(outcome.failed),
        "generation": outcome.generation,
        "rows_computed": computed,
        "rows_fresh": present - computed,
        "rows_failed": sum(outcome.failed_rows(product) for product in outcome.exclusions),
        "sessions_republished": len(outcome.republished_sessions),
        "symbols_republished": len(outcome.republished_symbols),
        "rows_republished": sum(outcome.rows_republished.values()),
        "seconds": outcome.times.rounded,
    }


def _metadata(product: str, outcome: SymbolPublication, step: Step) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "sessions": len(outcome.published),
        "sessions_failed": len(outcome.failed),
        "rows": outcome.rows_present[product],
        "computed": outcome.rows_computed[product],
        "fresh": outcome.rows_present[product] - outcome.rows_computed[product],
        "lowest_coverage": min(outcome.coverage, default=0.0),
        "seconds": step.seconds,
    }
    if outcome.generation is not None:
        metadata["generation"] = outcome.generation
    if product in outcome.exclusions:
        reasons = sorted(outcome.exclusions[product].items())
        metadata["failed"] = outcome.failed_rows(product)
        metadata["without_value"] = markdown_table(("reason", "symbol sessions"), reasons)
    if outcome.republished_sessions:
        metadata["rows_republished"] = outcome.rows_republished[product]
        metadata["republished_sessions"] = markdown_table(
            ("session",), [(day,) for day in sorted(outcome.republished_sessions)]
        )
        metadata["republished_symbols"] = markdown_table(
            ("symbol",), [(symbol,) for symbol in sorted(outcome.republished_symbols)]
        )
    return metadata
