"""What the database benchmarks work on: a PostgreSQL server with the settings users get, filled with a made-up market.

Prices follow the model of ``benchmarks.engine``; portfolios hold random lots of random symbols. Everything is written
by bulk copies, so filling takes seconds.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from sigmasight_assets.quant.arrays import FloatArray, IntArray
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.services.postgres import EmbeddedPostgres
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.bulk import BulkTransaction, decimal_array, money_array, price_array
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.metadata import METADATA
from sigmasight_assets.storage.schema import migrate

SEED = 11
LAST = date(2025, 7, 31)
# Before the first computed session: a year for the longest windows, and the price that the first return starts from.
HISTORY = 262
PRICE_UNITS, QUANTITY_UNITS, MONEY_UNITS = 10_000, 10_000, 10**8
GAPS, SHORT = 0.01, 0.03


@dataclass(frozen=True)
class Server:
    """A running server; databases on it live for the time of a block."""

    url: str

    @contextmanager
    def database(self, name: str) -> Iterator[Database]:
        """A new database with the current schema."""
        engine = sa.create_engine(self.url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
        url = make_url(self.url).set(database=name).render_as_string(hide_password=False)
        database = Database(url)
        try:
            migrate(url)
            yield database
        finally:
            database.close()
            with engine.connect() as connection:
                connection.execute(sa.text(f'DROP DATABASE "{name}" WITH (FORCE)'))
            engine.dispose()


@contextmanager
def server() -> Iterator[Server]:
    """A server in a directory of its own, with the settings that ``make run`` gives."""
    directory = Path(tempfile.mkdtemp(prefix="sigmasight-bench-")).resolve()
    # The server of a benchmark run by root drops to another user, who must get through.
    directory.chmod(0o711)
    embedded = EmbeddedPostgres(directory / "home", relocation_root=directory / "relocated")
    try:
        embedded.start()
        yield Server(embedded.url())
    finally:
        embedded.stop()
        shutil.rmtree(directory)


def sessions_before(last: date, count: int) -> list[date]:
    """The ``count`` sessions up to ``last``."""
    calendar = exchange_calendar()
    return calendar.between(calendar.offset(last, 1 - count), last)


def symbol_names(count: int) -> tuple[str, ...]:
    """The eight factor ETFs and made-up stocks, ``count`` in all, alphabetically."""
    return tuple(sorted([*FACTOR_ETFS, *(f"S{number:05d}" for number in range(count - len(FACTOR_ETFS)))]))


def fill_market(database: Database, *, symbols: int, sessions: int) -> list[date]:
    """Track symbols and store prices of the sessions and the year before them; returns the sessions.

    3 % of the symbols were listed in the middle of the first window, 1 % of the bars are missing.
    """
    names, days = symbol_names(symbols), sessions_before(LAST, sessions + HISTORY)
    closes = made_up_closes(names, len(days))
    with database.bulk() as transaction:
        _append_universe(transaction, names, days, closes)
        step = max(1, 1_000_000 // symbols)
        for first in range(0, len(days), step):
            part = slice(first, first + step)
            transaction.append("symbol_prices_daily", price_rows(names, days[part], closes[part]))
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE symbol_prices_daily, symbol_universe"))
    return days[-sessions:]


def made_up_closes(names: Sequence[str], sessions: int) -> FloatArray:
    """Closes (N, S) in USD, NaN where there is no bar; the factor ETFs have all of theirs."""
    random = np.random.default_rng(SEED)
    funds = random.normal(3e-4, 0.008, (sessions, 1)) + random.normal(0.0, 0.003, (sessions, len(FACTOR_ETFS)))
    returns = funds @ random.normal(0.15, 0.3, (len(FACTOR_ETFS), len(names)))
    returns += random.normal(2e-4, 0.012, (sessions, len(names)))
    own = [names.index(name) for name in FACTOR_ETFS]
    returns[:, own] = funds
    closes: FloatArray = np.round(random.uniform(20, 200, len(names)) * np.exp(np.cumsum(returns, axis=0)) + 1, 4)
    missing = random.random(closes.shape) < GAPS
    # The newest bar says that a symbol still trades.
    missing[-1] = False
    late = random.choice(len(names), size=round(SHORT * len(names)), replace=False)
    missing[: HISTORY - 45, late] = True
    missing[:, own] = False
    closes[missing] = np.nan
    return closes


def price_rows(names: Sequence[str], days: Sequence[date], closes: FloatArray) -> pa.Table:
    """Rows of ``symbol_prices_daily``, session by session."""
    known = np.isfinite(closes)
    rows = Grid(np.array(days, dtype="datetime64[D]"), tuple(names)).keys(known, "price_date")
    close = np.rint(closes[known] * PRICE_UNITS).astype(np.int64)
    prices = {"open_price": close, "high_price": close + close // 100, "low_price": close - close // 100}
    for name, values in {**prices, "close_price": close}.items():
        rows = rows.append_column(name, price_array(values))
    rows = rows.append_column("adj_close_price", pa.array(close / PRICE_UNITS))
    rows = rows.append_column("volume", pa.array(1_000_000 + close % 1000 * 1000))
    return rows.append_column("source", pa.repeat("benchmark", rows.num_rows))


def _append_universe(
    transaction: BulkTransaction, names: Sequence[str], days: Sequence[date], closes: FloatArray
) -> None:
    first = np.isfinite(closes).argmax(axis=0)
    rows = pa.table(
        {
            "symbol": pa.array(names),
            "name": pa.array(names),
            "asset_type": pa.array(["etf" if name in FACTOR_ETFS else "equity" for name in names]),
            "status": pa.repeat("active", len(names)),
            "history_from": pa.repeat(pa.scalar(days[0]), len(names)),
            "first_trade_date": pa.array([days[row] for row in first]),
            "last_price_date": pa.repeat(pa.scalar(days[-1]), len(names)),
        }
    )
    transaction.append("symbol_universe", rows)


def fill_books(database: Database, names: Sequence[str], *, portfolios: int, lots: int, as_of: date) -> None:
    """Portfolios of one owner, each of ``lots`` lots of different symbols that were bought before ``as_of``."""
    random = np.random.default_rng(SEED)
    with database.begin() as connection:
        owner = connection.execute(sa.text("INSERT INTO users (name) VALUES ('owner') RETURNING user_id")).scalar_one()
    step = 100_000
    with database.bulk() as transaction:
        for first in range(0, portfolios, step):
            ids: IntArray = np.arange(first, min(portfolios, first + step), dtype=np.int64) + 1
            transaction.append(
                "portfolios",
                pa.table(
                    {
                        "portfolio_id": pa.array(ids),
                        "user_id": pa.repeat(pa.scalar(owner), len(ids)),
                        "name": pa.array([f"P{number}" for number in ids.tolist()]),
                        "stated_equity": money_array(np.full(len(ids), 100_000 * MONEY_UNITS)),
                        "as_of": pa.repeat(pa.scalar(as_of), len(ids)),
                    }
                ),
            )
            transaction.append("positions", _lots(random, names, ids, lots, as_of))
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE portfolios, positions"))


def _lots(random: np.random.Generator, names: Sequence[str], ids: IntArray, lots: int, as_of: date) -> pa.Table:
    count = len(ids) * lots
    # Neighbouring symbols from a random start: different ones within a portfolio, without a draw for each.
    held = (random.integers(0, len(names), len(ids))[:, None] + np.arange(lots) * 7) % len(names)
    quantity = random.integers(1, 500, count) * random.choice([1, 1, 1, -1], count)
    return pa.table(
        {
            "portfolio_id": pa.array(np.repeat(ids, lots)),
            "symbol": pa.array(names, pa.string()).take(pa.array(held.ravel())),
            "investment_class": pa.repeat("PUBLIC", count),
            "quantity": decimal_array(quantity * QUANTITY_UNITS, precision=18, scale=4),
            "entry_price": price_array(random.integers(20, 200, count) * PRICE_UNITS),
            "entry_date": pa.repeat(pa.scalar(as_of), count),
        }
    )


def digest_of_rows(connection: sa.Connection, table: str, *, session: date | None = None) -> str:
    """Of all rows of a table, or of a session's, by its key; without generations, which count publications."""
    keys = ", ".join(column.name for column in METADATA.tables[table].primary_key)
    rows = f"SELECT md5((to_jsonb(each) - 'generation')::text) AS content, {keys} FROM {table} AS each"
    if session is not None:
        rows += f" WHERE session = DATE '{session}'"
    query = f"SELECT md5(string_agg(content, '' ORDER BY {keys})) FROM ({rows}) AS rows"
    return str(connection.execute(sa.text(query)).scalar_one())
