"""What a caller is told about an error: the status and the problem document of each kind (RFC 9457).

The texts of storage errors name hosts and statements; they are for the log, callers get a fixed sentence.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from sigmasight_assets.errors import (
    BookError,
    DecisionError,
    NameTakenError,
    NotFoundError,
    ServiceError,
    SessionError,
    SigmaSightError,
    StorageError,
)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2
NAMED_IN_DETAIL = 5


class UnauthenticatedError(SigmaSightError):
    """The request has no valid token."""


class ForbiddenError(SigmaSightError):
    """The token is valid but not for this route."""


class InvalidRequestError(SigmaSightError):
    """Parts of the request contradict each other."""


class RejectedError(InvalidRequestError):
    """Parts of a body are wrong: the place of each and what is wrong there; ``total`` counts those not named too."""

    def __init__(self, errors: Sequence[tuple[Sequence[str], str]], *, total: int | None = None) -> None:
        self.errors = [{"location": list(place), "message": message} for place, message in errors]
        named = "; ".join(f"{'.'.join(place)}: {message}" for place, message in errors[:NAMED_IN_DETAIL])
        more = (total or len(errors)) - min(len(errors), NAMED_IN_DETAIL)
        super().__init__(f"{named}; and {more:,} more. Nothing was stored" if more else f"{named}. Nothing was stored")


class NotYetError(SigmaSightError):
    """What the request asks for at least is not there yet."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem document, with the headers that belong to its status."""

    status: int
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)
    extensions: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The members of the document; ``title`` is the standard phrase of the status."""
        return {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **self.extensions,
        }

    def body(self) -> bytes:
        """The document as it is sent. Text that is no Unicode, as JSON can smuggle in, is escaped."""
        return json.dumps(self.document(), allow_nan=False, separators=(",", ":")).encode("ascii")

    def all_headers(self, length: int) -> list[tuple[bytes, bytes]]:
        """Every header of a response whose body has this many bytes."""
        headers = {"Content-Type": MEDIA_TYPE, "Content-Length": str(length), **self.headers}
        return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


STATUS = {
    UnauthenticatedError: HTTPStatus.UNAUTHORIZED,
    ForbiddenError: HTTPStatus.FORBIDDEN,
    NotFoundError: HTTPStatus.NOT_FOUND,
    DecisionError: HTTPStatus.CONFLICT,
    NameTakenError: HTTPStatus.CONFLICT,
    BookError: HTTPStatus.UNPROCESSABLE_ENTITY,
    SessionError: HTTPStatus.UNPROCESSABLE_ENTITY,
    InvalidRequestError: HTTPStatus.UNPROCESSABLE_ENTITY,
    ServiceError: HTTPStatus.SERVICE_UNAVAILABLE,
    NotYetError: HTTPStatus.SERVICE_UNAVAILABLE,
}


def problem_of(error: Exception) -> Problem:
    """What to answer when this error ends a request; anything not foreseen is a 500 without its text."""
    if isinstance(error, StorageError | PoolTimeoutError) or _is_lost_connection(error):
        return unavailable("The database does not answer at the moment; try again shortly.")
    if isinstance(error, RejectedError):
        return Problem(int(HTTPStatus.UNPROCESSABLE_ENTITY), str(error), extensions={"errors": error.errors})
    for kind, status in STATUS.items():
        if isinstance(error, kind):
            return Problem(int(status), str(error), _headers(status))
    return Problem(int(HTTPStatus.INTERNAL_SERVER_ERROR), "The request could not be answered; the error was logged.")


def unavailable(detail: str, **extensions: Any) -> Problem:
    """A 503 that says when to try again."""
    status = HTTPStatus.SERVICE_UNAVAILABLE
    return Problem(int(status), detail, _headers(status), extensions)


def _headers(status: HTTPStatus) -> dict[str, str]:
    if status == HTTPStatus.UNAUTHORIZED:
        return {"WWW-Authenticate": 'Bearer realm="sigmasight"'}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return {}


def _is_lost_connection(error: Exception) -> bool:
    return isinstance(error, DBAPIError) and error.connection_invalidated
