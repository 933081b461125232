"""A bound on the time that several statements of a transaction take together; PostgreSQL only bounds each one."""

import time
from dataclasses import dataclass

import sqlalchemy as sa

from sigmasight_assets.errors import TransientStorageError


@dataclass(frozen=True, slots=True)
class Deadline:
    """An instant of the monotonic clock; ``seconds`` is how long it was away, for words."""

    at: float
    seconds: float

    @classmethod
    def within(cls, seconds: float) -> "Deadline":
        """So many seconds from now."""
        return cls(time.monotonic() + seconds, seconds)

    def bound(self, connection: sa.Connection) -> None:
        """Leave the statements of this transaction, each by itself, what is left: to be called before each of them.

        Raises ``TransientStorageError`` when nothing is left; the database ends a statement that takes longer.
        """
        left = int(1000 * (self.at - time.monotonic()))
        if left <= 0:
            raise TransientStorageError(f"It was not done within {self.seconds:g} s")
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {left}")
