"""The header that names the published data set of an answer, and its OpenAPI entry."""

from typing import Any

from sigmasight_api.routes.problems import problem_responses

GENERATION_HEADER = "X-Data-Generation"
DESCRIBED: dict[int | str, dict[str, Any]] = {
    200: {"headers": {GENERATION_HEADER: {"description": "Generation", "schema": {"type": "integer"}}}}
}
# Of every answer about a portfolio that states a generation.
OF_PORTFOLIOS = {**DESCRIBED, **problem_responses(401, 404, 422, 503)}
