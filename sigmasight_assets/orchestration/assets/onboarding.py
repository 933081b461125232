"""The asset that brings asked-for symbols in, apart from the nights of the symbol layer."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg

from sigmasight_assets.errors import OnboardingError, SigmaSightError
from sigmasight_assets.orchestration.catalog import described
from sigmasight_assets.orchestration.launchpad import OnboardingOptions
from sigmasight_assets.orchestration.onboarding import (
    Onboarding,
    OnboardingRun,
    claims_of,
    onboard_requests,
    sessions_to_publish,
)
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.orchestration.steps import Step, markdown_table, recorded_step
from sigmasight_assets.storage.vendor_turns import ONBOARDING

ASSET = "onboarded_symbols"


def build_onboarded_symbols(api_address: str) -> dg.AssetsDefinition:
    """The asset; the API serves the documents it links to."""

    # Without a retry policy: what failed waits in the queue for its next attempt.
    @dg.asset(name=ASSET, **described(ASSET, api_address))
    def onboarded_symbols(
        context: dg.AssetExecutionContext, config: OnboardingOptions, pipeline: Pipeline
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetMaterialization]:
        with recorded_step(context, pipeline, ASSET, sessions=_sessions(pipeline)) as step:
            asked = config.checked_symbols()
            outcome = onboard_requests(_onboarding_run(step, pipeline), claims_of(context.run.tags), asked=asked)
            step.counts = _counts(outcome)
            metadata = _metadata(outcome, step)
            if outcome.failed:
                yield dg.AssetMaterialization(ASSET, metadata=metadata)
                raise OnboardingError(_failure_text(outcome))
            yield dg.MaterializeResult(metadata=metadata)

    return onboarded_symbols


def _sessions(pipeline: Pipeline) -> list[date]:
    database = pipeline.database()
    try:
        return sessions_to_publish(database, _newest_session(pipeline))
    except SigmaSightError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    finally:
        database.close()


def _newest_session(pipeline: Pipeline) -> date:
    return pipeline.calendar.last_complete(pipeline.settings.clock())


def _onboarding_run(step: Step, pipeline: Pipeline) -> OnboardingRun:
    settings = pipeline.settings
    return OnboardingRun(
        database=step.database,
        source=step.ask(pipeline, priority=ONBOARDING),
        calendar=pipeline.calendar,
        newest_session=_newest_session(pipeline),
        history_start=settings.history_start,
        min_coverage=settings.min_coverage,
        run_id=step.run_id,
    )


def _counts(outcome: Onboarding) -> dict[str, Any]:
    without_price = len(outcome.refused) + len(outcome.silent)
    return {
        "requests": len(outcome.symbols),
        "completed": len(outcome.completed),
        "failed": len(outcome.given_up),
        "waiting": without_price + len(outcome.failed) - len(outcome.given_up),
        "generation": outcome.generation,
    }


def _metadata(outcome: Onboarding, step: Step) -> dict[str, Any]:
    reasons = sorted({**outcome.refused, **outcome.silent, **outcome.failed}.items())
    rows = [
        (symbol, "given up" if symbol in outcome.given_up else "will be tried again", why) for symbol, why in reasons
    ]
    counts = {name: value for name, value in step.counts.items() if value is not None}
    return {
        **counts,
        "completed_symbols": markdown_table(("symbol",), [(symbol,) for symbol in outcome.completed]),
        "other_symbols": markdown_table(("symbol", "outcome", "reason"), rows),
        "seconds": step.seconds,
    }


def _failure_text(outcome: Onboarding) -> str:
    by_cause: dict[str, list[str]] = {}
    for symbol, cause in outcome.failed.items():
        by_cause.setdefault(cause, []).append(symbol)
    told = "\n".join(f"{', '.join(symbols)}: {cause}" for cause, symbols in by_cause.items())
    return (
        f"{len(outcome.failed)} of {len(outcome.symbols)} symbols were not onboarded; `sigmasight universe requests` "
        f"tells which of them are tried again:\n{told}"
    )
