"""Operators' routes: the cache of this process, symbol runs and what became of them."""

from fastapi import APIRouter

from sigmasight_api.dependencies import BEARER, AdminsRoute, OperatorsService, PageQuery
from sigmasight_api.routes.problems import problem_responses
from sigmasight_api.schemas import CacheState, Launched, SessionRange, SymbolBatchStatus

router = APIRouter(prefix="/admin", tags=["admin"], route_class=AdminsRoute, dependencies=[BEARER])


@router.get("/cache/status", responses=problem_responses(401, 403, 503))
def get_cache_status(operators: OperatorsService) -> CacheState:
    """The market view in memory: its generation, age and the last error."""
    return operators.cache_state()


@router.post("/symbol-batch/run", status_code=202, responses=problem_responses(401, 403, 422, 503))
def run_symbol_batch(sessions: SessionRange, operators: OperatorsService) -> Launched:
    """Start the symbol layer for a range of closed sessions, as one run of Dagster."""
    return Launched(run_id=operators.run_symbol_batch(sessions.first, sessions.last))


@router.get("/symbol-batch/status", responses=problem_responses(401, 403, 422, 503))
def get_symbol_batch_status(operators: OperatorsService, page: PageQuery) -> SymbolBatchStatus:
    """Recorded steps of runs, published sessions and failed checks."""
    return operators.symbol_batch_status(page)
