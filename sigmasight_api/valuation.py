"""What holdings and lots are worth at the published closes of a view: exact rationals until they leave this module.

No database, no clock. Source: formulas.md section 5.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from itertools import compress
from weakref import WeakKeyDictionary

import numpy as np

from sigmasight_api.books import OPTIONS, PRIVATE, PUBLIC, Holdings, Lot, Shares
from sigmasight_api.per_view import PerView
from sigmasight_api.view import MarketView
from sigmasight_assets.market_data.options import SHARES_PER_CONTRACT
from sigmasight_assets.quant.arrays import BoolArray, DateArray, FloatArray, IntArray
from sigmasight_assets.quant.money import MONEY_DIGITS

MONEY_UNITS: int = 10**MONEY_DIGITS


@dataclass(frozen=True, slots=True, eq=False)
class ValuedPositions:
    """The symbols (N,) held as PUBLIC that have a close: row in the view, signed market value in USD; those without.

    Shared by all answers about a book, so the arrays cannot be written.
    """

    symbols: tuple[str, ...]
    rows: IntArray
    market_value: FloatArray
    unpriced: tuple[str, ...]

    def __post_init__(self) -> None:
        for column in (self.rows, self.market_value):
            column.setflags(write=False)

    @property
    def has_no_price(self) -> bool:
        """Whether there are positions, and none with a close: sums of 0 would be false answers then."""
        return bool(self.unpriced) and not self.symbols

    def largest_first(self) -> list[int]:
        """Places by |market value|; of equal ones the first by name, so that the same book gives the same order."""
        sizes = np.abs(self.market_value).tolist()
        return sorted(range(len(self.symbols)), key=lambda place: (-sizes[place], self.symbols[place]))


def valued_positions(shares: Shares, view: MarketView) -> ValuedPositions:
    """Value the lots in the units of the closes and sum them per symbol, exactly, before they become floats.

    Every answer about a book begins with it, so it is done once for the same shares and view.
    """
    known = _OF_VIEWS.of(view)
    found = known.get(shares)
    if found is None:
        found = known[shares] = _valued(shares, view)
    return found


def _valued(shares: Shares, view: MarketView) -> ValuedPositions:
    rows, is_priced = _rows_with_close(shares.symbols, view)
    priced = rows[is_priced]
    numerators, denominators = view.share_units.factors(priced, shares.units_dates[is_priced])
    quantities, closes = compress(shares.quantities, is_priced), view.close[priced].tolist()
    totals: dict[int, int | Fraction] = {}
    if (numerators == denominators).all():
        for row, quantity, close in zip(priced.tolist(), quantities, closes, strict=True):
            totals[row] = totals.get(row, 0) + quantity * close
    else:
        factors = zip(numerators.tolist(), denominators.tolist(), strict=True)
        for row, quantity, close, factor in zip(priced.tolist(), quantities, closes, factors, strict=True):
            totals[row] = totals.get(row, 0) + quantity * close * Fraction(*factor)
    # Long and short lots that cancel in the units of the close are no position. Both quotients are correctly rounded.
    held = {row: float(money / MONEY_UNITS) for row, money in totals.items() if money}
    return ValuedPositions(
        symbols=tuple(view.symbols[row] for row in held),
        rows=np.array(list(held), dtype=np.int64),
        market_value=np.array(list(held.values()), dtype=np.float64),
        unpriced=tuple(dict.fromkeys(compress(shares.symbols, ~is_priced))),
    )


# Forgotten with the view, or with the holdings.
_OF_VIEWS: "PerView[WeakKeyDictionary[Shares, ValuedPositions]]" = PerView(lambda _: WeakKeyDictionary())


def entry_values(shares: Shares, view: MarketView) -> dict[str, float]:
    """What the PUBLIC lots cost when they were opened, signed, in USD, summed by symbol of the view, exactly.

    The price paid is for a share of the entry date, the quantity may be stated in those of a later date.
    """
    costs = [cost for cost in shares.costs if cost.symbol in view.rows]
    rows = np.array([view.rows[cost.symbol] for cost in costs], dtype=np.int64)
    since_units, since_entry = (
        _split_factors(rows, np.array(dates, dtype="datetime64[D]"), view)
        for dates in ([cost.units_date for cost in costs], [cost.entry_date for cost in costs])
    )
    totals: dict[str, Fraction] = {}
    for cost, units, entry in zip(costs, since_units, since_entry, strict=True):
        paid = cost.amount * Fraction(*units) / Fraction(*entry)
        totals[cost.symbol] = totals.get(cost.symbol, Fraction(0)) + paid
    return {symbol: float(total / MONEY_UNITS) for symbol, total in totals.items()}


def held_options(holdings: Holdings, view: MarketView, *, snapshot_session: date | None) -> dict[str, int]:
    """Signed quantities, in units of 1e-4, of the option contracts that have not ended; none that cancel."""
    quantities: dict[str, int] = {}
    for lot in holdings.options:
        if not lot.has_expired(as_of=view.as_of, snapshot_session=snapshot_session):
            quantities[lot.symbol] = quantities.get(lot.symbol, 0) + lot.units
    return {symbol: quantity for symbol, quantity in quantities.items() if quantity != 0}


def private_share(
    valued: ValuedPositions, options: Mapping[str, int], private: Sequence[Lot], view: MarketView
) -> float | None:
    """Share of PRIVATE lots in the gross of everything that has a value; None while one of them has none."""
    if not private:
        return 0.0
    valuations = [lot.valuation_at(view.as_of) for lot in private]
    if None in valuations:
        return None
    own = float(sum(valuation[1] for valuation in valuations if valuation is not None))
    contracts = sum(abs(quantity) * _close(symbol, view) for symbol, quantity in options.items())
    gross = own + float(np.abs(valued.market_value).sum()) + contracts * SHARES_PER_CONTRACT / MONEY_UNITS
    return own / gross if gross > 0 else 0.0


@dataclass(frozen=True, slots=True)
class BookValues:
    """Signed values in USD of everything held that has one, by class and symbol, and what has none.

    A PRIVATE lot goes by its owner's name for it, which may be a ticker too.
    """

    values: Mapping[tuple[str, str], float]
    without: tuple[tuple[str, str], ...]


def book_values(
    valued: ValuedPositions, options: Mapping[str, int], private: Sequence[Lot], view: MarketView
) -> BookValues:
    """Of PUBLIC positions, option contracts and private lots, those of one name together."""
    values = {
        (PUBLIC, symbol): value for symbol, value in zip(valued.symbols, valued.market_value.tolist(), strict=True)
    }
    without = [(PUBLIC, symbol) for symbol in valued.unpriced]
    for symbol, quantity in options.items():
        close = _close(symbol, view)
        if close:
            values[OPTIONS, symbol] = quantity * close * SHARES_PER_CONTRACT / MONEY_UNITS
        else:
            without.append((OPTIONS, symbol))
    for lot in private:
        valuation = lot.valuation_at(view.as_of)
        key = (PRIVATE, lot.symbol)
        if valuation is None:
            without.append(key)
        else:
            values[key] = values.get(key, 0.0) + float(valuation[1])
    return BookValues({key: value for key, value in values.items() if value}, tuple(dict.fromkeys(without)))


@dataclass(frozen=True, slots=True)
class LotValue:
    """An open lot at the view; what is not known or does not apply is None.

    ``close``, in units of 1e-4 USD, is stated in units of which ``numerator`` took the place of ``denominator`` units
    of the lot; ``value`` and ``cost``, what the entry cost, are signed and in units of 1e-8 USD, rounded half-even as
    the ledger has them.
    """

    close: int | None = None
    close_session: date | None = None
    numerator: int | None = None
    denominator: int | None = None
    valued_on: date | None = None
    value: int | None = None
    cost: int | None = None


def lot_values(lots: Sequence[Lot], view: MarketView) -> list[LotValue]:
    """What each of the lots, in their order, is worth at the view."""
    # A PRIVATE lot may be named like a ticker.
    symbols = ("" if lot.investment_class == PRIVATE else lot.symbol for lot in lots)
    rows, is_priced = _rows_with_close(symbols, view)
    dates = np.array([lot.units_date for lot in lots], dtype="datetime64[D]")
    entries = np.array([lot.entry_date for lot in lots], dtype="datetime64[D]")
    since_units = iter(_split_factors(rows[is_priced], dates[is_priced], view))
    since_entry = iter(_split_factors(rows[is_priced], entries[is_priced], view))
    return [
        _traded_value(lot, row, next(since_units), next(since_entry), view) if has_close else _private_value(lot, view)
        for lot, row, has_close in zip(lots, rows.tolist(), is_priced.tolist(), strict=True)
    ]


def _traded_value(
    lot: Lot, row: int, since_units: tuple[int, int], since_entry: tuple[int, int], view: MarketView
) -> LotValue:
    close, factor = int(view.close[row]), Fraction(*since_units)
    value = round(Fraction(lot.units * lot.multiplier * close) * factor)
    # The price paid is for a share of the entry date, the quantity may be stated in those of a later date.
    cost = _cost(lot, factor / Fraction(*since_entry))
    return LotValue(close, view.close_session[row].item(), *since_units, value=value, cost=cost)


def _private_value(lot: Lot, view: MarketView) -> LotValue:
    valuation = lot.valuation_at(view.as_of)
    if valuation is None:
        return LotValue()
    valued_on, amount = valuation
    return LotValue(valued_on=valued_on, value=int(Fraction(amount) * MONEY_UNITS), cost=_cost(lot, Fraction(1)))


def _cost(lot: Lot, shares_at_entry: Fraction) -> int | None:
    if lot.entry_price is None:
        return None
    return round(Fraction(lot.quantity) * lot.multiplier * shares_at_entry * Fraction(lot.entry_price) * MONEY_UNITS)


def _rows_with_close(symbols: Iterable[str], view: MarketView) -> tuple[IntArray, BoolArray]:
    """The row of each symbol in the view, -1 for those it does not know, and which have a close."""
    find = view.rows.get
    rows = np.array([find(symbol, -1) for symbol in symbols], dtype=np.int64)
    has_close = rows >= 0
    has_close[has_close] = view.close[rows[has_close]] > 0
    return rows, has_close


def _split_factors(rows: IntArray, units_dates: DateArray, view: MarketView) -> list[tuple[int, int]]:
    """Numerator and denominator of the splits after each of the dates (L,), of the symbols in these rows (L,)."""
    numerators, denominators = view.share_units.factors(rows, units_dates)
    return list(zip(numerators.tolist(), denominators.tolist(), strict=True))


def _close(symbol: str, view: MarketView) -> int:
    row = view.rows.get(symbol)
    return 0 if row is None else int(view.close[row])
