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


class StorageError(SigmaSightError):
    """The database is away, not migrated, or refuses a write."""


class ImportFileError(SigmaSightError):
    """A file to import has errors; ``problems`` names each line and what is wrong with it."""

    def __init__(self, message: str, problems: list[str]) -> None:
        super().__init__("\n".join([message, *problems]))
        self.problems = problems


class BookError(SigmaSightError):
    """An edit contradicts what the owner's book holds."""


class NotFoundError(SigmaSightError):
    """Something asked for by name or id does not exist."""


class ServiceError(SigmaSightError):
    """A process or service of this machine cannot be started, stopped or reached."""


class NotReadyError(SigmaSightError):
    """What a step builds on is not published yet."""


class PublicationError(SigmaSightError):
    """Sessions failed their checks and were not published; the text names them and their offenders."""
