"""What the UI shows at any time: standing checks of lateness and failures, and freshness policies as their backstop.

Each is judged from our own tables, by the sensor ``late_sessions`` or when somebody executes it.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta

import dagster as dg

from sigmasight_assets.errors import SigmaSightError
from sigmasight_assets.operations.failure_state import read_failures
from sigmasight_assets.operations.failures import Failure
from sigmasight_assets.operations.freshness import Freshness, read_freshness
from sigmasight_assets.orchestration.check_facts import CHECK_FACTS
from sigmasight_assets.orchestration.check_results import inline_table
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.settings import Settings
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.publications import Layer

# Longer than a weekend with a holiday on either side of it: the checks know sessions, this only knows days.
BACKSTOP = dg.FreshnessPolicy.time_window(warn_window=timedelta(days=4), fail_window=timedelta(days=5))

LAYER_ASSETS: dict[Layer, str] = {"symbol": "symbol_daily_metrics", "portfolio": "portfolio_snapshots"}
SESSIONS_CURRENT = {
    layer: dg.AssetCheckKey(dg.AssetKey(asset), "sessions_current") for layer, asset in LAYER_ASSETS.items()
}
NOTHING_FAILED = dg.AssetCheckKey(dg.AssetKey("symbol_daily_metrics"), "nothing_failed_now")
STANDING_CHECKS = (*SESSIONS_CURRENT.values(), NOTHING_FAILED)
SEVERITIES = {"warning": dg.AssetCheckSeverity.WARN, "critical": dg.AssetCheckSeverity.ERROR}


@dataclass(frozen=True)
class Judgement:
    """The state of one standing check, in words and with what belongs to it."""

    key: dg.AssetCheckKey
    severity: str | None
    text: str
    metadata: dict[str, dg.MetadataValue]

    @property
    def evaluation(self) -> dg.AssetCheckEvaluation:
        """The state as a sensor reports it."""
        return dg.AssetCheckEvaluation(
            asset_key=self.key.asset_key,
            check_name=self.key.name,
            passed=self.severity is None,
            severity=SEVERITIES.get(self.severity or "", dg.AssetCheckSeverity.ERROR),
            description=self.text,
            metadata=self.metadata,
        )

    @property
    def result(self) -> dg.AssetCheckResult:
        """The state as a check that somebody executes returns it."""
        said = self.evaluation
        return dg.AssetCheckResult(
            passed=said.passed, severity=said.severity, description=said.description, metadata=self.metadata
        )


def judge_freshness(layer: Layer, found: Sequence[Freshness]) -> Judgement:
    """The lateness of a layer; the table has those of its products."""
    of_layer = next(item for item in found if item.layer == layer and item.product is None)
    products = [item for item in found if item.layer == layer and item.product is not None]
    rows = [(item.product, item.newest or "", item.behind if item.behind is not None else "") for item in products]
    text = of_layer.reason or f"current up to {of_layer.newest}"
    severity = None if of_layer.severity == "ok" else of_layer.severity
    table = inline_table(("product", "newest session", "sessions behind"), rows)
    return Judgement(SESSIONS_CURRENT[layer], severity, text, {"products": table})


def judge_failures(found: Sequence[Failure]) -> Judgement:
    """What is failed right now; critical when any of it is."""
    if not found:
        return Judgement(NOTHING_FAILED, None, "nothing is failed", {})
    critical = sum(item.severity == "critical" for item in found)
    rows = [(item.kind, item.subject, item.detail, item.next_step) for item in found]
    return Judgement(
        NOTHING_FAILED,
        "critical" if critical else "warning",
        f"{len(found)} failed right now, {critical} of them critical",
        {"failed_now": inline_table(("kind", "subject", "cause", "next step"), rows)},
    )


def read_judgements(database: Database, settings: Settings) -> list[Judgement]:
    """The state of every standing check at this instant."""
    clock = settings.clock()
    with database.begin() as connection:
        found = read_freshness(connection, clock=clock)
    failures = read_failures(database, clock=clock, pause=settings.retry_pause)
    return [*(judge_freshness(layer, found) for layer in SESSIONS_CURRENT), judge_failures(failures)]


def build_standing_checks() -> list[dg.AssetChecksDefinition]:
    """The checks as people execute them in the UI."""
    return [_build_check(key) for key in STANDING_CHECKS]


def _build_check(key: dg.AssetCheckKey) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=key.asset_key, name=key.name, description=CHECK_FACTS[key.name].description)
    def standing_check(pipeline: Pipeline) -> dg.AssetCheckResult:
        try:
            with closing(pipeline.database()) as database:
                judgements = read_judgements(database, pipeline.settings)
        except SigmaSightError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        return next(item.result for item in judgements if item.key == key)

    return standing_check
