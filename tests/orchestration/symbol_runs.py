"""Symbol publications as tests start them, and what they left behind."""

from collections.abc import Sequence
from datetime import date

from sigmasight_assets.orchestration.symbol_publication import SymbolPublication, publish_symbol_products
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS, read_symbol_generations
from tests.orchestration.conftest import TARGETS
from tests.orchestration.contents import (
    SYMBOL_TABLES,
    Contents,
    contents,
    execute,
    rows_of,
)

FIGURE_TABLES = {name: key for name, key in SYMBOL_TABLES.items() if name.startswith("symbol_") and len(key) == 2}
# Everything but the numbers of generations and the ledger that counts them.
CONTENT_TABLES = {name: key for name, key in SYMBOL_TABLES.items() if name != "publications"}
PRODUCT_KEYS = {**FIGURE_TABLES, "factor_covariances": ("session",)}
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
