"""What lots cost and brought, and the published splits and dividends that tell in which units they are stated.

Source: formulas.md section 5, "Units".
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sigmasight_assets.errors import PublicationError
from sigmasight_assets.market_data.protocol import DIVIDEND, SPLIT
from sigmasight_assets.quant.arrays import DateArray, IntArray
from sigmasight_assets.quant.lots import Dividends
from sigmasight_assets.quant.money import AmountOverflowError, rational_product
from sigmasight_assets.quant.splits import Splits, split_factors
from sigmasight_assets.storage.bulk import numpy_column

NAMED_OFFENDERS = 20
TOO_LARGE = "too large to be exact (92 billion USD)"


@dataclass(frozen=True, eq=False)
class Trades:
    """Opening and closing trades of lots (L,) as their owners stated them.

    ``symbol`` is an index of the symbols that splits refer to, or beyond them. ``size`` is signed, the quantity x
    multiplier in units of 1e-4, in the share units of ``units_date``. Prices are in units of 1e-4 USD, in the share
    units of their own dates. ``exit_date`` is NaT for an open lot, and then its exit price is not read.
    """

    symbol: IntArray
    size: IntArray
    units_date: DateArray
    entry_price: IntArray
    entry_date: DateArray
    exit_price: IntArray
    exit_date: DateArray


def published_splits(actions: pa.Table, symbols: Sequence[str]) -> Splits:
    """The splits among ``actions``, all of them of these symbols, by index of the symbol."""
    rows, symbol = _of_kind(actions, SPLIT, symbols)
    ratio = (numpy_column(rows, f"ratio_{part}") for part in ("numerator", "denominator"))
    return Splits(symbol, numpy_column(rows, "ex_date"), *ratio)


def published_dividends(actions: pa.Table, symbols: Sequence[str]) -> Dividends:
    """The dividends among ``actions``, all of them of these symbols, by index of the symbol."""
    rows, symbol = _of_kind(actions, DIVIDEND, symbols)
    return Dividends(symbol, numpy_column(rows, "ex_date"), numpy_column(rows, "amount"))


def _of_kind(actions: pa.Table, kind: str, symbols: Sequence[str]) -> tuple[pa.Table, IntArray]:
    rows = actions.filter(pc.equal(actions.column("kind"), kind))
    index = pc.index_in(rows.column("symbol"), value_set=pa.array(symbols, pa.string()))
    return rows, index.to_numpy().astype(np.int64)


def cost_and_proceeds(trades: Trades, splits: Splits) -> tuple[IntArray, IntArray]:
    """What the lots (L,) cost and brought, signed, in units of 1e-8 USD; the proceeds of an open lot are 0.

    Raises ``AmountOverflowError``, naming the row, for an amount beyond 92 billion USD.
    """
    is_open = np.isnat(trades.exit_date)
    exit_date = np.where(is_open, trades.units_date, trades.exit_date)
    exit_price = np.where(is_open, 0, trades.exit_price)
    at_entry = _shares_at(trades, splits, trades.entry_date)
    at_exit = _shares_at(trades, splits, exit_date)
    return (
        rational_product(trades.size, trades.entry_price, *at_entry),
        rational_product(trades.size, exit_price, *at_exit),
    )


def _shares_at(trades: Trades, splits: Splits, day: DateArray) -> tuple[IntArray, IntArray]:
    """Shares of ``day`` per share of the units date, before or after it, as numerator and denominator (L,)."""
    made = split_factors(splits, trades.symbol, trades.units_date, day)
    undone = split_factors(splits, trades.symbol, day, trades.units_date)
    # One of the two is 1/1 in every row.
    return made[0] * undone[1], made[1] * undone[0]


class OversizedBooksError(PublicationError):
    """Portfolios with amounts that are too large to be exact, by number, at the ``row``-th session and not before.

    The row is None where the amounts are of no one session, but of all that is known by the last one.
    ``versions`` are those of their books that were read.
    """

    def __init__(self, versions: Mapping[int, int], row: int | None) -> None:
        ids = list(versions)[:NAMED_OFFENDERS]
        super().__init__(f"Amounts of the portfolios {ids} are {TOO_LARGE}: correct their lots")
        self.versions = versions
        self.row = row


@contextmanager
def naming_portfolios(owners: IntArray, *, books: tuple[IntArray, IntArray]) -> Iterator[None]:
    """Turn ``AmountOverflowError`` of rows into ``OversizedBooksError`` with the numbers of their portfolios.

    ``owners`` holds the portfolio number of each row that the amounts inside the block belong to, ``books`` the
    numbers of all portfolios, ascending, and the versions of their books.
    """
    try:
        yield
    except AmountOverflowError as error:
        ids = np.unique(owners[error.offenders])
        numbers, versions = books
        found = versions[np.searchsorted(numbers, ids)]
        raise OversizedBooksError(dict(zip(ids.tolist(), found.tolist(), strict=True)), error.row) from error
