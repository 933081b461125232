"""Values and exposures from the tables in plain Python, lot by lot, as fractions: what answers are compared with."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from sigmasight_assets.storage.database import Database
from tests.api.error_oracle import expected_std_err

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


@dataclass(frozen=True)
class Window:
    """The sessions whose figures count: from ``oldest`` to ``as_of``."""

    oldest: date
    as_of: date

    @property
    def parameters(self) -> dict[str, date]:
        return {"oldest": self.oldest, "as_of": self.as_of}


@dataclass(frozen=True)
class Expected:
    """Numbers by factor, and of the vendor's betas, by their names in answers; and the shares of the answer."""

    factors: dict[str, dict[str, float]]
    std_errors: dict[str, float | None]
    coverage: float
    provider_beta: dict[str, float]
    private_share: float


def expected_exposures(database: Database, portfolio: UUID, *, oldest: date, as_of: date) -> Expected:
    """What the answer for a portfolio should be; ratios are to the equity of its newest snapshot."""
    window = Window(oldest, as_of)
    with database.begin() as connection:
        values: dict[str, Fraction] = {}
        options: dict[str, Fraction] = {}
        private = Fraction(0)
        for lot in _open_lots(connection, portfolio, as_of):
            value = _value(connection, lot, window)
            if lot.investment_class == "PRIVATE":
                private += value or 0
            elif value is not None:
                summed = values if lot.investment_class == "PUBLIC" else options
                summed[lot.symbol] = summed.get(lot.symbol, Fraction(0)) + value
        equity = Fraction(_newest_equity(connection, portfolio))
        betas = {factor: newest_betas(connection, factor, values, window) for factor in PRODUCT_TABLES}
        provider = _provider_betas(connection, values, window)
        weights = {symbol: value / equity for symbol, value in values.items()}
        std_errors = {
            factor: expected_std_err(
                connection, factor, {symbol: weights[symbol] for symbol in of_symbol}, oldest=oldest, as_of=as_of
            )
            for factor, of_symbol in betas.items()
        }
    complete = set.intersection(*(set(of_symbol) for of_symbol in betas.values()))
    gross = _gross(values) + _gross(options) + private
    return Expected(
        factors={factor: _numbers(values, of_symbol, equity) for factor, of_symbol in betas.items()},
        std_errors=std_errors,
        coverage=float(_gross(values, complete) / _gross(values)),
        provider_beta=_numbers(values, provider, equity),
        private_share=float(private / gross),
    )


def expected_positions(
    database: Database, portfolio: UUID, *, oldest: date, as_of: date
) -> dict[str, tuple[str | None, str | None]]:
    """Market value and unrealized P&L of the open lots by id, as answers write them."""
    window = Window(oldest, as_of)
    found: dict[str, tuple[str | None, str | None]] = {}
    with database.begin() as connection:
        for lot in _open_lots(connection, portfolio, as_of):
            value = _value(connection, lot, window)
            # The ledger keeps values in units of 1e-8.
            units = None if value is None else round(value * 10**8)
            cost = None if lot.entry_price is None else Fraction(lot.quantity * lot.entry_price) * _multiplier(lot)
            cost = cost and cost / _split_factor(connection, lot, after=lot.entry_date, until=lot.units_date)
            pnl = None if units is None or cost is None else units - round(cost * 10**8)
            found[str(lot.public_id)] = _in_cents(units), _in_cents(pnl)
    return found


def held_values(connection: sa.Connection, portfolio: UUID, window: Window) -> dict[tuple[str, str], Fraction]:
    """What is held and has a value, by class and symbol."""
    values: dict[tuple[str, str], Fraction] = {}
    for lot in _open_lots(connection, portfolio, window.as_of):
        value = _value(connection, lot, window)
        if value is not None:
            key = lot.investment_class, lot.symbol
            values[key] = values.get(key, Fraction(0)) + value
    return values


def _open_lots(connection: sa.Connection, portfolio: UUID, as_of: date) -> list[sa.Row[Any]]:
    """Lots that nobody closed, but options that a snapshot settled or whose day (yymmdd) is past."""
    lots = connection.execute(
        sa.text(
            "SELECT positions.*, (SELECT session FROM option_expiries AS ended "
            "WHERE ended.position_id = positions.position_id) AS settled_on "
            "FROM positions JOIN portfolios USING (portfolio_id) "
            "WHERE portfolios.public_id = :portfolio AND exit_date IS NULL"
        ),
        {"portfolio": portfolio},
    )
    return [lot for lot in lots if lot.investment_class != "OPTIONS" or not _has_ended(lot, as_of)]


def _has_ended(lot: sa.Row[Any], as_of: date) -> bool:
    return lot.settled_on is not None or lot.symbol[-15:-9] < f"{as_of:%y%m%d}"


def _multiplier(lot: sa.Row[Any]) -> int:
    return 100 if lot.investment_class == "OPTIONS" else 1


def _value(connection: sa.Connection, lot: sa.Row[Any], window: Window) -> Fraction | None:
    if lot.investment_class == "PRIVATE":
        return _valuation(connection, lot.position_id, window.as_of)
    close = connection.execute(
        sa.text(
            "SELECT close_price FROM symbol_daily_metrics "
            "WHERE symbol = :symbol AND metrics_date BETWEEN :oldest AND :as_of ORDER BY metrics_date DESC LIMIT 1"
        ),
        {"symbol": lot.symbol, **window.parameters},
    ).scalar_one_or_none()
    if close is None:
        return None
    factor = _split_factor(connection, lot, after=lot.units_date or lot.entry_date, until=date.max)
    return Fraction(lot.quantity * close) * _multiplier(lot) * factor


def _valuation(connection: sa.Connection, position_id: int, as_of: date) -> Fraction | None:
    value = connection.execute(
        sa.text(
            "SELECT market_value FROM private_valuations "
            "WHERE position_id = :position AND valued_on <= :as_of ORDER BY valued_on DESC LIMIT 1"
        ),
        {"position": position_id, "as_of": as_of},
    ).scalar_one_or_none()
    return None if value is None else Fraction(value)


def _split_factor(connection: sa.Connection, lot: sa.Row[Any], *, after: date, until: date | None) -> Fraction:
    """Of the published splits between the dates; none without an end."""
    factor = Fraction(1)
    actions = connection.execute(sa.text("SELECT * FROM corporate_actions WHERE kind = 'split'"))
    for action in actions:
        is_published = action.generation is not None and action.withdrawn_generation is None
        if action.symbol == lot.symbol and is_published and after < action.ex_date <= (until or after):
            factor *= Fraction(action.ratio_numerator, action.ratio_denominator)
    return factor


def _newest_equity(connection: sa.Connection, portfolio: UUID) -> Decimal:
    equity: Decimal = connection.execute(
        sa.text(
            "SELECT equity FROM portfolio_snapshots JOIN portfolios USING (portfolio_id) "
            "WHERE public_id = :portfolio ORDER BY session DESC LIMIT 1"
        ),
        {"portfolio": portfolio},
    ).scalar_one()
    return equity


def newest_betas(connection: sa.Connection, factor: str, values: Mapping[str, Any], window: Window) -> dict[str, float]:
    """The betas that count of those symbols that have one."""
    found = {}
    for symbol in values:
        parameters = {"symbol": symbol, "factor": factor, **window.parameters}
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


def _provider_betas(connection: sa.Connection, values: Mapping[str, Any], window: Window) -> dict[str, float]:
    found = {}
    for symbol in values:
        beta = connection.execute(
            sa.text(
                "SELECT provider_beta FROM symbol_daily_metrics "
                "WHERE symbol = :symbol AND metrics_date BETWEEN :oldest AND :as_of ORDER BY metrics_date DESC LIMIT 1"
            ),
            {"symbol": symbol, **window.parameters},
        ).scalar_one()
        if beta is not None:
            found[symbol] = beta
    return found


def _numbers(values: Mapping[str, Fraction], betas: Mapping[str, float], equity: Fraction) -> dict[str, float]:
    dollars = sum((values[symbol] * Fraction(beta) for symbol, beta in betas.items()), start=Fraction(0))
    return {
        "exposure": float(dollars / equity),
        "dollars": float(dollars),
        "per_invested": float(dollars / _gross(values, betas)),
        "coverage": float(_gross(values, betas) / _gross(values)),
    }


def _gross(values: Mapping[str, Fraction], symbols: Any = None) -> Fraction:
    chosen = values if symbols is None else symbols
    return sum((abs(values[symbol]) for symbol in chosen), start=Fraction(0))


def _in_cents(units: int | None) -> str | None:
    if units is None:
        return None
    return str(Decimal(units).scaleb(-8).quantize(Decimal("0.01"), rounding=ROUND_HALF_EVEN) + 0)
