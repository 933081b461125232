"""Who is calling, and which of the caller's portfolios the path names: one query for all requests that wait for it.

Every request is looked up anew, so a revocation, an edit and a new snapshot hold from the next request on.
"""

import asyncio
import contextlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from sigmasight_api.batches import Batches
from sigmasight_api.books import Book
from sigmasight_api.repository import book_columns, newest_snapshot
from sigmasight_assets.errors import TransientStorageError
from sigmasight_assets.storage.book_tables import api_tokens, portfolios, users
from sigmasight_assets.storage.engine import CONNECT_TIMEOUT_SECONDS, libpq_settings, session_options, without_password
from sigmasight_assets.storage.tokens import TokenHolder, is_valid_at

APPLICATION_NAME = "sigmasight_api_admission"
# A look-up takes a millisecond; one that takes this long is stuck.
LOOK_UP_SECONDS = 10.0

# The hash of the token, and the portfolio that the path names if it names one.
Asked = tuple[bytes, UUID | None]


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who holds the token, and the portfolio that was asked for if it is the holder's."""

    holder: TokenHolder
    book: Book | None


def _statement() -> str:
    """Selects the place among what was asked, the hash, the holder and the fields of the book."""
    hashes = sa.bindparam("hashes", type_=ARRAY(api_tokens.c.token_hash.type))
    wanted = sa.bindparam("wanted", type_=ARRAY(portfolios.c.public_id.type))
    asked = sa.func.unnest(hashes, wanted).table_valued(
        sa.column("hash", api_tokens.c.token_hash.type),
        sa.column("public_id", portfolios.c.public_id.type),
        with_ordinality="place",
    )
    asked = asked.render_derived(name="asked")
    is_own = sa.and_(portfolios.c.public_id == asked.c.public_id, portfolios.c.user_id == api_tokens.c.user_id)
    is_holders = sa.and_(
        api_tokens.c.token_hash == asked.c.hash, is_valid_at(sa.bindparam("now", type_=api_tokens.c.expires_at.type))
    )
    newest = newest_snapshot()
    query = (
        sa.select(
            asked.c.place,
            api_tokens.c.token_hash,
            users.c.user_id,
            users.c.name,
            api_tokens.c.is_admin,
            *book_columns(newest),
        )
        .select_from(asked)
        .join(api_tokens, is_holders)
        .join(users, users.c.user_id == api_tokens.c.user_id)
        .join(portfolios, is_own, isouter=True)
        .join(newest, sa.true(), isouter=True)
    )
    dialect = sa.create_mock_engine("postgresql+psycopg://", executor=lambda *_: None).dialect
    return str(query.compile(dialect=dialect))


STATEMENT = _statement()


class Admissions:
    """Looks callers up on a connection of its own, which is made at the first use and again when it was lost."""

    def __init__(self, url: str, clock: Callable[[], datetime]) -> None:
        self._url = url
        self._clock = clock
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._batches: Batches[Asked, Admitted] = Batches(self._look_up)

    async def find(self, token_hash: bytes, portfolio: UUID | None) -> Admitted | None:
        """Who holds a valid token of this hash; None when nobody does.

        Raises ``TransientStorageError`` when the database is away.
        """
        return await self._batches.get((token_hash, portfolio))

    async def close(self) -> None:
        """End what waits and give the connection back."""
        await self._batches.close()
        await self._hang_up()

    async def _look_up(self, asked: Sequence[Asked]) -> Mapping[Asked, Admitted]:
        try:
            if self._connection is not None:
                # It may have been lost, or its plan outdated by a migration, since its last use: a new one will tell.
                with contextlib.suppress(psycopg.Error):
                    return await self._query(asked)
            return await self._query(asked)
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise TransientStorageError(f"{self._address} does not answer: {error}") from error
        except TimeoutError as error:
            raise TransientStorageError(f"{self._address} did not answer within {LOOK_UP_SECONDS:g} s.") from error

    async def _query(self, asked: Sequence[Asked]) -> Mapping[Asked, Admitted]:
        parameters = {
            "hashes": [token_hash for token_hash, _ in asked],
            "wanted": [portfolio for _, portfolio in asked],
            "now": self._clock(),
        }
        try:
            async with asyncio.timeout(LOOK_UP_SECONDS):
                connection = self._connection = self._connection or await self._connect()
                cursor = await connection.cursor(binary=True).execute(STATEMENT, parameters, prepare=True)
                rows = await cursor.fetchall()
        except BaseException:
            await self._hang_up()
            raise
        # The index has found the hash already; that it is the very one is settled without telling how much is alike.
        found = ((asked[place - 1], token_hash, row) for place, token_hash, *row in rows)
        return {key: _admitted(row) for key, token_hash, row in found if hmac.compare_digest(key[0], token_hash)}

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        own = {
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "application_name": APPLICATION_NAME,
            "options": f"{session_options(self._url)} -c timezone=UTC",
        }
        return await psycopg.AsyncConnection.connect(autocommit=True, **{**libpq_settings(self._url), **own})

    async def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(psycopg.Error):
                await connection.close()

    @property
    def _address(self) -> str:
        return f"The database {without_password(self._url)}"


def _admitted(row: Sequence[Any]) -> Admitted:
    """From the fields of a holder and those of a book, all None where there is none."""
    user_id, user_name, is_admin, *book = row
    return Admitted(TokenHolder(user_id, user_name, is_admin), None if book[0] is None else Book(*book))
