"""What the UI shows at any time: standing checks of lateness, failures and invariants, and freshness policies.

Each is judged from our own tables, by the sensor ``late_sessions`` or when somebody executes it.
"""

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta

import dagster as dg
from sqlalchemy.exc import SQLAlchemyError

from sigmasight_assets.errors import SigmaSightError, StorageError
from sigmasight_assets.operations.broken_invariants import in_short
from sigmasight_assets.operations.failure_state import read_failures
from sigmasight_assets.operations.failures import Failure
from sigmasight_assets.operations.freshness import Freshness, read_freshness
from sigmasight_assets.orchestration.check_facts import CHECK_FACTS
from sigmasight_assets.orchestration.check_results import inline_table
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.settings import Settings
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.deadline import Deadline
from sigmasight_assets.storage.invariants import find_newly_broken
from sigmasight_assets.storage.publications import Layer, read_newest_mark

# Longer than a weekend with a holiday on either side of it: the checks know sessions, this only knows days.
BACKSTOP = dg.FreshnessPolicy.time_window(warn_window=timedelta(days=4), fail_window=timedelta(days=5))

LAYER_ASSETS: dict[Layer, str] = {"symbol": "symbol_daily_metrics", "portfolio": "portfolio_snapshots"}
SESSIONS_CURRENT = {
    layer: dg.AssetCheckKey(dg.AssetKey(asset), "sessions_current") for layer, asset in LAYER_ASSETS.items()
}
NOTHING_FAILED = dg.AssetCheckKey(dg.AssetKey("symbol_daily_metrics"), "nothing_failed_now")
INVARIANTS_HOLD = dg.AssetCheckKey(dg.AssetKey("portfolio_snapshots"), "invariants_hold")
STANDING_CHECKS = (*SESSIONS_CURRENT.values(), NOTHING_FAILED, INVARIANTS_HOLD)
# Every publication judges all portfolios; what is looked at again is bounded, as this is done between ticks.
MOST_PORTFOLIOS = 20_000
SEVERITIES = {"warning": dg.AssetCheckSeverity.WARN, "critical": dg.AssetCheckSeverity.ERROR}

# How long one look may take with all its queries, as a tick of the sensor that has runs to request is ended after 60 s;
# and after how long there is another look without a publication.
LOOK_SECONDS = 15.0
LOOK_AGAIN_SECONDS = 3600.0


@dataclass(frozen=True)
class Judgement:
    """The state of one standing check, in words and with what belongs to it; ``broken`` is each thing that is wrong."""

    key: dg.AssetCheckKey
    severity: str | None
    text: str
    metadata: dict[str, dg.MetadataValue]
    broken: Sequence[str] = ()

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


@dataclass(frozen=True)
class Look:
    """What breaks an invariant, found at an instant of the monotonic clock after the newest publication.

    ``problem`` is why it could not be looked for.
    """

    publication: object
    at: float
    broken: Sequence[str] = ()
    problem: str = ""

    def is_current(self, publication: object) -> bool:
        """Whether another look would hardly find anything else; what is broken is looked at until it is mended."""
        return self.publication == publication and not self.broken and time.monotonic() - self.at < LOOK_AGAIN_SECONDS


# The newest of this process.
_looks: list[Look] = []


def judge_invariants(look: Look) -> Judgement:
    """What breaks an invariant; critical when anything does."""
    found = look.broken
    if look.problem:
        return Judgement(INVARIANTS_HOLD, "warning", f"could not be looked for: {look.problem}", {})
    if not found:
        return Judgement(INVARIANTS_HOLD, None, "every invariant holds", {})
    rows = [(item,) for item in found]
    table = inline_table(("what is broken",), rows)
    return Judgement(INVARIANTS_HOLD, "critical", in_short(found), {"broken": table}, found)


def read_judgements(database: Database, settings: Settings) -> list[Judgement]:
    """The state of every standing check at this instant."""
    clock = settings.clock()
    with database.begin() as connection:
        found = read_freshness(connection, clock=clock)
    failures = read_failures(database, clock=clock, pause=settings.retry_pause)
    lateness = [judge_freshness(layer, found) for layer in SESSIONS_CURRENT]
    return [*lateness, judge_failures(failures), judge_invariants(_look(database))]


def _look(database: Database) -> Look:
    """What breaks an invariant; ticks come every half minute, publications seldom."""
    with database.begin() as connection:
        publication = database.url, read_newest_mark(connection)
    if _looks and _looks[-1].is_current(publication):
        return _looks[-1]
    now = time.monotonic()
    try:
        with database.begin() as connection:
            deadline = Deadline.within(LOOK_SECONDS)
            broken = find_newly_broken(connection, portfolios=MOST_PORTFOLIOS, deadline=deadline)
        look = Look(publication, now, broken)
    except (StorageError, SQLAlchemyError) as error:
        # Whatever the tables are like: nobody may be kept from running a late session by it.
        look = Look(publication, now, problem=" ".join(str(error).split())[:300])
    _looks[:] = [look]
    return look


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
