"""Factor exposures from the tables in plain Python, row by row: what answers are compared with."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from sigmasight_assets.storage.database import Database

PRODUCT_TABLES = {
    "Market Beta": "symbol_market_beta",
    "IR Beta": "symbol_ir_beta",
    **dict.fromkeys(
        ("Value", "Growth", "Momentum", "Quality", "Size", "Low Volatility"),
        "symbol_ridge_factors",
    ),
    **dict.fromkeys(
        ("Growth-Value Spread", "Momentum Spread", "Size Spread", "Quality Spread"),
        "symbol_spread_factors",
    ),
}


def expected_exposures(
    database: Database, portfolio: UUID, *, oldest: date, as_of: date
) -> tuple[dict[str, dict[str, float]], float]:
    """Per factor exposure, dollars and per_invested, and the coverage, from rows dated ``oldest`` to ``as_of``."""
    with database.begin() as connection:
        values = _market_values(connection, portfolio, oldest, as_of)
        equity = connection.execute(
            sa.text(
                "SELECT equity FROM portfolio_snapshots JOIN portfolios USING (portfolio_id) "
                "WHERE public_id = :portfolio ORDER BY session DESC LIMIT 1"
            ),
            {"portfolio": portfolio},
        ).scalar_one()
        betas = {factor: _betas(connection, factor, values, oldest, as_of) for factor in PRODUCT_TABLES}
    factors = {}
    for factor, of_symbol in betas.items():
        dollars = sum(float(values[symbol]) * beta for symbol, beta in of_symbol.items())
        with_beta = sum(abs(float(values[symbol])) for symbol in of_symbol)
        factors[factor] = {
            "exposure": dollars / float(equity),
            "dollars": dollars,
            "per_invested": dollars / with_beta,
        }
    complete = set.intersection(*(set(of_symbol) for of_symbol in betas.values()))
    gross = sum(abs(float(value)) for value in values.values())
    return factors, sum(abs(float(values[symbol])) for symbol in complete) / gross


def _market_values(connection: sa.Connection, portfolio: UUID, oldest: date, as_of: date) -> dict[str, Decimal]:
    lots = connection.execute(
        sa.text(
            "SELECT symbol, quantity FROM positions JOIN portfolios USING (portfolio_id) "
            "WHERE portfolios.public_id = :portfolio AND exit_date IS NULL AND investment_class = 'PUBLIC'"
        ),
        {"portfolio": portfolio},
    )
    values: dict[str, Decimal] = {}
    for symbol, quantity in lots:
        close = connection.execute(
            sa.text(
                "SELECT close_price FROM symbol_daily_metrics "
                "WHERE symbol = :symbol AND metrics_date BETWEEN :oldest AND :as_of ORDER BY metrics_date DESC LIMIT 1"
            ),
            {"symbol": symbol, "oldest": oldest, "as_of": as_of},
        ).scalar_one_or_none()
        if close is not None:
            values[symbol] = values.get(symbol, Decimal(0)) + quantity * close
    return values


def _betas(
    connection: sa.Connection, factor: str, values: Mapping[str, Any], oldest: date, as_of: date
) -> dict[str, float]:
    found = {}
    for symbol in values:
        parameters = {"symbol": symbol, "factor": factor, "oldest": oldest, "as_of": as_of}
        newest = connection.execute(
            sa.text(
                f"SELECT max(session) FROM {PRODUCT_TABLES[factor]} "
                "WHERE symbol = :symbol AND session BETWEEN :oldest AND :as_of"
            ),
            parameters,
        ).scalar_one()
        beta = connection.execute(
            sa.text(
                "SELECT beta_value FROM symbol_factor_exposures "
                "WHERE symbol = :symbol AND factor = :factor AND calculation_date = :newest"
            ),
            {**parameters, "newest": newest},
        ).scalar_one_or_none()
        if beta is not None:
            found[symbol] = beta
    return found
