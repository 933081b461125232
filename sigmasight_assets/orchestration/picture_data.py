"""Reads what the pictures of a run show, once for all its sessions: published figures, of the newest so many sessions.

What is read is bounded, whatever the size of the universe, of the books or of the range.
"""

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np

from sigmasight_assets.orchestration.pictures import Named
from sigmasight_assets.storage.bulk import BulkTransaction, numpy_column
from sigmasight_assets.storage.figures import PRODUCT_TABLES
from sigmasight_assets.storage.tables import FACTOR_COLUMNS

# Sessions of a run that have pictures, the newest ones, and how many rows these may take to read.
DRAWN_SESSIONS = 20
DRAWN_ROWS = 100_000
# Portfolios that are looked at; of more, evenly spread ones.
SAMPLED_PORTFOLIOS = 2_000

BySession = Mapping[date, Named]


def drawn_sessions(sessions: Sequence[date], *, rows_each: int) -> list[date]:
    """The newest of the sessions, so few that what is read and kept for them stays small; one at least."""
    count = min(DRAWN_SESSIONS, max(1, DRAWN_ROWS // max(1, rows_each)))
    return list(sessions[-count:])


def read_betas(transaction: BulkTransaction, product: str, sessions: Sequence[date]) -> BySession:
    """Published betas of a product at the sessions and at the published one before them, by session."""
    source = PRODUCT_TABLES[product]
    day, table = source.date_column, source.table.name
    query = f"SELECT max({day}) AS day FROM {table} WHERE {day} < $1"
    previous = transaction.read(query, (sessions[0],)).column("day")[0].as_py()
    days = [*([previous] if previous is not None else []), *sessions]
    rows = f"{table} WHERE {day} = ANY($1::date[])"
    return _read(transaction, rows, keys=f"{day} AS day, symbol AS name", columns=source.betas, sessions=days)


def read_covariances(transaction: BulkTransaction, sessions: Sequence[date]) -> Mapping[date, Named]:
    """The funds and their covariances (8, 8) at the sessions and at the published one before them."""
    rows = transaction.read(
        "SELECT session, factors, covariance FROM factor_covariances WHERE session = ANY($1::date[]) "
        "OR session = (SELECT max(session) FROM factor_covariances WHERE session < $2) ORDER BY session",
        (_texts(sessions), sessions[0]),
    )
    found = {}
    for row in rows.to_pylist():
        size = len(row["factors"])
        found[row["session"]] = Named(row["session"], row["factors"], np.array(row["covariance"]).reshape(size, size))
    return found


def read_total_return_prices(transaction: BulkTransaction, sessions: Sequence[date]) -> BySession:
    """Total-return closes of all symbols at the sessions."""
    return _read(
        transaction,
        "symbol_prices_daily WHERE price_date = ANY($1::date[])",
        keys="price_date AS day, symbol AS name",
        columns=("adj_close_price",),
        sessions=sessions,
    )


def sample_portfolios(transaction: BulkTransaction) -> tuple[list[int], int]:
    """All portfolios, or one in so many of them where there are too many; the numbers, and in how many."""
    ids = numpy_column(transaction.read("SELECT portfolio_id FROM portfolios ORDER BY portfolio_id"), "portfolio_id")
    spread = -(-len(ids) // SAMPLED_PORTFOLIOS) or 1
    return ids[::spread].tolist(), spread


def previous_snapshots(transaction: BulkTransaction, day: date) -> date | None:
    """The last session before the day that has snapshots."""
    query = "SELECT max(session) AS day FROM snapshot_inputs WHERE session < $1"
    found: date | None = transaction.read(query, (day,)).column("day")[0].as_py()
    return found


def read_returns(transaction: BulkTransaction, ids: Sequence[int], sessions: Sequence[date]) -> BySession:
    """Daily return and P&L in USD of these portfolios."""
    columns = ("daily_return", "daily_pnl::double precision AS daily_pnl")
    return _read_portfolios(transaction, "portfolio_snapshots", columns, ids, sessions)


def read_exposures(transaction: BulkTransaction, ids: Sequence[int], sessions: Sequence[date]) -> BySession:
    """Exposures of these portfolios to the twelve factors."""
    columns = tuple(f"{factor}_exposure" for factor in FACTOR_COLUMNS)
    return _read_portfolios(transaction, "portfolio_exposures", columns, ids, sessions)


def _read_portfolios(
    transaction: BulkTransaction, table: str, columns: Sequence[str], ids: Sequence[int], sessions: Sequence[date]
) -> BySession:
    # By their numbers, which the tables are indexed by; a session alone would be looked for in a whole year.
    return _read(
        transaction,
        f"{table} WHERE portfolio_id = ANY($2) AND session = ANY($1::date[])",
        keys="session AS day, portfolio_id::text AS name",
        columns=columns,
        sessions=sessions,
        more=[list(ids) or [0]],
    )


def _read(
    transaction: BulkTransaction,
    source: str,
    *,
    keys: str,
    columns: Sequence[str],
    sessions: Sequence[date],
    more: Sequence[Sequence[int]] = (),
) -> BySession:
    """Rows of a source (a table and which rows of it) by session; ``keys`` are its session and its name."""
    query = f"SELECT {keys}, {', '.join(columns)} FROM {source} ORDER BY 1, 2"
    rows = transaction.read(query, (_texts(sessions), *more))
    days, names = numpy_column(rows, "day"), np.array(rows.column("name").to_pylist(), dtype=object)
    labels = [name.rpartition(" AS ")[2] for name in columns]
    values = np.stack([numpy_column(rows, name).astype(np.float64) for name in labels], axis=1)
    found = {}
    for day in sorted(sessions):
        inside = slice(*np.searchsorted(days, [np.datetime64(day), np.datetime64(day) + 1]).tolist())
        if inside.stop > inside.start:
            found[day] = Named(day, names[inside].tolist(), values[inside])
    return found


def _texts(sessions: Sequence[date]) -> list[str]:
    return [str(day) for day in sessions]
