"""Read what a view holds of the past: a year of returns and the factor covariances. The rest of a view: ``loader``."""

from datetime import date

import numpy as np

from sigmasight_api.view import RETURNS_HELD
from sigmasight_assets.quant.arrays import DateArray, FloatArray
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.quant.returns import simple_returns
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.bulk import BulkTransaction, numpy_column
from sigmasight_assets.storage.grid import Grid, read_rows


def sessions_held(calendar: SessionCalendar, as_of: date) -> DateArray:
    """The sessions (T + 1,) whose bars give the returns of a view: ascending, the last is ``as_of``."""
    return np.array(calendar.between(calendar.offset(as_of, -RETURNS_HELD), as_of), dtype="datetime64[D]")


def read_returns(transaction: BulkTransaction, sessions: DateArray, symbols: tuple[str, ...]) -> FloatArray:
    """Simple daily total returns (S, T) of the symbols between the sessions (T + 1,), NaN where one is missing."""
    if len(sessions) == 0:
        return np.empty((len(symbols), 0))
    grid = Grid(sessions, symbols)
    rows = read_rows(transaction, grid, "symbol_prices_daily", "price_date", columns=["adj_close_price"])
    inside, cells = grid.locate(rows, "price_date")
    closes = np.full(grid.shape, np.nan)
    closes[cells] = numpy_column(rows, "adj_close_price")[inside]
    # What an adjusted close near the smallest float gives is no return.
    with np.errstate(over="ignore"):
        returns = simple_returns(closes)[1:]
    return np.ascontiguousarray(np.where(np.isfinite(returns), returns, np.nan).T)


def read_covariance(transaction: BulkTransaction, sessions: list[date]) -> tuple[FloatArray | None, date | None]:
    """The newest published covariances (8, 8) of these sessions, in the order of ``FACTOR_ETFS``, and their session."""
    rows = transaction.read(
        "SELECT session, factors, covariance FROM factor_covariances "
        "WHERE session = ANY($1::date[]) ORDER BY session DESC LIMIT 1",
        ([str(session) for session in sessions],),
    ).to_pylist()
    if not rows:
        return None, None
    names, size = rows[0]["factors"], len(FACTOR_ETFS)
    order = [names.index(fund) for fund in FACTOR_ETFS]
    matrix = np.array(rows[0]["covariance"], dtype=np.float64).reshape(size, size)
    return matrix[np.ix_(order, order)], rows[0]["session"]
