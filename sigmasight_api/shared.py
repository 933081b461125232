"""The answers that the API's processes share through the database: what a process without a view is spared.

They are written in the background, one after the other; when there are too many at once, some are not kept.
"""

import hashlib
import logging
import queue
import threading
from importlib.metadata import version

from sqlalchemy.exc import IntegrityError

from sigmasight_api.books import Book, Holdings
from sigmasight_assets.errors import StorageError
from sigmasight_assets.quant.factors import METHOD_VERSION
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.shared_answers import SharedAnswer, find_answer, forget_superseded, keep_answer

logger = logging.getLogger(__name__)

# Raise it when the same inputs give another document.
ANSWER_VERSION = 1
QUEUED_ANSWERS = 1_000
CLOSE_SECONDS = 10.0


def answer_key(kind: str, book: Book, holdings: Holdings, generation: int) -> bytes:
    """SHA-256 of everything that an answer of the kind depends on."""
    versions = version("sigmasight"), METHOD_VERSION, ANSWER_VERSION
    equity = book.equity, book.equity_session, book.stated_equity, book.as_of
    shares = holdings.shares.symbols, holdings.shares.units_dates.tolist(), holdings.shares.quantities
    costs = sorted(holdings.shares.costs)
    content = versions, kind, generation, book.public_id, equity, shares, costs, holdings.options, holdings.private
    return hashlib.sha256(repr(content).encode()).digest()


class SharedAnswers:
    """Finds shared answers, and keeps those that are offered between ``start`` and ``close``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._offered: queue.Queue[SharedAnswer | None] = queue.Queue(QUEUED_ANSWERS)
        self._newest = 0
        self._thread: threading.Thread | None = None

    def find(self, portfolio_id: int, kind: str, key: bytes) -> bytes | None:
        """The document under the key, None when there is none; raises ``StorageError`` when the database is away."""
        with self._database.begin() as connection:
            return find_answer(connection, portfolio_id, kind, key)

    def offer(self, answer: SharedAnswer) -> None:
        """Keep the answer soon, unless too many wait."""
        if self._thread is not None and not self._offered.full():
            self._offered.put(answer)

    def start(self) -> None:
        """Begin to keep what is offered."""
        self._thread = threading.Thread(target=self._run, name="shared-answers", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Keep what waits, at most for ten seconds, and end."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._offered.put(None)
            thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while (answer := self._offered.get()) is not None:
            try:
                self._keep(answer)
            except StorageError as error:
                logger.warning("An answer is not shared: %s", error)
            except IntegrityError:
                logger.info("An answer is not shared: its portfolio was deleted meanwhile")
            except Exception:
                logger.exception("An answer is not shared")

    def _keep(self, answer: SharedAnswer) -> None:
        with self._database.begin() as connection:
            if answer.generation > self._newest:
                forget_superseded(connection, answer.generation)
                self._newest = answer.generation
            keep_answer(connection, answer)
