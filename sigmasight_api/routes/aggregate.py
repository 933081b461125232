"""Analytics of several portfolios of the caller as if they were one: the same answers, of all lots together."""

from fastapi import APIRouter, Response

from sigmasight_api.aggregate_schemas import AggregateAnswer
from sigmasight_api.correlation import DEFAULT_SESSIONS
from sigmasight_api.dependencies import (
    BEARER,
    AskedAggregate,
    FirstDate,
    LastDate,
    PageQuery,
    ReadsService,
    StressService,
)
from sigmasight_api.exposure_schemas import FactorExposures, PositionsExposures
from sigmasight_api.overview_schemas import Overview
from sigmasight_api.risk_schemas import Correlations, Performance, Risk, Volatility
from sigmasight_api.routes.analytics import CONCENTRATION, FACTOR_EXPOSURES, OVERVIEW, positions_page
from sigmasight_api.routes.exact_requests import ExactRoute
from sigmasight_api.routes.generation import OF_PORTFOLIOS
from sigmasight_api.routes.risk import RISK, VOLATILITY, SessionsQuery, correlation_matrix, performance_between
from sigmasight_api.routes.sectors import SECTOR_EXPOSURE
from sigmasight_api.routes.stress import all_scenarios, custom_scenario
from sigmasight_api.schemas import Concentration
from sigmasight_api.sector_schemas import SectorExposure
from sigmasight_api.stress_schemas import CustomScenario, StressTest

router = APIRouter(prefix="/analytics/aggregate", tags=["analytics"], route_class=ExactRoute, dependencies=[BEARER])


@router.get("/overview", response_model=AggregateAnswer[Overview], responses=OF_PORTFOLIOS)
async def get_aggregate_overview(asked: AskedAggregate) -> Response:
    """The portfolios at a glance."""
    return await asked.respond(OVERVIEW)


@router.get("/factor-exposures", response_model=AggregateAnswer[FactorExposures], responses=OF_PORTFOLIOS)
async def get_aggregate_factor_exposures(asked: AskedAggregate) -> Response:
    """Exposures of all lots together to the twelve factors."""
    return await asked.respond(FACTOR_EXPOSURES)


@router.get("/positions/factor-exposures", response_model=AggregateAnswer[PositionsExposures], responses=OF_PORTFOLIOS)
async def get_aggregate_position_exposures(asked: AskedAggregate, page: PageQuery) -> Response:
    """What each symbol adds to the exposures, its lots in all portfolios together."""
    return await asked.respond(positions_page(page))


@router.get("/stress-test", response_model=AggregateAnswer[StressTest], responses=OF_PORTFOLIOS)
async def get_aggregate_stress_test(asked: AskedAggregate, tests: StressService) -> Response:
    """What every scenario would do to all lots together."""
    return await asked.respond(all_scenarios(tests))


@router.post("/stress-test", response_model=AggregateAnswer[StressTest], responses=OF_PORTFOLIOS)
async def post_aggregate_stress_test(asked: AskedAggregate, tests: StressService, scenario: CustomScenario) -> Response:
    """What a scenario of the caller's own would do to all lots together; nothing is stored."""
    return await asked.respond(custom_scenario(tests, scenario))


@router.get("/correlation-matrix", response_model=AggregateAnswer[Correlations], responses=OF_PORTFOLIOS)
async def get_aggregate_correlation_matrix(
    asked: AskedAggregate, *, sessions: SessionsQuery = DEFAULT_SESSIONS
) -> Response:
    """Correlations of the 50 largest PUBLIC positions of all portfolios together."""
    return await asked.respond(correlation_matrix(sessions))


@router.get("/volatility", response_model=AggregateAnswer[Volatility], responses=OF_PORTFOLIOS)
async def get_aggregate_volatility(asked: AskedAggregate) -> Response:
    """Volatility of all lots together."""
    return await asked.respond(VOLATILITY)


@router.get("/sector-exposure", response_model=AggregateAnswer[SectorExposure], responses=OF_PORTFOLIOS)
async def get_aggregate_sector_exposure(asked: AskedAggregate) -> Response:
    """How all lots together are spread over sectors."""
    return await asked.respond(SECTOR_EXPOSURE)


@router.get("/concentration", response_model=AggregateAnswer[Concentration], responses=OF_PORTFOLIOS)
async def get_aggregate_concentration(asked: AskedAggregate) -> Response:
    """How much of all portfolios together lies in how few positions."""
    return await asked.respond(CONCENTRATION)


@router.get("/risk", response_model=AggregateAnswer[Risk], responses=OF_PORTFOLIOS)
async def get_aggregate_risk(asked: AskedAggregate) -> Response:
    """Historical value at risk and expected shortfall of all lots together."""
    return await asked.respond(RISK)


@router.get("/performance", response_model=AggregateAnswer[Performance], responses=OF_PORTFOLIOS)
async def get_aggregate_performance(
    asked: AskedAggregate, reads: ReadsService, *, first: FirstDate = None, last: LastDate = None
) -> Response:
    """Time-weighted return of all accounts together; one that begins later brings its equity in as a capital flow."""
    return await asked.respond(performance_between(reads, first, last))
