"""Price updates of one evening on a market of three symbols."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sigmasight_assets.market_data.protocol import MarketSource
from sigmasight_assets.orchestration.price_counts import PriceUpdate
from sigmasight_assets.orchestration.price_update import update_prices
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS, Publication, record_publications
from sigmasight_assets.storage.universe import import_listings, read_universe
from tests.orchestration.contents import PRICE_TABLES, rows_of
from tests.orchestration.markets import ScriptedMarket, bar, stock

# All that a price update writes.
FACT_TABLES = {**PRICE_TABLES, "corporate_actions": ("action_id",), "figure_invalidations": ("symbol",)}

HISTORY_START = date(2025, 5, 1)
DAYS = exchange_calendar().between(HISTORY_START, date(2025, 6, 30))
# The update under test is that of one evening; some of the days before it are stored already.
TODAY, TOMORROW = DAYS[-2], DAYS[-1]
LISTED_LATER = DAYS[10]


def three_symbols() -> ScriptedMarket:
    """AAA and BBB over all days, and NEW, listed on the eleventh."""
    bars = {
        (symbol, day): bar(100.0 + place + position)
        for place, symbol in enumerate(("AAA", "BBB", "NEW"))
        for position, day in enumerate(DAYS)
        if symbol != "NEW" or day >= LISTED_LATER
    }
    return ScriptedMarket(bars, [stock(symbol) for symbol in ("AAA", "BBB", "NEW")])


def track(database: Database, market: MarketSource) -> None:
    with database.begin() as connection:
        import_listings(connection, market.listings())


def run(
    database: Database,
    market: MarketSource,
    *sessions: date,
    history_start: date = HISTORY_START,
    now: datetime | None = None,
) -> PriceUpdate:
    return update_prices(
        database,
        market,
        exchange_calendar(),
        sessions=sessions or (TODAY,),
        history_start=history_start,
        run_id="run-1",
        now=now,
    )


def symbols(database: Database) -> dict[str, Any]:
    with database.begin() as connection:
        return {item.symbol: item for item in read_universe(connection)}


def stored_closes(database: Database, symbol: str) -> dict[date, Decimal]:
    sql = "SELECT price_date, close_price FROM symbol_prices_daily WHERE symbol = :symbol"
    return {row["price_date"]: row["close_price"] for row in rows_of(database, sql, symbol=symbol)}


def publish_until(database: Database, last: date, *, sessions: Sequence[date] = DAYS) -> None:
    """Enter the sessions up to ``last`` as published; their figures are not needed."""
    items = [Publication(day, SYMBOL_PRODUCTS, 1, 1.0, {}) for day in sessions if day <= last]
    with database.bulk() as transaction:
        record_publications(transaction, 1, "symbol", items, run_id="published")


def marks(database: Database) -> list[tuple[Any, ...]]:
    """Symbol, first and last session, whether returns are new, and first ex-date of what is marked."""
    names = "symbol, first_session, last_session, has_new_returns, actions_from"
    return [tuple(row.values()) for row in rows_of(database, f"SELECT {names} FROM figure_invalidations ORDER BY 1")]


def stated(database: Database) -> dict[tuple[str, date, str], str]:
    """Terms of the stated actions."""
    sql = (
        "SELECT symbol, ex_date, kind, coalesce(ratio_numerator || ':' || ratio_denominator, "
        "trim_scale(amount)::text) AS terms FROM corporate_actions WHERE withdrawn_at IS NULL"
    )
    return {(row["symbol"], row["ex_date"], row["kind"]): row["terms"] for row in rows_of(database, sql)}


def logged_actions(database: Database) -> list[tuple[Any, ...]]:
    """Symbol, ex-date, kind, old and new terms of the restated actions."""
    names = "symbol, price_date, kind, old_terms, new_terms"
    sql = f"SELECT {names} FROM restatements WHERE kind <> 'bar' ORDER BY symbol, price_date, kind"
    return [tuple(row.values()) for row in rows_of(database, sql)]
