"""Operators' routes to decisions: the audit, sessions, delisted symbols, and what is started again."""

from fastapi import APIRouter

from sigmasight_api.decision_schemas import (
    CashOut,
    CashOutRequest,
    DecidedSession,
    DecisionReason,
    OperatorAction,
    Retried,
    RetryRequest,
    SessionDecision,
)
from sigmasight_api.dependencies import (
    BEARER,
    AdminsRoute,
    Caller,
    DecisionsService,
    PageQuery,
    SessionPath,
    SymbolPath,
)
from sigmasight_api.routes.problems import problem_responses
from sigmasight_api.schemas import Listing

router = APIRouter(prefix="/admin", tags=["admin"], route_class=AdminsRoute, dependencies=[BEARER])
READ_PROBLEMS = problem_responses(401, 403, 422, 503)
DECISION_PROBLEMS = problem_responses(401, 403, 404, 409, 422, 503)


@router.get("/actions", responses=READ_PROBLEMS)
def list_actions(decisions: DecisionsService, page: PageQuery) -> Listing[OperatorAction]:
    """The audit of operators' decisions, newest first."""
    return decisions.actions(page)


@router.get("/sessions/decisions", responses=READ_PROBLEMS)
def list_session_decisions(decisions: DecisionsService, page: PageQuery) -> Listing[SessionDecision]:
    """Waived and closed sessions, by date."""
    return decisions.sessions(page)


@router.post("/sessions/{session}/waive", responses=DECISION_PROBLEMS)
def waive_session(
    session: SessionPath, why: DecisionReason, caller: Caller, decisions: DecisionsService
) -> DecidedSession:
    """Have later sessions not wait for one that will never be published; audited."""
    return decisions.waive(session, user=caller.user_name, reason=why.reason)


@router.post("/sessions/{session}/unwaive", responses=DECISION_PROBLEMS)
def unwaive_session(
    session: SessionPath, why: DecisionReason, caller: Caller, decisions: DecisionsService
) -> DecidedSession:
    """Take a waiver back; audited."""
    return decisions.unwaive(session, user=caller.user_name, reason=why.reason)


@router.post("/sessions/{session}/close", responses=DECISION_PROBLEMS)
def close_session(
    session: SessionPath, why: DecisionReason, caller: Caller, decisions: DecisionsService
) -> DecidedSession:
    """Take a date out of the calendar, because the exchange did not trade; audited."""
    return decisions.close(session, user=caller.user_name, reason=why.reason)


@router.post("/sessions/{session}/reopen", responses=DECISION_PROBLEMS)
def reopen_session(
    session: SessionPath, why: DecisionReason, caller: Caller, decisions: DecisionsService
) -> DecidedSession:
    """Put a closed date back into the calendar; audited."""
    return decisions.reopen(session, user=caller.user_name, reason=why.reason)


@router.post("/symbols/{symbol}/cash-out", responses=DECISION_PROBLEMS)
def cash_out(symbol: SymbolPath, request: CashOutRequest, caller: Caller, decisions: DecisionsService) -> CashOut:
    """Close every open lot of a delisted symbol at the price that holders were paid; audited."""
    return decisions.cash_out(symbol, request, user=caller.user_name)


@router.post("/retry", status_code=202, responses=problem_responses(401, 403, 409, 422, 503))
def retry(request: RetryRequest, caller: Caller, decisions: DecisionsService) -> Retried:
    """Start again what is failed right now, or only what is of one session or symbol; audited."""
    return decisions.retry(request, user=caller.user_name)
