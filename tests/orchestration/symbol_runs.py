"""Symbol publications as tests start them, what they left behind, and facts that change afterwards."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import pyarrow as pa

from sigmasight_assets.market_data.protocol import SPLIT, MarketSource
from sigmasight_assets.orchestration.price_counts import PriceUpdate
from sigmasight_assets.orchestration.price_update import update_prices
from sigmasight_assets.orchestration.symbol_outcome import SymbolPublication
from sigmasight_assets.orchestration.symbol_publication import publish_symbol_products
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.invalidations import MARK_SCHEMA, mark_invalid
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS, read_symbol_generations
from sigmasight_assets.storage.universe import import_listings
from tests.orchestration.conftest import HISTORY_START, TARGETS
from tests.orchestration.contents import (
    SYMBOL_TABLES,
    Contents,
    contents,
    execute,
    rows_of,
)
from tests.orchestration.markets import ScriptedMarket, adjusted_close

FIGURE_TABLES = {name: key for name, key in SYMBOL_TABLES.items() if name.startswith("symbol_") and len(key) == 2}
# Everything but the numbers of generations and the ledger that counts them.
CONTENT_TABLES = {name: key for name, key in SYMBOL_TABLES.items() if name != "publications"}
PRODUCT_KEYS = {**FIGURE_TABLES, "factor_covariances": ("session",)}
ROWS = {**PRODUCT_KEYS, "symbol_exclusions": ("session", "symbol", "product")}
BETA_TABLES = tuple(name for name in FIGURE_TABLES if name != "symbol_daily_metrics")
PRODUCT_TABLES = {
    "market_beta": "symbol_market_beta",
    "ir_beta": "symbol_ir_beta",
    "ridge_factors": "symbol_ridge_factors",
    "spread_factors": "symbol_spread_factors",
    "factor_covariances": "factor_covariances",
    "symbol_daily_metrics": "symbol_daily_metrics",
}


def publish(
    database: Database,
    sessions: Sequence[date] = TARGETS,
    *,
    products: Sequence[str] = SYMBOL_PRODUCTS,
    force: bool = False,
    run_id: str = "second",
) -> SymbolPublication:
    return publish_symbol_products(
        database,
        exchange_calendar(),
        sessions=sessions,
        products=products,
        min_coverage=0.98,
        run_id=run_id,
        force=force,
    )


def figures(database: Database, *, since: date | None = None) -> Contents:
    """Content without the generations; with ``since`` that of the products' later sessions."""
    if since is not None:
        return contents(database, PRODUCT_KEYS, ignoring=["generation"], since=since)
    return contents(database, CONTENT_TABLES, ignoring=["generation", "added_at"])


def at(found: Contents, *sessions: date) -> Contents:
    """The rows of the sessions alone, without the universe."""
    return {
        table: {key: row for key, row in rows.items() if key[0] in sessions}
        for table, rows in found.items()
        if table != "symbol_universe"
    }


def delete_bars(database: Database, day: date, *symbols: str) -> None:
    sql = "DELETE FROM symbol_prices_daily WHERE price_date = :day AND symbol = ANY(:symbols)"
    execute(database, sql, day=day, symbols=list(symbols))


def stocks(database: Database, count: int) -> list[str]:
    """Ordinary stocks of the market."""
    rows = rows_of(database, "SELECT symbol FROM symbol_universe WHERE sector IS NOT NULL ORDER BY symbol")
    return [row["symbol"] for row in rows[:count]]


def generations(database: Database) -> dict[date, int]:
    with database.begin() as connection:
        return read_symbol_generations(connection)


def altered(market: ScriptedMarket) -> ScriptedMarket:
    """A copy of the market to be changed; it tells of splits and dividends."""
    return ScriptedMarket(dict(market.bars), list(market.descriptions), supplies_corporate_actions=True)


def refresh(database: Database, market: MarketSource, *, until: date = TARGETS[-1]) -> PriceUpdate:
    """Track what the market lists and fetch what is missing or changed up to a session."""
    with database.begin() as connection:
        import_listings(connection, market.listings())
    return update_prices(
        database, market, exchange_calendar(), sessions=[until], history_start=HISTORY_START, run_id="prices"
    )


def split_exactly(market: ScriptedMarket, symbol: str, ex_date: date, numerator: int) -> None:
    """The whole history in the units after a split; only closes are rounded, as by a market that computes returns."""
    for key, values in list(market.bars.items()):
        if key[0] == symbol:
            prices = [None if price is None else round(price / numerator, 4) for price in values[:4]]
            volume = None if values[5] is None else values[5] * numerator
            market.bars[key] = (*prices, adjusted_close(values) / numerator, volume)  # type: ignore[assignment]
    market.actions[symbol, ex_date, SPLIT] = (numerator, 1, None)


def marks(database: Database) -> list[str]:
    """The marked symbols."""
    return [row["symbol"] for row in rows_of(database, "SELECT symbol FROM figure_invalidations ORDER BY 1")]


def mark(
    database: Database,
    symbol: str,
    first: date,
    last: date | None = None,
    *,
    has_new_returns: bool = False,
    actions_from: date | None = None,
) -> None:
    """Mark a symbol as a price update does."""
    values = {"first_session": first, "last_session": last or first, "actions_from": actions_from}
    row = {"symbol": symbol, **values, "has_new_returns": has_new_returns}
    with database.bulk() as transaction:
        mark_invalid(transaction, pa.Table.from_pylist([row], schema=MARK_SCHEMA), run_id="prices")


def restate(database: Database, symbol: str, day: date, change: str) -> None:
    """Change a stored bar as nobody should."""
    sql = f"UPDATE symbol_prices_daily SET {change} WHERE symbol = :symbol AND price_date = :day"
    execute(database, sql, symbol=symbol, day=day)


def product_rows(database: Database) -> Contents:
    """Rows of all products and the reasons of those that are missing, without their generations."""
    return contents(database, ROWS, ignoring=["generation"])


def actions(database: Database) -> list[dict[str, Any]]:
    """Corporate actions in the order they were learnt."""
    return rows_of(
        database,
        "SELECT symbol, ex_date, kind, generation, withdrawn_generation FROM corporate_actions ORDER BY action_id",
    )


def ledger(database: Database, generation: int) -> list[dict[str, Any]]:
    """The ledger rows of a generation, oldest session first."""
    sql = "SELECT * FROM publications WHERE generation = :generation ORDER BY session"
    return rows_of(database, sql, generation=generation)
