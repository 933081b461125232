"""Owners' books

Revision: 20261121_0003
Revises: 20261121_0002
"""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0003"
down_revision = "20261121_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("user_id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Internal number"),
        sa.Column("name", sa.Text(), nullable=False, comment="Unique sign-in name"),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the user was created",
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_users")),
        sa.UniqueConstraint("name", name=op.f("uq_users_name")),
        comment="Portfolio owners and operators",
    )
    op.create_table(
        "api_tokens",
        sa.Column(
            "token_id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Number shown in lists"
        ),
        sa.Column("user_id", sa.BigInteger(), nullable=False, comment="Holder"),
        sa.Column(
            "token_hash",
            sa.LargeBinary(),
            nullable=False,
            comment="SHA-256 of the token; the token itself is never stored",
        ),
        sa.Column(
            "is_admin",
            sa.Boolean(),
            server_default=sa.false(),
            nullable=False,
            comment="Whether operators' routes are open to it",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the token was made",
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True, comment="From when on it is refused"),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True, comment="Since when it is refused"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.user_id"], name=op.f("fk_api_tokens_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_api_tokens_token_hash")),
        comment="Bearer tokens of the API",
    )
    op.create_table(
        "portfolios",
        sa.Column("portfolio_id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Internal number"),
        sa.Column(
            "public_id",
            sa.UUID(),
            server_default=sa.text("gen_random_uuid()"),
            nullable=False,
            comment="Identifier in URLs",
        ),
        sa.Column("user_id", sa.BigInteger(), nullable=False, comment="Owner"),
        sa.Column("name", sa.Text(), nullable=False, comment="Name, unique per owner"),
        sa.Column(
            "stated_equity",
            sa.Numeric(precision=28, scale=8),
            nullable=False,
            comment="Account equity as of `as_of`, USD, as the owner stated it",
        ),
        sa.Column("as_of", sa.Date(), nullable=False, comment="Session of the stated equity and of the first snapshot"),
        sa.Column(
            "book_version",
            sa.BigInteger(),
            server_default="1",
            nullable=False,
            comment="Counts up with each edit of lots or flows",
        ),
        sa.Column("stale_from", sa.Date(), nullable=True, comment="Snapshots from this date on await recomputation"),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When the portfolio was created",
        ),
        sa.CheckConstraint("stated_equity <> 'NaN'", name=op.f("ck_portfolios_stated_equity_finite")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.user_id"], name=op.f("fk_portfolios_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("portfolio_id", name=op.f("pk_portfolios")),
        sa.UniqueConstraint("public_id", name=op.f("uq_portfolios_public_id")),
        sa.UniqueConstraint("user_id", "name", name=op.f("uq_portfolios_user_id_name")),
        comment="Portfolios of owners",
    )
    op.create_index(
        op.f("ix_portfolios_stale_from"),
        "portfolios",
        ["stale_from"],
        unique=False,
        postgresql_where=sa.text("stale_from IS NOT NULL"),
    )
    op.create_table(
        "capital_flows",
        sa.Column("flow_id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Internal number"),
        sa.Column("portfolio_id", sa.BigInteger(), nullable=False, comment="Portfolio that received or paid"),
        sa.Column("flow_date", sa.Date(), nullable=False, comment="Date of the transfer"),
        sa.Column(
            "amount", sa.Numeric(precision=28, scale=8), nullable=False, comment="USD; positive is a contribution"
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was entered",
        ),
        sa.CheckConstraint("amount <> 0 AND amount <> 'NaN'", name=op.f("ck_capital_flows_amount_not_zero")),
        sa.ForeignKeyConstraint(
            ["portfolio_id"],
            ["portfolios.portfolio_id"],
            name=op.f("fk_capital_flows_portfolio_id_portfolios"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("flow_id", name=op.f("pk_capital_flows")),
        comment="Money that owners moved in or out",
    )
    op.create_index(
        op.f("ix_capital_flows_portfolio_id_flow_date"), "capital_flows", ["portfolio_id", "flow_date"], unique=False
    )
    op.create_table(
        "positions",
        sa.Column("position_id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Internal number"),
        sa.Column(
            "public_id",
            sa.UUID(),
            server_default=sa.text("gen_random_uuid()"),
            nullable=False,
            comment="Identifier in URLs",
        ),
        sa.Column("portfolio_id", sa.BigInteger(), nullable=False, comment="Portfolio that holds the lot"),
        sa.Column("symbol", sa.Text(), nullable=False, comment="Ticker"),
        sa.Column("investment_class", sa.Text(), nullable=False, comment="PUBLIC, OPTIONS or PRIVATE"),
        sa.Column("quantity", sa.Numeric(precision=18, scale=4), nullable=False, comment="Units; negative is short"),
        sa.Column("entry_price", sa.Numeric(precision=14, scale=4), nullable=False, comment="Price paid, USD"),
        sa.Column("entry_date", sa.Date(), nullable=False, comment="Trade date of the opening"),
        sa.Column("exit_price", sa.Numeric(precision=14, scale=4), nullable=True, comment="Price received, USD"),
        sa.Column("exit_date", sa.Date(), nullable=True, comment="Trade date of the closing"),
        sa.Column("notes", sa.Text(), nullable=True, comment="Owner's own words"),
        sa.CheckConstraint("entry_price > 0 AND entry_price <> 'NaN'", name=op.f("ck_positions_entry_price_positive")),
        sa.CheckConstraint(
            "exit_price >= 0 AND exit_price <> 'NaN'", name=op.f("ck_positions_exit_price_not_negative")
        ),
        sa.CheckConstraint(
            "investment_class IN ('PUBLIC', 'OPTIONS', 'PRIVATE')", name=op.f("ck_positions_investment_class")
        ),
        sa.CheckConstraint("quantity <> 0 AND quantity <> 'NaN'", name=op.f("ck_positions_quantity_not_zero")),
        sa.CheckConstraint("(exit_price IS NULL) = (exit_date IS NULL)", name=op.f("ck_positions_exit_complete")),
        sa.CheckConstraint("exit_date >= entry_date", name=op.f("ck_positions_exit_after_entry")),
        sa.ForeignKeyConstraint(
            ["portfolio_id"],
            ["portfolios.portfolio_id"],
            name=op.f("fk_positions_portfolio_id_portfolios"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("position_id", name=op.f("pk_positions")),
        sa.UniqueConstraint("public_id", name=op.f("uq_positions_public_id")),
        comment="Lots: one row per opening trade",
    )
    op.create_index(
        "ix_positions_open_symbol", "positions", ["symbol"], unique=False, postgresql_where=sa.text("exit_date IS NULL")
    )
    op.create_index(op.f("ix_positions_portfolio_id"), "positions", ["portfolio_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_positions_portfolio_id"), table_name="positions")
    op.drop_index("ix_positions_open_symbol", table_name="positions", postgresql_where=sa.text("exit_date IS NULL"))
    op.drop_table("positions")
    op.drop_index(op.f("ix_capital_flows_portfolio_id_flow_date"), table_name="capital_flows")
    op.drop_table("capital_flows")
    op.drop_index(
        op.f("ix_portfolios_stale_from"), table_name="portfolios", postgresql_where=sa.text("stale_from IS NOT NULL")
    )
    op.drop_table("portfolios")
    op.drop_table("api_tokens")
    op.drop_table("users")
