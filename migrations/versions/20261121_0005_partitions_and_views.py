"""Year partitions, the long view of exposures and the factor definitions

Revision: 20261121_0005
Revises: 20261121_0004
"""

from alembic import op

revision = "20261121_0005"
down_revision = "20261121_0004"
branch_labels = None
depends_on = None

PARTITIONED = (
    "symbol_prices_daily",
    "symbol_market_beta",
    "symbol_ir_beta",
    "symbol_ridge_factors",
    "symbol_spread_factors",
    "symbol_daily_metrics",
    "portfolio_snapshots",
    "position_values",
    "portfolio_factor_exposures",
)
YEARS = range(2020, 2036)
SINGLE = (("symbol_market_beta", "Market Beta"), ("symbol_ir_beta", "IR Beta"))
RIDGE = (
    ("value", "Value", "VTV"),
    ("growth", "Growth", "VUG"),
    ("momentum", "Momentum", "MTUM"),
    ("quality", "Quality", "QUAL"),
    ("size", "Size", "IWM"),
    ("low_volatility", "Low Volatility", "USMV"),
)
SPREADS = (
    ("growth_value_spread", "Growth-Value Spread", "VUG", "VTV"),
    ("momentum_spread", "Momentum Spread", "MTUM", "SPY"),
    ("size_spread", "Size Spread", "IWM", "SPY"),
    ("quality_spread", "Quality Spread", "QUAL", "SPY"),
)


def _exposure_selects() -> list[str]:
    keys = "SELECT symbol, '{factor}'::text AS factor, session AS calculation_date, "
    names = (
        "{p}beta AS beta_value, {r}r_squared AS r_squared, {se} AS std_err, {pv} AS p_value, "
        "{r}n_obs::integer AS observations, {r}quality AS quality_flag, '{method}'::text AS method FROM {table}"
    )
    selects = [
        (keys + names).format(factor=factor, p="", r="", se="std_err", pv="p_value", method="ols", table=table)
        for table, factor in SINGLE
    ]
    selects += [
        (keys + names).format(
            factor=factor,
            p=f"{prefix}_",
            r="",
            se="NULL::double precision",
            pv="NULL::double precision",
            method="ridge",
            table="symbol_ridge_factors",
        )
        for prefix, factor, _ in RIDGE
    ]
    selects += [
        (keys + names).format(
            factor=factor,
            p=f"{prefix}_",
            r=f"{prefix}_",
            se=f"{prefix}_std_err",
            pv=f"{prefix}_p_value",
            method="ols",
            table=f"symbol_spread_factors WHERE {prefix}_beta IS NOT NULL",
        )
        for prefix, factor, _, _ in SPREADS
    ]
    return selects


def _definitions() -> list[str]:
    rows = [("Market Beta", "{SPY}", "ols", 90, 30), ("IR Beta", "{TLT}", "ols", 90, 30)]
    joint = "{" + ",".join(etf for _, _, etf in RIDGE) + "}"
    rows += [(factor, joint, "ridge", 90, 30) for _, factor, _ in RIDGE]
    rows += [(factor, f"{{{long},{short}}}", "ols", 180, 60) for _, factor, long, short in SPREADS]
    return [
        f"('{factor}', {position}, '{proxies}', '{estimator}', {window}, {minimum})"
        for position, (factor, proxies, estimator, window, minimum) in enumerate(rows)
    ]


def upgrade() -> None:
    for table in PARTITIONED:
        for year in YEARS:
            op.execute(
                f"CREATE TABLE {table}_y{year} PARTITION OF {table} "
                f"FOR VALUES FROM ('{year}-01-01') TO ('{year + 1}-01-01')"
            )
        op.execute(f"CREATE TABLE {table}_rest PARTITION OF {table} DEFAULT")
    op.execute("CREATE VIEW symbol_factor_exposures AS " + " UNION ALL ".join(_exposure_selects()))
    op.execute(
        "COMMENT ON VIEW symbol_factor_exposures IS "
        "'Published exposures in long form: one row per symbol, factor and session that has a value'"
    )
    op.execute(
        "INSERT INTO factor_definitions (factor, position, proxies, estimator, window_sessions, min_observations) "
        "VALUES " + ", ".join(_definitions())
    )


def downgrade() -> None:
    op.execute("DELETE FROM factor_definitions")
    op.execute("DROP VIEW symbol_factor_exposures")
    for table in PARTITIONED:
        for name in (*(f"y{year}" for year in YEARS), "rest"):
            op.execute(f"DROP TABLE {table}_{name}")
