"""Snapshots, publications and operations

Revision: 20261121_0004
Revises: 20261121_0003
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261121_0004"
down_revision = "20261121_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "batch_runs",
        sa.Column("run_id", sa.Text(), autoincrement=False, nullable=False, comment="Run"),
        sa.Column(
            "kind",
            sa.Text(),
            autoincrement=False,
            nullable=False,
            comment="Step: prices, symbol_products or portfolio_products",
        ),
        sa.Column("first_session", sa.Date(), nullable=False, comment="First session of the range"),
        sa.Column("last_session", sa.Date(), nullable=False, comment="Last session of the range"),
        sa.Column("input_hash", sa.Text(), nullable=True, comment="Hash of the inputs a gated run was started for"),
        sa.Column("status", sa.Text(), nullable=False, comment="running, succeeded or failed"),
        sa.Column("counts", postgresql.JSONB(astext_type=sa.Text()), nullable=True, comment="Counts the step reported"),
        sa.Column("error", sa.Text(), nullable=True, comment="Why it failed"),
        sa.Column(
            "started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False, comment="Start"
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True, comment="End"),
        sa.CheckConstraint("status IN ('running', 'succeeded', 'failed')", name=op.f("ck_batch_runs_status")),
        sa.PrimaryKeyConstraint("run_id", "kind", name=op.f("pk_batch_runs")),
        comment="Steps that ran, kept longer than the orchestrator's own history",
    )
    op.create_index(op.f("ix_batch_runs_started_at"), "batch_runs", ["started_at"], unique=False)
    op.create_table(
        "data_quality_results",
        sa.Column("result_id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Row number"),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Run that judged"),
        sa.Column("layer", sa.Text(), nullable=False, comment="symbol or portfolio"),
        sa.Column("check_name", sa.Text(), nullable=False, comment="Check"),
        sa.Column("session", sa.Date(), nullable=False, comment="Session judged"),
        sa.Column("passed", sa.Boolean(), nullable=False, comment="Verdict"),
        sa.Column(
            "is_blocking",
            sa.Boolean(),
            nullable=False,
            comment="Whether a failure keeps the session from being published",
        ),
        sa.Column("detail", sa.Text(), nullable=False, comment="Measured value and offenders"),
        sa.Column(
            "checked_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was judged",
        ),
        sa.CheckConstraint("layer IN ('symbol', 'portfolio')", name=op.f("ck_data_quality_results_layer")),
        sa.PrimaryKeyConstraint("result_id", name=op.f("pk_data_quality_results")),
        comment="Verdicts of the checks per session",
    )
    op.create_index(
        op.f("ix_data_quality_results_layer_session_checked_at"),
        "data_quality_results",
        ["layer", "session", "checked_at"],
        unique=False,
    )
    op.create_table(
        "portfolio_factor_exposures",
        sa.Column("portfolio_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="Portfolio"),
        sa.Column("session", sa.Date(), autoincrement=False, nullable=False, comment="Session"),
        sa.Column("factor", sa.Text(), autoincrement=False, nullable=False, comment="Canonical factor name"),
        sa.Column(
            "exposure", sa.Double(), nullable=True, comment="Sum of weight x beta, dimensionless; null when equity <= 0"
        ),
        sa.Column("dollars", sa.Double(), nullable=False, comment="Sum of value x beta, USD"),
        sa.Column(
            "per_invested", sa.Double(), nullable=True, comment="Sum of value x beta over sum of |value| with the beta"
        ),
        sa.Column("coverage", sa.Double(), nullable=True, comment="Share of |value| whose symbol has the beta"),
        sa.Column("generation", sa.BigInteger(), nullable=False, comment="Generation that published the row"),
        sa.PrimaryKeyConstraint("portfolio_id", "session", "factor", name=op.f("pk_portfolio_factor_exposures")),
        comment="Nightly factor exposures of portfolios",
        info={"partitioned": True},
        postgresql_partition_by="RANGE (session)",
    )
    op.create_table(
        "portfolio_snapshots",
        sa.Column("portfolio_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="Portfolio"),
        sa.Column("session", sa.Date(), autoincrement=False, nullable=False, comment="Session of the snapshot"),
        sa.Column("equity", sa.Numeric(precision=28, scale=8), nullable=False, comment="Account equity, USD"),
        sa.Column("long_value", sa.Numeric(precision=28, scale=8), nullable=False, comment="Value of long lots, USD"),
        sa.Column(
            "short_value",
            sa.Numeric(precision=28, scale=8),
            nullable=False,
            comment="Value of short lots, USD, negative",
        ),
        sa.Column("gross", sa.Numeric(precision=28, scale=8), nullable=False, comment="long_value - short_value, USD"),
        sa.Column("net", sa.Numeric(precision=28, scale=8), nullable=False, comment="long_value + short_value, USD"),
        sa.Column(
            "cash",
            sa.Numeric(precision=28, scale=8),
            nullable=False,
            comment="equity - net - unpriced_value, USD; may be negative",
        ),
        sa.Column(
            "unpriced_value",
            sa.Numeric(precision=28, scale=8),
            nullable=False,
            comment="Last value of lots without a usable price, USD",
        ),
        sa.Column(
            "daily_pnl",
            sa.Numeric(precision=28, scale=8),
            nullable=False,
            comment="P&L since the previous snapshot, USD",
        ),
        sa.Column(
            "daily_return",
            sa.Double(),
            nullable=True,
            comment="daily_pnl / (previous equity + flows); null when not positive",
        ),
        sa.Column(
            "cumulative_pnl",
            sa.Numeric(precision=28, scale=8),
            nullable=False,
            comment="P&L since the first snapshot, USD",
        ),
        sa.Column(
            "realized_pnl",
            sa.Numeric(precision=28, scale=8),
            nullable=False,
            comment="(exit - entry) x quantity of lots closed since the previous snapshot, USD",
        ),
        sa.Column(
            "unrealized_pnl",
            sa.Numeric(precision=28, scale=8),
            nullable=False,
            comment="(price - entry) x quantity of lots held, USD",
        ),
        sa.Column(
            "capital_flow",
            sa.Numeric(precision=28, scale=8),
            nullable=False,
            comment="Flows since the previous snapshot, USD",
        ),
        sa.Column(
            "dividends",
            sa.Numeric(precision=28, scale=8),
            nullable=False,
            comment="Dividends since the previous snapshot, USD",
        ),
        sa.Column("positions_count", sa.Integer(), nullable=False, comment="Lots held"),
        sa.Column("long_count", sa.Integer(), nullable=False, comment="Long lots held"),
        sa.Column("short_count", sa.Integer(), nullable=False, comment="Short lots held"),
        sa.Column("stale_count", sa.Integer(), nullable=False, comment="Lots valued at a carried price"),
        sa.Column("excluded_count", sa.Integer(), nullable=False, comment="Lots without a usable price"),
        sa.Column("is_partial", sa.Boolean(), nullable=False, comment="Whether a lot is stale or unpriced"),
        sa.Column("missing_symbols", postgresql.ARRAY(sa.Text()), nullable=False, comment="Symbols of those lots"),
        sa.Column(
            "priced_share", sa.Double(), nullable=True, comment="Share of gross priced by the session's own closes"
        ),
        sa.Column(
            "fingerprint",
            sa.BigInteger(),
            nullable=False,
            comment="Fingerprint of the row's content and method version",
        ),
        sa.Column("generation", sa.BigInteger(), nullable=False, comment="Generation that published the row"),
        sa.CheckConstraint("cash = equity - net - unpriced_value", name=op.f("ck_portfolio_snapshots_cash_adds_up")),
        sa.CheckConstraint(
            "gross = long_value - short_value AND net = long_value + short_value",
            name=op.f("ck_portfolio_snapshots_values_add_up"),
        ),
        sa.PrimaryKeyConstraint("portfolio_id", "session", name=op.f("pk_portfolio_snapshots")),
        comment="Value, P&L and equity of a portfolio at a session",
        info={"partitioned": True},
        postgresql_partition_by="RANGE (session)",
    )
    op.create_table(
        "position_values",
        sa.Column("portfolio_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="Portfolio"),
        sa.Column("session", sa.Date(), autoincrement=False, nullable=False, comment="Session"),
        sa.Column("position_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="Lot"),
        sa.Column(
            "price_used", sa.Numeric(precision=14, scale=4), nullable=False, comment="Price the lot was valued at, USD"
        ),
        sa.Column(
            "market_value",
            sa.Numeric(precision=28, scale=8),
            nullable=False,
            comment="quantity x price x multiplier, USD",
        ),
        sa.Column(
            "daily_pnl",
            sa.Numeric(precision=28, scale=8),
            nullable=False,
            comment="P&L since the previous snapshot, USD",
        ),
        sa.Column("status", sa.Text(), nullable=False, comment="priced, stale or unpriced"),
        sa.CheckConstraint("status IN ('priced', 'stale', 'unpriced')", name=op.f("ck_position_values_status")),
        sa.PrimaryKeyConstraint("portfolio_id", "session", "position_id", name=op.f("pk_position_values")),
        comment="Value of each held lot at a session",
        info={"partitioned": True},
        postgresql_partition_by="RANGE (session)",
    )
    op.create_table(
        "publications",
        sa.Column(
            "generation",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="Global number of the published data set",
        ),
        sa.Column("layer", sa.Text(), autoincrement=False, nullable=False, comment="symbol or portfolio"),
        sa.Column("session", sa.Date(), autoincrement=False, nullable=False, comment="Session whose content changed"),
        sa.Column("products", postgresql.ARRAY(sa.Text()), nullable=False, comment="Products that were written"),
        sa.Column("rows_written", sa.Integer(), nullable=False, comment="Rows that are new or changed"),
        sa.Column(
            "coverage",
            sa.Double(),
            nullable=True,
            comment="Share of active symbols, or of gross, with data at the session",
        ),
        sa.Column(
            "counts", postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment="Counts by product and reason"
        ),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Run that published"),
        sa.Column(
            "published_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was published",
        ),
        sa.CheckConstraint("layer IN ('symbol', 'portfolio')", name=op.f("ck_publications_layer")),
        sa.PrimaryKeyConstraint("generation", "layer", "session", name=op.f("pk_publications")),
        comment="What was published when: the only source of truth about completeness",
    )
    op.create_index(op.f("ix_publications_layer_session"), "publications", ["layer", "session"], unique=False)
    op.create_table(
        "snapshot_inputs",
        sa.Column("session", sa.Date(), autoincrement=False, nullable=False, comment="Session whose snapshots exist"),
        sa.Column(
            "symbol_generation",
            sa.BigInteger(),
            nullable=False,
            comment="Symbol publication the snapshots were computed from",
        ),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Run that computed them"),
        sa.Column(
            "computed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When they were computed",
        ),
        sa.PrimaryKeyConstraint("session", name=op.f("pk_snapshot_inputs")),
        comment="Which symbol publication each session's snapshots have consumed",
    )


def downgrade() -> None:
    op.drop_table("snapshot_inputs")
    op.drop_index(op.f("ix_publications_layer_session"), table_name="publications")
    op.drop_table("publications")
    op.drop_table("position_values")
    op.drop_table("portfolio_snapshots")
    op.drop_table("portfolio_factor_exposures")
    op.drop_index(op.f("ix_data_quality_results_layer_session_checked_at"), table_name="data_quality_results")
    op.drop_table("data_quality_results")
    op.drop_index(op.f("ix_batch_runs_started_at"), table_name="batch_runs")
    op.drop_table("batch_runs")
