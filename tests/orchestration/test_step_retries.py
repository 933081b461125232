"""Which causes are tried again, how often and after which pauses."""

import pytest

from sigmasight_assets.errors import (
    MarketDataError,
    MarketSetupError,
    NotReadyError,
    PublicationError,
    RateLimitedError,
    SessionError,
    SigmaSightError,
    StorageError,
    TransientStorageError,
)
from sigmasight_assets.orchestration.step_retries import next_pause, retry_pauses

CASES = [
    (TransientStorageError("deadlock"), (1.0, 5.0, 15.0, 45.0)),
    (MarketDataError("HTTP 503"), (2.0, 15.0)),
    (RateLimitedError("HTTP 429"), (30.0, 60.0, 120.0)),
    (RateLimitedError("HTTP 429", retry_after=90.0), (90.0, 90.0, 120.0)),
    (RateLimitedError("HTTP 429", retry_after=3600.0), ()),
    (MarketSetupError("nothing is tracked"), ()),
    (StorageError("disk full"), ()),
    (PublicationError("coverage"), ()),
    (NotReadyError("not published"), ()),
    (SessionError("a holiday"), ()),
    (SigmaSightError("whatever else"), ()),
]


@pytest.mark.parametrize(("error", "pauses"), CASES, ids=[f"{type(error).__name__} {error}" for error, _ in CASES])
def test_pauses_by_cause(error: SigmaSightError, pauses: tuple[float, ...]) -> None:
    assert retry_pauses(error) == pauses


def test_attempts_are_counted_whatever_their_causes() -> None:
    """The third failure of a step is the source's last chance, and the database still has two."""
    assert [next_pause(MarketDataError("HTTP 503"), attempt) for attempt in (1, 2, 3)] == [2.0, 15.0, None]
    assert [next_pause(TransientStorageError("away"), attempt) for attempt in (3, 4, 5)] == [15.0, 45.0, None]
    assert next_pause(StorageError("disk full"), 1) is None
