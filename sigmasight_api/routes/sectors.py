"""Sectors of the caller's portfolios."""

from fastapi import APIRouter, Response

from sigmasight_api.dependencies import BEARER, Caller, CallersRoute, PortfolioId, ReadsService
from sigmasight_api.routes.generation import DESCRIBED, GENERATION_HEADER
from sigmasight_api.routes.problems import problem_responses
from sigmasight_api.schemas import AnalyticsAnswer
from sigmasight_api.sector_schemas import SectorExposure
from sigmasight_api.sectors import sector_exposure

router = APIRouter(prefix="/analytics", tags=["analytics"], route_class=CallersRoute, dependencies=[BEARER])


@router.get(
    "/portfolio/{portfolio_id}/sector-exposure", responses={**DESCRIBED, **problem_responses(401, 404, 422, 503)}
)
def get_sector_exposure(
    portfolio_id: PortfolioId, caller: Caller, reads: ReadsService, response: Response
) -> AnalyticsAnswer[SectorExposure]:
    """How the portfolio as it is now is spread over sectors, at published closes and valuations."""
    answer = reads.consistent(caller.user_id, portfolio_id, sector_exposure)
    response.headers[GENERATION_HEADER] = str(answer.generation)
    return answer
