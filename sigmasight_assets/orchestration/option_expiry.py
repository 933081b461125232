"""Which option lots have ended by expiry, when, and at what price.

A contract's settlement session is the last session on or before its expiry. A lot that is open there is closed at the
intrinsic value, taken from the underlying's published close of that session. Without such a close the lot stays held.
An adjusted contract delivers what its symbol does not tell, so no rule settles it.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.options import OptionContract, parse_occ_symbol
from sigmasight_assets.quant.arrays import DateArray, IntArray
from sigmasight_assets.quant.money import PRICE_DIGITS, from_units, rational_product, to_units
from sigmasight_assets.quant.splits import Splits, split_factors
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.actions import read_published_actions
from sigmasight_assets.storage.books import Books
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.lot_terms import naming_portfolios, published_splits
from sigmasight_assets.storage.option_expiries import Settlements
from sigmasight_assets.storage.published import read_published_closes_at


@dataclass(frozen=True, eq=False)
class Expired:
    """Option lots (M,) that are open at their settlement session: indices of the lots and of their contracts (C,).

    ``symbols``, ``contracts`` and settlement ``sessions`` (C,) are of these contracts alone; ``shares`` are their
    underlyings, each once and ascending, and ``share`` (C,) is the index of each contract's own.
    """

    lot: IntArray
    contract: IntArray
    symbols: list[str]
    contracts: list[OptionContract]
    sessions: DateArray
    shares: list[str]
    share: IntArray


def settle_options(
    transaction: BulkTransaction, calendar: SessionCalendar, books: Books, *, last: date
) -> tuple[Books, Settlements]:
    """The books with the options closed that have been settled up to the session ``last``, and the settlements.

    Raises ``OversizedBooksError`` naming the portfolios with an amount beyond 92 billion USD.
    """
    expired = find_expired(books, calendar, last=last)
    underlyings = [contract.underlying for contract in expired.contracts]
    closes = read_published_closes_at(transaction, underlyings, expired.sessions)
    splits = published_splits(read_published_actions(transaction, expired.shares), expired.shares)
    return settled_books(books, expired, closes=closes, splits=splits)


def find_expired(books: Books, calendar: SessionCalendar, *, last: date) -> Expired:
    """The option lots whose settlement session is not after ``last`` and that nobody has closed by then."""
    lots, options = books.lots, np.flatnonzero(books.is_option)
    held = np.unique(lots.symbol[options]).tolist()
    by_column = {column: found for column in held if (found := _contract(books.symbols[column])) is not None}
    days = np.full(len(books.names), np.datetime64("NaT", "D"))
    days[list(by_column)] = _settlement_sessions(calendar, by_column.values(), last=last)
    day = days[lots.symbol[options]]
    is_open = np.isnat(lots.exit_date[options]) | (lots.exit_date[options] > day)
    lot = options[(lots.entry_date[options] <= day) & is_open]
    columns, contract = np.unique(lots.symbol[lot], return_inverse=True)
    contracts = [by_column[column] for column in columns.tolist()]
    shares = sorted({each.underlying for each in contracts})
    return Expired(
        lot=lot,
        contract=contract,
        symbols=[books.symbols[column] for column in columns.tolist()],
        contracts=contracts,
        sessions=days[columns],
        shares=shares,
        share=np.array([bisect_left(shares, each.underlying) for each in contracts], dtype=np.int64),
    )


def settlement_sessions(
    calendar: SessionCalendar, symbols: Iterable[str], *, last: date
) -> dict[str, tuple[str, date]]:
    """Underlying and settlement session of the contracts among the symbols that a rule settles until ``last``."""
    contracts = {symbol: found for symbol in symbols if (found := _contract(symbol)) is not None}
    sessions = _settlement_sessions(calendar, contracts.values(), last=last).tolist()
    return {
        symbol: (contract.underlying, day)
        for (symbol, contract), day in zip(contracts.items(), sessions, strict=True)
        if day is not None
    }


def _settlement_sessions(calendar: SessionCalendar, contracts: Iterable[OptionContract], *, last: date) -> DateArray:
    """The last session on or before each contract's expiry; NaT where that is after ``last``."""
    expiries = np.array([contract.expiry for contract in contracts], dtype="datetime64[D]")
    place = np.searchsorted(calendar.sessions, expiries, side="right") - 1
    day = calendar.sessions[place]
    return np.where((place >= 0) & (day <= np.datetime64(last, "D")), day, np.datetime64("NaT", "D"))


def _contract(symbol: str) -> OptionContract | None:
    """The contract of a symbol; None where no rule settles it."""
    try:
        contract = parse_occ_symbol(symbol)
    except MarketDataError:
        # What is no contract has no price either: the snapshots list it as missing.
        return None
    return None if contract.is_adjusted else contract


def settled_books(books: Books, expired: Expired, *, closes: IntArray, splits: Splits) -> tuple[Books, Settlements]:
    """Close the lots whose underlying has a close.

    ``closes`` (C,) are the published closes of the contracts' underlyings at their settlement sessions, in units of
    1e-4 USD, 0 without one; ``splits`` are the published ones, by index of ``expired.shares``. The close is brought to
    the share units of the lot's entry date, in which its strike is stated, rounded half-even to 1e-4 USD.
    """
    chosen = closes[expired.contract] > 0
    lot, contract = expired.lot[chosen], expired.contract[chosen]
    lots, one = books.lots, np.ones_like(lot)
    with naming_portfolios(books.owners[lot], books=books.versions):
        ratio = split_factors(splits, expired.share[contract], lots.entry_date[lot])
        underlying_price = rational_product(one, closes[contract], *ratio)
        price = _intrinsic_values(expired.contracts, contract, underlying_price)
        received = rational_product(lots.quantity[lot] * lots.multiplier[lot], price, one, one)
    exit_date, proceeds = lots.exit_date.copy(), lots.proceeds.copy()
    exit_date[lot], proceeds[lot] = expired.sessions[contract], received
    settlements = Settlements(
        portfolio=lots.portfolio[lot],
        position_id=books.position_ids[lot],
        session=expired.sessions[contract],
        symbol=[expired.symbols[each] for each in contract.tolist()],
        underlying=[expired.contracts[each].underlying for each in contract.tolist()],
        underlying_price=underlying_price,
        price=price,
    )
    return replace(books, lots=replace(lots, exit_date=exit_date, proceeds=proceeds)), settlements


def _intrinsic_values(contracts: list[OptionContract], contract: IntArray, underlying_price: IntArray) -> IntArray:
    """Intrinsic value a share (M,) in units of 1e-4 USD; few pairs of contract and price differ."""
    pairs, pair = np.unique(np.column_stack((contract, underlying_price)), axis=0, return_inverse=True)
    values = [
        to_units(contracts[each].intrinsic_value(from_units(price, PRICE_DIGITS)), PRICE_DIGITS)
        for each, price in pairs.tolist()
    ]
    return np.array(values, dtype=np.int64)[pair.ravel()]
