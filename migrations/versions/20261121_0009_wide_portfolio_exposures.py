"""Factor exposures of portfolios as one wide row a session, and their long form as a view

Revision: 20261121_0009
Revises: 20261121_0008
"""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0009"
down_revision = "20261121_0008"
branch_labels = None
depends_on = None

FACTORS = (
    ("market", "Market Beta"),
    ("ir", "IR Beta"),
    ("value", "Value"),
    ("growth", "Growth"),
    ("momentum", "Momentum"),
    ("quality", "Quality"),
    ("size", "Size"),
    ("low_volatility", "Low Volatility"),
    ("growth_value_spread", "Growth-Value Spread"),
    ("momentum_spread", "Momentum Spread"),
    ("size_spread", "Size Spread"),
    ("quality_spread", "Quality Spread"),
)
NUMBERS = {
    "exposure": "Sum of weight x beta, dimensionless; null when equity <= 0",
    "dollars": "Sum of value x beta, USD",
    "per_invested": "Sum of value x beta over sum of |value| with the beta",
    "coverage": "Share of |value| whose symbol has the beta",
}
WIDE_NAMES = [f"{prefix}_{number}" for prefix, _ in FACTORS for number in NUMBERS]
YEARS = range(2020, 2036)

LONG_ROWS = (
    "SELECT held.portfolio_id, held.session, each.factor, each.exposure, each.dollars, each.per_invested, "
    "each.coverage, held.generation FROM portfolio_exposures AS held CROSS JOIN LATERAL (VALUES {values}) "
    "AS each (factor, exposure, dollars, per_invested, coverage) WHERE each.dollars IS NOT NULL"
).format(
    values=", ".join(
        f"('{factor}'::text, " + ", ".join(f"held.{prefix}_{number}" for number in NUMBERS) + ")"
        for prefix, factor in FACTORS
    )
)
# There is at most one row of a factor.
WIDE_ROWS = (
    "SELECT portfolio_id, session, "
    + ", ".join(f"min({number}) FILTER (WHERE factor = '{factor}')" for _, factor in FACTORS for number in NUMBERS)
    + ", max(generation) FROM portfolio_factor_exposures GROUP BY portfolio_id, session"
)


def _create_partitions(table: str) -> None:
    for year in YEARS:
        op.execute(
            f"CREATE TABLE {table}_y{year} PARTITION OF {table} "
            f"FOR VALUES FROM ('{year}-01-01') TO ('{year + 1}-01-01')"
        )
    op.execute(f"CREATE TABLE {table}_rest PARTITION OF {table} DEFAULT")


def upgrade() -> None:
    op.create_table(
        "portfolio_exposures",
        sa.Column("portfolio_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="Portfolio"),
        sa.Column("session", sa.Date(), autoincrement=False, nullable=False, comment="Session"),
        *(
            sa.Column(f"{prefix}_{number}", sa.Double(), nullable=True, comment=comment)
            for prefix, _ in FACTORS
            for number, comment in NUMBERS.items()
        ),
        sa.Column("generation", sa.BigInteger(), nullable=False, comment="Generation that published the row"),
        sa.CheckConstraint(
            " AND ".join(f"abs({name}) < 'Infinity'" for name in WIDE_NAMES),
            name=op.f("ck_portfolio_exposures_figures_finite"),
        ),
        sa.PrimaryKeyConstraint("portfolio_id", "session", name=op.f("pk_portfolio_exposures")),
        comment="Nightly factor exposures of portfolios, null where a factor has no number",
        info={"partitioned": True},
        postgresql_partition_by="RANGE (session)",
    )
    _create_partitions("portfolio_exposures")
    op.execute(
        f"INSERT INTO portfolio_exposures (portfolio_id, session, {', '.join(WIDE_NAMES)}, generation) {WIDE_ROWS}"
    )
    op.drop_table("portfolio_factor_exposures")
    op.execute(f"CREATE VIEW portfolio_factor_exposures AS {LONG_ROWS}")
    op.execute(
        "COMMENT ON VIEW portfolio_factor_exposures IS "
        "'Nightly factor exposures of portfolios in long form: one row per portfolio, session and factor with a number'"
    )


def downgrade() -> None:
    op.execute("DROP VIEW portfolio_factor_exposures")
    op.create_table(
        "portfolio_factor_exposures",
        sa.Column("portfolio_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="Portfolio"),
        sa.Column("session", sa.Date(), autoincrement=False, nullable=False, comment="Session"),
        sa.Column("factor", sa.Text(), autoincrement=False, nullable=False, comment="Canonical factor name"),
        sa.Column("exposure", sa.Double(), nullable=True, comment=NUMBERS["exposure"]),
        sa.Column("dollars", sa.Double(), nullable=False, comment=NUMBERS["dollars"]),
        sa.Column("per_invested", sa.Double(), nullable=True, comment=NUMBERS["per_invested"]),
        sa.Column("coverage", sa.Double(), nullable=True, comment=NUMBERS["coverage"]),
        sa.Column("generation", sa.BigInteger(), nullable=False, comment="Generation that published the row"),
        sa.PrimaryKeyConstraint("portfolio_id", "session", "factor", name=op.f("pk_portfolio_factor_exposures")),
        comment="Nightly factor exposures of portfolios",
        info={"partitioned": True},
        postgresql_partition_by="RANGE (session)",
    )
    _create_partitions("portfolio_factor_exposures")
    op.execute(f"INSERT INTO portfolio_factor_exposures {LONG_ROWS}")
    op.drop_table("portfolio_exposures")
