"""Analytics of the caller's portfolios that rest on daily returns."""

from datetime import date
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Response

from sigmasight_api.analytic import Analytic
from sigmasight_api.correlation import (
    DEFAULT_SESSIONS,
    MAX_SESSIONS,
    MIN_SESSIONS,
    correlations,
)
from sigmasight_api.dependencies import (
    BEARER,
    WHOLE,
    AnalyticsRoute,
    AskedAnalytics,
    FirstDate,
    LastDate,
    ReadsService,
)
from sigmasight_api.risk import risk
from sigmasight_api.risk_schemas import Correlations, Performance, Risk, Volatility
from sigmasight_api.routes.generation import OF_PORTFOLIOS
from sigmasight_api.schemas import AnalyticsAnswer
from sigmasight_api.service import Reads
from sigmasight_api.volatility import volatility

router = APIRouter(
    prefix="/analytics/portfolio/{portfolio_id}", tags=["analytics"], route_class=AnalyticsRoute, dependencies=[BEARER]
)

VOLATILITY = Analytic("volatility", volatility, is_costly=True)
RISK = Analytic("risk", risk, is_costly=True)
SessionsQuery = Annotated[
    int, Query(ge=MIN_SESSIONS, le=MAX_SESSIONS, description="Newest sessions to use", examples=[90]), WHOLE
]


def correlation_matrix(sessions: int) -> Analytic:
    """The correlations of so many sessions."""
    return Analytic(f"correlation-matrix:{sessions}", partial(correlations, sessions=sessions), is_costly=True)


def performance_between(reads: Reads, first: date | None, last: date | None) -> Analytic:
    """The performance between two dates."""
    return Analytic(f"performance:{first}:{last}", reads.performance_between(first, last), reads_on=True)


@router.get("/volatility", response_model=AnalyticsAnswer[Volatility], responses=OF_PORTFOLIOS)
async def get_volatility(asked: AskedAnalytics) -> Response:
    """Realised and expected volatility of the portfolio as it is now, its trend, and where it stands within a year."""
    return await asked.respond(VOLATILITY)


@router.get("/correlation-matrix", response_model=AnalyticsAnswer[Correlations], responses=OF_PORTFOLIOS)
async def get_correlation_matrix(asked: AskedAnalytics, *, sessions: SessionsQuery = DEFAULT_SESSIONS) -> Response:
    """Correlations of the 50 largest PUBLIC positions, and how far the portfolio is from a single bet."""
    return await asked.respond(correlation_matrix(sessions))


@router.get("/risk", response_model=AnalyticsAnswer[Risk], responses=OF_PORTFOLIOS)
async def get_risk(asked: AskedAnalytics) -> Response:
    """Historical value at risk and expected shortfall of one session for the portfolio as it is now."""
    return await asked.respond(RISK)


@router.get("/performance", response_model=AnalyticsAnswer[Performance], responses=OF_PORTFOLIOS)
async def get_performance(
    asked: AskedAnalytics, reads: ReadsService, *, first: FirstDate = None, last: LastDate = None
) -> Response:
    """Time-weighted return of the portfolio's snapshots, its drawdowns, and the same sessions in SPY."""
    return await asked.respond(performance_between(reads, first, last))
