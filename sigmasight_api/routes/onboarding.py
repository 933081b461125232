"""Operators' routes to the queue of symbols that are to be onboarded."""

from fastapi import APIRouter

from sigmasight_api.dependencies import BEARER, Caller, OnboardingService, PageQuery
from sigmasight_api.onboarding_schemas import NewOnboarding, OnboardingStatus
from sigmasight_api.routes.exact_requests import ExactAdminsRoute
from sigmasight_api.routes.problems import problem_responses
from sigmasight_api.schemas import Listing

router = APIRouter(prefix="/admin/onboarding", tags=["admin"], route_class=ExactAdminsRoute, dependencies=[BEARER])


@router.get("", responses=problem_responses(401, 403, 422, 503))
def list_onboarding(queue: OnboardingService, page: PageQuery) -> Listing[OnboardingStatus]:
    """Requests to onboard symbols, newest first."""
    return queue.requests(page)


@router.post("", status_code=202, responses=problem_responses(401, 403, 422, 503))
def ask_for_onboarding(wanted: NewOnboarding, caller: Caller, queue: OnboardingService) -> OnboardingStatus:
    """Ask for a symbol; the answer is its open request and does not wait for it."""
    return queue.ask(wanted, user=caller.user_name)
