"""One handle on the database: the engine for statements, transactions for bulk transfer."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import sqlalchemy as sa

from sigmasight_assets.storage.bulk import BulkConnections, BulkTransaction, bulk_transaction
from sigmasight_assets.storage.engine import create_engine, readable_errors


class Database:
    """A PostgreSQL database by URL; nothing connects before the first use."""

    def __init__(self, url: str) -> None:
        self.url = url
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

    def bulk(self, *, read_only: bool = False) -> AbstractContextManager[BulkTransaction]:
        """A transaction for Arrow tables on a connection of its own."""
        return bulk_transaction(self._bulk, read_only=read_only)

    def close(self) -> None:
        """Close pooled connections."""
        self._bulk.close()
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None
