"""The one way to what owners write: found by its owner, and locked until the transaction ends.

What is somebody else's is not found, in the same words as what never was. Whoever edits a portfolio holds the lock of
its row, so edits of one book follow each other.
"""

from uuid import UUID

import sqlalchemy as sa

from sigmasight_api.books import Book, public_id_in
from sigmasight_api.repository import NO_PORTFOLIO, OWN_BOOK
from sigmasight_assets.errors import NotFoundError
from sigmasight_assets.storage.book_tables import portfolios, positions
from sigmasight_assets.storage.lots import require_lot
from sigmasight_assets.storage.portfolios import StoredLot

NO_POSITION = "There is no such position."
NO_FLOW = "There is no such capital flow."


def public_id(text: str, missing: str) -> UUID:
    """The identifier; ``NotFoundError`` in the words ``missing`` for a text that is none."""
    found = public_id_in(text)
    if found is None:
        raise NotFoundError(missing)
    return found


def read_own_book(connection: sa.Connection, user_id: int, portfolio_id: str) -> Book:
    """The user's portfolio; ``NotFoundError`` when the user has none of this id."""
    wanted = public_id(portfolio_id, NO_PORTFOLIO)
    row = connection.execute(OWN_BOOK, {"owner": user_id, "wanted": wanted}).one_or_none()
    if row is None:
        raise NotFoundError(NO_PORTFOLIO)
    return Book(*tuple(row))


def lock_book(connection: sa.Connection, user_id: int, portfolio_id: str) -> Book:
    """As ``read_own_book``, locked."""
    wanted = public_id(portfolio_id, NO_PORTFOLIO)
    _lock(connection, portfolios.c.public_id == wanted, user_id, NO_PORTFOLIO)
    return read_own_book(connection, user_id, portfolio_id)


def lock_lot(connection: sa.Connection, user_id: int, position_id: str) -> tuple[Book, StoredLot]:
    """A lot of the user and its portfolio, which is locked; ``NotFoundError`` when the user has none of this id."""
    wanted = public_id(position_id, NO_POSITION)
    holder = sa.select(positions.c.portfolio_id).where(positions.c.public_id == wanted).scalar_subquery()
    locked = _lock(connection, portfolios.c.portfolio_id == holder, user_id, NO_POSITION)
    try:
        lot = require_lot(connection, wanted)
    except NotFoundError:
        # Deleted while this waited for the lock.
        raise NotFoundError(NO_POSITION) from None
    return read_own_book(connection, user_id, str(locked)), lot


def _lock(connection: sa.Connection, which: sa.ColumnElement[bool], user_id: int, missing: str) -> UUID:
    query = sa.select(portfolios.c.public_id).where(which, portfolios.c.user_id == user_id)
    found = connection.execute(query.with_for_update(key_share=True)).scalar_one_or_none()
    if found is None:
        raise NotFoundError(missing)
    return UUID(str(found))
