"""Every error as application/problem+json: the handlers, and what the OpenAPI document says of them."""

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from sigmasight_api import schemas
from sigmasight_api.errors import MEDIA_TYPE, Problem, problem_of
from sigmasight_assets.errors import SigmaSightError

logger = logging.getLogger(__name__)


def problem_response(problem: Problem) -> JSONResponse:
    """The document as a response."""
    return JSONResponse(
        problem.document(), status_code=problem.status, headers=dict(problem.headers), media_type=MEDIA_TYPE
    )


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route, for its OpenAPI entry."""
    content = {MEDIA_TYPE: {"schema": schemas.Problem.model_json_schema()}}
    return {status: {"description": DESCRIPTIONS[status], "content": content} for status in statuses}


DESCRIPTIONS = {
    401: "No valid token",
    403: "Not an admin's token",
    404: "Unknown, deleted or someone else's",
    409: "It contradicts what is stored, or was decided before",
    422: "A parameter or the body is wrong",
    503: "The database or Dagster does not answer; see Retry-After",
}


def install_handlers(app: FastAPI) -> None:
    """Register the handlers."""
    app.add_exception_handler(SigmaSightError, _raised)
    app.add_exception_handler(SQLAlchemyError, _raised)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _raised)


async def _raised(request: Request, error: Exception) -> JSONResponse:
    problem = problem_of(error)
    if problem.status >= 500:
        logger.error("%s %r: %s", request.method, request.url.path, error, exc_info=problem.status == 500)
    return problem_response(problem)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    """Say what is wrong where, without repeating the input: it may be NaN, huge or hostile."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    errors = [{"location": [str(part) for part in item["loc"]], "message": item["msg"]} for item in found]
    detail = "; ".join(f"{'.'.join(item['location'])}: {item['message']}" for item in errors)
    return problem_response(Problem(422, detail, extensions={"errors": errors}))


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    """Unknown paths, wrong methods, unreadable bodies."""
    if not isinstance(error, HTTPException):
        raise error
    return problem_response(Problem(error.status_code, str(error.detail), dict(error.headers or {})))
