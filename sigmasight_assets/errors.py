"""Errors that people meet: one base class, messages that name the thing and the way out.

HTTP status codes are not here; they live in ``sigmasight_api.errors``.
"""


class SigmaSightError(Exception):
    """Base of every error this project raises on purpose; its text is shown to the user as it is."""


class ConfigurationError(SigmaSightError):
    """A setting or the machine's environment is wrong."""


class SessionError(SigmaSightError):
    """A date is not a session of the exchange, or the session is not closed yet."""


class MarketDataError(SigmaSightError):
    """A market source cannot be read or does not know what it was asked for."""


class MarketSetupError(MarketDataError):
    """What is tracked or set up does not fit the market source; asking it again changes nothing."""


class RateLimitedError(MarketDataError):
    """A market source wants to be asked less often; ``retry_after`` is in seconds, None when it does not say."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StorageError(SigmaSightError):
    """The database is away, not migrated, or refuses a write."""


class TransientStorageError(StorageError):
    """The database is away or busy, or ended a transaction for another's sake: the same again may succeed."""


class ImportFileError(SigmaSightError):
    """A file to import has errors; ``problems`` names each line and what is wrong with it."""

    def __init__(self, message: str, problems: list[str]) -> None:
        super().__init__("\n".join([message, *problems]))
        self.problems = problems


class BookError(SigmaSightError):
    """An edit contradicts what the owner's book holds."""


class NameTakenError(BookError):
    """A new name is that of something the owner has already: of a portfolio, or of another request."""


class NotFoundError(SigmaSightError):
    """Something asked for by name or id does not exist."""


class DecisionError(SigmaSightError):
    """What an operator decides does not fit what is stored, or was decided before; nothing was changed."""


class ServiceError(SigmaSightError):
    """A process or service of this machine cannot be started, stopped or reached."""


class StoppedError(ServiceError):
    """Somebody ended a command before what it started was ready; nothing of it is left running."""


class NotReadyError(SigmaSightError):
    """What a step builds on is not published yet."""


class PublicationError(SigmaSightError):
    """Sessions failed their checks and were not published; the text names them and their offenders."""


class OnboardingError(SigmaSightError):
    """Symbols could not be brought in for causes that lie elsewhere; the text names them and the causes."""
