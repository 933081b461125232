"""Symbol figures

Revision: 20261121_0002
Revises: 20261121_0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261121_0002"
down_revision = "20261121_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "factor_covariances",
        sa.Column("session", sa.Date(), autoincrement=False, nullable=False, comment="Session the matrix is as of"),
        sa.Column(
            "factors",
            postgresql.ARRAY(sa.Text()),
            nullable=False,
            comment="The eight factor ETFs, in the order of rows and columns",
        ),
        sa.Column(
            "covariance",
            postgresql.ARRAY(sa.Double()),
            nullable=False,
            comment="8 x 8 daily return covariances, row by row",
        ),
        sa.Column("n_obs", sa.SmallInteger(), nullable=False, comment="Joint rows used, of 252"),
        sa.Column(
            "fingerprint", sa.BigInteger(), nullable=False, comment="Fingerprint of the inputs and the method version"
        ),
        sa.Column("generation", sa.BigInteger(), nullable=False, comment="Generation that published the row"),
        sa.PrimaryKeyConstraint("session", name=op.f("pk_factor_covariances")),
        comment="Exponentially weighted covariance of the factor ETFs' returns",
    )
    op.create_table(
        "factor_definitions",
        sa.Column("factor", sa.Text(), autoincrement=False, nullable=False, comment="Canonical factor name"),
        sa.Column("position", sa.SmallInteger(), nullable=False, comment="Order of the factor in answers"),
        sa.Column(
            "proxies", postgresql.ARRAY(sa.Text()), nullable=False, comment="ETFs whose returns are the regressors"
        ),
        sa.Column("estimator", sa.Text(), nullable=False, comment="ols or ridge"),
        sa.Column("window_sessions", sa.SmallInteger(), nullable=False, comment="Returns in the window"),
        sa.Column("min_observations", sa.SmallInteger(), nullable=False, comment="Fewest rows that give a value"),
        sa.PrimaryKeyConstraint("factor", name=op.f("pk_factor_definitions")),
        comment="What each factor is estimated on",
    )
    op.create_table(
        "symbol_daily_metrics",
        sa.Column(
            "metrics_date", sa.Date(), autoincrement=False, nullable=False, comment="Session the figures are as of"
        ),
        sa.Column("symbol", sa.Text(), autoincrement=False, nullable=False, comment="Ticker"),
        sa.Column(
            "close_price",
            sa.Numeric(precision=14, scale=4),
            nullable=False,
            comment="Published close, USD: what positions are valued at",
        ),
        sa.Column("return_1d", sa.Double(), nullable=True, comment="Total return to the session, dimensionless"),
        sa.Column("return_mtd", sa.Double(), nullable=True, comment="Total return to the session, dimensionless"),
        sa.Column("return_ytd", sa.Double(), nullable=True, comment="Total return to the session, dimensionless"),
        sa.Column("return_1m", sa.Double(), nullable=True, comment="Total return to the session, dimensionless"),
        sa.Column("return_3m", sa.Double(), nullable=True, comment="Total return to the session, dimensionless"),
        sa.Column("return_1y", sa.Double(), nullable=True, comment="Total return to the session, dimensionless"),
        sa.Column(
            "volatility_21d", sa.Double(), nullable=True, comment="Realised volatility of 21 returns, annualised"
        ),
        sa.Column(
            "volatility_63d", sa.Double(), nullable=True, comment="Realised volatility of 63 returns, annualised"
        ),
        sa.Column(
            "high_52w", sa.Numeric(precision=14, scale=4), nullable=False, comment="Highest close of 252 sessions, USD"
        ),
        sa.Column(
            "low_52w", sa.Numeric(precision=14, scale=4), nullable=False, comment="Lowest close of 252 sessions, USD"
        ),
        sa.Column("dollar_volume_21d", sa.Double(), nullable=True, comment="Mean close x volume of 21 sessions, USD"),
        sa.Column("market_beta", sa.Double(), nullable=True, comment="Published beta, dimensionless"),
        sa.Column("ir_beta", sa.Double(), nullable=True, comment="Published beta, dimensionless"),
        sa.Column("value_beta", sa.Double(), nullable=True, comment="Published beta, dimensionless"),
        sa.Column("growth_beta", sa.Double(), nullable=True, comment="Published beta, dimensionless"),
        sa.Column("momentum_beta", sa.Double(), nullable=True, comment="Published beta, dimensionless"),
        sa.Column("quality_beta", sa.Double(), nullable=True, comment="Published beta, dimensionless"),
        sa.Column("size_beta", sa.Double(), nullable=True, comment="Published beta, dimensionless"),
        sa.Column("low_volatility_beta", sa.Double(), nullable=True, comment="Published beta, dimensionless"),
        sa.Column("growth_value_spread_beta", sa.Double(), nullable=True, comment="Published beta, dimensionless"),
        sa.Column("momentum_spread_beta", sa.Double(), nullable=True, comment="Published beta, dimensionless"),
        sa.Column("size_spread_beta", sa.Double(), nullable=True, comment="Published beta, dimensionless"),
        sa.Column("quality_spread_beta", sa.Double(), nullable=True, comment="Published beta, dimensionless"),
        sa.Column("sector", sa.Text(), nullable=True, comment="GICS sector"),
        sa.Column("industry", sa.Text(), nullable=True, comment="GICS sub-industry"),
        sa.Column(
            "market_cap", sa.Double(), nullable=True, comment="USD, of the newest profile on or before the session"
        ),
        sa.Column("pe_ratio", sa.Double(), nullable=True, comment="Trailing price to earnings, dimensionless"),
        sa.Column("forward_pe", sa.Double(), nullable=True, comment="Forward price to earnings, dimensionless"),
        sa.Column("dividend_yield", sa.Double(), nullable=True, comment="Yearly dividends over price, dimensionless"),
        sa.Column("data_quality_score", sa.SmallInteger(), nullable=False, comment="0 to 100"),
        sa.Column(
            "fingerprint", sa.BigInteger(), nullable=False, comment="Fingerprint of the inputs and the method version"
        ),
        sa.Column("generation", sa.BigInteger(), nullable=False, comment="Generation that published the row"),
        sa.CheckConstraint(
            "close_price > 0 AND close_price < 'NaN'", name=op.f("ck_symbol_daily_metrics_close_positive")
        ),
        sa.CheckConstraint(
            "abs(return_1d) < 'Infinity' AND abs(return_mtd) < 'Infinity' AND abs(return_ytd) < 'Infinity' AND "
            "abs(return_1m) < 'Infinity' AND abs(return_3m) < 'Infinity' AND abs(return_1y) < 'Infinity' AND "
            "abs(volatility_21d) < 'Infinity' AND abs(volatility_63d) < 'Infinity' AND "
            "abs(dollar_volume_21d) < 'Infinity'",
            name=op.f("ck_symbol_daily_metrics_figures_finite"),
        ),
        sa.CheckConstraint("data_quality_score BETWEEN 0 AND 100", name=op.f("ck_symbol_daily_metrics_score_range")),
        sa.PrimaryKeyConstraint("metrics_date", "symbol", name=op.f("pk_symbol_daily_metrics")),
        comment="One row of figures per priced symbol and session, history kept",
        info={"partitioned": True},
        postgresql_partition_by="RANGE (metrics_date)",
    )
    op.create_table(
        "symbol_exclusions",
        sa.Column("session", sa.Date(), autoincrement=False, nullable=False, comment="Session"),
        sa.Column("symbol", sa.Text(), autoincrement=False, nullable=False, comment="Ticker"),
        sa.Column(
            "product", sa.Text(), autoincrement=False, nullable=False, comment="Product that has no row for the symbol"
        ),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why: no_price, short_history, constant, ..."),
        sa.PrimaryKeyConstraint("session", "symbol", "product", name=op.f("pk_symbol_exclusions")),
        comment="Active symbols without a value, each with its reason",
    )
    op.create_table(
        "symbol_ir_beta",
        sa.Column("session", sa.Date(), autoincrement=False, nullable=False, comment="Session the figures are as of"),
        sa.Column("symbol", sa.Text(), autoincrement=False, nullable=False, comment="Ticker"),
        sa.Column("beta", sa.Double(), nullable=False, comment="Slope, dimensionless, within +-5"),
        sa.Column("raw_beta", sa.Double(), nullable=False, comment="Slope before the cap, dimensionless"),
        sa.Column("is_capped", sa.Boolean(), nullable=False, comment="Whether |raw_beta| > 5"),
        sa.Column("alpha", sa.Double(), nullable=False, comment="Intercept, daily return"),
        sa.Column("r_squared", sa.Double(), nullable=False, comment="In-sample R2, dimensionless"),
        sa.Column("std_err", sa.Double(), nullable=False, comment="Standard error of the slope, dimensionless"),
        sa.Column("p_value", sa.Double(), nullable=False, comment="Two-sided p-value of the slope"),
        sa.Column("n_obs", sa.SmallInteger(), nullable=False, comment="Rows used"),
        sa.Column("quality", sa.Text(), nullable=False, comment="full, limited or suspect"),
        sa.Column(
            "fingerprint", sa.BigInteger(), nullable=False, comment="Fingerprint of the inputs and the method version"
        ),
        sa.Column("generation", sa.BigInteger(), nullable=False, comment="Generation that published the row"),
        sa.CheckConstraint("quality IN ('full', 'limited', 'suspect')", name=op.f("ck_symbol_ir_beta_quality")),
        sa.CheckConstraint("std_err >= 0 AND std_err < 'Infinity'", name=op.f("ck_symbol_ir_beta_std_err_finite")),
        sa.CheckConstraint("beta BETWEEN -5 AND 5", name=op.f("ck_symbol_ir_beta_beta_range")),
        sa.CheckConstraint(
            "abs(raw_beta) < 'Infinity' AND abs(alpha) < 'Infinity'", name=op.f("ck_symbol_ir_beta_estimates_finite")
        ),
        sa.CheckConstraint("p_value BETWEEN 0 AND 1", name=op.f("ck_symbol_ir_beta_p_value_range")),
        sa.CheckConstraint("r_squared BETWEEN -1e-9 AND 1.000000001", name=op.f("ck_symbol_ir_beta_r_squared_range")),
        sa.PrimaryKeyConstraint("session", "symbol", name=op.f("pk_symbol_ir_beta")),
        comment="OLS of symbol returns on TLT, 90 sessions",
        info={"partitioned": True},
        postgresql_partition_by="RANGE (session)",
    )
    op.create_table(
        "symbol_market_beta",
        sa.Column("session", sa.Date(), autoincrement=False, nullable=False, comment="Session the figures are as of"),
        sa.Column("symbol", sa.Text(), autoincrement=False, nullable=False, comment="Ticker"),
        sa.Column("beta", sa.Double(), nullable=False, comment="Slope, dimensionless, within +-5"),
        sa.Column("raw_beta", sa.Double(), nullable=False, comment="Slope before the cap, dimensionless"),
        sa.Column("is_capped", sa.Boolean(), nullable=False, comment="Whether |raw_beta| > 5"),
        sa.Column("alpha", sa.Double(), nullable=False, comment="Intercept, daily return"),
        sa.Column("r_squared", sa.Double(), nullable=False, comment="In-sample R2, dimensionless"),
        sa.Column("std_err", sa.Double(), nullable=False, comment="Standard error of the slope, dimensionless"),
        sa.Column("p_value", sa.Double(), nullable=False, comment="Two-sided p-value of the slope"),
        sa.Column("n_obs", sa.SmallInteger(), nullable=False, comment="Rows used"),
        sa.Column("quality", sa.Text(), nullable=False, comment="full, limited or suspect"),
        sa.Column(
            "fingerprint", sa.BigInteger(), nullable=False, comment="Fingerprint of the inputs and the method version"
        ),
        sa.Column("generation", sa.BigInteger(), nullable=False, comment="Generation that published the row"),
        sa.CheckConstraint("quality IN ('full', 'limited', 'suspect')", name=op.f("ck_symbol_market_beta_quality")),
        sa.CheckConstraint("std_err >= 0 AND std_err < 'Infinity'", name=op.f("ck_symbol_market_beta_std_err_finite")),
        sa.CheckConstraint("beta BETWEEN -5 AND 5", name=op.f("ck_symbol_market_beta_beta_range")),
        sa.CheckConstraint(
            "abs(raw_beta) < 'Infinity' AND abs(alpha) < 'Infinity'",
            name=op.f("ck_symbol_market_beta_estimates_finite"),
        ),
        sa.CheckConstraint("p_value BETWEEN 0 AND 1", name=op.f("ck_symbol_market_beta_p_value_range")),
        sa.CheckConstraint(
            "r_squared BETWEEN -1e-9 AND 1.000000001", name=op.f("ck_symbol_market_beta_r_squared_range")
        ),
        sa.PrimaryKeyConstraint("session", "symbol", name=op.f("pk_symbol_market_beta")),
        comment="OLS of symbol returns on SPY, 90 sessions",
        info={"partitioned": True},
        postgresql_partition_by="RANGE (session)",
    )
    op.create_table(
        "symbol_ridge_factors",
        sa.Column("session", sa.Date(), autoincrement=False, nullable=False, comment="Session the figures are as of"),
        sa.Column("symbol", sa.Text(), autoincrement=False, nullable=False, comment="Ticker"),
        sa.Column("value_beta", sa.Double(), nullable=False, comment="Ridge slope, dimensionless, within +-5"),
        sa.Column("value_raw_beta", sa.Double(), nullable=False, comment="Ridge slope before the cap, dimensionless"),
        sa.Column("value_is_capped", sa.Boolean(), nullable=False, comment="Whether |raw_beta| > 5"),
        sa.Column("growth_beta", sa.Double(), nullable=False, comment="Ridge slope, dimensionless, within +-5"),
        sa.Column("growth_raw_beta", sa.Double(), nullable=False, comment="Ridge slope before the cap, dimensionless"),
        sa.Column("growth_is_capped", sa.Boolean(), nullable=False, comment="Whether |raw_beta| > 5"),
        sa.Column("momentum_beta", sa.Double(), nullable=False, comment="Ridge slope, dimensionless, within +-5"),
        sa.Column(
            "momentum_raw_beta", sa.Double(), nullable=False, comment="Ridge slope before the cap, dimensionless"
        ),
        sa.Column("momentum_is_capped", sa.Boolean(), nullable=False, comment="Whether |raw_beta| > 5"),
        sa.Column("quality_beta", sa.Double(), nullable=False, comment="Ridge slope, dimensionless, within +-5"),
        sa.Column("quality_raw_beta", sa.Double(), nullable=False, comment="Ridge slope before the cap, dimensionless"),
        sa.Column("quality_is_capped", sa.Boolean(), nullable=False, comment="Whether |raw_beta| > 5"),
        sa.Column("size_beta", sa.Double(), nullable=False, comment="Ridge slope, dimensionless, within +-5"),
        sa.Column("size_raw_beta", sa.Double(), nullable=False, comment="Ridge slope before the cap, dimensionless"),
        sa.Column("size_is_capped", sa.Boolean(), nullable=False, comment="Whether |raw_beta| > 5"),
        sa.Column("low_volatility_beta", sa.Double(), nullable=False, comment="Ridge slope, dimensionless, within +-5"),
        sa.Column(
            "low_volatility_raw_beta", sa.Double(), nullable=False, comment="Ridge slope before the cap, dimensionless"
        ),
        sa.Column("low_volatility_is_capped", sa.Boolean(), nullable=False, comment="Whether |raw_beta| > 5"),
        sa.Column(
            "r_squared", sa.Double(), nullable=False, comment="In-sample R2 of the joint regression, dimensionless"
        ),
        sa.Column("n_obs", sa.SmallInteger(), nullable=False, comment="Rows used"),
        sa.Column("quality", sa.Text(), nullable=False, comment="full, limited or suspect"),
        sa.Column(
            "fingerprint", sa.BigInteger(), nullable=False, comment="Fingerprint of the inputs and the method version"
        ),
        sa.Column("generation", sa.BigInteger(), nullable=False, comment="Generation that published the row"),
        sa.CheckConstraint("quality IN ('full', 'limited', 'suspect')", name=op.f("ck_symbol_ridge_factors_quality")),
        sa.CheckConstraint("growth_beta BETWEEN -5 AND 5", name=op.f("ck_symbol_ridge_factors_growth_beta_range")),
        sa.CheckConstraint(
            "abs(growth_raw_beta) < 'Infinity'", name=op.f("ck_symbol_ridge_factors_growth_estimates_finite")
        ),
        sa.CheckConstraint(
            "low_volatility_beta BETWEEN -5 AND 5", name=op.f("ck_symbol_ridge_factors_low_volatility_beta_range")
        ),
        sa.CheckConstraint(
            "abs(low_volatility_raw_beta) < 'Infinity'",
            name=op.f("ck_symbol_ridge_factors_low_volatility_estimates_finite"),
        ),
        sa.CheckConstraint("momentum_beta BETWEEN -5 AND 5", name=op.f("ck_symbol_ridge_factors_momentum_beta_range")),
        sa.CheckConstraint(
            "abs(momentum_raw_beta) < 'Infinity'", name=op.f("ck_symbol_ridge_factors_momentum_estimates_finite")
        ),
        sa.CheckConstraint("quality_beta BETWEEN -5 AND 5", name=op.f("ck_symbol_ridge_factors_quality_beta_range")),
        sa.CheckConstraint(
            "abs(quality_raw_beta) < 'Infinity'", name=op.f("ck_symbol_ridge_factors_quality_estimates_finite")
        ),
        sa.CheckConstraint(
            "r_squared BETWEEN -1e-9 AND 1.000000001", name=op.f("ck_symbol_ridge_factors_r_squared_range")
        ),
        sa.CheckConstraint("size_beta BETWEEN -5 AND 5", name=op.f("ck_symbol_ridge_factors_size_beta_range")),
        sa.CheckConstraint(
            "abs(size_raw_beta) < 'Infinity'", name=op.f("ck_symbol_ridge_factors_size_estimates_finite")
        ),
        sa.CheckConstraint("value_beta BETWEEN -5 AND 5", name=op.f("ck_symbol_ridge_factors_value_beta_range")),
        sa.CheckConstraint(
            "abs(value_raw_beta) < 'Infinity'", name=op.f("ck_symbol_ridge_factors_value_estimates_finite")
        ),
        sa.PrimaryKeyConstraint("session", "symbol", name=op.f("pk_symbol_ridge_factors")),
        comment="Ridge regression on the six style ETFs jointly, alpha 1, 90 sessions",
        info={"partitioned": True},
        postgresql_partition_by="RANGE (session)",
    )
    op.create_table(
        "symbol_spread_factors",
        sa.Column("session", sa.Date(), autoincrement=False, nullable=False, comment="Session the figures are as of"),
        sa.Column("symbol", sa.Text(), autoincrement=False, nullable=False, comment="Ticker"),
        sa.Column("growth_value_spread_beta", sa.Double(), nullable=True, comment="Slope, dimensionless, within +-5"),
        sa.Column(
            "growth_value_spread_raw_beta", sa.Double(), nullable=True, comment="Slope before the cap, dimensionless"
        ),
        sa.Column("growth_value_spread_is_capped", sa.Boolean(), nullable=True, comment="Whether |raw_beta| > 5"),
        sa.Column("growth_value_spread_alpha", sa.Double(), nullable=True, comment="Intercept, daily return"),
        sa.Column("growth_value_spread_r_squared", sa.Double(), nullable=True, comment="In-sample R2, dimensionless"),
        sa.Column(
            "growth_value_spread_std_err",
            sa.Double(),
            nullable=True,
            comment="Standard error of the slope, dimensionless",
        ),
        sa.Column("growth_value_spread_p_value", sa.Double(), nullable=True, comment="Two-sided p-value of the slope"),
        sa.Column("growth_value_spread_n_obs", sa.SmallInteger(), nullable=True, comment="Rows used"),
        sa.Column("growth_value_spread_quality", sa.Text(), nullable=True, comment="full, limited or suspect"),
        sa.Column("growth_value_spread_reason", sa.Text(), nullable=True, comment="Why this regression has no value"),
        sa.Column("momentum_spread_beta", sa.Double(), nullable=True, comment="Slope, dimensionless, within +-5"),
        sa.Column(
            "momentum_spread_raw_beta", sa.Double(), nullable=True, comment="Slope before the cap, dimensionless"
        ),
        sa.Column("momentum_spread_is_capped", sa.Boolean(), nullable=True, comment="Whether |raw_beta| > 5"),
        sa.Column("momentum_spread_alpha", sa.Double(), nullable=True, comment="Intercept, daily return"),
        sa.Column("momentum_spread_r_squared", sa.Double(), nullable=True, comment="In-sample R2, dimensionless"),
        sa.Column(
            "momentum_spread_std_err", sa.Double(), nullable=True, comment="Standard error of the slope, dimensionless"
        ),
        sa.Column("momentum_spread_p_value", sa.Double(), nullable=True, comment="Two-sided p-value of the slope"),
        sa.Column("momentum_spread_n_obs", sa.SmallInteger(), nullable=True, comment="Rows used"),
        sa.Column("momentum_spread_quality", sa.Text(), nullable=True, comment="full, limited or suspect"),
        sa.Column("momentum_spread_reason", sa.Text(), nullable=True, comment="Why this regression has no value"),
        sa.Column("size_spread_beta", sa.Double(), nullable=True, comment="Slope, dimensionless, within +-5"),
        sa.Column("size_spread_raw_beta", sa.Double(), nullable=True, comment="Slope before the cap, dimensionless"),
        sa.Column("size_spread_is_capped", sa.Boolean(), nullable=True, comment="Whether |raw_beta| > 5"),
        sa.Column("size_spread_alpha", sa.Double(), nullable=True, comment="Intercept, daily return"),
        sa.Column("size_spread_r_squared", sa.Double(), nullable=True, comment="In-sample R2, dimensionless"),
        sa.Column(
            "size_spread_std_err", sa.Double(), nullable=True, comment="Standard error of the slope, dimensionless"
        ),
        sa.Column("size_spread_p_value", sa.Double(), nullable=True, comment="Two-sided p-value of the slope"),
        sa.Column("size_spread_n_obs", sa.SmallInteger(), nullable=True, comment="Rows used"),
        sa.Column("size_spread_quality", sa.Text(), nullable=True, comment="full, limited or suspect"),
        sa.Column("size_spread_reason", sa.Text(), nullable=True, comment="Why this regression has no value"),
        sa.Column("quality_spread_beta", sa.Double(), nullable=True, comment="Slope, dimensionless, within +-5"),
        sa.Column("quality_spread_raw_beta", sa.Double(), nullable=True, comment="Slope before the cap, dimensionless"),
        sa.Column("quality_spread_is_capped", sa.Boolean(), nullable=True, comment="Whether |raw_beta| > 5"),
        sa.Column("quality_spread_alpha", sa.Double(), nullable=True, comment="Intercept, daily return"),
        sa.Column("quality_spread_r_squared", sa.Double(), nullable=True, comment="In-sample R2, dimensionless"),
        sa.Column(
            "quality_spread_std_err", sa.Double(), nullable=True, comment="Standard error of the slope, dimensionless"
        ),
        sa.Column("quality_spread_p_value", sa.Double(), nullable=True, comment="Two-sided p-value of the slope"),
        sa.Column("quality_spread_n_obs", sa.SmallInteger(), nullable=True, comment="Rows used"),
        sa.Column("quality_spread_quality", sa.Text(), nullable=True, comment="full, limited or suspect"),
        sa.Column("quality_spread_reason", sa.Text(), nullable=True, comment="Why this regression has no value"),
        sa.Column(
            "fingerprint", sa.BigInteger(), nullable=False, comment="Fingerprint of the inputs and the method version"
        ),
        sa.Column("generation", sa.BigInteger(), nullable=False, comment="Generation that published the row"),
        sa.CheckConstraint(
            "growth_value_spread_quality IN ('full', 'limited', 'suspect')",
            name=op.f("ck_symbol_spread_factors_growth_value_spread_quality"),
        ),
        sa.CheckConstraint(
            "growth_value_spread_std_err >= 0 AND growth_value_spread_std_err < 'Infinity'",
            name=op.f("ck_symbol_spread_factors_growth_value_spread_std_err_finite"),
        ),
        sa.CheckConstraint(
            "momentum_spread_quality IN ('full', 'limited', 'suspect')",
            name=op.f("ck_symbol_spread_factors_momentum_spread_quality"),
        ),
        sa.CheckConstraint(
            "momentum_spread_std_err >= 0 AND momentum_spread_std_err < 'Infinity'",
            name=op.f("ck_symbol_spread_factors_momentum_spread_std_err_finite"),
        ),
        sa.CheckConstraint(
            "quality_spread_quality IN ('full', 'limited', 'suspect')",
            name=op.f("ck_symbol_spread_factors_quality_spread_quality"),
        ),
        sa.CheckConstraint(
            "quality_spread_std_err >= 0 AND quality_spread_std_err < 'Infinity'",
            name=op.f("ck_symbol_spread_factors_quality_spread_std_err_finite"),
        ),
        sa.CheckConstraint(
            "size_spread_quality IN ('full', 'limited', 'suspect')",
            name=op.f("ck_symbol_spread_factors_size_spread_quality"),
        ),
        sa.CheckConstraint(
            "size_spread_std_err >= 0 AND size_spread_std_err < 'Infinity'",
            name=op.f("ck_symbol_spread_factors_size_spread_std_err_finite"),
        ),
        sa.CheckConstraint(
            "growth_value_spread_beta BETWEEN -5 AND 5",
            name=op.f("ck_symbol_spread_factors_growth_value_spread_beta_range"),
        ),
        sa.CheckConstraint(
            "abs(growth_value_spread_raw_beta) < 'Infinity' AND abs(growth_value_spread_alpha) < 'Infinity'",
            name=op.f("ck_symbol_spread_factors_growth_value_spread_estimates_finite"),
        ),
        sa.CheckConstraint(
            "growth_value_spread_p_value BETWEEN 0 AND 1",
            name=op.f("ck_symbol_spread_factors_growth_value_spread_p_value_range"),
        ),
        sa.CheckConstraint(
            "growth_value_spread_r_squared BETWEEN -1e-9 AND 1.000000001",
            name=op.f("ck_symbol_spread_factors_growth_value_spread_r_squared_range"),
        ),
        sa.CheckConstraint(
            "momentum_spread_beta BETWEEN -5 AND 5", name=op.f("ck_symbol_spread_factors_momentum_spread_beta_range")
        ),
        sa.CheckConstraint(
            "abs(momentum_spread_raw_beta) < 'Infinity' AND abs(momentum_spread_alpha) < 'Infinity'",
            name=op.f("ck_symbol_spread_factors_momentum_spread_estimates_finite"),
        ),
        sa.CheckConstraint(
            "momentum_spread_p_value BETWEEN 0 AND 1",
            name=op.f("ck_symbol_spread_factors_momentum_spread_p_value_range"),
        ),
        sa.CheckConstraint(
            "momentum_spread_r_squared BETWEEN -1e-9 AND 1.000000001",
            name=op.f("ck_symbol_spread_factors_momentum_spread_r_squared_range"),
        ),
        sa.CheckConstraint(
            "quality_spread_beta BETWEEN -5 AND 5", name=op.f("ck_symbol_spread_factors_quality_spread_beta_range")
        ),
        sa.CheckConstraint(
            "abs(quality_spread_raw_beta) < 'Infinity' AND abs(quality_spread_alpha) < 'Infinity'",
            name=op.f("ck_symbol_spread_factors_quality_spread_estimates_finite"),
        ),
        sa.CheckConstraint(
            "quality_spread_p_value BETWEEN 0 AND 1", name=op.f("ck_symbol_spread_factors_quality_spread_p_value_range")
        ),
        sa.CheckConstraint(
            "quality_spread_r_squared BETWEEN -1e-9 AND 1.000000001",
            name=op.f("ck_symbol_spread_factors_quality_spread_r_squared_range"),
        ),
        sa.CheckConstraint(
            "size_spread_beta BETWEEN -5 AND 5", name=op.f("ck_symbol_spread_factors_size_spread_beta_range")
        ),
        sa.CheckConstraint(
            "abs(size_spread_raw_beta) < 'Infinity' AND abs(size_spread_alpha) < 'Infinity'",
            name=op.f("ck_symbol_spread_factors_size_spread_estimates_finite"),
        ),
        sa.CheckConstraint(
            "size_spread_p_value BETWEEN 0 AND 1", name=op.f("ck_symbol_spread_factors_size_spread_p_value_range")
        ),
        sa.CheckConstraint(
            "size_spread_r_squared BETWEEN -1e-9 AND 1.000000001",
            name=op.f("ck_symbol_spread_factors_size_spread_r_squared_range"),
        ),
        sa.PrimaryKeyConstraint("session", "symbol", name=op.f("pk_symbol_spread_factors")),
        comment="Four separate OLS regressions on ETF return spreads, 180 sessions",
        info={"partitioned": True},
        postgresql_partition_by="RANGE (session)",
    )


def downgrade() -> None:
    op.drop_table("symbol_spread_factors")
    op.drop_table("symbol_ridge_factors")
    op.drop_table("symbol_market_beta")
    op.drop_table("symbol_ir_beta")
    op.drop_table("symbol_exclusions")
    op.drop_table("symbol_daily_metrics")
    op.drop_table("factor_definitions")
    op.drop_table("factor_covariances")
