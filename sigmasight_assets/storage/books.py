"""Books as the ledger reads them: lots, portfolios, flows and the state of the previous snapshots, as arrays.

What lots cost and brought is worked out in ``lot_terms``; the published figures they meet are in ``published``.
"""

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sigmasight_assets.market_data.options import SHARES_PER_CONTRACT
from sigmasight_assets.quant.arrays import BoolArray, DateArray, IntArray
from sigmasight_assets.quant.lots import CapitalFlows, Dividends, LedgerState, Lots, Portfolios
from sigmasight_assets.quant.money import rational_product
from sigmasight_assets.quant.snapshots import LotStatus
from sigmasight_assets.quant.splits import Splits, split_factors
from sigmasight_assets.storage.actions import read_published_actions
from sigmasight_assets.storage.bulk import BulkTransaction, numpy_column
from sigmasight_assets.storage.lot_terms import (
    Trades,
    cost_and_proceeds,
    naming_portfolios,
    published_dividends,
    published_splits,
)
from sigmasight_assets.storage.snapshot_parts import Slice, condition_of
from sigmasight_assets.storage.valuations import Valuations, read_valuations

LOTS_SQL = """
SELECT positions.portfolio_id, position_id, symbol, investment_class, (quantity * 10000)::bigint AS quantity,
       coalesce(units_date, entry_date) AS units_date,
       coalesce(entry_price * 10000, 0)::bigint AS entry_price, entry_date,
       CASE WHEN exit_date <= $2::date THEN exit_date END AS exit_date,
       coalesce(exit_price * 10000, 0)::bigint AS exit_price
FROM positions
WHERE portfolio_id = ANY($1) AND entry_date <= $2::date
ORDER BY portfolio_id, position_id
"""
PORTFOLIOS_SQL = """
SELECT portfolio_id, as_of, (stated_equity * 100000000)::bigint AS stated_equity, book_version, stale_from
FROM portfolios
WHERE as_of <= $1::date AND ($2::date IS NULL OR stale_from IS NULL OR stale_from > $2::date)
  AND ($3::bigint[] IS NULL OR stale_from <= $1::date OR portfolio_id = ANY($3::bigint[]))
  AND portfolio_id BETWEEN $4 AND $5 AND portfolio_id <> ALL($6::bigint[])
  AND ($2::date IS NULL OR left_out_from IS NULL OR left_out_from > $2::date)
  AND {within}
ORDER BY portfolio_id
"""
FLOWS_SQL = """
SELECT portfolio_id, flow_date, (amount * 100000000)::bigint AS amount
FROM capital_flows
WHERE portfolio_id = ANY($1)
"""
STATE_SQL = """
SELECT portfolio_id, (equity * 100000000)::bigint AS equity, (cumulative_pnl * 100000000)::bigint AS cumulative_pnl
FROM portfolio_snapshots
WHERE session = $1 AND portfolio_id = ANY($2)
"""
MARKS_SQL = """
SELECT position_ids, market_values, prices_used, split_numerators, split_denominators, statuses
FROM portfolio_lot_values
WHERE session = $1 AND portfolio_id = ANY($2)
"""

# First and last portfolio key.
KeyRange = tuple[int, int]
ALL_KEYS: KeyRange = (0, 2**63 - 1)


@dataclass(frozen=True)
class Books:
    """Portfolios (P,) by database key, and lots (L,) by portfolio and key.

    Lots refer to columns: first the ``symbols`` (S,) of the PUBLIC and OPTIONS lots, then one column for each PRIVATE
    lot (V,), in the order of the lots, whose ``valuations`` are its prices. ``stale_from`` (P,) is NaT for portfolios
    whose stored snapshots are current.
    """

    portfolio_ids: IntArray
    book_versions: IntArray
    stale_from: DateArray
    position_ids: IntArray
    symbols: tuple[str, ...]
    private_names: tuple[str, ...]
    is_option: BoolArray
    portfolios: Portfolios
    lots: Lots
    flows: CapitalFlows
    dividends: Dividends
    valuations: Valuations

    @property
    def names(self) -> tuple[str, ...]:
        """What the columns (S + V,) are called."""
        return self.symbols + self.private_names

    @property
    def is_private(self) -> BoolArray:
        """Which lots (L,) are valued by their owner."""
        is_private: BoolArray = self.lots.symbol >= len(self.symbols)
        return is_private

    @property
    def is_public(self) -> BoolArray:
        """Which lots (L,) have exposures."""
        return ~(self.is_option | self.is_private)

    @property
    def versions(self) -> tuple[IntArray, IntArray]:
        """The numbers of the portfolios and the versions of their books (P,)."""
        return self.portfolio_ids, self.book_versions

    @property
    def owners(self) -> IntArray:
        """The number of each lot's portfolio (L,)."""
        owners: IntArray = self.portfolio_ids[self.lots.portfolio]
        return owners


def read_books(
    transaction: BulkTransaction,
    *,
    last: date,
    previous: date | None = None,
    only: IntArray | None = None,
    keys: KeyRange = ALL_KEYS,
    without: Collection[int] = (),
    within: Slice | None = None,
) -> Books:
    """The books of portfolios that exist on ``last``; with ``only`` those, and others that are stale by then.

    Of these only portfolios ``within`` a slice whose keys lie in the range ``keys``, both ends included. Trades after
    ``last`` are not read: a lot closed then is open, and what cannot be held of it is no matter yet.

    Left out are books that are stale as of the ``previous`` snapshots or earlier: they have to be computed from there.
    So are those ``without`` which, and those that were left out before. Options are open until their owner closes
    them; ``orchestration.option_expiry`` ends them. Raises ``OversizedBooksError`` naming the portfolios with an amount
    beyond 92 billion USD.
    """
    if only is not None:
        only = only[(keys[0] <= only) & (only <= keys[1])]
    rows = transaction.read(
        PORTFOLIOS_SQL.format(within=condition_of(within)),
        (last, previous, None if only is None else _key_list(only), *keys, [0, *without]),
    )
    portfolio_ids = numpy_column(rows, "portfolio_id")
    found = (_key_list(portfolio_ids),)
    table = _LotTable(transaction.read(LOTS_SQL, (*found, last)))
    flows = transaction.read(FLOWS_SQL, found)
    position_ids = numpy_column(table.rows, "position_id")
    valuations = read_valuations(transaction, portfolio_ids, position_ids[table.is_private])
    actions = read_published_actions(transaction, table.public_symbols)
    book_versions = numpy_column(rows, "book_version")
    with naming_portfolios(numpy_column(table.rows, "portfolio_id"), books=(portfolio_ids, book_versions)):
        lots = table.lots(portfolio_ids, published_splits(actions, table.symbols), valuations)
    return Books(
        portfolio_ids=portfolio_ids,
        book_versions=book_versions,
        stale_from=numpy_column(rows, "stale_from"),
        position_ids=position_ids,
        symbols=table.symbols,
        private_names=table.private_names,
        is_option=table.is_option,
        portfolios=Portfolios(numpy_column(rows, "as_of"), numpy_column(rows, "stated_equity")),
        lots=lots,
        flows=CapitalFlows(
            portfolio=np.searchsorted(portfolio_ids, numpy_column(flows, "portfolio_id")),
            flow_date=numpy_column(flows, "flow_date"),
            amount=numpy_column(flows, "amount"),
        ),
        dividends=published_dividends(actions, table.symbols),
        valuations=valuations,
    )


def _key_list(keys: IntArray) -> list[int]:
    """Never empty, because an empty list has no type; 0 is nobody's key."""
    return keys.tolist() or [0]


class _LotTable:
    """Rows of ``LOTS_SQL`` and the columns that they are given."""

    def __init__(self, rows: pa.Table) -> None:
        self.rows = rows
        investment_class, names = rows.column("investment_class"), rows.column("symbol")
        self.is_private: BoolArray = _is(investment_class, "PRIVATE")
        self.is_option: BoolArray = _is(investment_class, "OPTIONS")
        self.is_public: BoolArray = ~(self.is_private | self.is_option)
        self.private_names = tuple(names.filter(pa.array(self.is_private)).to_pylist())
        self.public_symbols = sorted(set(names.filter(pa.array(self.is_public)).to_pylist()))
        contracts = set(names.filter(pa.array(self.is_option)).to_pylist())
        self.symbols = tuple(sorted(contracts.union(self.public_symbols)))

    def lots(self, portfolio_ids: IntArray, splits: Splits, valuations: Valuations) -> Lots:
        quantity, multiplier = numpy_column(self.rows, "quantity"), np.where(self.is_option, SHARES_PER_CONTRACT, 1)
        trades = Trades(
            symbol=self._columns(),
            size=quantity * multiplier,
            units_date=numpy_column(self.rows, "units_date"),
            entry_price=numpy_column(self.rows, "entry_price"),
            entry_date=numpy_column(self.rows, "entry_date"),
            exit_price=numpy_column(self.rows, "exit_price"),
            exit_date=numpy_column(self.rows, "exit_date"),
        )
        cost, proceeds = cost_and_proceeds(trades, splits)
        direction = np.sign(quantity)
        stated = np.zeros(len(quantity), dtype=np.int64)
        stated[self.is_private] = valuations.first()
        numerator, denominator = split_factors(splits, trades.symbol, trades.units_date)
        return Lots(
            portfolio=np.searchsorted(portfolio_ids, numpy_column(self.rows, "portfolio_id")),
            symbol=trades.symbol,
            # A private lot is valued whole.
            quantity=np.where(self.is_private, direction, quantity),
            multiplier=multiplier,
            split_numerator=numerator,
            split_denominator=denominator,
            entry_date=trades.entry_date,
            exit_date=trades.exit_date,
            # Without any valuation a private lot has no value either, and is listed.
            cost=np.where(trades.entry_price > 0, cost, direction * stated),
            proceeds=proceeds,
            pays_dividends=self.is_public,
        )

    def _columns(self) -> IntArray:
        column = pc.index_in(self.rows.column("symbol"), value_set=pa.array(self.symbols, pa.string()))
        columns: IntArray = pc.fill_null(column, -1).to_numpy().astype(np.int64)
        columns[self.is_private] = len(self.symbols) + np.arange(self.is_private.sum())
        return columns


def _is(column: pa.ChunkedArray, word: str) -> BoolArray:
    matches: BoolArray = pc.equal(column, word).to_numpy()
    return matches


def read_ledger_state(transaction: BulkTransaction, books: Books, previous: date | None) -> LedgerState:
    """What the snapshots of session ``previous`` leave to the next one; empty where a portfolio has none there.

    A lot's value is the one that was stored; the price beside it is brought to the present share units, rounded
    half-even to 1e-4 USD. Raises ``OversizedBooksError`` naming the portfolios of which one cannot be held.
    """
    state = LedgerState.initial(books.portfolios, books.lots)
    if previous is None:
        return state
    keys = _key_list(books.portfolio_ids)
    rows = transaction.read(STATE_SQL, (previous, keys))
    cells, known = _positions_of(numpy_column(rows, "portfolio_id"), books.portfolio_ids)
    state.session[cells] = np.datetime64(previous, "D")
    state.equity[cells] = numpy_column(rows, "equity")[known]
    state.cumulative_pnl[cells] = numpy_column(rows, "cumulative_pnl")[known]
    marks = _Marks.of(transaction.read(MARKS_SQL, (previous, keys)))
    order = np.argsort(books.position_ids)
    found, known = _positions_of(marks.position_ids, books.position_ids[order])
    lots, marks = order[found], marks.at(known)
    state.value[lots] = marks.values
    state.price[lots] = _present_prices(books, lots, marks)
    state.has_mark[lots] = True
    return state


@dataclass(frozen=True)
class _Marks:
    """Lots (M,) that have been priced, and how they were valued last; the price of a private lot is 0."""

    position_ids: IntArray
    values: IntArray
    prices: IntArray
    split_numerators: IntArray
    split_denominators: IntArray

    @classmethod
    def of(cls, rows: pa.Table) -> "_Marks":
        """From rows of ``MARKS_SQL``; a lot that was never priced has no price, and a private one never has."""
        prices = pc.list_flatten(rows.column("prices_used"))
        is_marked = prices.is_valid().to_numpy() | (_flat(rows, "statuses") == int(LotStatus.PRICED))
        return cls(
            position_ids=_flat(rows, "position_ids"),
            values=_flat(rows, "market_values"),
            prices=pc.fill_null(prices, 0).to_numpy(),
            split_numerators=_flat(rows, "split_numerators"),
            split_denominators=_flat(rows, "split_denominators"),
        ).at(np.flatnonzero(is_marked))

    def at(self, places: IntArray) -> "_Marks":
        """Those at the ``places`` (N,)."""
        return _Marks(**{field.name: getattr(self, field.name)[places] for field in fields(self)})


def _flat(rows: pa.Table, name: str) -> IntArray:
    """The elements of a column of lists, one list after the other."""
    elements: IntArray = pc.list_flatten(rows.column(name)).to_numpy()
    return elements


def _present_prices(books: Books, lots: IntArray, marks: _Marks) -> IntArray:
    """The prices used for ``lots`` (M,), whose marks are given, in the units of today's prices."""
    prices = np.where(books.is_private[lots], np.abs(marks.values), marks.prices)
    then = [marks.split_numerators, marks.split_denominators]
    now = [books.lots.split_numerator[lots], books.lots.split_denominator[lots]]
    moved = np.flatnonzero((then[0] != now[0]) | (then[1] != now[1]))
    numerator, denominator = then[0][moved] * now[1][moved], then[1][moved] * now[0][moved]
    # Price x shares stays what it was.
    common = np.gcd(numerator, denominator)
    with naming_portfolios(books.owners[lots[moved]], books=books.versions):
        prices[moved] = rational_product(prices[moved], np.ones_like(moved), numerator // common, denominator // common)
    return prices


def _positions_of(keys: IntArray, ascending: IntArray) -> tuple[IntArray, IntArray]:
    """Positions in ``ascending`` of the keys that are there, and which keys those are."""
    place = np.searchsorted(ascending, keys)
    inside = place < len(ascending)
    inside[inside] = ascending[place[inside]] == keys[inside]
    return place[inside], np.flatnonzero(inside)
