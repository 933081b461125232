"""Published figures and books for tests, written as publications write them: rows and ledger row in one transaction."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import sqlalchemy as sa

from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage import book_tables, ledger_tables, tables
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.metadata import METADATA
from sigmasight_assets.storage.portfolios import NewLot, PortfolioRecord, create_portfolio, mark_edited
from sigmasight_assets.storage.publications import CHANNEL, SYMBOL_PRODUCTS
from sigmasight_assets.storage.tables import FACTOR_COLUMNS, RIDGE_COLUMNS, SPREAD_COLUMNS
from sigmasight_assets.storage.tokens import create_token
from tests.storage.rows import ROWS

# Ten closed sessions; the last is the newest of the clock in `NOW`.
SESSIONS = exchange_calendar().between(date(2025, 7, 18), date(2025, 7, 31))
NOW = "2025-07-31T22:00:00-04:00"
# Never used twice, so that the application that outlives a test cannot take new rows for old ones.
GENERATIONS = itertools.count(1)
# Option contracts have a close and nothing else.
CLOSE_ALONE = frozenset({"symbol_daily_metrics"})
# These have a row for a symbol only where there is a value.
SINGLE_PRODUCTS = ("market_beta", "ir_beta")


@dataclass(frozen=True)
class Figures:
    """Close in USD, twelve betas, the vendor's own and the sector of a symbol; None is one without a value."""

    close: Decimal
    betas: tuple[float | None, ...]
    quality: str = "full"
    provider_beta: float | None = None
    sector: str | None = None
    products: frozenset[str] = field(default_factory=lambda: frozenset(SYMBOL_PRODUCTS))


def contract(close: str) -> Figures:
    """The figures of an option contract."""
    return Figures(Decimal(close), (None,) * len(FACTOR_COLUMNS), products=CLOSE_ALONE)


def random_figures(symbols: Sequence[str], seed: int) -> dict[str, Figures]:
    """Figures with four-decimal closes and betas of every digit."""
    random = np.random.default_rng(seed)
    return {
        symbol: Figures(
            close=Decimal(int(random.integers(10_000, 9_000_000))).scaleb(-4),
            betas=tuple(random.uniform(-2.0, 2.0, len(FACTOR_COLUMNS)).tolist()),
        )
        for symbol in symbols
    }


def publish(
    database: Database,
    session: date,
    figures: Mapping[str, Figures],
    *,
    products: Sequence[str] = SYMBOL_PRODUCTS,
    exclusions: Sequence[tuple[str, str, str]] = (),
    notify: bool = True,
) -> int:
    """Replace the symbol products of a session and record it; ``exclusions`` are symbol, product and reason."""
    with database.begin() as connection:
        generation = next(GENERATIONS)
        for product in products:
            _write_product(connection, product, session, figures, generation)
        connection.execute(sa.delete(tables.symbol_exclusions).where(tables.symbol_exclusions.c.session == session))
        for symbol, product, reason in exclusions:
            connection.execute(
                sa.insert(tables.symbol_exclusions).values(
                    session=session, symbol=symbol, product=product, reason=reason
                )
            )
        _record(connection, generation, "symbol", session, products, notify=notify)
    return generation


def publish_snapshot(
    database: Database, portfolio: PortfolioRecord, session: date, equity: Decimal, *, notify: bool = True
) -> int:
    """Replace the portfolio's snapshot of a session and record it."""
    with database.begin() as connection:
        generation = next(GENERATIONS)
        snapshots = ledger_tables.portfolio_snapshots
        connection.execute(
            sa.delete(snapshots).where(
                snapshots.c.portfolio_id == portfolio.portfolio_id, snapshots.c.session == session
            )
        )
        connection.execute(
            sa.insert(snapshots).values(
                **snapshot_values(equity),
                portfolio_id=portfolio.portfolio_id,
                session=session,
                generation=generation,
            )
        )
        _record(connection, generation, "portfolio", session, ["portfolio_snapshots"], notify=notify)
    return generation


def snapshot_values(equity: Decimal) -> dict[str, Any]:
    """Columns of a snapshot with digits beyond the cent, all sums holding."""
    long_value, short_value, unpriced = Decimal("1000.12345678"), Decimal("-200.005"), Decimal("1.015")
    net = long_value + short_value
    return {
        "equity": equity,
        "long_value": long_value,
        "short_value": short_value,
        "gross": long_value - short_value,
        "net": net,
        "cash": equity - net - unpriced,
        "unpriced_value": unpriced,
        "daily_pnl": Decimal("-0.001"),
        "daily_return": 0.0125,
        "cumulative_pnl": Decimal("12.345"),
        "realized_pnl": Decimal("12.355"),
        "unrealized_pnl": Decimal(0),
        "capital_flow": Decimal(0),
        "dividends": Decimal(0),
        "positions_count": 3,
        "long_count": 2,
        "short_count": 1,
        "stale_count": 0,
        "excluded_count": 1,
        "is_partial": True,
        "missing_symbols": ["GONE"],
        "priced_share": 0.99,
        "provider_beta": 1.05,
        "provider_beta_coverage": 0.875,
        "fingerprint": 1,
    }


def add_portfolio(
    database: Database,
    user: str,
    lots: Mapping[str, str] | Sequence[NewLot],
    *,
    name: str = "Main",
    equity: str = "100000",
    as_of: date = SESSIONS[0],
) -> PortfolioRecord:
    """A portfolio of open lots, given as quantities by symbol or as lots."""
    if isinstance(lots, Mapping):
        lots = [NewLot(symbol, Decimal(quantity), Decimal(10), SESSIONS[0]) for symbol, quantity in lots.items()]
    with database.begin() as connection:
        return create_portfolio(connection, user=user, name=name, equity=Decimal(equity), as_of=as_of, lots=lots)


def add_lots(database: Database, portfolio: PortfolioRecord, *lots: Mapping[str, Any]) -> list[int]:
    """Lots given as columns of the table, PUBLIC and opened on the first session at 10 USD unless they say otherwise.

    Counts as an edit; returns the keys of the lots.
    """
    defaults = {"investment_class": "PUBLIC", "entry_price": Decimal(10), "entry_date": SESSIONS[0]}
    positions = book_tables.positions
    with database.begin() as connection:
        keys = [
            connection.execute(
                sa.insert(positions)
                .values(portfolio_id=portfolio.portfolio_id, **{**defaults, **lot})
                .returning(positions.c.position_id)
            ).scalar_one()
            for lot in lots
        ]
        mark_edited(connection, portfolio.portfolio_id, edited_from=SESSIONS[0])
    return keys


def add_valuation(
    database: Database, portfolio: PortfolioRecord, position_id: int, valued_on: date, market_value: str
) -> None:
    """The owner's valuation of a private lot, an edit."""
    with database.begin() as connection:
        connection.execute(
            sa.insert(book_tables.private_valuations).values(
                position_id=position_id, valued_on=valued_on, market_value=Decimal(market_value)
            )
        )
        mark_edited(connection, portfolio.portfolio_id, edited_from=SESSIONS[0])


def settle_option(
    database: Database, portfolio: PortfolioRecord, position_id: int, session: date, equity: Decimal
) -> int:
    """End an option lot with the snapshot of a session."""
    with database.begin() as connection:
        connection.execute(
            sa.insert(ledger_tables.option_expiries).values(
                portfolio_id=portfolio.portfolio_id,
                position_id=position_id,
                session=session,
                symbol="settled",
                underlying="settled",
                underlying_price=Decimal(1),
                settlement_price=Decimal(0),
                generation=0,
            )
        )
    return publish_snapshot(database, portfolio, session, equity)


def add_split(
    database: Database,
    symbol: str,
    ex_date: date,
    ratio: tuple[int, int],
    *,
    generation: int | None,
    withdrawn_generation: int | None = None,
) -> None:
    """A split as the market source stated it, published when it has a generation and no generation of withdrawal.

    It is seen from the next publication on, so it comes before that.
    """
    with database.begin() as connection:
        connection.execute(
            sa.insert(tables.corporate_actions).values(
                symbol=symbol,
                ex_date=ex_date,
                kind="split",
                ratio_numerator=ratio[0],
                ratio_denominator=ratio[1],
                source="tests",
                run_id="prices",
                generation=generation,
                withdrawn_at=None if withdrawn_generation is None else sa.func.now(),
                withdrawn_generation=withdrawn_generation,
            )
        )


def add_dividend(database: Database, symbol: str, ex_date: date, amount: str, *, generation: int) -> None:
    """A published dividend."""
    with database.begin() as connection:
        connection.execute(
            sa.insert(tables.corporate_actions).values(
                symbol=symbol,
                ex_date=ex_date,
                kind="dividend",
                amount=Decimal(amount),
                source="tests",
                run_id="prices",
                generation=generation,
            )
        )


def add_bars(database: Database, adj_closes: Mapping[str, FloatArray], *, last: date = SESSIONS[-1]) -> None:
    """Bars with these adjusted closes, the last of each at ``last``; none where it is NaN."""
    rows = []
    for symbol, values in adj_closes.items():
        calendar = exchange_calendar()
        sessions = calendar.between(calendar.offset(last, 1 - len(values)), last)
        rows += [
            {**ROWS[tables.symbol_prices_daily], "symbol": symbol, "price_date": session, "adj_close_price": value}
            for session, value in zip(sessions, values.tolist(), strict=True)
            if np.isfinite(value)
        ]
    with database.begin() as connection:
        connection.execute(sa.insert(tables.symbol_prices_daily), rows)


def add_covariance(database: Database, session: date, covariance: FloatArray, factors: Sequence[str]) -> None:
    """Factor covariances of a session, of the funds in this order."""
    row = {"session": session, "factors": list(factors), "covariance": covariance.ravel().tolist()}
    with database.begin() as connection:
        connection.execute(sa.insert(tables.factor_covariances).values(**row, n_obs=252, fingerprint=1, generation=1))


def add_profile(database: Database, symbol: str, captured_on: date, **values: Any) -> None:
    """What a vendor said of a company."""
    with database.begin() as connection:
        connection.execute(
            sa.insert(tables.company_profiles).values(symbol=symbol, captured_on=captured_on, source="tests", **values)
        )


def add_token(database: Database, user: str, **options: Any) -> str:
    """A token of the user."""
    with database.begin() as connection:
        return create_token(connection, user, **options)


def track(database: Database, symbol: str, **values: Any) -> None:
    """Add a symbol to the universe."""
    with database.begin() as connection:
        defaults = {"name": f"{symbol} Inc.", "asset_type": "equity", "status": "active"}
        connection.execute(sa.insert(tables.symbol_universe).values(symbol=symbol, **{**defaults, **values}))


def delete_portfolio(database: Database, public_id: UUID) -> None:
    """Remove a portfolio for good."""
    with database.begin() as connection:
        connection.execute(sa.delete(book_tables.portfolios).where(book_tables.portfolios.c.public_id == public_id))


def _record(
    connection: sa.Connection, generation: int, layer: str, session: date, products: Sequence[str], *, notify: bool
) -> None:
    connection.execute(
        sa.insert(ledger_tables.publications).values(
            generation=generation,
            layer=layer,
            session=session,
            products=list(products),
            rows_written=1,
            coverage=0.99,
            counts={"short_history": 1},
            run_id=f"run-{generation}",
        )
    )
    if notify:
        connection.execute(sa.select(sa.func.pg_notify(CHANNEL, str(generation))))


def _write_product(
    connection: sa.Connection, product: str, session: date, figures: Mapping[str, Figures], generation: int
) -> None:
    if product == "factor_covariances":
        return
    table = METADATA.tables[product if product.startswith("symbol_") else f"symbol_{product}"]
    dated = "metrics_date" if product == "symbol_daily_metrics" else "session"
    connection.execute(sa.delete(table).where(table.c[dated] == session))
    rows = [
        {dated: session, "symbol": symbol, "fingerprint": 1, "generation": generation, **_columns(product, item)}
        for symbol, item in figures.items()
        if product in item.products
        and (product not in SINGLE_PRODUCTS or item.betas[SINGLE_PRODUCTS.index(product)] is not None)
    ]
    if rows:
        connection.execute(sa.insert(table), rows)


def _columns(product: str, item: Figures) -> dict[str, Any]:
    betas = dict(zip(FACTOR_COLUMNS, item.betas, strict=True))
    if product == "symbol_daily_metrics":
        return {
            "close_price": item.close,
            "provider_beta": item.provider_beta,
            "sector": item.sector,
            "high_52w": item.close,
            "low_52w": item.close,
            "data_quality_score": 80,
            **{f"{name}_beta": beta for name, beta in betas.items()},
        }
    if product == "ridge_factors":
        ridge = {f"{name}_{kind}": betas[name] for name in RIDGE_COLUMNS for kind in ("beta", "raw_beta")}
        capped = {f"{name}_is_capped": False for name in RIDGE_COLUMNS}
        return {**ridge, **capped, "r_squared": 0.5, "n_obs": 90, "quality": item.quality}
    if product == "spread_factors":
        columns: dict[str, Any] = {}
        for name in SPREAD_COLUMNS:
            columns.update(_ols(betas[name], item.quality, prefix=f"{name}_"))
            columns[f"{name}_reason"] = None if betas[name] is not None else "short_history"
        return columns
    return _ols(betas["market" if product == "market_beta" else "ir"], item.quality, prefix="")


def std_error(beta: float | None) -> float | None:
    """The standard error that ``publish`` gives an OLS beta."""
    return None if beta is None else 0.1 + abs(beta) / 8


def _ols(beta: float | None, quality: str, *, prefix: str) -> dict[str, Any]:
    values: dict[str, Any] = {
        "beta": beta,
        "raw_beta": beta,
        "is_capped": False,
        "alpha": 0.0001,
        "r_squared": 0.4,
        "std_err": std_error(beta),
        "p_value": 0.01,
        "n_obs": 90,
        "quality": quality,
    }
    return {f"{prefix}{name}": value if beta is not None else None for name, value in values.items()}
