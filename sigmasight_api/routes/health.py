"""Liveness and readiness. Public, and answered from memory on the event loop, so that busy workers cannot delay it."""

from fastapi import APIRouter, Request, Response

from sigmasight_api.dependencies import components
from sigmasight_api.errors import unavailable
from sigmasight_api.routes.problems import problem_response, problem_responses
from sigmasight_api.schemas import Live, Ready

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live")
async def live() -> Live:
    """Whether the process answers: always."""
    return Live(status="ok")


@router.get("/ready", response_model=Ready, responses=problem_responses(503))
async def ready(request: Request) -> Ready | Response:
    """Whether requests should be sent here: not while the market view loads, at most 30 s."""
    readiness = components(request).cache.readiness()
    if readiness.mode == "loading":
        return problem_response(unavailable(readiness.reason or "", mode=readiness.mode))
    return Ready(mode=readiness.mode, reason=readiness.reason)
