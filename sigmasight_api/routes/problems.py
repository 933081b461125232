"""Every error as application/problem+json: the handlers, and what the OpenAPI document says of them."""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import iter_route_contexts
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from sigmasight_api import schemas
from sigmasight_api.errors import MEDIA_TYPE, Problem, problem_of
from sigmasight_api.logs import described
from sigmasight_assets.errors import SigmaSightError

logger = logging.getLogger(__name__)

MOST_ERRORS = 100
LONGEST_TEXT = 200


def problem_response(problem: Problem) -> Response:
    """The document as a response."""
    return Response(problem.body(), status_code=problem.status, headers=dict(problem.headers), media_type=MEDIA_TYPE)


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route, for its OpenAPI entry."""
    content = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{schemas.Problem.__name__}"}}}
    return {
        status: {"description": DESCRIPTIONS[status], "content": content, "headers": HEADERS.get(status, {})}
        for status in statuses
    }


DESCRIPTIONS = {
    400: "What was sent is no HTTP or no JSON, or has too many query values",
    401: "No valid token",
    403: "Not an admin's token",
    404: "Unknown, deleted or someone else's",
    408: "The request was not complete in time",
    409: "It contradicts what is stored, or was decided before",
    413: "The body is too large",
    414: "Path and query are too long",
    415: "The body is compressed",
    422: "A parameter or the body is wrong",
    431: "The head of the request is too large",
    500: "Not foreseen; the error was logged",
    503: "The database or Dagster does not answer, or there is too much at once; see Retry-After",
}
HEADERS = {
    401: {"WWW-Authenticate": {"description": "How to authenticate", "schema": {"type": "string"}}},
    503: {"Retry-After": {"description": "When to try again, s", "schema": {"type": "integer"}}},
}
# What any request may be answered before its route is asked.
ANYWHERE = (400, 408, 413, 414, 415, 431, 500)


def describe_problems(app: FastAPI) -> None:
    """Put the schema that every error answer refers to into the document."""
    generate = app.openapi

    def document() -> dict[str, Any]:
        made = generate()
        problem = schemas.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        components = made["components"]["schemas"]
        components |= {**problem.pop("$defs"), schemas.Problem.__name__: problem}
        return made

    app.openapi = document  # type: ignore[method-assign]


def install_handlers(app: FastAPI) -> None:
    """Register the handlers; errors of no kind named here are answered by ``request_limits``, around them all."""
    app.add_exception_handler(SigmaSightError, _raised)
    app.add_exception_handler(SQLAlchemyError, _raised)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)


async def _raised(request: Request, error: Exception) -> Response:
    problem = problem_of(error)
    if problem.status >= 500:
        logger.error("%s %r: %s", request.method, request.url.path, described(error))
    return problem_response(problem)


async def _invalid(_request: Request, error: Exception) -> Response:
    """Say what is wrong where, without repeating the input: it may be NaN, huge or hostile."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    errors = [{"location": _location(item["loc"]), "message": item["msg"][:LONGEST_TEXT]} for item in found]
    shown = errors[:MOST_ERRORS]
    detail = "; ".join(f"{'.'.join(item['location'])}: {item['message']}" for item in shown)
    if len(errors) > len(shown):
        detail += f"; and {len(errors) - len(shown)} more"
    return problem_response(Problem(422, detail, extensions={"errors": shown}))


def _location(parts: tuple[str | int, ...]) -> list[str]:
    """Where an error is. The names of unknown fields are the caller's own and may be of any length."""
    return [str(part)[:LONGEST_TEXT] for part in parts]


async def _refused(request: Request, error: Exception) -> Response:
    """Unknown paths, wrong methods, unreadable bodies."""
    if not isinstance(error, HTTPException):
        raise error
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        # The framework names those of one route, and routes of a path may be several.
        headers["Allow"] = ", ".join(_methods(request.app, request.url.path))
    return problem_response(Problem(error.status_code, str(error.detail), headers))


def _methods(app: FastAPI, path: str) -> list[str]:
    """The methods of all routes of a path."""
    found: set[str] = set()
    for context in iter_route_contexts(app.routes):
        if context.path is not None and compile_path(context.path)[0].match(path):
            found |= set(context.methods or ())
    return sorted(found)
