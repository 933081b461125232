"""What owners change of single positions: added, corrected, closed, deleted, and valuations of private ones.

Knows nothing of HTTP.
"""

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from sigmasight_api.books import Book
from sigmasight_api.cache import ViewCache
from sigmasight_api.entries import lot_entered
from sigmasight_api.errors import RejectedError
from sigmasight_api.formats import cents, four_decimals, optional_cents
from sigmasight_api.limits import MAX_VALUATIONS, require_room_for_lots
from sigmasight_api.owned import lock_book, lock_lot, read_own_book
from sigmasight_api.repository import Page
from sigmasight_api.schemas import Listing
from sigmasight_api.transactions import RequestName, Transactions
from sigmasight_api.write_schemas import NewPortfolioPosition, PositionPatch, PositionTerms, Valuation, WrittenPosition
from sigmasight_assets.errors import BookError
from sigmasight_assets.position_rules import NUMBER, PRIVATE, cells_of, lot_of, lot_problems
from sigmasight_assets.sessions import NEW_YORK
from sigmasight_assets.storage.lots import (
    add_lot,
    add_valuation,
    close_lot,
    correct_lot,
    delete_lot,
    delete_valuation,
    read_lot_valuations,
    require_lot,
)
from sigmasight_assets.storage.onboarding import read_pending
from sigmasight_assets.storage.portfolios import NewLot, StoredLot

CLOSING = {"close_quantity", "exit_price", "exit_date"}


class PositionWrites:
    """Changes positions of users; raises ``NotFoundError`` for one that the user has not, ``RejectedError`` naming
    what is wrong with its terms, and ``BookError`` for what the book or its limits do not allow.
    """

    def __init__(self, transactions: Transactions, cache: ViewCache, clock: Callable[[], datetime]) -> None:
        self._transactions = transactions
        self._cache = cache
        self._clock = clock

    def add(self, user_id: int, position: NewPortfolioPosition, *, name: RequestName | None = None) -> WrittenPosition:
        """Add a lot to one of the user's portfolios."""

        def write(connection: sa.Connection) -> WrittenPosition:
            book = lock_book(connection, user_id, position.portfolio_id)
            lot = lot_entered(position, today=self._today)
            return self._written(connection, user_id, book, add_lot(connection, book.portfolio_id, lot))

        return self._transactions.once(WrittenPosition, write, user_id=user_id, name=name)

    def change(
        self, user_id: int, position_id: str, patch: PositionPatch, *, name: RequestName | None = None
    ) -> WrittenPosition:
        """Correct the terms of a lot, close it or a part of it, or open it again."""

        def write(connection: sa.Connection) -> WrittenPosition:
            book, lot = lock_lot(connection, user_id, position_id)
            if patch.close_quantity is None:
                corrected = correct_lot(connection, lot.position_id, self._corrected(lot, patch))
                return self._written(connection, user_id, book, corrected)
            closed = self._close_part(connection, lot, patch)
            left = require_lot(connection, lot.public_id)
            part = None if closed.public_id == left.public_id else closed
            return self._written(connection, user_id, book, left, closed_part=part)

        return self._transactions.once(WrittenPosition, write, user_id=user_id, name=name)

    def delete(self, user_id: int, position_id: str) -> None:
        """Delete a lot that was never held, with its valuations."""
        with self._transactions.begin() as connection:
            _, lot = lock_lot(connection, user_id, position_id)
            delete_lot(connection, lot.position_id)

    def valuations(self, user_id: int, position_id: str, page: Page) -> Listing[Valuation]:
        """Valuations of a lot, oldest first; none of one that is not PRIVATE."""
        with self._transactions.begin() as connection:
            _, lot = lock_lot(connection, user_id, position_id)
            found = read_lot_valuations(connection, lot.position_id)
        shown = found[page.offset : page.offset + page.limit]
        items = [Valuation(valued_on=valued_on, market_value=cents(value)) for valued_on, value in shown]
        return Listing[Valuation](items=items, total=len(found))

    def value(self, user_id: int, position_id: str, valued_on: date, market_value: Decimal) -> Valuation:
        """Value a PRIVATE lot, in place of an earlier valuation of the same date."""
        if valued_on > self._today:
            raise BookError(f"{valued_on} is in the future: enter the valuation when it has happened")
        with self._transactions.begin() as connection:
            book, lot = lock_lot(connection, user_id, position_id)
            add_valuation(connection, lot.position_id, valued_on=valued_on, market_value=market_value)
            if len(read_lot_valuations(connection, lot.position_id)) > MAX_VALUATIONS:
                raise BookError(f"{lot.symbol} has {MAX_VALUATIONS:,} valuations, which is the most: delete old ones")
            require_room_for_lots(connection, book, self._cache.view_for)
        return Valuation(valued_on=valued_on, market_value=cents(market_value))

    def delete_valuation(self, user_id: int, position_id: str, valued_on: date) -> None:
        """Delete a valuation that is not the only one."""
        with self._transactions.begin() as connection:
            _, lot = lock_lot(connection, user_id, position_id)
            delete_valuation(connection, lot.position_id, valued_on=valued_on)

    @property
    def _today(self) -> date:
        return self._clock().astimezone(NEW_YORK).date()

    def _close_part(self, connection: sa.Connection, lot: StoredLot, patch: PositionPatch) -> StoredLot:
        quantity = patch.close_quantity or ""
        if patch.model_fields_set != CLOSING:
            raise RejectedError([(("body", "close_quantity"), "goes with exit_date and exit_price and nothing else")])
        if not NUMBER.fullmatch(quantity):
            problem = f"{quantity!r} is not a number with at most 4 decimal places"
            raise RejectedError([(("body", "close_quantity"), problem)])
        if lot.exit_date is not None:
            raise BookError(f"{lot.symbol}: the position was closed on {lot.exit_date}")
        closed = self._corrected(lot, patch)
        if closed.exit_date is None or closed.exit_price is None:
            raise RejectedError([(("body", "close_quantity"), "needs an exit_date and an exit_price")])
        return close_lot(
            connection,
            lot.position_id,
            exit_date=closed.exit_date,
            exit_price=closed.exit_price,
            quantity=Decimal(quantity),
        )

    def _corrected(self, lot: StoredLot, patch: PositionPatch) -> NewLot:
        """The lot with what the patch names; ``RejectedError`` unless all of it fits together."""
        cells = cells_of(lot)
        for name in patch.model_fields_set - {"close_quantity"}:
            value = getattr(patch, name)
            cells[name] = "" if value is None else str(value).strip()
        problems = lot_problems(cells, today=self._today)
        if problems:
            raise RejectedError([(("body",), problem) for problem in problems])
        return lot_of(cells)

    def _written(
        self,
        connection: sa.Connection,
        user_id: int,
        book: Book,
        lot: StoredLot,
        *,
        closed_part: StoredLot | None = None,
    ) -> WrittenPosition:
        require_room_for_lots(connection, book, self._cache.view_for)
        return WrittenPosition(
            **_terms(lot),
            portfolio_id=book.public_id,
            stale_from=read_own_book(connection, user_id, str(book.public_id)).stale_from,
            pending_symbols=[] if lot.investment_class == PRIVATE else read_pending(connection, [lot.symbol]),
            closed_part=None if closed_part is None else PositionTerms(**_terms(closed_part)),
        )


def _terms(lot: StoredLot) -> dict[str, Any]:
    """The fields of ``PositionTerms``."""
    return {
        "position_id": lot.public_id,
        "symbol": lot.symbol,
        "investment_class": lot.investment_class,
        "quantity": four_decimals(lot.quantity),
        "units_date": lot.units_date or lot.entry_date,
        "entry_price": None if lot.entry_price is None else four_decimals(lot.entry_price),
        "entry_date": lot.entry_date,
        "exit_price": None if lot.exit_price is None else four_decimals(lot.exit_price),
        "exit_date": lot.exit_date,
        "market_value": optional_cents(lot.market_value),
        "valued_on": lot.valued_on,
        "notes": lot.notes,
    }
