"""What the symbol layer would have published, written down by a test: closes, betas and corporate actions."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from sigmasight_assets.sessions import NEW_YORK, exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.ledger_tables import publications
from sigmasight_assets.storage.portfolios import NewLot, create_portfolio
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from sigmasight_assets.storage.tables import corporate_actions, symbol_daily_metrics
from tests.orchestration.contents import execute, rows_of
from tests.orchestration.portfolio_runs import run_gate_until
from tests.storage.rows import ROWS, SPLIT

DAYS = exchange_calendar().between(date(2025, 5, 19), date(2025, 6, 4))
BOUGHT = date(2025, 4, 30)
Closes = Mapping[str, Mapping[date, str | Decimal]]


def publish(database: Database, closes: Closes, **columns: Any) -> None:
    """Publish these closes, in place of older ones, under one new generation; ``columns`` are other figures of them."""
    days = sorted({day for of in closes.values() for day in of})
    with database.begin() as connection:
        generation = _next_generation(connection)
        for symbol, of in closes.items():
            for day, close in of.items():
                key = {"symbol": symbol, "metrics_date": day}
                matches = (symbol_daily_metrics.c[name] == value for name, value in key.items())
                connection.execute(sa.delete(symbol_daily_metrics).where(*matches))
                row = {**ROWS[symbol_daily_metrics], **key, "close_price": Decimal(close), "generation": generation}
                connection.execute(sa.insert(symbol_daily_metrics).values({**row, **columns}))
        _record(connection, generation, days)


def publish_action(database: Database, symbol: str, ex_date: date, **terms: Any) -> None:
    """Publish a split (``ratio=(4, 1)``) or a dividend (``amount="0.5"``) with the newest generation."""
    row = {**SPLIT, "symbol": symbol, "ex_date": ex_date, "ratio_numerator": None, "ratio_denominator": None}
    if "ratio" in terms:
        row["ratio_numerator"], row["ratio_denominator"] = terms["ratio"]
    else:
        row |= {"kind": "dividend", "amount": Decimal(terms["amount"])}
    with database.begin() as connection:
        connection.execute(sa.insert(corporate_actions).values({**row, "generation": _next_generation(connection) - 1}))


def withdraw_actions(database: Database, symbol: str) -> None:
    """The source no longer states any action of the symbol, and figures disregard them."""
    execute(
        database,
        "UPDATE corporate_actions SET withdrawn_at = now(), withdrawn_generation = generation + 1 "
        "WHERE symbol = :symbol AND withdrawn_at IS NULL",
        symbol=symbol,
    )


def republish(database: Database, *days: date) -> None:
    """Publish sessions anew whose own figures stayed, because an action of them was learnt."""
    with database.begin() as connection:
        _record(connection, _next_generation(connection), days)


def _next_generation(connection: sa.Connection) -> int:
    newest = connection.execute(sa.select(sa.func.coalesce(sa.func.max(publications.c.generation), 0))).scalar_one()
    return int(newest) + 1


def _record(connection: sa.Connection, generation: int, days: Sequence[date]) -> None:
    row = {"layer": "symbol", "products": list(SYMBOL_PRODUCTS), "rows_written": 1, "counts": {}, "run_id": "symbols"}
    for day in days:
        connection.execute(sa.insert(publications).values({**row, "generation": generation, "session": day}))


def own(database: Database, name: str, *lots: NewLot, equity: str = "10000", as_of: date = DAYS[0]) -> int:
    """Store a portfolio; its number."""
    with database.begin() as connection:
        return create_portfolio(
            connection, user="ann", name=name, equity=Decimal(equity), as_of=as_of, lots=lots
        ).portfolio_id


def lot(symbol: str, quantity: str, price: str, entry_date: date = BOUGHT, **columns: Any) -> NewLot:
    """A lot; ``sold=(price, date)`` closes it."""
    exit_price, exit_date = columns.pop("sold", (None, None))
    sold = {"exit_price": exit_price and Decimal(exit_price), "exit_date": exit_date}
    return NewLot(symbol, Decimal(quantity), Decimal(price), entry_date, **sold, **columns)


def snapshots(database: Database, until: date = DAYS[-1]) -> dict[str, dict[date, dict[str, Any]]]:
    """Bring the snapshots up to date as the gate would on the evening of ``until``, and give them by portfolio."""
    run_gate_until(database, datetime(until.year, until.month, until.day, 22, tzinfo=NEW_YORK))
    found: dict[str, dict[date, dict[str, Any]]] = {}
    for row in rows_of(
        database, "SELECT * FROM portfolio_snapshots JOIN portfolios USING (portfolio_id) ORDER BY session"
    ):
        found.setdefault(row["name"], {})[row["session"]] = row
    return found
