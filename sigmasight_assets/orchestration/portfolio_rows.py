"""From books, published closes and betas to the rows of both portfolio products: pure computation."""

import numpy as np
from numpy.typing import NDArray

from sigmasight_assets.quant.arrays import FloatArray, IntArray
from sigmasight_assets.quant.carried_prices import CARRIED_SESSIONS, carried_prices
from sigmasight_assets.quant.factors import METHOD_VERSION
from sigmasight_assets.quant.fingerprint import combine
from sigmasight_assets.quant.ledger import roll_forward
from sigmasight_assets.quant.lots import LedgerState
from sigmasight_assets.quant.money import MONEY_DIGITS
from sigmasight_assets.quant.portfolio_exposures import PortfolioExposures, portfolio_exposures, symbol_positions
from sigmasight_assets.quant.segments import Segments
from sigmasight_assets.quant.snapshots import LedgerResult, LotStatus
from sigmasight_assets.storage.books import Books
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.option_expiries import Settlements, SnapshotRange
from sigmasight_assets.storage.snapshots import COUNT_COLUMNS, MONEY_COLUMNS, PortfolioRows


def compute_portfolio_rows(
    books: Books,
    state: LedgerState,
    grid: Grid,
    *,
    rows: IntArray,
    closes: IntArray,
    betas: FloatArray,
    settlements: Settlements,
) -> PortfolioRows:
    """Roll the books over the sessions ``rows`` (T,) of ``grid`` (N, S) and take their factor exposures.

    ``closes`` (N, S) are published closes in 1e-4 USD, 0 where there is none; ``betas`` (N, S, 13) published betas,
    NaN where there is none. Both should start five sessions before the first row, because closes and betas may be
    that old. ``settlements`` are those by which options of the books were closed. Raises ``AmountOverflowError``,
    naming the portfolios, for amounts beyond int64.
    """
    sessions = grid.sessions[rows]
    prices, ages = _prices(books, grid, rows, closes)
    ledger = roll_forward(
        books.lots,
        books.portfolios,
        books.flows,
        state,
        dividends=books.dividends,
        sessions=sessions,
        prices=prices,
        price_age=ages,
    )
    in_force = [recent_betas(betas, row) for row in rows.tolist()]
    exposures = [_exposures(books, ledger, position, newest) for position, newest in enumerate(in_force)]
    settled = _settled(
        settlements, SnapshotRange(books.portfolio_ids, state.session, sessions, ledger.snapshots.exists)
    )
    return PortfolioRows(
        books=books,
        previous=state.session,
        ledger=ledger,
        exposures=exposures,
        settlements=settlements,
        fingerprint=_fingerprints(books, ledger, in_force, settled),
    )


def _prices(books: Books, grid: Grid, rows: IntArray, closes: IntArray) -> tuple[IntArray, NDArray[np.int8]]:
    """Price in force (T, S + V) and its age: of the symbols, and of the private lots."""
    prices, ages = carried_prices(closes, rows)
    values, value_ages = books.valuations.in_force(grid.sessions[rows])
    return np.concatenate((prices, values), axis=1), np.concatenate((ages, value_ages), axis=1)


def recent_betas(betas: FloatArray, row: int) -> FloatArray:
    """The newest beta (S, K) of each symbol and factor that is no older than five sessions at ``row``."""
    newest: FloatArray = betas[row].copy()
    for earlier in range(row - 1, max(-1, row - CARRIED_SESSIONS - 1), -1):
        missing = np.isnan(newest)
        newest[missing] = betas[earlier][missing]
    return newest


def _exposures(books: Books, ledger: LedgerResult, position: int, betas: FloatArray) -> PortfolioExposures:
    """Exposures of the PUBLIC lots that have a price in force; options and private assets have none."""
    values = ledger.position_values.at(position)
    snapshots = ledger.snapshots.at(position)
    priced = (values.status == LotStatus.PRICED) | (values.status == LotStatus.STALE)
    priced &= books.is_public
    positions = symbol_positions(books.lots.portfolio[priced], books.lots.symbol[priced], values.value[priced])
    equity = np.where(snapshots.exists, snapshots.equity / 10.0**MONEY_DIGITS, np.nan)
    return portfolio_exposures(positions, betas, equity=equity)


def _settled(settlements: Settlements, snapshots: SnapshotRange) -> IntArray:
    """Fingerprint (T, P) of the options that each snapshot settles."""
    prints = np.zeros(snapshots.exists.shape, dtype=np.int64)
    row = settlements.settled_at(snapshots)
    chosen = row >= 0
    each = combine(
        settlements.position_id, settlements.session.astype(np.int64), settlements.underlying_price, settlements.price
    )
    np.add.at(prints, (row[chosen], settlements.portfolio[chosen]), each[chosen])
    return prints


def _fingerprints(books: Books, ledger: LedgerResult, in_force: list[FloatArray], settled: IntArray) -> IntArray:
    """Fingerprint (T, P) of all that is published of a portfolio at a session.

    Exposures count by what they are made of: their own last digits depend on which portfolios are added up together.
    """
    lots = books.lots
    segments = Segments.of(lots.portfolio, len(books.portfolios))
    terms = combine(books.position_ids, lots.split_numerator, lots.split_denominator)
    is_public = books.is_public
    column = np.where(is_public, lots.symbol, 0)
    prints = np.zeros(ledger.snapshots.exists.shape, dtype=np.int64)
    for row, betas in enumerate(in_force):
        snapshots, values = ledger.snapshots.at(row), ledger.position_values.at(row)
        symbols = combine(*np.ascontiguousarray(betas.T).view(np.int64))
        held = combine(
            terms,
            values.status.astype(np.int64),
            values.price,
            values.value,
            values.pnl,
            np.where(is_public, symbols[column], 0) if symbols.size else 0,
        )
        prints[row] = combine(
            METHOD_VERSION,
            *(getattr(snapshots, name) for name in (*MONEY_COLUMNS, *COUNT_COLUMNS.values())),
            # Null at the first snapshot of a portfolio, which another session may become.
            snapshots.daily_return.view(np.int64),
            # Lots count with their identity, so their order is of no importance to the sum.
            segments.totals(np.where(values.held, held, 0)),
            settled[row],
        )
    return prints
