"""Operators' routes: the cache of this process, runs and what became of them, what is late or failed."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from sigmasight_api.dependencies import BEARER, WHOLE, AdminsRoute, OperatorsService, PageQuery, ReportsService
from sigmasight_api.operations_schemas import (
    CacheState,
    CoveredSession,
    DataFreshness,
    FailureNow,
    HistoryStep,
    Launched,
    OperationsStatus,
    SessionRange,
    SymbolBatchStatus,
)
from sigmasight_api.routes.problems import problem_responses
from sigmasight_api.schemas import IsoDate, Listing

MOST_SESSIONS = 1_000
MOST_COVERED = 60

router = APIRouter(prefix="/admin", tags=["admin"], route_class=AdminsRoute, dependencies=[BEARER])


@router.get("/status", responses=problem_responses(401, 403, 422, 503))
def get_status(
    reports: ReportsService,
    sessions: Annotated[int, Query(ge=1, le=MOST_SESSIONS, description="How many sessions", examples=[10]), WHOLE] = 10,
) -> OperationsStatus:
    """Sessions, runs, what is failed right now and what happens next: what `sigmasight status` shows."""
    return reports.status(sessions)


@router.get("/cache/status", responses=problem_responses(401, 403, 503))
def get_cache_status(operators: OperatorsService) -> CacheState:
    """The market view in memory: its generation, age and the last error, and how often it served."""
    return operators.cache_state()


@router.get("/data/freshness", responses=problem_responses(401, 403, 503))
def get_freshness(reports: ReportsService) -> DataFreshness:
    """How many sessions each layer and each product is behind."""
    return reports.freshness()


@router.get("/data/coverage", responses=problem_responses(401, 403, 422, 503))
def get_coverage(
    reports: ReportsService,
    sessions: Annotated[int, Query(ge=1, le=MOST_COVERED, description="How many sessions", examples=[10]), WHOLE] = 20,
) -> Listing[CoveredSession]:
    """How much of each product the newest sessions have, and what they lack by reason; newest first."""
    return reports.coverage(sessions)


@router.post("/symbol-batch/run", status_code=202, responses=problem_responses(401, 403, 422, 503))
def run_symbol_batch(sessions: SessionRange, operators: OperatorsService) -> Launched:
    """Start the symbol layer for a range of closed sessions, as one run of Dagster."""
    return Launched(run_id=operators.run_symbol_batch(sessions.first, sessions.last))


@router.get("/symbol-batch/status", responses=problem_responses(401, 403, 422, 503))
def get_symbol_batch_status(operators: OperatorsService, page: PageQuery) -> SymbolBatchStatus:
    """Recorded steps of runs, published sessions and failed checks."""
    return operators.symbol_batch_status(page)


@router.get("/batch/history", responses=problem_responses(401, 403, 422, 503))
def list_batches(
    reports: ReportsService,
    page: PageQuery,
    *,
    kind: Annotated[
        str | None, Query(pattern=r"^[a-z_]{1,40}$", description="Step", examples=["symbol_products"])
    ] = None,
    status: Annotated[Literal["running", "succeeded", "failed"] | None, Query(description="Status")] = None,
    session: Annotated[IsoDate | None, Query(description="A session of its range")] = None,
) -> Listing[HistoryStep]:
    """Recorded steps of runs, newest first; kept when the orchestrator's own history is purged."""
    return reports.history(page, kind=kind, status=status, session=session)


@router.get("/batch/failures", responses=problem_responses(401, 403, 422, 503))
def list_failures(reports: ReportsService, page: PageQuery) -> Listing[FailureNow]:
    """What is failed right now, the most urgent first; an entry is gone as soon as its cause is."""
    return reports.failures(page)
