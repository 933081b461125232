"""Sectors of the caller's portfolios."""

from fastapi import APIRouter, Response

from sigmasight_api.analytics import Analytic
from sigmasight_api.dependencies import BEARER, AnalyticsRoute, AskedAnalytics
from sigmasight_api.routes.generation import DESCRIBED
from sigmasight_api.routes.problems import problem_responses
from sigmasight_api.schemas import AnalyticsAnswer
from sigmasight_api.sector_schemas import SectorExposure
from sigmasight_api.sectors import sector_exposure

router = APIRouter(prefix="/analytics", tags=["analytics"], route_class=AnalyticsRoute, dependencies=[BEARER])

SECTOR_EXPOSURE = Analytic("sector-exposure", sector_exposure)


@router.get(
    "/portfolio/{portfolio_id}/sector-exposure",
    response_model=AnalyticsAnswer[SectorExposure],
    responses={**DESCRIBED, **problem_responses(401, 404, 422, 503)},
)
async def get_sector_exposure(asked: AskedAnalytics) -> Response:
    """How the portfolio as it is now is spread over sectors, at published closes and valuations."""
    return await asked.respond(SECTOR_EXPOSURE)
