"""Stress tests of the caller's portfolios."""

from fastapi import APIRouter, Response

from sigmasight_api.analytic import Analytic
from sigmasight_api.dependencies import BEARER, AskedAnalytics, StressService
from sigmasight_api.routes.exact_requests import ExactAnalyticsRoute
from sigmasight_api.routes.generation import OF_PORTFOLIOS
from sigmasight_api.schemas import AnalyticsAnswer
from sigmasight_api.stress import StressTests
from sigmasight_api.stress_schemas import CustomScenario, StressTest

router = APIRouter(prefix="/analytics", tags=["analytics"], route_class=ExactAnalyticsRoute, dependencies=[BEARER])
PATH = "/portfolio/{portfolio_id}/stress-test"


def all_scenarios(tests: StressTests) -> Analytic:
    """Every scenario."""
    return Analytic("stress-test", tests.stress_test)


def custom_scenario(tests: StressTests, scenario: CustomScenario) -> Analytic:
    """One of the caller's own."""
    return Analytic(f"stress-test {scenario.model_dump_json()}", tests.custom(scenario), is_lasting=False)


@router.get(PATH, response_model=AnalyticsAnswer[StressTest], responses=OF_PORTFOLIOS)
async def get_stress_test(asked: AskedAnalytics, tests: StressService) -> Response:
    """What every scenario would do to the portfolio as it is now, at published closes."""
    return await asked.respond(all_scenarios(tests))


@router.post(PATH, response_model=AnalyticsAnswer[StressTest], responses=OF_PORTFOLIOS)
async def post_stress_test(asked: AskedAnalytics, tests: StressService, scenario: CustomScenario) -> Response:
    """What a scenario of the caller's own would do to the portfolio as it is now; nothing is stored."""
    return await asked.respond(custom_scenario(tests, scenario))
