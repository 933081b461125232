"""Tracked symbols with a few bars that a test writes down, for tests that need no market."""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.ledger_tables import publications
from sigmasight_assets.storage.portfolios import NewLot, create_portfolio
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from sigmasight_assets.storage.tables import (
    bar_comparisons,
    corporate_actions,
    symbol_daily_metrics,
    symbol_prices_daily,
    symbol_universe,
)
from tests.storage.rows import ROWS, SPLIT

# The last is the newest complete session of the clocks that commands and API are tested with.
DAYS = exchange_calendar().between(date(2025, 7, 21), date(2025, 7, 31))
FALLEN = DAYS[-1]


def store_bars(database: Database, symbol: str, closes: Mapping[date, str], *, asset_type: str = "equity") -> None:
    """Track a symbol whose bars, of these closes in USD, are all that the market ever sent."""
    sent = sorted(closes)
    row = {"symbol": symbol, "name": f"{symbol} Inc.", "asset_type": asset_type, "status": "active"}
    known = {"history_from": sent[0] - timedelta(days=7), "first_trade_date": sent[0], "last_price_date": sent[-1]}
    with database.begin() as connection:
        connection.execute(sa.insert(symbol_universe).values(**row, **known))
        for day, close in closes.items():
            prices = dict.fromkeys(("open_price", "high_price", "low_price", "close_price"), Decimal(close))
            bar = {"symbol": symbol, "price_date": day, "adj_close_price": float(close) / 2, "volume": 1_000}
            connection.execute(sa.insert(symbol_prices_daily).values({**ROWS[symbol_prices_daily], **bar, **prices}))


def fallen(database: Database, symbol: str, *, to: str = "25", asset_type: str = "equity") -> None:
    """Track a symbol that has stood at 100 and closes the newest session at ``to``."""
    store_bars(database, symbol, dict.fromkeys(DAYS[:-1], "100") | {FALLEN: to}, asset_type=asset_type)


def compare(database: Database, symbol: str, session: date, close: str, other: str) -> None:
    """Keep what a second market said of a bar."""
    row = {"symbol": symbol, "price_date": session, "close_price": close, "second_close_price": other}
    with database.begin() as connection:
        connection.execute(sa.insert(bar_comparisons).values(**row, second_source="second"))


def publish_figures(database: Database, session: date, *symbols: str) -> None:
    """Publish daily metrics of the symbols for a session, which need no bar for it."""
    row = {**ROWS[symbol_daily_metrics], "metrics_date": session}
    ledger = {**ROWS[publications], "session": session, "products": list(SYMBOL_PRODUCTS)}
    with database.begin() as connection:
        for symbol in symbols:
            connection.execute(sa.insert(symbol_daily_metrics).values({**row, "symbol": symbol}))
        connection.execute(sa.insert(publications).values(ledger))


def state_split(database: Database, symbol: str, ex_date: date, **columns: Any) -> None:
    """State a split of 4 for 1."""
    with database.begin() as connection:
        connection.execute(
            sa.insert(corporate_actions).values({**SPLIT, "symbol": symbol, "ex_date": ex_date, **columns})
        )


def hold(database: Database, name: str, *lots: NewLot) -> None:
    """A portfolio with these lots."""
    with database.begin() as connection:
        create_portfolio(connection, user="ann", name=name, equity=Decimal(1000), as_of=DAYS[0], lots=lots)


def lot(symbol: str, **columns: Any) -> NewLot:
    """Ten shares bought at 100."""
    return NewLot(symbol, Decimal(10), Decimal(100), DAYS[0], **columns)
