"""Tests of what callers are told about errors: the status, and nothing of the inside."""

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from sigmasight_api.errors import ForbiddenError, InvalidRequestError, UnauthenticatedError, problem_of, unavailable
from sigmasight_assets.errors import (
    BookError,
    ConfigurationError,
    DecisionError,
    NotFoundError,
    ServiceError,
    SessionError,
    StorageError,
)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnauthenticatedError("who?"), 401),
        (ForbiddenError("not you"), 403),
        (NotFoundError("nothing there"), 404),
        (DecisionError("decided already"), 409),
        (BookError("sold before it was bought"), 422),
        (SessionError("a Sunday"), 422),
        (InvalidRequestError("upside down"), 422),
        (ServiceError("Dagster is away"), 503),
    ],
)
def test_errors_made_for_people_keep_their_words(error: Exception, status: int) -> None:
    problem = problem_of(error)
    assert (problem.status, problem.detail) == (status, str(error))


@pytest.mark.parametrize(
    "error",
    [
        StorageError("postgresql://owner@secret-host does not answer"),
        PoolTimeoutError("secret-host"),
        OperationalError("SELECT secret-host", {}, Exception("secret-host"), connection_invalidated=True),
    ],
)
def test_a_database_that_is_away_is_a_503_without_its_address(error: Exception) -> None:
    problem = problem_of(error)
    assert problem.status == 503
    assert int(problem.headers["Retry-After"]) > 0
    assert "secret-host" not in str(problem.document())


@pytest.mark.parametrize("error", [ValueError("secret"), ConfigurationError("secret"), KeyError("secret")])
def test_anything_else_is_a_500_without_its_text(error: Exception) -> None:
    problem = problem_of(error)
    assert problem.status == 500
    assert "secret" not in str(problem.document())


def test_401_says_how_to_authenticate() -> None:
    assert problem_of(UnauthenticatedError("")).headers["WWW-Authenticate"].startswith("Bearer")


def test_the_document_has_the_members_of_the_standard_and_extensions() -> None:
    assert unavailable("wait", mode="loading").document() == {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "wait",
        "mode": "loading",
    }
