"""A portfolio as its owner sees it, the lots in it, what it holds now, and a bounded memory of holdings."""

import re
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Literal, NamedTuple
from uuid import UUID

import numpy as np

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.options import SHARES_PER_CONTRACT, parse_occ_symbol
from sigmasight_assets.quant.arrays import DateArray
from sigmasight_assets.quant.money import PRICE_DIGITS, QUANTITY_DIGITS, to_units

PUBLIC, OPTIONS, PRIVATE = "PUBLIC", "OPTIONS", "PRIVATE"
REMEMBERED_PORTFOLIOS = 10_000
REMEMBERED_BYTES = 192 * 2**20
# About what they take in memory: sums of shares and their costs each, other lots without notes, valuations.
SUM_BYTES, LOT_BYTES, VALUATION_BYTES = 200, 950, 160
UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)

RatiosReason = Literal["no_snapshot", "different_sessions", "equity_not_positive"]
# The edits of a book, and the newest snapshot of it: the snapshot tells which options have been settled.
BookVersion = tuple[int, int | None]


@dataclass(frozen=True, slots=True)
class Book:
    """A portfolio as its owner sees it, with its newest snapshot; without one all from ``equity`` on are None."""

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
    daily_pnl: Decimal | None
    daily_return: float | None
    cumulative_pnl: Decimal | None
    unrealized_pnl: Decimal | None
    is_partial: bool | None

    @property
    def version(self) -> BookVersion:
        """What holdings are valid for."""
        return self.book_version, self.equity_generation

    @property
    def parts(self) -> "tuple[Book, ...]":
        """The books whose snapshots it has."""
        return (self,)

    @property
    def ratios_reason(self) -> RatiosReason | None:
        """Why nothing can be related to its equity; None when it can."""
        return reason_of(self.equity)

    @property
    def content(self) -> Hashable:
        """What answers depend on: the versions stand for lots and equity."""
        return self.portfolio_id, self.version, self.stated_equity, self.as_of


def reason_of(equity: Decimal | None) -> RatiosReason | None:
    """Why nothing can be related to this equity; None when it can."""
    if equity is None:
        return "no_snapshot"
    return None if equity > 0 else "equity_not_positive"


@dataclass(frozen=True, slots=True)
class Lot:
    """A lot as it is stored.

    ``units_date``
        date in whose share units the quantity is stated
    ``settled_on``
        session whose snapshot settled an option lot at its expiry, None for all others
    ``valued_on``, ``valuations``
        dates, ascending, and amounts in USD of the owner's valuations of a PRIVATE lot
    """

    position_id: UUID
    symbol: str
    investment_class: str
    quantity: Decimal
    units_date: date
    entry_price: Decimal | None
    entry_date: date
    exit_price: Decimal | None
    exit_date: date | None
    notes: str | None
    settled_on: date | None
    valued_on: Sequence[date]
    valuations: Sequence[Decimal]

    @property
    def units(self) -> int:
        """The signed quantity in units of 1e-4."""
        return to_units(self.quantity, QUANTITY_DIGITS)

    @property
    def price_units(self) -> int:
        """The entry price in units of 1e-4 USD; 0 for a PRIVATE lot without one."""
        # Of a column of 14 digits, 4 of them decimals: nothing is rounded, and a book of thousands of lots is not slow.
        return 0 if self.entry_price is None else int(self.entry_price.scaleb(PRICE_DIGITS))

    @property
    def multiplier(self) -> int:
        """Shares that one unit stands for."""
        return SHARES_PER_CONTRACT if self.investment_class == OPTIONS else 1

    def has_expired(self, *, as_of: date | None, snapshot_session: date | None) -> bool:
        """Whether this is an option that had ended by the session ``as_of``.

        It ends with the snapshot that settles it. Without one it is held on its last day and not after.
        """
        if self.investment_class != OPTIONS:
            return False
        if self.settled_on is not None and snapshot_session is not None and self.settled_on <= snapshot_session:
            return True
        expiry = expiry_of(self.symbol)
        return as_of is not None and expiry is not None and expiry < as_of

    def valuation_at(self, as_of: date | None) -> tuple[date, Decimal] | None:
        """Date and amount of the newest valuation dated ``as_of`` or before."""
        dated = list(zip(self.valued_on, self.valuations, strict=True))
        return max((item for item in dated if as_of is not None and item[0] <= as_of), default=None)


def public_id_in(text: str) -> UUID | None:
    """The identifier in the part of a URL; None for a text that cannot be one, which names nothing."""
    return UUID(text) if UUID_TEXT.fullmatch(text) else None


# Reading a symbol takes as long as the rest of an option's part in an answer.
@lru_cache(maxsize=10_000)
def expiry_of(symbol: str) -> date | None:
    """The last day of an option contract; None for a symbol that is no contract's, which has no price either."""
    try:
        return parse_occ_symbol(symbol).expiry
    except MarketDataError:
        return None


class EntryCost(NamedTuple):
    """What lots of a symbol with the same units date and entry date cost when they were opened.

    ``amount`` is signed quantity x entry price in units of 1e-8 USD: to be multiplied by what one unit of the quantity
    was in shares of the entry date, which is 1 unless a split lies between the two dates.
    """

    symbol: str
    units_date: date
    entry_date: date
    amount: int


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Shares:
    """PUBLIC lots (G,) summed per symbol and units date, ascending by both.

    ``quantities`` are signed, in units of 1e-4, as Python integers: any sum of what the database can hold is exact.
    ``costs`` are of all these lots and of those that cancel, in any order.
    """

    symbols: tuple[str, ...]
    units_dates: DateArray
    quantities: tuple[int, ...]
    costs: tuple[EntryCost, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Holdings:
    """Open lots: PUBLIC ones summed, option and PRIVATE ones each for itself."""

    shares: Shares
    options: tuple[Lot, ...] = ()
    private: tuple[Lot, ...] = ()

    @property
    def symbols(self) -> frozenset[str]:
        """All symbols that have, or should have, a price of the market."""
        return frozenset(self.shares.symbols).union(lot.symbol for lot in self.options)

    @property
    def nbytes(self) -> int:
        """Memory that they take, about."""
        others = sum(
            LOT_BYTES + 2 * len(lot.notes or "") + VALUATION_BYTES * len(lot.valuations)
            for lot in (*self.options, *self.private)
        )
        return SUM_BYTES * (len(self.shares.symbols) + len(self.shares.costs)) + others


def holdings_of(lots: Iterable[Lot]) -> Holdings:
    """Holdings from open lots in any order; long and short lots of the same units that cancel are gone."""
    quantities: dict[tuple[str, date], int] = {}
    costs: dict[tuple[str, date, date], int] = {}
    others: dict[str, list[Lot]] = {OPTIONS: [], PRIVATE: []}
    for lot in lots:
        if lot.investment_class == PUBLIC:
            # Thousands of books hold the same few symbols.
            symbol = sys.intern(lot.symbol)
            key, opened = (symbol, lot.units_date), (symbol, lot.units_date, lot.entry_date)
            units = lot.units
            quantities[key] = quantities.get(key, 0) + units
            costs[opened] = costs.get(opened, 0) + units * lot.price_units
        else:
            others[lot.investment_class].append(lot)
    held = sorted(key for key, quantity in quantities.items() if quantity != 0)
    shares = Shares(
        symbols=tuple(symbol for symbol, _ in held),
        units_dates=np.array([units_date for _, units_date in held], dtype="datetime64[D]"),
        quantities=tuple(quantities[key] for key in held),
        costs=tuple(EntryCost(*opened, amount) for opened, amount in costs.items()),
    )
    return Holdings(shares, tuple(others[OPTIONS]), tuple(others[PRIVATE]))


class HoldingsCache:
    """Holdings of the portfolios that were asked for last, each valid for one version of the book.

    Bounded in bytes too: a thousand large portfolios would otherwise take more than the rest of the process.
    """

    def __init__(
        self,
        read: Callable[[int], Holdings],
        *,
        capacity: int = REMEMBERED_PORTFOLIOS,
        capacity_bytes: int = REMEMBERED_BYTES,
    ) -> None:
        self._read = read
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._lock = threading.Lock()
        self._entries: OrderedDict[int, tuple[BookVersion, Holdings, int]] = OrderedDict()
        self._bytes = self._hits = self._misses = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def uses(self) -> tuple[int, int]:
        """How many requests found their holdings remembered, and how many did not."""
        with self._lock:
            return self._hits, self._misses

    def known(self, portfolio_id: int, version: BookVersion) -> Holdings | None:
        """The holdings at this version if they are remembered; nothing is read, and nothing counted."""
        with self._lock:
            entry = self._entries.get(portfolio_id)
            return entry[1] if entry is not None and entry[0] == version else None

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._entries.clear()
            self._bytes = 0

    def get(self, portfolio_id: int, version: BookVersion) -> Holdings:
        """The holdings at this version, read when they are not remembered."""
        with self._lock:
            entry = self._entries.get(portfolio_id)
            if entry is not None and entry[0] == version:
                self._entries.move_to_end(portfolio_id)
                self._hits += 1
                return entry[1]
            self._misses += 1
        # An edit after the version was read makes these lots newer than their version, never older: the next
        # request comes with the newer version and reads again.
        holdings = self._read(portfolio_id)
        size = holdings.nbytes
        with self._lock:
            if portfolio_id in self._entries:
                self._bytes -= self._entries.pop(portfolio_id)[2]
            self._entries[portfolio_id] = (version, holdings, size)
            self._bytes += size
            while len(self._entries) > self._capacity or self._bytes > self._capacity_bytes:
                self._bytes -= self._entries.popitem(last=False)[1][2]
        return holdings
