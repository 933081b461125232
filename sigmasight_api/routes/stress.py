"""Stress tests of the caller's portfolios."""

from fastapi import APIRouter, Response

from sigmasight_api.dependencies import BEARER, Caller, CallersRoute, PortfolioId, ReadsService, StressService
from sigmasight_api.routes.generation import DESCRIBED, GENERATION_HEADER
from sigmasight_api.routes.problems import problem_responses
from sigmasight_api.schemas import AnalyticsAnswer
from sigmasight_api.stress_schemas import CustomScenario, StressTest

router = APIRouter(prefix="/analytics", tags=["analytics"], route_class=CallersRoute, dependencies=[BEARER])
RESPONSES = {**DESCRIBED, **problem_responses(401, 404, 422, 503)}


@router.get("/portfolio/{portfolio_id}/stress-test", responses=RESPONSES)
def get_stress_test(
    portfolio_id: PortfolioId, caller: Caller, reads: ReadsService, stress_tests: StressService, response: Response
) -> AnalyticsAnswer[StressTest]:
    """What every scenario would do to the portfolio as it is now, at published closes."""
    answer = reads.consistent(caller.user_id, portfolio_id, stress_tests.stress_test)
    response.headers[GENERATION_HEADER] = str(answer.generation)
    return answer


@router.post("/portfolio/{portfolio_id}/stress-test", responses=RESPONSES)
def post_stress_test(
    portfolio_id: PortfolioId,
    asked: CustomScenario,
    *,
    caller: Caller,
    reads: ReadsService,
    stress_tests: StressService,
    response: Response,
) -> AnalyticsAnswer[StressTest]:
    """What a scenario of the caller's own would do to the portfolio as it is now; nothing is stored."""
    answer = reads.consistent(caller.user_id, portfolio_id, stress_tests.custom(asked))
    response.headers[GENERATION_HEADER] = str(answer.generation)
    return answer
