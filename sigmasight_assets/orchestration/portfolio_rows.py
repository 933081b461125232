"""From books, published closes and betas to the rows of both portfolio products: pure computation."""

import numpy as np

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
from sigmasight_assets.storage.snapshots import COUNT_COLUMNS, MONEY_COLUMNS, PortfolioRows


def compute_portfolio_rows(
    books: Books, state: LedgerState, grid: Grid, *, rows: IntArray, closes: IntArray, betas: FloatArray
) -> PortfolioRows:
    """Roll the books over the sessions ``rows`` (T,) of ``grid`` (N, S) and take their factor exposures.

    ``closes`` (N, S) are published closes in 1e-4 USD, 0 where there is none; ``betas`` (N, S, 12) published betas,
    NaN where there is none. Both should start five sessions before the first row, because closes and betas may be
    that old. Raises ``OverflowError`` for amounts beyond int64.
    """
    prices, ages = carried_prices(closes, rows)
    ledger = roll_forward(
        books.lots,
        books.portfolios,
        books.flows,
        state,
        sessions=grid.sessions[rows],
        prices=prices,
        price_age=ages,
    )
    in_force = [recent_betas(betas, row) for row in rows.tolist()]
    exposures = [_exposures(books, ledger, position, newest) for position, newest in enumerate(in_force)]
    return PortfolioRows(books, ledger, exposures, _fingerprints(books, ledger, in_force))


def recent_betas(betas: FloatArray, row: int) -> FloatArray:
    """The newest beta (S, 12) of each symbol and factor that is no older than five sessions at ``row``."""
    newest: FloatArray = betas[row].copy()
    for earlier in range(row - 1, max(-1, row - CARRIED_SESSIONS - 1), -1):
        missing = np.isnan(newest)
        newest[missing] = betas[earlier][missing]
    return newest


def _exposures(books: Books, ledger: LedgerResult, position: int, betas: FloatArray) -> PortfolioExposures:
    values = ledger.position_values.at(position)
    snapshots = ledger.snapshots.at(position)
    priced = (values.status == LotStatus.PRICED) | (values.status == LotStatus.STALE)
    positions = symbol_positions(books.lots.portfolio[priced], books.lots.symbol[priced], values.value[priced])
    equity = np.where(snapshots.exists, snapshots.equity / 10.0**MONEY_DIGITS, np.nan)
    return portfolio_exposures(positions, betas, equity=equity)


def _fingerprints(books: Books, ledger: LedgerResult, in_force: list[FloatArray]) -> IntArray:
    """Fingerprint (T, P) of all that is published of a portfolio at a session.

    Exposures count by what they are made of: their own last digits depend on which portfolios are added up together.
    """
    segments = Segments.of(books.lots.portfolio, len(books.portfolios))
    prints = np.zeros(ledger.snapshots.exists.shape, dtype=np.int64)
    for row, betas in enumerate(in_force):
        snapshots, values = ledger.snapshots.at(row), ledger.position_values.at(row)
        symbols = combine(*np.ascontiguousarray(betas.T).view(np.int64))
        lots = combine(
            books.position_ids,
            values.status.astype(np.int64),
            values.price,
            values.value,
            values.pnl,
            symbols[books.lots.symbol],
        )
        prints[row] = combine(
            METHOD_VERSION,
            *(getattr(snapshots, name) for name in (*MONEY_COLUMNS, *COUNT_COLUMNS.values())),
            # Null at the first snapshot of a portfolio, which another session may become.
            snapshots.daily_return.view(np.int64),
            # Lots count with their identity, so their order is of no importance to the sum.
            segments.totals(np.where(values.held, lots, 0)),
        )
    return prints
