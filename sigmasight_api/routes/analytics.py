"""Analytics of the caller's portfolios."""

from functools import partial

from fastapi import APIRouter, Response

from sigmasight_api.analytic import Analytic
from sigmasight_api.concentration import concentration
from sigmasight_api.dependencies import (
    BEARER,
    AnalyticsRoute,
    AskedAnalytics,
    FirstDate,
    LastDate,
    PageQuery,
    Promised,
    ReadsService,
)
from sigmasight_api.exposure_schemas import FactorExposures, PositionsExposures, RecordedExposures
from sigmasight_api.exposures import factor_exposures
from sigmasight_api.overview import overview
from sigmasight_api.overview_schemas import Overview
from sigmasight_api.position_exposures import position_exposures
from sigmasight_api.repository import Page
from sigmasight_api.routes.generation import OF_PORTFOLIOS
from sigmasight_api.routes.problems import problem_responses
from sigmasight_api.schemas import AnalyticsAnswer, Concentration, Listing

router = APIRouter(prefix="/analytics", tags=["analytics"], route_class=AnalyticsRoute, dependencies=[BEARER])

FACTOR_EXPOSURES = Analytic("factor-exposures", factor_exposures)
CONCENTRATION = Analytic("concentration", concentration)
OVERVIEW = Analytic("overview", overview, is_costly=True)


def positions_page(page: Page) -> Analytic:
    """A part of the exposures position by position."""
    return Analytic(f"positions/factor-exposures:{page.limit}:{page.offset}", partial(position_exposures, page=page))


@router.get("/portfolio/{portfolio_id}/overview", response_model=AnalyticsAnswer[Overview], responses=OF_PORTFOLIOS)
async def get_overview(asked: AskedAnalytics) -> Response:
    """The portfolio at a glance: its newest snapshot, what it holds now, and the main number of each other answer."""
    return await asked.respond(OVERVIEW)


@router.get(
    "/portfolio/{portfolio_id}/factor-exposures",
    response_model=AnalyticsAnswer[FactorExposures],
    responses=OF_PORTFOLIOS,
)
async def get_factor_exposures(asked: AskedAnalytics) -> Response:
    """Exposures of the portfolio as it is now to the twelve factors, at published closes."""
    return await asked.respond(FACTOR_EXPOSURES)


@router.get(
    "/portfolio/{portfolio_id}/concentration", response_model=AnalyticsAnswer[Concentration], responses=OF_PORTFOLIOS
)
async def get_concentration(asked: AskedAnalytics) -> Response:
    """How much of the portfolio as it is now lies in how few positions, at published closes and valuations."""
    return await asked.respond(CONCENTRATION)


@router.get("/portfolio/{portfolio_id}/factor-exposures/history", responses=problem_responses(401, 404, 422, 503))
def list_factor_exposures(
    asked: AskedAnalytics,
    reads: ReadsService,
    page: PageQuery,
    promised: Promised,
    *,
    first: FirstDate = None,
    last: LastDate = None,
) -> Listing[RecordedExposures]:
    """Exposures as they were recorded with the nightly snapshots between two dates, oldest first."""
    return reads.exposure_history(asked.book, first=first, last=last, page=page, promised=promised)


@router.get(
    "/portfolio/{portfolio_id}/positions/factor-exposures",
    response_model=AnalyticsAnswer[PositionsExposures],
    responses=OF_PORTFOLIOS,
)
async def get_position_exposures(asked: AskedAnalytics, page: PageQuery) -> Response:
    """What each position adds to the exposures, with standard errors, largest position first."""
    return await asked.respond(positions_page(page))
