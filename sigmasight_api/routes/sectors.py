"""Sectors of the caller's portfolios."""

from fastapi import APIRouter, Response

from sigmasight_api.analytic import Analytic
from sigmasight_api.dependencies import BEARER, AnalyticsRoute, AskedAnalytics
from sigmasight_api.routes.generation import OF_PORTFOLIOS
from sigmasight_api.schemas import AnalyticsAnswer
from sigmasight_api.sector_schemas import SectorExposure
from sigmasight_api.sectors import sector_exposure

router = APIRouter(prefix="/analytics", tags=["analytics"], route_class=AnalyticsRoute, dependencies=[BEARER])

SECTOR_EXPOSURE = Analytic("sector-exposure", sector_exposure)


@router.get(
    "/portfolio/{portfolio_id}/sector-exposure",
    response_model=AnalyticsAnswer[SectorExposure],
    responses=OF_PORTFOLIOS,
)
async def get_sector_exposure(asked: AskedAnalytics) -> Response:
    """How the portfolio as it is now is spread over sectors, at published closes and valuations."""
    return await asked.respond(SECTOR_EXPOSURE)
