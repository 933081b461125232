"""One handle on the database: the engine for statements, transactions for bulk transfer."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from sigmasight_assets.storage.bulk import BulkConnections, BulkTransaction, bulk_transaction
from sigmasight_assets.storage.engine import create_engine, readable_errors
from sigmasight_assets.storage.precedence import wait_for_precedence


class Database:
    """A PostgreSQL database by URL; nothing connects before the first use.

    One that ``gives_way`` begins no bulk transaction that may write while a run takes precedence.
    """

    def __init__(self, url: str, *, gives_way: bool = False) -> None:
        self.url = url
        self.gives_way = gives_way
        self._engine: sa.Engine | None = None
        self._bulk = BulkConnections(url)

    @property
    def engine(self) -> sa.Engine:
        """The engine, made at the first use."""
        if self._engine is None:
            self._engine = create_engine(self.url)
        return self._engine

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A transaction for ordinary statements: committed at the end, rolled back when the block raises."""
        with readable_errors(self.url), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def bulk(self, *, read_only: bool = False) -> Iterator[BulkTransaction]:
        """A transaction for Arrow tables on a connection of its own."""
        if self.gives_way and not read_only:
            with readable_errors(self.url):
                wait_for_precedence(self.engine)
        with bulk_transaction(self._bulk, read_only=read_only) as transaction:
            yield transaction

    def close(self) -> None:
        """Close pooled connections."""
        self._bulk.close()
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None
