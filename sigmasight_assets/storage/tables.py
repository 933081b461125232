"""Tables of the symbol layer: universe, prices and the derived products, one wide row per symbol and session."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from sigmasight_assets.storage.metadata import (
    DIVIDEND,
    INSTANT,
    METADATA,
    PRICE,
    column,
    identity_key,
    partitioned_by_year,
    required_key,
    written_at,
)

# Column prefixes of the twelve factors, in the canonical order of quant.factors.FACTORS.
MARKET_COLUMN, RATES_COLUMN = "market", "ir"
RIDGE_COLUMNS = ("value", "growth", "momentum", "quality", "size", "low_volatility")
SPREAD_COLUMNS = ("growth_value_spread", "momentum_spread", "size_spread", "quality_spread")
RETURN_COLUMNS = ("return_1d", "return_mtd", "return_ytd", "return_1m", "return_3m", "return_1y")
METRIC_COLUMNS = (*RETURN_COLUMNS, "volatility_21d", "volatility_63d", "dollar_volume_21d")
PROFILE_FIGURES = ("market_cap", "pe_ratio", "forward_pe", "dividend_yield", "provider_beta")
FACTOR_COLUMNS = (MARKET_COLUMN, RATES_COLUMN, *RIDGE_COLUMNS, *SPREAD_COLUMNS)
QUALITIES = "('full', 'limited', 'suspect')"

symbol_universe = sa.Table(
    "symbol_universe",
    METADATA,
    required_key("symbol", sa.Text, "Ticker in Yahoo spelling (BRK-B)"),
    column("name", sa.Text, "Name of the company or fund"),
    column("asset_type", sa.Text, "equity, etf or option"),
    column("sector", sa.Text, "GICS sector; null for funds", null=True),
    column("industry", sa.Text, "GICS sub-industry; null for funds", null=True),
    column("status", sa.Text, "pending (no price yet), active, delisted or error", server_default="pending"),
    column("status_reason", sa.Text, "Why the status is error", null=True),
    column("history_from", sa.Date, "Earliest date the market source was asked for", null=True),
    column("first_trade_date", sa.Date, "First session with a price", null=True),
    column("last_price_date", sa.Date, "Newest session with a price", null=True),
    column("last_factor_date", sa.Date, "Newest session with published exposures", null=True),
    column(
        "unknown_sessions",
        sa.SmallInteger,
        "At how many sessions in a row the source did not know the symbol",
        server_default="0",
    ),
    column("unknown_at", sa.Date, "The newest of those sessions", null=True),
    column("answered_at", INSTANT, "When the source last answered for the symbol", null=True),
    written_at("added_at", "When the symbol became tracked"),
    sa.CheckConstraint("asset_type IN ('equity', 'etf', 'option')", name="asset_type"),
    sa.CheckConstraint("status IN ('pending', 'active', 'delisted', 'error')", name="status"),
    comment="Tracked symbols",
)

symbol_prices_daily = sa.Table(
    "symbol_prices_daily",
    METADATA,
    required_key("symbol", sa.Text, "Ticker"),
    required_key("price_date", sa.Date, "Session of the bar"),
    column("open_price", PRICE, "Open, USD, split-adjusted"),
    column("high_price", PRICE, "High, USD, split-adjusted"),
    column("low_price", PRICE, "Low, USD, split-adjusted"),
    column("close_price", PRICE, "Close, USD, split-adjusted, not dividend-adjusted"),
    column("adj_close_price", sa.Double, "Total-return close, USD"),
    column("volume", sa.BigInteger, "Shares traded"),
    column("source", sa.Text, "Market source that sent the bar"),
    written_at("fetched_at", "When the bar was stored"),
    sa.CheckConstraint("low_price > 0", name="low_positive"),
    # PostgreSQL sorts NaN above every number.
    sa.CheckConstraint(
        "high_price >= greatest(open_price, close_price) AND low_price <= least(open_price, close_price) "
        "AND high_price < 'NaN'",
        name="high_low",
    ),
    sa.CheckConstraint("adj_close_price > 0 AND adj_close_price < 'Infinity'", name="adj_close_finite"),
    sa.CheckConstraint("volume >= 0", name="volume_not_negative"),
    comment="Daily bars as the market source sent them, validated",
    **partitioned_by_year("price_date"),
)

price_quarantine = sa.Table(
    "price_quarantine",
    METADATA,
    identity_key("quarantine_id", "Row number"),
    column("source", sa.Text, "Market source that sent the bar"),
    column("symbol", sa.Text, "Ticker as sent"),
    column("price_date", sa.Date, "Date as sent", null=True),
    *(
        column(name, sa.Double, "As sent, USD", null=True)
        for name in ("open_price", "high_price", "low_price", "close_price", "adj_close_price")
    ),
    column("volume", sa.Double, "As sent, shares", null=True),
    column("reason", sa.Text, "Rule the bar breaks"),
    written_at("seen_at", "When the bar was first rejected"),
    # A bar is kept once however often it is sent; conflicting duplicates differ in their values and are all kept.
    sa.UniqueConstraint(
        *("source", "symbol", "price_date", "reason", "open_price", "high_price", "low_price", "close_price"),
        *("adj_close_price", "volume"),
        name="uq_price_quarantine_bar",
        postgresql_nulls_not_distinct=True,
    ),
    comment="Bars that validation rejected, with their raw values",
)

restatements = sa.Table(
    "restatements",
    METADATA,
    identity_key("restatement_id", "Row number"),
    column("symbol", sa.Text, "Ticker"),
    column("price_date", sa.Date, "Session of the changed bar"),
    column("kind", sa.Text, "bar, split or dividend", server_default="bar"),
    column("old_close_price", PRICE, "Close before, USD; bars only", null=True),
    column("new_close_price", PRICE, "Close after, USD; bars only", null=True),
    column("old_adj_close_price", sa.Double, "Total-return close before, USD; bars only", null=True),
    column("new_adj_close_price", sa.Double, "Total-return close after, USD; bars only", null=True),
    column("old_terms", sa.Text, "Ratio or amount before; null for an action learnt late", null=True),
    column("new_terms", sa.Text, "Ratio or amount after; null for an action withdrawn", null=True),
    column("reason", sa.Text, "How the change was noticed"),
    column("run_id", sa.Text, "Run that noticed it"),
    written_at("detected_at", "When it was noticed"),
    sa.CheckConstraint("kind IN ('bar', 'split', 'dividend')", name="kind"),
    sa.CheckConstraint(
        "CASE WHEN kind = 'bar' THEN old_close_price IS NOT NULL AND new_close_price IS NOT NULL "
        "AND old_adj_close_price IS NOT NULL AND new_adj_close_price IS NOT NULL "
        "ELSE old_terms IS NOT NULL OR new_terms IS NOT NULL END",
        name="values_present",
    ),
    comment="Bars and corporate actions that the market source changed later",
)

bar_comparisons = sa.Table(
    "bar_comparisons",
    METADATA,
    required_key("symbol", sa.Text, "Ticker"),
    required_key("price_date", sa.Date, "Session of the bar"),
    column("close_price", PRICE, "Close that was compared, USD, split-adjusted"),
    column("second_close_price", PRICE, "Close of the second market, USD, split-adjusted"),
    column("second_source", sa.Text, "The second market"),
    written_at("seen_at", "When the two were first seen so"),
    sa.CheckConstraint(
        " AND ".join(f"{name} > 0 AND {name} < 'NaN'" for name in ("close_price", "second_close_price")),
        name="closes_positive",
    ),
    comment="Bars on which two markets lie more than 1 % apart, and moves beyond 50 % that the second confirms",
)

corporate_actions = sa.Table(
    "corporate_actions",
    METADATA,
    identity_key("action_id", "Row number"),
    column("symbol", sa.Text, "Ticker"),
    column("ex_date", sa.Date, "First session without the right"),
    column("kind", sa.Text, "split or dividend"),
    column("ratio_numerator", sa.BigInteger, "New shares of a split", null=True),
    column("ratio_denominator", sa.BigInteger, "Old shares they replace", null=True),
    column("amount", DIVIDEND, "Dividend, USD a share in the units after the last known split", null=True),
    column("source", sa.Text, "Market source that stated it"),
    column("run_id", sa.Text, "Run that learnt it"),
    written_at("learnt_at", "When it was learnt"),
    column("generation", sa.BigInteger, "Publication from which on figures take it into account", null=True),
    column("withdrawn_at", INSTANT, "Since when the source no longer states it so", null=True),
    column("withdrawn_generation", sa.BigInteger, "Publication from which on figures disregard it", null=True),
    sa.CheckConstraint(
        "CASE kind WHEN 'split' THEN ratio_numerator > 0 AND ratio_denominator > 0 "
        "AND ratio_numerator <> ratio_denominator AND amount IS NULL "
        "WHEN 'dividend' THEN amount > 0 AND amount <> 'NaN' AND ratio_numerator IS NULL "
        "AND ratio_denominator IS NULL ELSE false END",
        name="terms",
    ),
    sa.CheckConstraint("withdrawn_generation IS NULL OR withdrawn_at IS NOT NULL", name="withdrawal"),
    comment="Splits and dividends: rows are never changed but for being published and withdrawn",
)
sa.Index(
    "ix_corporate_actions_stated",
    corporate_actions.c.symbol,
    corporate_actions.c.ex_date,
    corporate_actions.c.kind,
    unique=True,
    postgresql_where=corporate_actions.c.withdrawn_at.is_(None),
)

company_profiles = sa.Table(
    "company_profiles",
    METADATA,
    required_key("symbol", sa.Text, "Ticker"),
    required_key("captured_on", sa.Date, "Session the profile is as of"),
    column("name", sa.Text, "Name of the company or fund", null=True),
    column("sector", sa.Text, "GICS sector", null=True),
    column("industry", sa.Text, "GICS sub-industry", null=True),
    column("market_cap", sa.Double, "USD", null=True),
    column("pe_ratio", sa.Double, "Trailing price to earnings, dimensionless", null=True),
    column("forward_pe", sa.Double, "Forward price to earnings, dimensionless", null=True),
    column("dividend_yield", sa.Double, "Yearly dividends over price, dimensionless", null=True),
    column("provider_beta", sa.Double, "The vendor's own beta, dimensionless", null=True),
    column("source", sa.Text, "Market source that sent it"),
    written_at("updated_at", "When it was stored"),
    sa.CheckConstraint(" AND ".join(f"abs({name}) < 'Infinity'" for name in PROFILE_FIGURES), name="figures_finite"),
    comment="What vendors say of companies, as of the session it was asked for",
)

figure_invalidations = sa.Table(
    "figure_invalidations",
    METADATA,
    required_key("symbol", sa.Text, "Ticker"),
    column("first_session", sa.Date, "First session whose bar or corporate action changed"),
    column("last_session", sa.Date, "Last such session"),
    column("has_new_returns", sa.Boolean, "Whether a return changed, not only the units of the prices"),
    column("actions_from", sa.Date, "First ex-date of a corporate action that is new or gone", null=True),
    column("run_id", sa.Text, "Run that changed it last"),
    written_at("marked_at", "When it was marked last"),
    sa.CheckConstraint("first_session <= last_session", name="order"),
    comment="Symbols whose published figures await recomputation, because what they were computed from changed",
)


def _key_columns(date_column: str = "session") -> Iterator[sa.Column[Any]]:
    yield required_key(date_column, sa.Date, "Session the figures are as of")
    yield required_key("symbol", sa.Text, "Ticker")


def _version_columns() -> Iterator[sa.Column[Any]]:
    yield column("fingerprint", sa.BigInteger, "Fingerprint of the inputs and the method version")
    yield column("generation", sa.BigInteger, "Generation that published the row")


def _ols_columns(prefix: str = "", *, null: bool = False) -> Iterator[Any]:
    """Columns of one regression; with ``null`` a regression without a value leaves all of them null."""
    yield column(f"{prefix}beta", sa.Double, "Slope, dimensionless, within +-5", null=null)
    yield column(f"{prefix}raw_beta", sa.Double, "Slope before the cap, dimensionless", null=null)
    yield column(f"{prefix}is_capped", sa.Boolean, "Whether |raw_beta| > 5", null=null)
    yield column(f"{prefix}alpha", sa.Double, "Intercept, daily return, dimensionless", null=null)
    yield column(f"{prefix}r_squared", sa.Double, "In-sample R2, dimensionless", null=null)
    yield column(f"{prefix}std_err", sa.Double, "Standard error of the slope, dimensionless", null=null)
    yield column(f"{prefix}p_value", sa.Double, "Two-sided p-value of the slope, dimensionless", null=null)
    yield column(f"{prefix}n_obs", sa.SmallInteger, "Rows used, count", null=null)
    yield column(f"{prefix}quality", sa.Text, "full, limited or suspect", null=null)
    # PostgreSQL sorts NaN above every number, infinity included: these checks keep both out.
    yield sa.CheckConstraint(f"{prefix}beta BETWEEN -5 AND 5", name=f"{prefix}beta_range")
    yield sa.CheckConstraint(
        f"abs({prefix}raw_beta) < 'Infinity' AND abs({prefix}alpha) < 'Infinity'", name=f"{prefix}estimates_finite"
    )
    yield sa.CheckConstraint(f"{prefix}r_squared BETWEEN -1e-9 AND 1.000000001", name=f"{prefix}r_squared_range")
    yield sa.CheckConstraint(f"{prefix}std_err >= 0 AND {prefix}std_err < 'Infinity'", name=f"{prefix}std_err_finite")
    yield sa.CheckConstraint(f"{prefix}p_value BETWEEN 0 AND 1", name=f"{prefix}p_value_range")
    yield sa.CheckConstraint(f"{prefix}quality IN {QUALITIES}", name=f"{prefix}quality")


def _single_regression_table(name: str, comment: str) -> sa.Table:
    return sa.Table(
        name,
        METADATA,
        *_key_columns(),
        *_ols_columns(),
        *_version_columns(),
        comment=comment,
        **partitioned_by_year("session"),
    )


symbol_market_beta = _single_regression_table("symbol_market_beta", "OLS of symbol returns on SPY, 90 sessions")
symbol_ir_beta = _single_regression_table("symbol_ir_beta", "OLS of symbol returns on TLT, 90 sessions")

symbol_ridge_factors = sa.Table(
    "symbol_ridge_factors",
    METADATA,
    *_key_columns(),
    *(
        item
        for factor in RIDGE_COLUMNS
        for item in (
            column(f"{factor}_beta", sa.Double, "Ridge slope, dimensionless, within +-5"),
            column(f"{factor}_raw_beta", sa.Double, "Ridge slope before the cap, dimensionless"),
            column(f"{factor}_is_capped", sa.Boolean, "Whether |raw_beta| > 5"),
            sa.CheckConstraint(f"{factor}_beta BETWEEN -5 AND 5", name=f"{factor}_beta_range"),
            sa.CheckConstraint(f"abs({factor}_raw_beta) < 'Infinity'", name=f"{factor}_estimates_finite"),
        )
    ),
    column("r_squared", sa.Double, "In-sample R2 of the joint regression, dimensionless"),
    column("n_obs", sa.SmallInteger, "Rows used, count"),
    column("quality", sa.Text, "full, limited or suspect"),
    *_version_columns(),
    sa.CheckConstraint("r_squared BETWEEN -1e-9 AND 1.000000001", name="r_squared_range"),
    sa.CheckConstraint(f"quality IN {QUALITIES}", name="quality"),
    comment="Ridge regression on the six style ETFs jointly, alpha 1, 90 sessions",
    **partitioned_by_year("session"),
)

symbol_spread_factors = sa.Table(
    "symbol_spread_factors",
    METADATA,
    *_key_columns(),
    *(
        item
        for factor in SPREAD_COLUMNS
        for item in (
            *_ols_columns(f"{factor}_", null=True),
            column(f"{factor}_reason", sa.Text, "Why this regression has no value", null=True),
        )
    ),
    *_version_columns(),
    comment="Four separate OLS regressions on ETF return spreads, 180 sessions",
    **partitioned_by_year("session"),
)

symbol_daily_metrics = sa.Table(
    "symbol_daily_metrics",
    METADATA,
    *_key_columns("metrics_date"),
    column("close_price", PRICE, "Published close, USD: what positions are valued at"),
    *(column(name, sa.Double, "Total return to the session, dimensionless", null=True) for name in RETURN_COLUMNS),
    column("volatility_21d", sa.Double, "Realised volatility of 21 returns, annualised, dimensionless", null=True),
    column("volatility_63d", sa.Double, "Realised volatility of 63 returns, annualised, dimensionless", null=True),
    column("high_52w", PRICE, "Highest close of 252 sessions, USD"),
    column("low_52w", PRICE, "Lowest close of 252 sessions, USD"),
    column("dollar_volume_21d", sa.Double, "Mean close x volume of 21 sessions, USD", null=True),
    *(column(f"{factor}_beta", sa.Double, "Published beta, dimensionless", null=True) for factor in FACTOR_COLUMNS),
    column("sector", sa.Text, "GICS sector", null=True),
    column("industry", sa.Text, "GICS sub-industry", null=True),
    column("market_cap", sa.Double, "USD, of the newest profile on or before the session", null=True),
    column("pe_ratio", sa.Double, "Trailing price to earnings, dimensionless", null=True),
    column("forward_pe", sa.Double, "Forward price to earnings, dimensionless", null=True),
    column("dividend_yield", sa.Double, "Yearly dividends over price, dimensionless", null=True),
    column("provider_beta", sa.Double, "The vendor's own beta of that profile, dimensionless", null=True),
    column("data_quality_score", sa.SmallInteger, "0 to 100, dimensionless"),
    *_version_columns(),
    sa.CheckConstraint("close_price > 0 AND close_price < 'NaN'", name="close_positive"),
    sa.CheckConstraint(" AND ".join(f"abs({name}) < 'Infinity'" for name in METRIC_COLUMNS), name="figures_finite"),
    sa.CheckConstraint(" AND ".join(f"abs({name}) < 'Infinity'" for name in PROFILE_FIGURES), name="profile_finite"),
    sa.CheckConstraint("data_quality_score BETWEEN 0 AND 100", name="score_range"),
    comment="One row of figures per priced symbol and session, history kept",
    **partitioned_by_year("metrics_date"),
)

symbol_exclusions = sa.Table(
    "symbol_exclusions",
    METADATA,
    required_key("session", sa.Date, "Session"),
    required_key("symbol", sa.Text, "Ticker"),
    required_key("product", sa.Text, "Product that has no row for the symbol"),
    column("reason", sa.Text, "Why: no_price, short_history, constant, ..."),
    comment="Active symbols without a value, each with its reason",
)

factor_covariances = sa.Table(
    "factor_covariances",
    METADATA,
    required_key("session", sa.Date, "Session the matrix is as of"),
    column("factors", ARRAY(sa.Text), "The eight factor ETFs, in the order of rows and columns"),
    column("covariance", ARRAY(sa.Double), "8 x 8 daily return covariances, row by row, dimensionless"),
    column("n_obs", sa.SmallInteger, "Joint rows used, of 252, count"),
    *_version_columns(),
    comment="Exponentially weighted covariance of the factor ETFs' returns",
)

factor_definitions = sa.Table(
    "factor_definitions",
    METADATA,
    required_key("factor", sa.Text, "Canonical factor name"),
    column("position", sa.SmallInteger, "Order of the factor in answers"),
    column("proxies", ARRAY(sa.Text), "ETFs whose returns are the regressors"),
    column("estimator", sa.Text, "ols or ridge"),
    column("window_sessions", sa.SmallInteger, "Returns in the window"),
    column("min_observations", sa.SmallInteger, "Fewest rows that give a value"),
    comment="What each factor is estimated on",
)
