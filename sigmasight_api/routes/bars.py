"""Operators' routes to suspect bars: what waits for a decision, and the decisions."""

from fastapi import APIRouter

from sigmasight_api.bar_schemas import DecidedBar, SuspectBar
from sigmasight_api.decision_schemas import DecisionReason
from sigmasight_api.dependencies import (
    BEARER,
    AdminsRoute,
    BarsService,
    Caller,
    PageQuery,
    SessionPath,
    SymbolPath,
)
from sigmasight_api.routes.problems import problem_responses
from sigmasight_api.schemas import Listing

router = APIRouter(prefix="/admin/bars", tags=["admin"], route_class=AdminsRoute, dependencies=[BEARER])
DECISION_PROBLEMS = problem_responses(401, 403, 404, 409, 422, 503)


@router.get("/suspect", responses=problem_responses(401, 403, 422, 503))
def list_suspect_bars(bars: BarsService, page: PageQuery) -> Listing[SuspectBar]:
    """Bars that moved beyond 50 % without a corporate action and wait for a decision, by symbol."""
    return bars.suspect(page)


@router.post("/{symbol}/{session}/accept", responses=DECISION_PROBLEMS)
def accept_bar(
    symbol: SymbolPath, session: SessionPath, why: DecisionReason, caller: Caller, bars: BarsService
) -> DecidedBar:
    """Confirm a suspect bar, or take back that it was rejected; audited."""
    return bars.accept(symbol, session, user=caller.user_name, reason=why.reason)


@router.post("/{symbol}/{session}/reject", responses=DECISION_PROBLEMS)
def reject_bar(
    symbol: SymbolPath, session: SessionPath, why: DecisionReason, caller: Caller, bars: BarsService
) -> DecidedBar:
    """Take a bar out; the same bar is refused whenever the market sends it, another one is not; audited."""
    return bars.reject(symbol, session, user=caller.user_name, reason=why.reason)
