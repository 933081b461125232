"""Corporate actions, company profiles, private valuations, option expiries and invalidations

Revision: 20261121_0006
Revises: 20261121_0005
"""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0006"
down_revision = "20261121_0005"
branch_labels = None
depends_on = None

PROFILE_FIGURES = ("market_cap", "pe_ratio", "forward_pe", "dividend_yield", "provider_beta")
CHECKS = (
    ("symbol_daily_metrics", "profile_finite", " AND ".join(f"abs({name}) < 'Infinity'" for name in PROFILE_FIGURES)),
    ("positions", "entry_price_present", "entry_price IS NOT NULL OR investment_class = 'PRIVATE'"),
    ("positions", "units_after_entry", "units_date >= entry_date"),
    ("restatements", "kind", "kind IN ('bar', 'split', 'dividend')"),
    (
        "restatements",
        "values_present",
        (
            "CASE WHEN kind = 'bar' THEN old_close_price IS NOT NULL AND new_close_price IS NOT NULL "
            "AND old_adj_close_price IS NOT NULL AND new_adj_close_price IS NOT NULL "
            "ELSE old_terms IS NOT NULL OR new_terms IS NOT NULL END"
        ),
    ),
)


def upgrade() -> None:
    op.create_table(
        "company_profiles",
        sa.Column("symbol", sa.Text(), autoincrement=False, nullable=False, comment="Ticker"),
        sa.Column(
            "captured_on", sa.Date(), autoincrement=False, nullable=False, comment="Session the profile is as of"
        ),
        sa.Column("name", sa.Text(), nullable=True, comment="Name of the company or fund"),
        sa.Column("sector", sa.Text(), nullable=True, comment="GICS sector"),
        sa.Column("industry", sa.Text(), nullable=True, comment="GICS sub-industry"),
        sa.Column("market_cap", sa.Double(), nullable=True, comment="USD"),
        sa.Column("pe_ratio", sa.Double(), nullable=True, comment="Trailing price to earnings, dimensionless"),
        sa.Column("forward_pe", sa.Double(), nullable=True, comment="Forward price to earnings, dimensionless"),
        sa.Column("dividend_yield", sa.Double(), nullable=True, comment="Yearly dividends over price, dimensionless"),
        sa.Column("provider_beta", sa.Double(), nullable=True, comment="The vendor's own beta, dimensionless"),
        sa.Column("source", sa.Text(), nullable=False, comment="Market source that sent it"),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was stored",
        ),
        sa.CheckConstraint(
            " AND ".join(f"abs({name}) < 'Infinity'" for name in PROFILE_FIGURES),
            name=op.f("ck_company_profiles_figures_finite"),
        ),
        sa.PrimaryKeyConstraint("symbol", "captured_on", name=op.f("pk_company_profiles")),
        comment="What vendors say of companies, as of the session it was asked for",
    )
    op.create_table(
        "corporate_actions",
        sa.Column("action_id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Row number"),
        sa.Column("symbol", sa.Text(), nullable=False, comment="Ticker"),
        sa.Column("ex_date", sa.Date(), nullable=False, comment="First session without the right"),
        sa.Column("kind", sa.Text(), nullable=False, comment="split or dividend"),
        sa.Column("ratio_numerator", sa.BigInteger(), nullable=True, comment="New shares of a split"),
        sa.Column("ratio_denominator", sa.BigInteger(), nullable=True, comment="Old shares they replace"),
        sa.Column(
            "amount",
            sa.Numeric(precision=14, scale=6),
            nullable=True,
            comment="Dividend, USD a share in the units after the last known split",
        ),
        sa.Column("source", sa.Text(), nullable=False, comment="Market source that stated it"),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Run that learnt it"),
        sa.Column(
            "learnt_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was learnt",
        ),
        sa.Column(
            "generation",
            sa.BigInteger(),
            nullable=True,
            comment="Publication from which on figures take it into account",
        ),
        sa.Column(
            "withdrawn_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="Since when the source no longer states it so",
        ),
        sa.Column(
            "withdrawn_generation",
            sa.BigInteger(),
            nullable=True,
            comment="Publication from which on figures disregard it",
        ),
        sa.CheckConstraint(
            "CASE kind WHEN 'split' THEN ratio_numerator > 0 AND ratio_denominator > 0 "
            "AND ratio_numerator <> ratio_denominator AND amount IS NULL "
            "WHEN 'dividend' THEN amount > 0 AND amount <> 'NaN' AND ratio_numerator IS NULL "
            "AND ratio_denominator IS NULL ELSE false END",
            name=op.f("ck_corporate_actions_terms"),
        ),
        sa.CheckConstraint(
            "withdrawn_generation IS NULL OR withdrawn_at IS NOT NULL", name=op.f("ck_corporate_actions_withdrawal")
        ),
        sa.PrimaryKeyConstraint("action_id", name=op.f("pk_corporate_actions")),
        comment="Splits and dividends: rows are never changed but for being published and withdrawn",
    )
    op.create_index(
        "ix_corporate_actions_stated",
        "corporate_actions",
        ["symbol", "ex_date", "kind"],
        unique=True,
        postgresql_where=sa.text("withdrawn_at IS NULL"),
    )
    op.create_table(
        "figure_invalidations",
        sa.Column("symbol", sa.Text(), autoincrement=False, nullable=False, comment="Ticker"),
        sa.Column(
            "first_session", sa.Date(), nullable=False, comment="First session whose bar or corporate action changed"
        ),
        sa.Column("last_session", sa.Date(), nullable=False, comment="Last such session"),
        sa.Column(
            "has_new_returns",
            sa.Boolean(),
            nullable=False,
            comment="Whether a return changed, not only the units of the prices",
        ),
        sa.Column(
            "actions_from", sa.Date(), nullable=True, comment="First ex-date of a corporate action that is new or gone"
        ),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Run that changed it last"),
        sa.Column(
            "marked_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was marked last",
        ),
        sa.CheckConstraint("first_session <= last_session", name=op.f("ck_figure_invalidations_order")),
        sa.PrimaryKeyConstraint("symbol", name=op.f("pk_figure_invalidations")),
        comment="Symbols whose published figures await recomputation, because what they were computed from changed",
    )
    op.create_table(
        "option_expiries",
        sa.Column("portfolio_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="Portfolio"),
        sa.Column(
            "position_id",
            sa.BigInteger(),
            autoincrement=False,
            nullable=False,
            comment="OPTIONS lot that was held at expiry",
        ),
        sa.Column("session", sa.Date(), nullable=False, comment="Session at which the lot was settled"),
        sa.Column("symbol", sa.Text(), nullable=False, comment="Contract"),
        sa.Column("underlying", sa.Text(), nullable=False, comment="Ticker of the share it was on"),
        sa.Column(
            "underlying_price",
            sa.Numeric(precision=14, scale=4),
            nullable=False,
            comment="Its close at the session in the units of the strike, USD",
        ),
        sa.Column(
            "settlement_price",
            sa.Numeric(precision=14, scale=4),
            nullable=False,
            comment="Intrinsic value a share, USD; 0 when it expired worthless",
        ),
        sa.Column("generation", sa.BigInteger(), nullable=False, comment="Generation that published the row"),
        sa.PrimaryKeyConstraint("portfolio_id", "position_id", name=op.f("pk_option_expiries")),
        comment="Option lots that ended by expiry, at the intrinsic value",
    )
    op.create_table(
        "private_valuations",
        sa.Column("valuation_id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Internal number"),
        sa.Column("position_id", sa.BigInteger(), nullable=False, comment="PRIVATE lot that is valued"),
        sa.Column("valued_on", sa.Date(), nullable=False, comment="Date of the valuation"),
        sa.Column(
            "market_value", sa.Numeric(precision=28, scale=8), nullable=False, comment="Value of the whole lot, USD"
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was entered",
        ),
        sa.CheckConstraint(
            "market_value >= 0 AND market_value <> 'NaN'", name=op.f("ck_private_valuations_market_value_not_negative")
        ),
        sa.ForeignKeyConstraint(
            ["position_id"],
            ["positions.position_id"],
            name=op.f("fk_private_valuations_position_id_positions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("valuation_id", name=op.f("pk_private_valuations")),
        sa.UniqueConstraint("position_id", "valued_on", name=op.f("uq_private_valuations_position_id_valued_on")),
        comment="Owners' dated valuations of private lots",
    )
    op.add_column(
        "portfolio_snapshots",
        sa.Column(
            "provider_beta",
            sa.Double(),
            nullable=True,
            comment="Vendor's betas weighted by value over equity, dimensionless",
        ),
    )
    op.add_column(
        "portfolio_snapshots",
        sa.Column(
            "provider_beta_coverage", sa.Double(), nullable=True, comment="Share of PUBLIC |value| whose symbol has one"
        ),
    )
    op.alter_column(
        "portfolio_snapshots",
        "priced_share",
        existing_type=sa.DOUBLE_PRECISION(precision=53),
        comment="Share of gross priced by the session's own closes or valuations",
        existing_comment="Share of gross priced by the session's own closes",
        existing_nullable=True,
    )
    op.add_column(
        "position_values",
        sa.Column(
            "split_numerator",
            sa.BigInteger(),
            server_default="1",
            nullable=False,
            comment="Shares in the units of price_used ...",
        ),
    )
    op.add_column(
        "position_values",
        sa.Column(
            "split_denominator",
            sa.BigInteger(),
            server_default="1",
            nullable=False,
            comment="... per so many units of the lot's quantity",
        ),
    )
    op.alter_column(
        "position_values",
        "price_used",
        existing_type=sa.NUMERIC(precision=14, scale=4),
        nullable=True,
        comment="Price the lot was valued at, USD; null for PRIVATE lots",
        existing_comment="Price the lot was valued at, USD",
    )
    op.add_column(
        "positions",
        sa.Column(
            "units_date",
            sa.Date(),
            nullable=True,
            comment="Date in whose share units the quantity is stated; null: the entry date",
        ),
    )
    op.alter_column(
        "positions",
        "entry_price",
        existing_type=sa.NUMERIC(precision=14, scale=4),
        nullable=True,
        comment="Price paid, USD, in the share units of the entry date",
        existing_comment="Price paid, USD",
    )
    op.add_column(
        "restatements",
        sa.Column("kind", sa.Text(), server_default="bar", nullable=False, comment="bar, split or dividend"),
    )
    op.add_column(
        "restatements",
        sa.Column(
            "old_terms", sa.Text(), nullable=True, comment="Ratio or amount before; null for an action learnt late"
        ),
    )
    op.add_column(
        "restatements",
        sa.Column("new_terms", sa.Text(), nullable=True, comment="Ratio or amount after; null for an action withdrawn"),
    )
    op.alter_column(
        "restatements",
        "old_close_price",
        existing_type=sa.NUMERIC(precision=14, scale=4),
        nullable=True,
        comment="Close before, USD; bars only",
        existing_comment="Close before, USD",
    )
    op.alter_column(
        "restatements",
        "new_close_price",
        existing_type=sa.NUMERIC(precision=14, scale=4),
        nullable=True,
        comment="Close after, USD; bars only",
        existing_comment="Close after, USD",
    )
    op.alter_column(
        "restatements",
        "old_adj_close_price",
        existing_type=sa.DOUBLE_PRECISION(precision=53),
        nullable=True,
        comment="Total-return close before, USD; bars only",
        existing_comment="Total-return close before, USD",
    )
    op.alter_column(
        "restatements",
        "new_adj_close_price",
        existing_type=sa.DOUBLE_PRECISION(precision=53),
        nullable=True,
        comment="Total-return close after, USD; bars only",
        existing_comment="Total-return close after, USD",
    )
    op.create_table_comment(
        "restatements",
        "Bars and corporate actions that the market source changed later",
        existing_comment="Stored bars that the market source changed later",
        schema=None,
    )
    op.add_column(
        "symbol_daily_metrics",
        sa.Column(
            "provider_beta", sa.Double(), nullable=True, comment="The vendor's own beta of that profile, dimensionless"
        ),
    )
    for table, name, condition in CHECKS:
        op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, condition)


def downgrade() -> None:
    for table, name, _ in CHECKS:
        op.drop_constraint(op.f(f"ck_{table}_{name}"), table, type_="check")
    # Entries that the older table has no columns for.
    op.execute("DELETE FROM restatements WHERE kind <> 'bar'")
    op.drop_column("symbol_daily_metrics", "provider_beta")
    op.create_table_comment(
        "restatements",
        "Stored bars that the market source changed later",
        existing_comment="Bars and corporate actions that the market source changed later",
        schema=None,
    )
    op.alter_column(
        "restatements",
        "new_adj_close_price",
        existing_type=sa.DOUBLE_PRECISION(precision=53),
        nullable=False,
        comment="Total-return close after, USD",
        existing_comment="Total-return close after, USD; bars only",
    )
    op.alter_column(
        "restatements",
        "old_adj_close_price",
        existing_type=sa.DOUBLE_PRECISION(precision=53),
        nullable=False,
        comment="Total-return close before, USD",
        existing_comment="Total-return close before, USD; bars only",
    )
    op.alter_column(
        "restatements",
        "new_close_price",
        existing_type=sa.NUMERIC(precision=14, scale=4),
        nullable=False,
        comment="Close after, USD",
        existing_comment="Close after, USD; bars only",
    )
    op.alter_column(
        "restatements",
        "old_close_price",
        existing_type=sa.NUMERIC(precision=14, scale=4),
        nullable=False,
        comment="Close before, USD",
        existing_comment="Close before, USD; bars only",
    )
    op.drop_column("restatements", "new_terms")
    op.drop_column("restatements", "old_terms")
    op.drop_column("restatements", "kind")
    op.alter_column(
        "positions",
        "entry_price",
        existing_type=sa.NUMERIC(precision=14, scale=4),
        nullable=False,
        comment="Price paid, USD",
        existing_comment="Price paid, USD, in the share units of the entry date",
    )
    op.drop_column("positions", "units_date")
    op.alter_column(
        "position_values",
        "price_used",
        existing_type=sa.NUMERIC(precision=14, scale=4),
        nullable=False,
        comment="Price the lot was valued at, USD",
        existing_comment="Price the lot was valued at, USD; null for PRIVATE lots",
    )
    op.drop_column("position_values", "split_denominator")
    op.drop_column("position_values", "split_numerator")
    op.alter_column(
        "portfolio_snapshots",
        "priced_share",
        existing_type=sa.DOUBLE_PRECISION(precision=53),
        comment="Share of gross priced by the session's own closes",
        existing_comment="Share of gross priced by the session's own closes or valuations",
        existing_nullable=True,
    )
    op.drop_column("portfolio_snapshots", "provider_beta_coverage")
    op.drop_column("portfolio_snapshots", "provider_beta")
    op.drop_table("private_valuations")
    op.drop_table("option_expiries")
    op.drop_table("figure_invalidations")
    op.drop_index(
        "ix_corporate_actions_stated", table_name="corporate_actions", postgresql_where=sa.text("withdrawn_at IS NULL")
    )
    op.drop_table("corporate_actions")
    op.drop_table("company_profiles")
