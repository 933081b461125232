"""The header that names the published data set of an answer, and its OpenAPI entry."""

from typing import Any

GENERATION_HEADER = "X-Data-Generation"
DESCRIBED: dict[int | str, dict[str, Any]] = {
    200: {"headers": {GENERATION_HEADER: {"description": "Generation", "schema": {"type": "integer"}}}}
}
