"""What the API writes to its log: one line per record, without statements, values, secrets or paths.

Nobody can forge a line: whatever a request smuggles into a message is escaped.
"""

import logging
import re
import traceback
from types import TracebackType
from typing import Any

from sqlalchemy.exc import DBAPIError

UNPRINTABLE = re.compile(r"[^\x20-\x7e\u00a0-\u1fff\u2030-\u205e\u2070-\ud7ff\uf900-\ufffd]")
# The password of a URL, and tokens of our own.
SECRETS = re.compile(r"(?<=://)[^/\s@]*:[^/\s@]*(?=@)|sgm_[\w-]+|(?i:(?<=bearer ))\S+")
OUR_PACKAGES = ("sigmasight_api", "sigmasight_assets")
ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class OneLine(logging.Formatter):
    """Each record as one line of printable text."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as it is written."""
        return one_line(super().format(record))

    def formatException(self, ei: ExceptionInfo) -> str:  # noqa: N802 - the name is logging's
        """The error, and where in our own code it was raised."""
        return "" if ei[1] is None else described(ei[1])


def one_line(text: str) -> str:
    """Text without secrets, each unprintable character escaped."""
    return UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), SECRETS.sub("***", text))


def described(error: BaseException) -> str:
    """Kind, words and origin of an error; of a database error the server's first line without the statement."""
    words = str(error.orig if isinstance(error, DBAPIError) else error).strip().partition("\n")[0]
    frames = [
        f"{_module(frame)}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
        if _module(frame)
    ]
    return f"{type(error).__name__}: {words} (at {' < '.join(reversed(frames)) or 'unknown'})"


def _module(frame: traceback.FrameSummary) -> str:
    """The module of a frame of ours, else nothing."""
    parts = frame.filename.removesuffix(".py").replace("\\", "/").split("/")
    start = next((parts.index(name) for name in OUR_PACKAGES if name in parts), None)
    return "" if start is None else ".".join(parts[start:])


CONFIGURATION: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"one_line": {"()": OneLine, "fmt": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "one_line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {"uvicorn": {"level": "INFO"}, "httpx": {"level": "WARNING"}},
}
