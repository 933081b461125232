"""A read replica of the database: when it may answer, and what is known of how far behind it is.

It answers only what says itself how old it is: market views, each of one generation, and the published history of a
portfolio, when the replica has the very book that the primary has. Callers, books, edits and requests are the
primary's.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from sigmasight_api.books import Book
from sigmasight_api.logs import described
from sigmasight_api.timed_reads import BusyError, TimedReads
from sigmasight_assets.errors import StorageError
from sigmasight_assets.storage.book_tables import portfolios
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.engine import readable_errors
from sigmasight_assets.storage.ledger_tables import portfolio_snapshots, publications

logger = logging.getLogger(__name__)

Value = TypeVar("Value")
State = Literal["used", "behind", "away"]

# Also a schema that has not been replayed yet: the primary has it.
FAILURES = (StorageError, SQLAlchemyError)
# One that failed is not asked for so long, or whoever asks would wait for it each time.
AWAY_SECONDS = 15.0
# A small read takes milliseconds; one that takes this long hangs.
ANSWER_SECONDS = 10.0
# Reads of history at once: one that hangs keeps a thread and a connection, of which a pool has fifteen.
MOST_HISTORY_READS = 12


class OtherHistoryError(StorageError):
    """It has generations that the primary has not: one of them was restored, or another server took over."""

    def __init__(self, generation: int, primary_generation: int) -> None:
        super().__init__(
            f"It has generation {generation}, of which the primary, at {primary_generation}, knows nothing. If that "
            "lasts, the primary was restored or replaced, and the replica has to be made anew from it."
        )


@dataclass(frozen=True, slots=True)
class History:
    """Whose published history is to be read, and the generation that the replica has to have; None: it is not asked."""

    book: Book
    at_least: int | None


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """What is known of the replica: its generation and the primary's when both were last looked at.

    ``behind_seconds`` is how long it has lacked something that the primary had; ``history_reads`` were answered by it,
    ``passed_on`` by the primary because it was behind or away.
    """

    state: State
    generation: int | None
    primary_generation: int | None
    behind_seconds: float
    history_reads: int
    passed_on: int


class Replica:
    """The replica at a URL. Nothing raises because it is away: then the primary is to be asked.

    Nobody waits longer than ``answer_seconds`` for a read of history, as a replica may hang instead of refusing.
    """

    def __init__(
        self, url: str, *, answer_seconds: float = ANSWER_SECONDS, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.database = Database(url)
        self._answer_seconds = answer_seconds
        self._monotonic = monotonic
        self._views, self._histories = TimedReads(most=1), TimedReads(most=MOST_HISTORY_READS)
        self._lock = threading.Lock()
        self._away_until: float | None = None
        # One that comes back may be another server, with edits and snapshots of another history under the same numbers.
        self._is_compared = False
        self._behind_since: float | None = None
        self._generation: int | None = None
        self._primary_generation: int | None = None
        self._history_reads = self._passed_on = 0

    @property
    def is_tried(self) -> bool:
        """Whether it should be asked: not for a while after it failed, and not while a read of it hangs."""
        away_until = self._away_until
        return self.hanging_reads == 0 and (away_until is None or self._monotonic() >= away_until)

    @property
    def hanging_reads(self) -> int:
        """Reads that took too long and have not ended since."""
        return self._views.overdue + self._histories.overdue

    def read_for_view(self, read: Callable[[], Value], *, times: float = 1.0) -> Value:
        """What ``read`` finds here, by one thread at a time; it may take ``times`` as long as a small read.

        Raises what it raises, or ``OverdueError``; whoever asked then calls ``fail``.
        """
        return self._views.run(read, seconds=times * self._answer_seconds)

    def fail(self, error: Exception) -> None:
        """Note that it did not answer, or not so that it can be believed."""
        with self._lock:
            self._is_compared = False
            was_there, self._away_until = self._away_until is None, self._monotonic() + AWAY_SECONDS
        if was_there:
            logger.warning("The read replica is not used, the primary is asked instead: %s", described(error))

    def answer(self) -> None:
        """Note that it answered; another read of it may hang all the same."""
        with self._lock:
            if self.hanging_reads:
                return
            was_away, self._away_until = self._away_until is not None, None
        if was_away:
            logger.warning("The read replica is used again")

    def compare(self, generation: int, primary_generation: int) -> float:
        """Note its newest generation and the primary's, which is not less than it was when the replica was asked.

        Returns seconds since it fell behind.
        """
        with self._lock:
            self._generation, self._primary_generation = generation, primary_generation
            self._is_compared = True
            if generation >= primary_generation:
                self._behind_since = None
                return 0.0
            now = self._monotonic()
            self._behind_since = now if self._behind_since is None else self._behind_since
            return now - self._behind_since

    def read_history(self, history: History, read: Callable[[sa.Connection], Value]) -> Value | None:
        """What is read of a portfolio's published history in one snapshot of the replica.

        None when the replica has not the edits and the newest snapshot that the book, read from the primary, has, or
        not the generation, or is busy or away, or was not compared with the primary since it was away:
        then it has to be read from the primary.
        """
        is_asked = history.at_least is not None and self._is_compared and self.is_tried
        found = self._read(history, read) if is_asked else None
        with self._lock:
            if found is None:
                self._passed_on += 1
            else:
                self._history_reads += 1
        return found

    def status(self) -> ReplicaStatus:
        """What operators are told."""
        with self._lock:
            since, is_away = self._behind_since, self._away_until is not None
            return ReplicaStatus(
                state="away" if is_away else "used" if since is None else "behind",
                generation=self._generation,
                primary_generation=self._primary_generation,
                behind_seconds=0.0 if since is None else self._monotonic() - since,
                history_reads=self._history_reads,
                passed_on=self._passed_on,
            )

    def close(self) -> None:
        """Close pooled connections."""
        self.database.close()

    def _read(self, history: History, read: Callable[[sa.Connection], Value]) -> Value | None:
        (version, generation), portfolio_id = history.book.version, history.book.portfolio_id
        asked = {"portfolio": portfolio_id, "version": version, "generation": generation, "at_least": history.at_least}

        def found_here() -> Value | None:
            with readable_errors(self.database.url):
                # Not as read-only too: a pooled connection is set back to "read write" then, which a standby refuses.
                engine = self.database.engine.execution_options(isolation_level="REPEATABLE READ")
                with engine.begin() as connection:
                    is_current = bool(connection.execute(IS_CURRENT, asked).scalar_one())
                    return read(connection) if is_current else None

        try:
            found = self._histories.run(found_here, seconds=self._answer_seconds)
        except BusyError:
            return None
        except FAILURES as error:
            self.fail(error)
            return None
        self.answer()
        return found


def _is_current() -> sa.Select[tuple[bool]]:
    """Whether the newest publication, the edits of a book and its newest snapshot are those that are asked for."""
    newest = sa.select(sa.func.coalesce(sa.func.max(publications.c.generation), 0)).scalar_subquery()
    snapshots = portfolio_snapshots
    of_snapshot = (
        sa.select(snapshots.c.generation)
        .where(snapshots.c.portfolio_id == portfolios.c.portfolio_id)
        .order_by(snapshots.c.session.desc())
        .limit(1)
        .scalar_subquery()
    )
    same = sa.exists().where(
        portfolios.c.portfolio_id == sa.bindparam("portfolio"),
        portfolios.c.book_version == sa.bindparam("version"),
        of_snapshot.is_not_distinct_from(sa.bindparam("generation", type_=sa.BigInteger)),
    )
    return sa.select(sa.and_(newest >= sa.bindparam("at_least"), same))


IS_CURRENT = _is_current()
