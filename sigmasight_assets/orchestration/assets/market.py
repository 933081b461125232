"""Assets that bring the market in: the tracked universe and the daily prices."""

from typing import Any, Literal

import dagster as dg

from sigmasight_assets.market_data.protocol import Listing, MarketSource
from sigmasight_assets.orchestration.price_update import PriceUpdate, update_prices
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.orchestration.steps import RETRIES, Step, markdown_table, recorded_step
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.storage.portfolios import read_held_symbols
from sigmasight_assets.storage.universe import import_listings, read_universe

VENDOR_POOL = "market_vendor"
NO_CORPORATE_ACTIONS = "not supplied by this market: its prices are taken as they are"


def build_market_assets(partitions: dg.PartitionsDefinition) -> list[dg.AssetsDefinition]:
    """The two assets on the given session partitions."""

    @dg.asset(
        group_name="symbol_layer",
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        retry_policy=RETRIES,
        kinds={"postgres"},
        description="Tracked symbols: what was imported, what portfolios hold, and the eight factor ETFs.",
    )
    def symbol_universe(context: dg.AssetExecutionContext, pipeline: Pipeline) -> dg.MaterializeResult[None]:
        with recorded_step(context, pipeline, "symbol_universe") as step:
            market = pipeline.market()
            listed = {item.symbol: item for item in market.listings()}
            with step.database.begin() as connection:
                tracked = {item.symbol for item in read_universe(connection)}
                needed = tracked | set(FACTOR_ETFS) | read_held_symbols(connection)
                # A symbol the market does not list keeps the description it was imported with.
                described = [listed[symbol] for symbol in sorted(needed & set(listed))]
                unlisted = [_unlisted(symbol) for symbol in sorted(needed - set(listed) - tracked)]
                counts = import_listings(connection, [*described, *unlisted])
                universe = read_universe(connection)
            step.counts = {"tracked": len(universe), "added": counts.added, "changed": counts.changed}
            problems = [(item.symbol, item.status_reason) for item in universe if item.status == "error"]
            return dg.MaterializeResult(
                metadata={
                    **step.counts,
                    "without_data": markdown_table(("symbol", "reason"), problems),
                    "market": market.name,
                    "seconds": step.seconds,
                }
            )

    @dg.asset(
        group_name="symbol_layer",
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        retry_policy=RETRIES,
        deps=[symbol_universe],
        pool=VENDOR_POOL,
        kinds={"postgres"},
        description="Daily bars of every tracked symbol; only what each symbol lacks is asked for.",
    )
    def symbol_prices(context: dg.AssetExecutionContext, pipeline: Pipeline) -> dg.MaterializeResult[None]:
        with recorded_step(context, pipeline, "symbol_prices") as step:
            market = pipeline.market()
            update = update_prices(
                step.database,
                market,
                pipeline.calendar,
                sessions=step.sessions,
                history_start=pipeline.settings.history_start,
                run_id=step.run_id,
            )
            step.counts = _price_counts(update)
            return dg.MaterializeResult(metadata=_price_metadata(update, step, market))

    return [symbol_universe, symbol_prices]


def _unlisted(symbol: str) -> Listing:
    kind: Literal["etf", "equity"] = "etf" if symbol in FACTOR_ETFS else "equity"
    return Listing(symbol, name=symbol, asset_type=kind, sector=None, industry=None)


def _price_counts(update: PriceUpdate) -> dict[str, int]:
    return {
        "symbols_requested": update.requested,
        "bars_inserted": update.inserted,
        "bars_restated": update.restated,
        "bars_already_there": update.already_there,
        "bars_rejected": sum(update.rejected.values()),
        "symbols_with_problems": len(update.problems),
    }


def _price_metadata(update: PriceUpdate, step: Step, market: MarketSource) -> dict[str, Any]:
    return {
        **step.counts,
        "rejected_by_reason": markdown_table(("reason", "bars"), sorted(update.rejected.items())),
        "problems": markdown_table(("symbol", "answer of the source"), sorted(update.problems.items())),
        "restated_sessions": markdown_table(("session",), [(day,) for day in sorted(update.restated_sessions)]),
        "market": market.name,
        "corporate_actions": "supplied" if market.supplies_corporate_actions else NO_CORPORATE_ACTIONS,
        "seconds": step.seconds,
    }
