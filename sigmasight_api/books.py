"""A portfolio as its owner sees it, what it holds now, and a bounded memory of holdings per book version."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sigmasight_assets.quant.money import QUANTITY_DIGITS

PUBLIC = "PUBLIC"
REMEMBERED_PORTFOLIOS = 10_000


@dataclass(frozen=True, slots=True)
class Book:
    """A portfolio as its owner sees it, with its newest snapshot; without one the last three are None."""

    portfolio_id: int
    public_id: UUID
    name: str
    stated_equity: Decimal
    as_of: date
    created_at: datetime
    book_version: int
    stale_from: date | None
    equity: Decimal | None
    equity_session: date | None
    equity_generation: int | None


@dataclass(frozen=True, slots=True)
class Holdings:
    """Open lots summed per symbol, symbols ascending.

    ``quantities`` are signed, in units of 1e-4, as Python integers: any sum of what the database can hold is exact.
    ``others`` are symbols of lots that have no exposures, with their investment class.
    """

    symbols: tuple[str, ...]
    quantities: tuple[int, ...]
    others: tuple[tuple[str, str], ...]


def holdings_of(rows: Iterable[tuple[str, str, Decimal]]) -> Holdings:
    """Holdings from symbol, investment class and summed quantity; long and short lots that cancel are gone."""
    held = [row for row in rows if row[2] != 0]
    public = [(symbol, int(quantity.scaleb(QUANTITY_DIGITS))) for symbol, kind, quantity in held if kind == PUBLIC]
    return Holdings(
        symbols=tuple(symbol for symbol, _ in public),
        quantities=tuple(units for _, units in public),
        others=tuple((symbol, kind) for symbol, kind, _ in held if kind != PUBLIC),
    )


class HoldingsCache:
    """Holdings of the portfolios that were asked for last, each valid for one book version."""

    def __init__(self, read: Callable[[int], Holdings], *, capacity: int = REMEMBERED_PORTFOLIOS) -> None:
        self._read = read
        self._capacity = capacity
        self._lock = threading.Lock()
        self._entries: OrderedDict[int, tuple[int, Holdings]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, portfolio_id: int, book_version: int) -> Holdings:
        """The holdings at this book version, read when they are not remembered."""
        with self._lock:
            entry = self._entries.get(portfolio_id)
            if entry is not None and entry[0] == book_version:
                self._entries.move_to_end(portfolio_id)
                return entry[1]
        # An edit after the version was read makes these lots newer than their version, never older: the next
        # request comes with the newer version and reads again.
        holdings = self._read(portfolio_id)
        with self._lock:
            self._entries[portfolio_id] = (book_version, holdings)
            self._entries.move_to_end(portfolio_id)
            if len(self._entries) > self._capacity:
                self._entries.popitem(last=False)
        return holdings
