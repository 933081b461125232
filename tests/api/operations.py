"""Every route of the application with a request that it takes, made from the examples of its own document.

Routes and fields that are added later are covered by the tests that use this without a change.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from sigmasight_api.dependencies import AdminsRoute, CallersRoute
from sigmasight_api.pages import Pages
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.metadata import METADATA
from tests.api.conftest import bearer

# The table whose public ids parameters and fields of this name hold.
TABLES_OF_IDS = {"portfolio_id": "portfolios", "position_id": "positions", "flow_id": "capital_flows"}
# What anybody may read.
# Pages for people and what they are made of, none of which knows a caller: by its path, an address of each.
PAGES = {
    "/": "/",
    "/ops": "/ops",
    "/docs": "/docs",
    "/docs/{address:path}": "/docs/formulas",
    "/page/{digest}/{name:path}": f"/page/{Pages().digest}/page.css",
}
PUBLIC = {"/openapi.json", "/health/live", "/health/ready", *PAGES}


@dataclass(frozen=True)
class Operation:
    """A method of a path, with what the OpenAPI document says of it (nothing of a hidden route)."""

    method: str
    path: str
    route_class: type
    described: Mapping[str, Any] = field(repr=False)
    document: Mapping[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_public(self) -> bool:
        return self.path in PUBLIC

    @property
    def is_admins(self) -> bool:
        return issubclass(self.route_class, AdminsRoute)

    @property
    def is_callers(self) -> bool:
        return issubclass(self.route_class, CallersRoute)

    def parameters(self, place: str) -> dict[str, Any]:
        """Example values of the parameters in the path, or of those in the query that must be given."""
        return {
            parameter["name"]: self.example(parameter["schema"] | _given(parameter, "example", "examples"))
            for parameter in self.described.get("parameters", [])
            if parameter["in"] == place and (place == "path" or parameter["required"])
        }

    def query_types(self) -> dict[str, str | None]:
        """The JSON types of all parameters of the query; None of those that are of one of several."""
        given = self.described.get("parameters", [])
        return {item["name"]: item["schema"].get("type") for item in given if item["in"] == "query"}

    @property
    def media_type(self) -> str | None:
        """Of the body; JSON where the route takes it, None without a body."""
        taken = list(self.described.get("requestBody", {}).get("content", {}))
        return next((kind for kind in taken if kind == "application/json"), taken[0] if taken else None)

    def body(self) -> Any:
        """An example of the body: fields that must be given, or where none must those with examples."""
        if self.media_type is None:
            return None
        content = self.described["requestBody"]["content"][self.media_type]
        return self.example(content["schema"] | _given(content, "example", "examples"))

    def example(self, schema: Mapping[str, Any]) -> Any:  # noqa: PLR0911 - one return a kind of schema
        """A value that the schema describes: its own example, or one made of those of its parts."""
        if "$ref" in schema:
            return self.example(self._resolved(schema["$ref"]) | {k: v for k, v in schema.items() if k != "$ref"})
        if schema.get("examples"):
            examples = schema["examples"]
            first = next(iter(examples.values()))["value"] if isinstance(examples, dict) else examples[0]
            return copy.deepcopy(first)
        for name in ("example", "const", "default"):
            if name in schema:
                return schema[name]
        if "enum" in schema:
            return schema["enum"][0]
        if schema.get("type") == "array":
            return [self.example(schema["items"])]
        if schema.get("type") == "object":
            fields = schema.get("properties", {})
            names = schema.get("required") or [name for name, field in fields.items() if field.get("examples")]
            return {name: self.example(fields[name]) for name in names}
        for choice in schema.get("anyOf", schema.get("oneOf", [])):
            if choice.get("type") != "null":
                return self.example(choice)
        message = f"{self.name}: no example in {dict(schema)}"
        raise AssertionError(message)

    def send(
        self,
        http: httpx.Client,
        token: str | None = None,
        *,
        path: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> httpx.Response:
        """Send the example, with these values of path and query in the place of its own."""
        values = {**self.parameters("path"), **(path or {})}
        target = PAGES.get(self.path, self.path)
        for name, value in values.items():
            target = target.replace(f"{{{name}}}", str(value))
        if not options.keys() & {"content", "json"} and self.media_type is not None:
            body = self.body()
            options |= {"json": body} if self.media_type == "application/json" else {"content": body}
        headers = {"Content-Type": self.media_type or "application/json", **bearer(token), **options.pop("headers", {})}
        parameters = {**self.parameters("query"), **(query or {})}
        return http.request(self.method, target, params=parameters or None, headers=headers, **options)

    def _resolved(self, reference: str) -> dict[str, Any]:
        found: Any = self.document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        return dict(found)


def operations(app: FastAPI) -> list[Operation]:
    """Every method of every route, hidden ones too, except HEAD where there is GET."""
    return list(_operations(app))


def _operations(app: FastAPI) -> Iterator[Operation]:
    document = app.openapi()
    for context in iter_route_contexts(app.routes):
        route: Any = getattr(context, "original_route", context)
        methods = getattr(context, "methods", None) or set()
        path = str(getattr(context, "path", ""))
        for method in sorted(methods - {"HEAD"}):
            described = document["paths"].get(path, {}).get(method.lower(), {})
            kind = type(route) if isinstance(route, APIRoute) else object
            yield Operation(method, path, kind, described, document)


def _given(found: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: found[name] for name in names if name in found}


def give_example_ids(database: Database, app: FastAPI) -> None:
    """Let the newest row of each table have the id of the document's example."""
    examples = {name: value for item in operations(app) for name, value in item.parameters("path").items()}
    with database.begin() as connection:
        for name in TABLES_OF_IDS.keys() & examples.keys():
            table = METADATA.tables[TABLES_OF_IDS[name]]
            (key,) = table.primary_key.columns
            newest = sa.select(sa.func.max(key)).scalar_subquery()
            connection.execute(sa.update(table).where(key == newest).values(public_id=UUID(examples[name])))
