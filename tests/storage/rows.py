"""Valid rows of the tables that have rules, and which rule refuses a changed one."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from sigmasight_assets.storage import book_tables, ledger_tables, tables
from sigmasight_assets.storage.database import Database

SESSION = date(2025, 6, 27)
OLS = {
    "beta": 1.5,
    "raw_beta": 1.5,
    "is_capped": False,
    "alpha": 0.001,
    "r_squared": 0.5,
    "std_err": 0.1,
    "p_value": 0.01,
    "n_obs": 90,
    "quality": "full",
}
KEY = {"session": SESSION, "symbol": "AAA", "fingerprint": 1, "generation": 1}

ROWS: dict[sa.Table, dict[str, Any]] = {
    tables.symbol_universe: {"symbol": "AAA", "name": "A Inc.", "asset_type": "equity"},
    tables.symbol_prices_daily: {
        "symbol": "AAA",
        "price_date": SESSION,
        "open_price": "10",
        "high_price": "11",
        "low_price": "9",
        "close_price": "10.5",
        "adj_close_price": 10.25,
        "volume": 0,
        "source": "test",
    },
    tables.bar_comparisons: {
        "symbol": "AAA",
        "price_date": SESSION,
        "close_price": "10.5",
        "second_close_price": "10.75",
        "second_source": "other",
    },
    tables.symbol_market_beta: {**KEY, **OLS},
    tables.symbol_ir_beta: {**KEY, **OLS},
    tables.symbol_ridge_factors: {
        **KEY,
        "r_squared": 0.5,
        "n_obs": 90,
        "quality": "full",
        **{f"{name}_{kind}": 0.5 for name in tables.RIDGE_COLUMNS for kind in ("beta", "raw_beta")},
        **{f"{name}_is_capped": False for name in tables.RIDGE_COLUMNS},
    },
    tables.symbol_spread_factors: {
        **KEY,
        **{f"{spread}_{name}": value for spread in tables.SPREAD_COLUMNS for name, value in OLS.items()},
    },
    tables.symbol_daily_metrics: {
        "metrics_date": SESSION,
        "symbol": "AAA",
        "close_price": "10",
        "high_52w": "11",
        "low_52w": "9",
        "data_quality_score": 80,
        "fingerprint": 1,
        "generation": 1,
    },
    book_tables.users: {"name": "ann"},
    ledger_tables.portfolio_snapshots: {
        "portfolio_id": 1,
        "session": SESSION,
        "equity": 1000,
        "long_value": 600,
        "short_value": -100,
        "gross": 700,
        "net": 500,
        "cash": 490,
        "unpriced_value": 10,
        "is_partial": True,
        "missing_symbols": ["AAA"],
        **dict.fromkeys(("daily_pnl", "cumulative_pnl", "realized_pnl", "unrealized_pnl"), 0),
        **dict.fromkeys(("capital_flow", "dividends", "positions_count", "long_count", "short_count"), 0),
        **dict.fromkeys(("stale_count", "excluded_count", "fingerprint", "generation"), 0),
    },
    ledger_tables.portfolio_lot_values: {
        "portfolio_id": 1,
        "session": SESSION,
        "position_ids": [1],
        "prices_used": [100_000],
        "split_numerators": [1],
        "split_denominators": [1],
        "market_values": [100 * 10**8],
        "daily_pnls": [0],
        "statuses": [1],
    },
    ledger_tables.portfolio_exposures: {
        "portfolio_id": 1,
        "session": SESSION,
        "market_exposure": 0.5,
        "market_dollars": 500.0,
        "market_per_invested": 1.25,
        "market_coverage": 0.75,
        "generation": 1,
    },
    ledger_tables.publications: {
        "generation": 1,
        "layer": "symbol",
        "session": SESSION,
        "products": ["market_beta"],
        "rows_written": 1,
        "counts": {},
        "run_id": "r1",
    },
    ledger_tables.batch_runs: {
        "run_id": "r1",
        "kind": "prices",
        "first_session": SESSION,
        "last_session": SESSION,
        "status": "running",
    },
    ledger_tables.data_quality_results: {
        "run_id": "r1",
        "layer": "symbol",
        "check_name": "coverage",
        "session": SESSION,
        "passed": True,
        "is_blocking": True,
        "detail": "0.99",
    },
}
PORTFOLIO = {"name": "Main", "stated_equity": Decimal(1000), "as_of": SESSION}
LOT = {"symbol": "AAA", "investment_class": "PUBLIC", "quantity": 10, "entry_price": 5, "entry_date": SESSION}
PRIVATE_LOT = {**LOT, "symbol": "Vineyard", "investment_class": "PRIVATE", "entry_price": None}
# Corporate actions as figures are consistent with them.
PUBLISHED = {"symbol": "AAA", "ex_date": SESSION, "source": "test", "run_id": "r1", "generation": 1}
SPLIT = {**PUBLISHED, "kind": "split", "ratio_numerator": 4, "ratio_denominator": 1}
DIVIDEND = {**PUBLISHED, "kind": "dividend", "amount": "0.25"}


def insert(database: Database, table: sa.Table, values: dict[str, Any]) -> Any:
    """Store a row; its primary key."""
    with database.begin() as connection:
        key = connection.execute(sa.insert(table).values(values)).inserted_primary_key
    return key[0] if key else None


def refused_by(database: Database, table: sa.Table, values: dict[str, Any]) -> str:
    """Name of the constraint that refuses the row, without the table's; the server's words when it is a type."""
    with pytest.raises(DBAPIError) as caught:
        insert(database, table, values)
    diagnosis = caught.value.orig.diag  # type: ignore[union-attr]
    name = diagnosis.constraint_name or diagnosis.column_name or diagnosis.message_primary
    return str(name).removeprefix(f"ck_{table.name}_")
