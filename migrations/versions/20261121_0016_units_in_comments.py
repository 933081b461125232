"""Every number of a table that is shown as an asset says its unit, or that it is dimensionless or a count

Revision: 20261121_0016
Revises: 20261121_0015
"""

from collections.abc import Iterator

from alembic import op

revision = "20261121_0016"
down_revision = "20261121_0015"
branch_labels = None
depends_on = None

SPREADS = ("growth_value_spread", "momentum_spread", "size_spread", "quality_spread")
STYLES = ("value", "growth", "momentum", "quality", "size", "low_volatility")
FACTORS = ("market", "ir", *STYLES, *SPREADS)
PRICES = ("open_price", "high_price", "low_price", "close_price", "adj_close_price")
RETURN = "daily_pnl / (previous equity + flows)"
# By table and column: the comment before and after.
Comments = Iterator[tuple[str, str, str, str]]


def _regressions() -> Comments:
    for table, prefix in (
        ("symbol_market_beta", ""),
        ("symbol_ir_beta", ""),
        *(("symbol_spread_factors", f"{name}_") for name in SPREADS),
    ):
        for name, words in (("alpha", "Intercept, daily return"), ("p_value", "Two-sided p-value of the slope")):
            yield table, prefix + name, words, f"{words}, dimensionless"
        yield table, f"{prefix}n_obs", "Rows used", "Rows used, count"
    yield "symbol_ridge_factors", "n_obs", "Rows used", "Rows used, count"


def _symbol_figures() -> Comments:
    matrix = "8 x 8 daily return covariances, row by row"
    yield "factor_covariances", "covariance", matrix, f"{matrix}, dimensionless"
    yield "factor_covariances", "n_obs", "Joint rows used, of 252", "Joint rows used, of 252, count"
    for count in (21, 63):
        words = f"Realised volatility of {count} returns, annualised"
        yield "symbol_daily_metrics", f"volatility_{count}d", words, f"{words}, dimensionless"
    yield "symbol_daily_metrics", "data_quality_score", "0 to 100", "0 to 100, dimensionless"
    for name in PRICES:
        yield "price_quarantine", name, "As sent", "As sent, USD"
    yield "price_quarantine", "volume", "As sent", "As sent, shares"
    yield "symbol_onboarding_queue", "priority", "Larger is served first", "Larger is served first, dimensionless"
    yield "symbol_onboarding_queue", "attempts", "How often it was taken up", "How often it was taken up, count"


def _portfolio_figures() -> Comments:
    positive = "null when not positive"
    yield "portfolio_snapshots", "daily_return", f"{RETURN}; {positive}", f"{RETURN}, dimensionless; {positive}"
    for name, words in (
        ("positions_count", "Lots held"),
        ("long_count", "Long lots held"),
        ("short_count", "Short lots held"),
        ("stale_count", "Lots valued at a carried price"),
        ("excluded_count", "Lots without a usable price"),
    ):
        yield "portfolio_snapshots", name, words, f"{words}, count"
    for name, words in (
        ("priced_share", "Share of gross priced by the session's own closes or valuations"),
        ("provider_beta_coverage", "Share of PUBLIC |value| whose symbol has one"),
    ):
        yield "portfolio_snapshots", name, words, f"{words}, dimensionless"
    for factor in FACTORS:
        for name, words in (
            ("per_invested", "Sum of value x beta over sum of |value| with the beta"),
            ("coverage", "Share of |value| whose symbol has the beta"),
        ):
            yield "portfolio_exposures", f"{factor}_{name}", words, f"{words}, dimensionless"


def _comments() -> Comments:
    yield from _regressions()
    yield from _symbol_figures()
    yield from _portfolio_figures()


def upgrade() -> None:
    for table, column, before, after in _comments():
        op.alter_column(table, column, comment=after, existing_comment=before)


def downgrade() -> None:
    for table, column, before, after in _comments():
        op.alter_column(table, column, comment=before, existing_comment=after)
