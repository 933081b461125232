"""Requests with a body: numbers of their JSON stay exact; a name makes one that writes harmless when repeated."""

import hashlib
import json
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response

from sigmasight_api.dependencies import AdminsRoute, AnalyticsRoute, CallersRoute
from sigmasight_api.exact import json_number
from sigmasight_api.transactions import RequestName

KEY_PATTERN = r"^[!-~]{1,100}$"
KEY_DESCRIPTION = (
    "The client's own name for the request, such as a random UUID. Sent again within 24 hours with the same name and "
    "content, as after a lost answer, it is answered as the first time and not done twice"
)


class ExactRequest(Request):
    """A request whose JSON keeps every digit of its numbers; a member that stands there twice is no JSON here."""

    async def json(self) -> Any:
        """The document, its numbers as decimals; those that no field can take are NaN.

        Raises ``JSONDecodeError`` for what is none, whatever the reason.
        """

        def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            found = dict(pairs)
            if len(found) != len(pairs):
                raise json.JSONDecodeError("a member stands there twice", "", 0)
            return found

        try:
            document = json.loads(
                (await self.body()).decode("utf-8-sig"),
                object_pairs_hook=members,
                parse_int=json_number,
                parse_float=json_number,
                parse_constant=json_number,
            )
        except (UnicodeDecodeError, RecursionError) as error:
            raise json.JSONDecodeError("not UTF-8, or nested too deeply", "", 0) from error
        if isinstance(document, Decimal):
            # The framework would take its attributes for members, of which none may be needed.
            raise json.JSONDecodeError("a number alone is no document", "", 0)
        return document


Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class ExactRoute(CallersRoute):
    """A route whose JSON is read exactly."""

    def get_route_handler(self) -> Handler:
        """The handler, with a request that reads JSON exactly."""
        return _exact(super().get_route_handler())


class WritesRoute(ExactRoute):
    """A route that changes what the caller owns."""


class ExactAnalyticsRoute(AnalyticsRoute):
    """A route to analytics of one portfolio whose JSON is read exactly."""

    def get_route_handler(self) -> Handler:
        """As above."""
        return _exact(super().get_route_handler())


class ExactAdminsRoute(AdminsRoute):
    """A route of operators whose JSON is read exactly."""

    def get_route_handler(self) -> Handler:
        """As above."""
        return _exact(super().get_route_handler())


def _exact(handle: Handler) -> Handler:
    async def exact(request: Request) -> Response:
        return await handle(ExactRequest(request.scope, request.receive))

    return exact


async def _request_name(
    request: Request,
    idempotency_key: Annotated[str | None, Header(pattern=KEY_PATTERN, description=KEY_DESCRIPTION)] = None,
) -> RequestName | None:
    if idempotency_key is None:
        return None
    asked = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
    asked.update(await request.body())
    return RequestName(idempotency_key, asked.digest())


IdempotencyKey = Annotated[RequestName | None, Depends(_request_name)]
