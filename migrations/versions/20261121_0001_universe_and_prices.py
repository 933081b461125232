"""Universe and prices

Revision: 20261121_0001
Revises: -
"""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "price_quarantine",
        sa.Column("quarantine_id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Row number"),
        sa.Column("source", sa.Text(), nullable=False, comment="Market source that sent the bar"),
        sa.Column("symbol", sa.Text(), nullable=False, comment="Ticker as sent"),
        sa.Column("price_date", sa.Date(), nullable=True, comment="Date as sent"),
        sa.Column("open_price", sa.Double(), nullable=True, comment="As sent"),
        sa.Column("high_price", sa.Double(), nullable=True, comment="As sent"),
        sa.Column("low_price", sa.Double(), nullable=True, comment="As sent"),
        sa.Column("close_price", sa.Double(), nullable=True, comment="As sent"),
        sa.Column("adj_close_price", sa.Double(), nullable=True, comment="As sent"),
        sa.Column("volume", sa.Double(), nullable=True, comment="As sent"),
        sa.Column("reason", sa.Text(), nullable=False, comment="Rule the bar breaks"),
        sa.Column(
            "seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the bar was first rejected",
        ),
        sa.PrimaryKeyConstraint("quarantine_id", name=op.f("pk_price_quarantine")),
        sa.UniqueConstraint(
            "source",
            "symbol",
            "price_date",
            "reason",
            "open_price",
            "high_price",
            "low_price",
            "close_price",
            "adj_close_price",
            "volume",
            name="uq_price_quarantine_bar",
            postgresql_nulls_not_distinct=True,
        ),
        comment="Bars that validation rejected, with their raw values",
    )
    op.create_table(
        "restatements",
        sa.Column("restatement_id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Row number"),
        sa.Column("symbol", sa.Text(), nullable=False, comment="Ticker"),
        sa.Column("price_date", sa.Date(), nullable=False, comment="Session of the changed bar"),
        sa.Column("old_close_price", sa.Numeric(precision=14, scale=4), nullable=False, comment="Close before, USD"),
        sa.Column("new_close_price", sa.Numeric(precision=14, scale=4), nullable=False, comment="Close after, USD"),
        sa.Column("old_adj_close_price", sa.Double(), nullable=False, comment="Total-return close before, USD"),
        sa.Column("new_adj_close_price", sa.Double(), nullable=False, comment="Total-return close after, USD"),
        sa.Column("reason", sa.Text(), nullable=False, comment="How the change was noticed"),
        sa.Column("run_id", sa.Text(), nullable=False, comment="Run that noticed it"),
        sa.Column(
            "detected_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was noticed",
        ),
        sa.PrimaryKeyConstraint("restatement_id", name=op.f("pk_restatements")),
        comment="Stored bars that the market source changed later",
    )
    op.create_table(
        "symbol_prices_daily",
        sa.Column("symbol", sa.Text(), autoincrement=False, nullable=False, comment="Ticker"),
        sa.Column("price_date", sa.Date(), autoincrement=False, nullable=False, comment="Session of the bar"),
        sa.Column("open_price", sa.Numeric(precision=14, scale=4), nullable=False, comment="Open, USD, split-adjusted"),
        sa.Column("high_price", sa.Numeric(precision=14, scale=4), nullable=False, comment="High, USD, split-adjusted"),
        sa.Column("low_price", sa.Numeric(precision=14, scale=4), nullable=False, comment="Low, USD, split-adjusted"),
        sa.Column(
            "close_price",
            sa.Numeric(precision=14, scale=4),
            nullable=False,
            comment="Close, USD, split-adjusted, not dividend-adjusted",
        ),
        sa.Column("adj_close_price", sa.Double(), nullable=False, comment="Total-return close, USD"),
        sa.Column("volume", sa.BigInteger(), nullable=False, comment="Shares traded"),
        sa.Column("source", sa.Text(), nullable=False, comment="Market source that sent the bar"),
        sa.Column(
            "fetched_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the bar was stored",
        ),
        sa.CheckConstraint(
            "adj_close_price > 0 AND adj_close_price < 'Infinity'", name=op.f("ck_symbol_prices_daily_adj_close_finite")
        ),
        sa.CheckConstraint(
            "high_price >= greatest(open_price, close_price) AND low_price <= least(open_price, close_price) "
            "AND high_price < 'NaN'",
            name=op.f("ck_symbol_prices_daily_high_low"),
        ),
        sa.CheckConstraint("low_price > 0", name=op.f("ck_symbol_prices_daily_low_positive")),
        sa.CheckConstraint("volume >= 0", name=op.f("ck_symbol_prices_daily_volume_not_negative")),
        sa.PrimaryKeyConstraint("symbol", "price_date", name=op.f("pk_symbol_prices_daily")),
        comment="Daily bars as the market source sent them, validated",
        info={"partitioned": True},
        postgresql_partition_by="RANGE (price_date)",
    )
    op.create_table(
        "symbol_universe",
        sa.Column("symbol", sa.Text(), autoincrement=False, nullable=False, comment="Ticker in Yahoo spelling (BRK-B)"),
        sa.Column("name", sa.Text(), nullable=False, comment="Name of the company or fund"),
        sa.Column("asset_type", sa.Text(), nullable=False, comment="equity, etf or option"),
        sa.Column("sector", sa.Text(), nullable=True, comment="GICS sector; null for funds"),
        sa.Column("industry", sa.Text(), nullable=True, comment="GICS sub-industry; null for funds"),
        sa.Column(
            "status",
            sa.Text(),
            server_default="pending",
            nullable=False,
            comment="pending (no price yet), active, delisted or error",
        ),
        sa.Column("status_reason", sa.Text(), nullable=True, comment="Why the status is error"),
        sa.Column("history_from", sa.Date(), nullable=True, comment="Earliest date the market source was asked for"),
        sa.Column("first_trade_date", sa.Date(), nullable=True, comment="First session with a price"),
        sa.Column("last_price_date", sa.Date(), nullable=True, comment="Newest session with a price"),
        sa.Column("last_factor_date", sa.Date(), nullable=True, comment="Newest session with published exposures"),
        sa.Column(
            "added_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the symbol became tracked",
        ),
        sa.CheckConstraint("asset_type IN ('equity', 'etf', 'option')", name=op.f("ck_symbol_universe_asset_type")),
        sa.CheckConstraint(
            "status IN ('pending', 'active', 'delisted', 'error')", name=op.f("ck_symbol_universe_status")
        ),
        sa.PrimaryKeyConstraint("symbol", name=op.f("pk_symbol_universe")),
        comment="Tracked symbols",
    )


def downgrade() -> None:
    op.drop_table("symbol_universe")
    op.drop_table("symbol_prices_daily")
    op.drop_table("restatements")
    op.drop_table("price_quarantine")
