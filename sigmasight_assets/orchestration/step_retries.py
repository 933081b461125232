"""How long a failed step pauses before it is tried again, and how often: by cause. No Dagster here."""

from sigmasight_assets.errors import (
    MarketDataError,
    MarketSetupError,
    RateLimitedError,
    SigmaSightError,
    TransientStorageError,
)

# Seconds before each further attempt. A deadlock is over at once, a restart of the server within a minute.
DATABASE_PAUSES = (1.0, 5.0, 15.0, 45.0)
# A source that does not answer or answers nonsense; what it sent before that is stored.
MARKET_PAUSES = (2.0, 15.0)
# One that was asked too often is left in peace for as long as its counting usually goes back.
RATE_LIMIT_PAUSES = (30.0, 60.0, 120.0)
# A source that asks for more than this is for another night.
LONGEST_PAUSE = 300.0


def retry_pauses(error: SigmaSightError) -> tuple[float, ...]:
    """Seconds to wait before each further attempt; empty when trying again changes nothing.

    Checks that failed, inputs that are not there, refused sessions, a full disk or a wrong set-up wait for people or
    for other runs.
    """
    if isinstance(error, TransientStorageError):
        return DATABASE_PAUSES
    if isinstance(error, RateLimitedError):
        asked = error.retry_after or 0.0
        return () if asked > LONGEST_PAUSE else tuple(max(pause, asked) for pause in RATE_LIMIT_PAUSES)
    if isinstance(error, MarketDataError) and not isinstance(error, MarketSetupError):
        return MARKET_PAUSES
    return ()


def next_pause(error: SigmaSightError, attempt: int) -> float | None:
    """Seconds to wait after the failed ``attempt`` (counted from 1); None when it was the last."""
    pauses = retry_pauses(error)
    return pauses[attempt - 1] if attempt <= len(pauses) else None
