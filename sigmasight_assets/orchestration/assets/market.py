"""Assets that bring the market in: the tracked universe, company profiles, daily prices and corporate actions."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import dagster as dg

from sigmasight_assets.market_data.protocol import MarketSource
from sigmasight_assets.orchestration.catalog import described
from sigmasight_assets.orchestration.drawings import draw_prices
from sigmasight_assets.orchestration.materialized import results
from sigmasight_assets.orchestration.price_counts import PriceUpdate
from sigmasight_assets.orchestration.price_progress import PriceProgress
from sigmasight_assets.orchestration.price_update import update_prices
from sigmasight_assets.orchestration.profile_update import update_profiles
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.orchestration.standing_checks import BACKSTOP
from sigmasight_assets.orchestration.steps import Step, markdown_table, recorded_step
from sigmasight_assets.orchestration.symbol_tracking import track_symbols
from sigmasight_assets.orchestration.vendor_access import MeteredMarket, run_priority
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.storage.portfolios import read_held_symbols
from sigmasight_assets.storage.universe import read_universe

NO_CORPORATE_ACTIONS = "not supplied by this market: its prices are taken as they are"

Result = dg.MaterializeResult[None]


def build_market_assets(partitions: dg.PartitionsDefinition, api_address: str) -> list[dg.AssetsDefinition]:
    """The three assets on the given session partitions; the API serves the documents they link to."""
    single_run = dg.BackfillPolicy.single_run()

    @dg.asset(
        **described("symbol_universe", api_address),
        partitions_def=partitions,
        backfill_policy=single_run,
        freshness_policy=BACKSTOP,
    )
    def symbol_universe(context: dg.AssetExecutionContext, pipeline: Pipeline) -> Result:
        with recorded_step(context, pipeline, "symbol_universe") as step:
            return _track_symbols(step, pipeline)

    @dg.asset(
        **described("company_profiles", api_address),
        partitions_def=partitions,
        backfill_policy=single_run,
        freshness_policy=BACKSTOP,
        deps=[symbol_universe],
    )
    def company_profiles(context: dg.AssetExecutionContext, pipeline: Pipeline) -> Result:
        with recorded_step(context, pipeline, "company_profiles") as step:
            return _capture_profiles(step, pipeline)

    @dg.asset(
        **described("symbol_prices", api_address),
        partitions_def=partitions,
        backfill_policy=single_run,
        freshness_policy=BACKSTOP,
        deps=[symbol_universe],
    )
    def symbol_prices(context: dg.AssetExecutionContext, pipeline: Pipeline) -> Iterator[Result]:
        with recorded_step(context, pipeline, "symbol_prices") as step:
            metadata = _store_prices(step, pipeline, context.log.info)
            moves = draw_prices(step.database, pipeline.calendar, step.sessions)
            yield from results(context, {"symbol_prices": metadata}, {"symbol_prices": moves})

    return [symbol_universe, company_profiles, symbol_prices]


def _market(step: Step, pipeline: Pipeline) -> MeteredMarket:
    """The market as this run asks it; the newest session's run goes before those of the past."""
    priority = run_priority(step.sessions, pipeline.calendar, pipeline.settings)
    return step.ask(pipeline, priority=priority)


def _track_symbols(step: Step, pipeline: Pipeline) -> Result:
    market = _market(step, pipeline)
    listings = market.listings()
    with step.database.begin() as connection:
        held = read_held_symbols(connection)
        contracts = {symbol for symbol, held_as in held.items() if held_as == "OPTIONS"}
        tracked = {item.symbol for item in read_universe(connection)}
        counts = track_symbols(connection, listings, tracked | set(FACTOR_ETFS) | set(held), contracts=contracts)
        universe = read_universe(connection)
    step.counts = {"tracked": len(universe), "added": counts.added, "changed": counts.changed}
    without_data = {item.symbol: item.status_reason or "" for item in universe if item.status == "error"}
    return dg.MaterializeResult(
        metadata={
            **step.all_counts,
            "without_data": _reasons_table(without_data),
            "market": market.name,
            "seconds": step.seconds,
        }
    )


def _capture_profiles(step: Step, pipeline: Pipeline) -> Result:
    market = _market(step, pipeline)
    newest = pipeline.calendar.last_complete(pipeline.settings.clock())
    update = update_profiles(step.database, market, pipeline.calendar, sessions=step.sessions, newest_session=newest)
    step.counts = {
        "captured": update.captured,
        "already_fresh": update.already_fresh,
        "left_to_other_nights": update.postponed,
        "symbols_without_profile": len(update.without_profile),
    }
    return dg.MaterializeResult(
        metadata={
            **step.all_counts,
            "without_profile": _reasons_table(update.without_profile),
            "as_of": "each session" if market.supplies_dated_profiles else str(newest),
            "market": market.name,
            "seconds": step.seconds,
        }
    )


def _store_prices(step: Step, pipeline: Pipeline, say: Callable[[str], None]) -> dict[str, Any]:
    market = _market(step, pipeline)
    update = update_prices(
        step.database,
        market,
        pipeline.calendar,
        sessions=step.sessions,
        history_start=pipeline.settings.history_start,
        run_id=step.run_id,
        now=pipeline.settings.clock(),
        progress=PriceProgress(market, say),
    )
    step.counts = _price_counts(update)
    return _price_metadata(update, step, market)


def _price_counts(update: PriceUpdate) -> dict[str, int]:
    return {
        "symbols_requested": update.requested,
        "symbols_asked_again": update.repeated,
        "symbols_skipped": update.skipped,
        "symbols_refetched": update.refetched,
        "bars_inserted": update.inserted,
        "bars_restated": update.restated,
        "bars_rescaled": update.rescaled,
        "bars_already_there": update.already_there,
        "bars_rejected": sum(update.rejected.values()),
        "actions_new": update.actions["new"],
        "actions_changed": update.actions["changed"],
        "actions_withdrawn": update.actions["withdrawn"],
        "actions_rejected": len(update.action_problems),
        "symbols_marked": len(update.marked),
        "symbols_with_problems": len(update.problems),
        "symbols_failed": len(update.failed),
        **_second_counts(update),
    }


def _second_counts(update: PriceUpdate) -> dict[str, int]:
    """What the second market had to do with it; nothing without one."""
    if update.check is None:
        return {}
    return {
        "symbols_served_by_second": len(update.served),
        "bars_taken_over_from_second": update.taken_over,
        "bars_cross_checked": update.check.compared,
        "bars_disputed": len(update.check.disputed),
        "moves_confirmed_by_second": len(update.check.confirmed),
        "symbols_not_cross_checked": len(update.check.not_compared),
    }


def _price_metadata(update: PriceUpdate, step: Step, market: MarketSource) -> dict[str, Any]:
    return {
        **step.all_counts,
        "rejected_by_reason": markdown_table(("reason", "bars"), sorted(update.rejected.items())),
        "problems": _reasons_table(update.problems),
        "action_problems": markdown_table(("symbol", "problem"), sorted(update.action_problems)),
        "delisted": _reasons_table(update.delisted),
        "put_right": _reasons_table(update.notes),
        "restated_sessions": markdown_table(("session",), [(day,) for day in sorted(update.restated_sessions)]),
        "marked": markdown_table(
            ("symbol with figures to recompute",), [(symbol,) for symbol in sorted(update.marked)]
        ),
        "market": market.name,
        "corporate_actions": "supplied" if market.supplies_corporate_actions else NO_CORPORATE_ACTIONS,
        **_second_metadata(update),
        "seconds": step.seconds,
    }


def _second_metadata(update: PriceUpdate) -> dict[str, Any]:
    check = update.check
    if check is None:
        return {}
    disputed = [(symbol, day, words) for (symbol, day), words in sorted(check.disputed.items())]
    return {
        "second_market": check.second,
        "served_by_second": _reasons_table(update.served),
        "disputed": markdown_table(("symbol", "session", "closes"), disputed),
        "confirmed_moves": markdown_table(("symbol", "session"), sorted(check.confirmed)),
        "not_cross_checked": _reasons_table(check.not_compared),
    }


def _reasons_table(reasons: Mapping[str, str]) -> dg.MarkdownMetadataValue:
    return markdown_table(("symbol", "reason"), sorted(reasons.items()))
