"""The headers that name the published data set of an answer, and their OpenAPI entry."""

from typing import Any

from sigmasight_api.routes.problems import problem_responses

GENERATION_HEADER = "X-Data-Generation"
# Of a request: the answer has to be of this generation or a newer one.
MINIMUM_HEADER = "X-Minimum-Generation"
DESCRIBED: dict[int | str, dict[str, Any]] = {
    200: {"headers": {GENERATION_HEADER: {"description": "Generation", "schema": {"type": "integer"}}}}
}
# Of every answer about a portfolio that states a generation.
OF_PORTFOLIOS = {**DESCRIBED, **problem_responses(401, 404, 422, 503)}
