"""Transactions of owners' writes: short waits, named requests done once, and trials that leave nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import sqlalchemy as sa
from pydantic import BaseModel

from sigmasight_assets.storage.answered_requests import claim_request, record_answer
from sigmasight_assets.storage.database import Database

Answer = TypeVar("Answer", bound=BaseModel)

# Whoever waits for another edit of the same book, or for snapshots that are being written, is told to come again.
LIMITS = "SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '30s'"


@dataclass(frozen=True, slots=True)
class RequestName:
    """A client's name for a request, and the SHA-256 of what it asks for."""

    key: str
    request_hash: bytes


class Transactions:
    """Transactions in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A transaction: committed at the end, rolled back when the block raises."""
        with self._database.begin() as connection:
            connection.exec_driver_sql(LIMITS)
            yield connection

    @contextmanager
    def trial(self) -> Iterator[sa.Connection]:
        """A transaction that is always rolled back."""
        with self.begin() as connection, connection.begin_nested() as attempt:
            yield connection
            attempt.rollback()

    def once(
        self,
        kind: type[Answer],
        write: Callable[[sa.Connection], Answer],
        *,
        user_id: int,
        name: RequestName | None,
    ) -> Answer:
        """What ``write`` answers; for a name that was answered before, that answer, and nothing is written."""
        with self.begin() as connection:
            if name is None:
                return write(connection)
            earlier = claim_request(connection, user_id=user_id, key=name.key, request_hash=name.request_hash)
            if earlier is not None:
                return kind.model_validate_json(earlier)
            answer = write(connection)
            record_answer(connection, user_id=user_id, key=name.key, answer=answer.model_dump_json())
            return answer
