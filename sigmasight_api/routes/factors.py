"""The factors themselves: what each is estimated on."""

from fastapi import APIRouter, Response

from sigmasight_api.dependencies import BEARER, CallersRoute, ReadsService
from sigmasight_api.factor_schemas import Factors
from sigmasight_api.routes.generation import DESCRIBED, GENERATION_HEADER
from sigmasight_api.routes.problems import problem_responses

router = APIRouter(prefix="/factors", tags=["factors"], route_class=CallersRoute, dependencies=[BEARER])


@router.get("", responses={**DESCRIBED, **problem_responses(401, 422, 503)})
def list_factors(reads: ReadsService, response: Response) -> Factors:
    """The twelve factors in their canonical order, and how collinear the jointly estimated ones are now."""
    answer = reads.factors()
    response.headers[GENERATION_HEADER] = str(answer.generation)
    return answer
