"""Analytics of the caller's portfolios."""

from fastapi import APIRouter, Response

from sigmasight_api.dependencies import BEARER, Caller, CallersRoute, PortfolioId, ReadsService
from sigmasight_api.routes.generation import DESCRIBED, GENERATION_HEADER
from sigmasight_api.routes.problems import problem_responses
from sigmasight_api.schemas import AnalyticsAnswer, Concentration, FactorExposures

router = APIRouter(prefix="/analytics", tags=["analytics"], route_class=CallersRoute, dependencies=[BEARER])


@router.get(
    "/portfolio/{portfolio_id}/factor-exposures", responses={**DESCRIBED, **problem_responses(401, 404, 422, 503)}
)
def get_factor_exposures(
    portfolio_id: PortfolioId, caller: Caller, reads: ReadsService, response: Response
) -> AnalyticsAnswer[FactorExposures]:
    """Exposures of the portfolio as it is now to the twelve factors, at published closes."""
    answer = reads.factor_exposures(caller.user_id, portfolio_id)
    response.headers[GENERATION_HEADER] = str(answer.generation)
    return answer


@router.get("/portfolio/{portfolio_id}/concentration", responses={**DESCRIBED, **problem_responses(401, 404, 422, 503)})
def get_concentration(
    portfolio_id: PortfolioId, caller: Caller, reads: ReadsService, response: Response
) -> AnalyticsAnswer[Concentration]:
    """How much of the portfolio as it is now lies in how few positions, at published closes and valuations."""
    answer = reads.concentration(caller.user_id, portfolio_id)
    response.headers[GENERATION_HEADER] = str(answer.generation)
    return answer
