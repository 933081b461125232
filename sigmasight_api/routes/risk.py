"""Analytics of the caller's portfolios that rest on daily returns."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Response

from sigmasight_api.correlation import (
    DEFAULT_SESSIONS,
    MAX_SESSIONS,
    MIN_SESSIONS,
    correlations,
)
from sigmasight_api.dependencies import BEARER, Caller, CallersRoute, PortfolioId, ReadsService
from sigmasight_api.risk import risk
from sigmasight_api.risk_schemas import Correlations, Performance, Risk, Volatility
from sigmasight_api.routes.generation import DESCRIBED, GENERATION_HEADER
from sigmasight_api.routes.problems import problem_responses
from sigmasight_api.schemas import AnalyticsAnswer, IsoDate
from sigmasight_api.volatility import volatility

router = APIRouter(
    prefix="/analytics/portfolio/{portfolio_id}", tags=["analytics"], route_class=CallersRoute, dependencies=[BEARER]
)
ANSWERS = {**DESCRIBED, **problem_responses(401, 404, 422, 503)}


@router.get("/volatility", responses=ANSWERS)
def get_volatility(
    portfolio_id: PortfolioId, caller: Caller, reads: ReadsService, response: Response
) -> AnalyticsAnswer[Volatility]:
    """Realised and expected volatility of the portfolio as it is now, its trend, and where it stands within a year."""
    answer = reads.consistent(caller.user_id, portfolio_id, volatility)
    response.headers[GENERATION_HEADER] = str(answer.generation)
    return answer


@router.get("/correlation-matrix", responses=ANSWERS)
def get_correlation_matrix(
    portfolio_id: PortfolioId,
    caller: Caller,
    reads: ReadsService,
    response: Response,
    *,
    sessions: Annotated[
        int, Query(ge=MIN_SESSIONS, le=MAX_SESSIONS, description="Newest sessions to use", examples=[90])
    ] = DEFAULT_SESSIONS,
) -> AnalyticsAnswer[Correlations]:
    """Correlations of the 50 largest PUBLIC positions, and how far the portfolio is from a single bet."""
    answer = reads.consistent(caller.user_id, portfolio_id, partial(correlations, sessions=sessions))
    response.headers[GENERATION_HEADER] = str(answer.generation)
    return answer


@router.get("/risk", responses=ANSWERS)
def get_risk(
    portfolio_id: PortfolioId, caller: Caller, reads: ReadsService, response: Response
) -> AnalyticsAnswer[Risk]:
    """Historical value at risk and expected shortfall of one session for the portfolio as it is now."""
    answer = reads.consistent(caller.user_id, portfolio_id, risk)
    response.headers[GENERATION_HEADER] = str(answer.generation)
    return answer


@router.get("/performance", responses=ANSWERS)
def get_performance(
    portfolio_id: PortfolioId,
    caller: Caller,
    reads: ReadsService,
    response: Response,
    *,
    first: Annotated[IsoDate | None, Query(alias="from", description="First date whose return counts")] = None,
    last: Annotated[IsoDate | None, Query(alias="to", description="Last date, included")] = None,
) -> AnalyticsAnswer[Performance]:
    """Time-weighted return of the portfolio's snapshots, its drawdowns, and the same sessions in SPY."""
    answer = reads.performance(caller.user_id, portfolio_id, first=first, last=last)
    response.headers[GENERATION_HEADER] = str(answer.generation)
    return answer
