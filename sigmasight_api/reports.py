"""What operators are told of the pipeline, from our own tables: status, freshness, failures right now, what ran.

Knows nothing of HTTP.
"""

from collections.abc import Callable
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from sigmasight_api.onboarding_schemas import OnboardingStatus
from sigmasight_api.operations_schemas import (
    CoveredProduct,
    CoveredSession,
    DataFreshness,
    FailureNow,
    HistoryStep,
    OperationsStatus,
    ProductFreshness,
)
from sigmasight_api.repository import Page, Repository
from sigmasight_api.schemas import Listing
from sigmasight_assets.operations.failure_state import read_failures
from sigmasight_assets.operations.freshness import read_freshness
from sigmasight_assets.operations.product_coverage import ProductCoverage, read_product_coverage
from sigmasight_assets.operations.status import read_status
from sigmasight_assets.operations.verdict import judge
from sigmasight_assets.storage.database import Database

# What of a status the verdict goes by and people are not shown: the verdict says it.
FOR_THE_VERDICT = ("judged", "without_snapshots", "stale_snapshots")


class Reports:
    """Answers by the service's clock.

    ``pause`` is that between two attempts at a session, ``orchestrator`` where people find the Dagster UI.
    """

    def __init__(
        self,
        repository: Repository,
        database: Database,
        *,
        clock: Callable[[], datetime],
        pause: timedelta,
        orchestrator: str,
    ) -> None:
        self._orchestrator = orchestrator
        self._repository = repository
        self._database = database
        self._clock = clock
        self._pause = pause

    def status(self, sessions: int) -> OperationsStatus:
        """What ``sigmasight status`` shows, with the newest ``sessions`` complete sessions."""
        found = read_status(self._database, clock=self._clock(), pause=self._pause, sessions=sessions)
        onboarding = [OnboardingStatus.model_validate(_named(item, OnboardingStatus)) for item in found.onboarding]
        verdict = judge(found)
        own = {
            "verdict": {**asdict(verdict), "has_gaps": verdict.has_gaps},
            "onboarding": onboarding,
            "orchestrator": self._orchestrator,
        }
        shown = {name: value for name, value in asdict(found).items() if name not in FOR_THE_VERDICT}
        return OperationsStatus.model_validate({**shown, **own})

    def coverage(self, sessions: int) -> Listing[CoveredSession]:
        """How much of each product the newest complete ``sessions`` have, newest first."""
        calendar = self._repository.read_calendar()
        newest = calendar.last_complete(self._clock())
        days = calendar.between(calendar.offset(newest, 1 - sessions), newest)[::-1]
        with self._database.begin() as connection:
            found = read_product_coverage(connection, days)
        items = [
            CoveredSession(session=day, products=[_covered(item) for item in found if item.session == day])
            for day in days
        ]
        return Listing[CoveredSession](items=items, total=len(items))

    def freshness(self) -> DataFreshness:
        """How many sessions each layer and each product is behind."""
        clock = self._clock()
        with self._database.begin() as connection:
            found = [ProductFreshness(**asdict(item)) for item in read_freshness(connection, clock=clock)]
        return DataFreshness(
            clock=clock,
            layers=[item for item in found if item.product is None],
            products=[item for item in found if item.product is not None],
        )

    def failures(self, page: Page) -> Listing[FailureNow]:
        """What is failed right now, the most urgent first."""
        found = read_failures(self._database, clock=self._clock(), pause=self._pause)
        shown = found[page.offset : page.offset + page.limit]
        return Listing[FailureNow](items=[FailureNow(**asdict(item)) for item in shown], total=len(found))

    def history(
        self, page: Page, *, kind: str | None = None, status: str | None = None, session: date | None = None
    ) -> Listing[HistoryStep]:
        """Recorded steps of runs, newest first: those of a kind, of a status, or whose range holds a session."""
        rows = self._repository.read_batches(page, kind=kind, status=status, session=session)
        return Listing[HistoryStep](items=[_step(row._mapping) for row in rows.items], total=rows.total)


def _named(item: object, model: type[BaseModel]) -> dict[str, Any]:
    """The attributes that the document has."""
    return {name: getattr(item, name) for name in model.model_fields}


def _step(row: Any) -> HistoryStep:
    own = {name: row[name] for name in HistoryStep.model_fields if name in row}
    ended = row["finished_at"]
    seconds = None if ended is None else round((ended - row["started_at"]).total_seconds(), 3)
    return HistoryStep(**own, seconds=seconds, vendor_calls=(row["counts"] or {}).get("vendor_calls"))


def _covered(item: ProductCoverage) -> CoveredProduct:
    lacks = [asdict(lack) for lack in item.lacks]
    return CoveredProduct.model_validate({**_named(item, CoveredProduct), "lacks": lacks})
