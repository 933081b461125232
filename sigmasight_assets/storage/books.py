"""Books as the ledger reads them: lots, portfolios, flows and the state of the previous snapshots, as arrays."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sigmasight_assets.quant.arrays import DateArray, FloatArray, IntArray
from sigmasight_assets.quant.lots import CapitalFlows, LedgerState, Lots, Portfolios
from sigmasight_assets.storage.bulk import BulkTransaction, numpy_column
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.tables import FACTOR_COLUMNS

LOTS_SQL = """
SELECT positions.portfolio_id, position_id, symbol, (quantity * 10000)::bigint AS quantity,
       (entry_price * 10000)::bigint AS entry_price, entry_date, exit_date,
       coalesce(exit_price * 10000, 0)::bigint AS exit_price
FROM positions
WHERE portfolio_id = ANY($1)
ORDER BY portfolio_id, position_id
"""
PORTFOLIOS_SQL = """
SELECT portfolio_id, as_of, (stated_equity * 100000000)::bigint AS stated_equity, book_version, stale_from
FROM portfolios
WHERE as_of <= $1::date AND ($2::date IS NULL OR stale_from IS NULL OR stale_from > $2::date)
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
WHERE session = $1
"""
MARKS_SQL = "SELECT position_id, (price_used * 10000)::bigint AS price_used FROM position_values WHERE session = $1"


@dataclass(frozen=True)
class Books:
    """Portfolios (P,) and lots (L,) with their database keys; ``symbols`` are the columns that lots refer to.

    ``stale_from`` (P,) is NaT for portfolios whose stored snapshots are current.
    """

    portfolio_ids: IntArray
    book_versions: IntArray
    stale_from: DateArray
    position_ids: IntArray
    symbols: tuple[str, ...]
    portfolios: Portfolios
    lots: Lots
    flows: CapitalFlows


def read_books(
    transaction: BulkTransaction, *, last: date, previous: date | None = None, only_stale: bool = False
) -> Books:
    """The books of portfolios that exist on ``last``; with ``only_stale`` those whose snapshots await recomputation.

    Left out are books that are stale as of the ``previous`` snapshots or earlier: they have to be computed from there.
    """
    rows = transaction.read(PORTFOLIOS_SQL, (last, previous))
    if only_stale:
        rows = rows.filter(pc.is_valid(rows.column("stale_from")))
    portfolio_ids = numpy_column(rows, "portfolio_id")
    keys = (portfolio_ids.tolist() or [0],)
    lots = transaction.read(LOTS_SQL, keys)
    flows = transaction.read(FLOWS_SQL, keys)
    symbols = tuple(sorted(set(lots.column("symbol").to_pylist())))
    column = pc.index_in(lots.column("symbol"), value_set=pa.array(symbols, pa.string()))
    return Books(
        portfolio_ids=portfolio_ids,
        book_versions=numpy_column(rows, "book_version"),
        stale_from=numpy_column(rows, "stale_from"),
        position_ids=numpy_column(lots, "position_id"),
        symbols=symbols,
        portfolios=Portfolios(numpy_column(rows, "as_of"), numpy_column(rows, "stated_equity")),
        lots=Lots(
            portfolio=np.searchsorted(portfolio_ids, numpy_column(lots, "portfolio_id")),
            symbol=column.to_numpy().astype(np.int64),
            quantity=numpy_column(lots, "quantity"),
            entry_price=numpy_column(lots, "entry_price"),
            entry_date=numpy_column(lots, "entry_date"),
            exit_date=numpy_column(lots, "exit_date"),
            exit_price=numpy_column(lots, "exit_price"),
            # PUBLIC lots only: one share stands for one share.
            multiplier=np.ones(lots.num_rows, dtype=np.int64),
        ),
        flows=CapitalFlows(
            portfolio=np.searchsorted(portfolio_ids, numpy_column(flows, "portfolio_id")),
            flow_date=numpy_column(flows, "flow_date"),
            amount=numpy_column(flows, "amount"),
        ),
    )


def read_ledger_state(transaction: BulkTransaction, books: Books, previous: date | None) -> LedgerState:
    """What the snapshots of session ``previous`` leave to the next one; empty where a portfolio has none there."""
    state = LedgerState.initial(books.portfolios, books.lots)
    if previous is None:
        return state
    rows = transaction.read(STATE_SQL, (previous,))
    cells, known = _positions_of(numpy_column(rows, "portfolio_id"), books.portfolio_ids)
    state.session[cells] = np.datetime64(previous, "D")
    state.equity[cells] = numpy_column(rows, "equity")[known]
    state.cumulative_pnl[cells] = numpy_column(rows, "cumulative_pnl")[known]
    marks = transaction.read(MARKS_SQL, (previous,))
    order = np.argsort(books.position_ids)
    found, known = _positions_of(numpy_column(marks, "position_id"), books.position_ids[order])
    state.mark[order[found]] = numpy_column(marks, "price_used")[known]
    state.has_mark[order[found]] = True
    return state


def _positions_of(keys: IntArray, ascending: IntArray) -> tuple[IntArray, IntArray]:
    """Positions in ``ascending`` of the keys that are there, and which keys those are."""
    place = np.searchsorted(ascending, keys)
    inside = place < len(ascending)
    inside[inside] = ascending[place[inside]] == keys[inside]
    return place[inside], np.flatnonzero(inside)


def read_published_closes(transaction: BulkTransaction, grid: Grid) -> IntArray:
    """Published closes (N, S) in 1e-4 USD, 0 where none is published."""
    rows = transaction.read(
        "SELECT metrics_date, symbol, (close_price * 10000)::bigint AS close_price FROM symbol_daily_metrics "
        "WHERE metrics_date BETWEEN $1 AND $2 AND symbol = ANY($3)",
        (grid.sessions[0].item(), grid.sessions[-1].item(), list(grid.symbols) or [""]),
    )
    inside, cells = grid.locate(rows, "metrics_date")
    closes = np.zeros(grid.shape, dtype=np.int64)
    closes[cells] = numpy_column(rows, "close_price")[inside]
    return closes


def read_published_betas(transaction: BulkTransaction, grid: Grid) -> FloatArray:
    """Published betas (N, S, 12) in the canonical order of factors, NaN where there is none."""
    names = [f"{factor}_beta" for factor in FACTOR_COLUMNS]
    rows = transaction.read(
        f"SELECT metrics_date, symbol, {', '.join(names)} FROM symbol_daily_metrics "
        "WHERE metrics_date BETWEEN $1 AND $2 AND symbol = ANY($3)",
        (grid.sessions[0].item(), grid.sessions[-1].item(), list(grid.symbols) or [""]),
    )
    inside, cells = grid.locate(rows, "metrics_date")
    betas = np.full((*grid.shape, len(names)), np.nan)
    for position, name in enumerate(names):
        betas[(*cells, position)] = numpy_column(rows, name)[inside]
    return betas
