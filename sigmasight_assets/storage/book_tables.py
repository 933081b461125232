"""Tables that owners write: users, tokens, portfolios, lots, valuations of private lots, capital flows, requests."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID

from sigmasight_assets.storage.metadata import (
    INSTANT,
    METADATA,
    MONEY,
    PRICE,
    QUANTITY,
    column,
    identity_key,
    required_key,
    written_at,
)

users = sa.Table(
    "users",
    METADATA,
    identity_key("user_id", "Internal number"),
    column("name", sa.Text, "Unique sign-in name"),
    written_at("created_at", "When the user was created"),
    sa.UniqueConstraint("name"),
    comment="Portfolio owners and operators",
)

api_tokens = sa.Table(
    "api_tokens",
    METADATA,
    identity_key("token_id", "Number shown in lists"),
    sa.Column("user_id", sa.ForeignKey("users.user_id", ondelete="CASCADE"), nullable=False, comment="Holder"),
    column("token_hash", sa.LargeBinary, "SHA-256 of the token; the token itself is never stored"),
    column("is_admin", sa.Boolean, "Whether operators' routes are open to it", server_default=sa.false()),
    written_at("created_at", "When the token was made"),
    column("expires_at", INSTANT, "From when on it is refused", null=True),
    column("revoked_at", INSTANT, "Since when it is refused", null=True),
    sa.UniqueConstraint("token_hash"),
    comment="Bearer tokens of the API",
)

portfolios = sa.Table(
    "portfolios",
    METADATA,
    identity_key("portfolio_id", "Internal number"),
    column("public_id", UUID(as_uuid=True), "Identifier in URLs", server_default=sa.text("gen_random_uuid()")),
    sa.Column("user_id", sa.ForeignKey("users.user_id", ondelete="CASCADE"), nullable=False, comment="Owner"),
    column("name", sa.Text, "Name, unique per owner"),
    column("stated_equity", MONEY, "Account equity as of `as_of`, USD, as the owner stated it"),
    column("as_of", sa.Date, "Session of the stated equity and of the first snapshot"),
    column("book_version", sa.BigInteger, "Counts up with each edit of lots or flows", server_default="1"),
    column("stale_from", sa.Date, "Snapshots from this date on await recomputation", null=True),
    written_at("created_at", "When the portfolio was created"),
    column(
        "left_out_from",
        sa.Date,
        "First session without a snapshot because its amounts are too large to be exact",
        null=True,
    ),
    sa.UniqueConstraint("public_id"),
    sa.UniqueConstraint("user_id", "name"),
    sa.CheckConstraint("stated_equity <> 'NaN'", name="stated_equity_finite"),
    comment="Portfolios of owners",
)
sa.Index(None, portfolios.c.stale_from, postgresql_where=portfolios.c.stale_from.is_not(None))
sa.Index(None, portfolios.c.left_out_from, postgresql_where=portfolios.c.left_out_from.is_not(None))

positions = sa.Table(
    "positions",
    METADATA,
    identity_key("position_id", "Internal number"),
    column("public_id", UUID(as_uuid=True), "Identifier in URLs", server_default=sa.text("gen_random_uuid()")),
    sa.Column(
        "portfolio_id",
        sa.ForeignKey("portfolios.portfolio_id", ondelete="CASCADE"),
        nullable=False,
        comment="Portfolio that holds the lot",
    ),
    column("symbol", sa.Text, "Ticker"),
    column("investment_class", sa.Text, "PUBLIC, OPTIONS or PRIVATE"),
    column("quantity", QUANTITY, "Units; negative is short"),
    column("units_date", sa.Date, "Date in whose share units the quantity is stated; null: the entry date", null=True),
    column("entry_price", PRICE, "Price paid, USD, in the share units of the entry date", null=True),
    column("entry_date", sa.Date, "Trade date of the opening"),
    column("exit_price", PRICE, "Price received, USD", null=True),
    column("exit_date", sa.Date, "Trade date of the closing", null=True),
    column("notes", sa.Text, "Owner's own words", null=True),
    sa.UniqueConstraint("public_id"),
    sa.CheckConstraint("investment_class IN ('PUBLIC', 'OPTIONS', 'PRIVATE')", name="investment_class"),
    sa.CheckConstraint("quantity <> 0 AND quantity <> 'NaN'", name="quantity_not_zero"),
    sa.CheckConstraint("entry_price > 0 AND entry_price <> 'NaN'", name="entry_price_positive"),
    sa.CheckConstraint("entry_price IS NOT NULL OR investment_class = 'PRIVATE'", name="entry_price_present"),
    sa.CheckConstraint("units_date >= entry_date", name="units_after_entry"),
    sa.CheckConstraint("(exit_price IS NULL) = (exit_date IS NULL)", name="exit_complete"),
    sa.CheckConstraint("exit_date >= entry_date", name="exit_after_entry"),
    sa.CheckConstraint("exit_price >= 0 AND exit_price <> 'NaN'", name="exit_price_not_negative"),
    comment="Lots: one row per opening trade",
)
sa.Index(None, positions.c.portfolio_id)
sa.Index("ix_positions_open_symbol", positions.c.symbol, postgresql_where=positions.c.exit_date.is_(None))

private_valuations = sa.Table(
    "private_valuations",
    METADATA,
    identity_key("valuation_id", "Internal number"),
    sa.Column(
        "position_id",
        sa.ForeignKey("positions.position_id", ondelete="CASCADE"),
        nullable=False,
        comment="PRIVATE lot that is valued",
    ),
    column("valued_on", sa.Date, "Date of the valuation"),
    column("market_value", MONEY, "Value of the whole lot, USD"),
    written_at("created_at", "When it was entered"),
    sa.UniqueConstraint("position_id", "valued_on"),
    sa.CheckConstraint("market_value >= 0 AND market_value <> 'NaN'", name="market_value_not_negative"),
    comment="Owners' dated valuations of private lots",
)

capital_flows = sa.Table(
    "capital_flows",
    METADATA,
    identity_key("flow_id", "Internal number"),
    column("public_id", UUID(as_uuid=True), "Identifier in URLs", server_default=sa.text("gen_random_uuid()")),
    sa.Column(
        "portfolio_id",
        sa.ForeignKey("portfolios.portfolio_id", ondelete="CASCADE"),
        nullable=False,
        comment="Portfolio that received or paid",
    ),
    column("flow_date", sa.Date, "Date of the transfer"),
    column("amount", MONEY, "USD; positive is a contribution"),
    written_at("created_at", "When it was entered"),
    sa.UniqueConstraint("public_id"),
    sa.CheckConstraint("amount <> 0 AND amount <> 'NaN'", name="amount_not_zero"),
    comment="Money that owners moved in or out",
)
sa.Index(None, capital_flows.c.portfolio_id, capital_flows.c.flow_date)

answered_requests = sa.Table(
    "answered_requests",
    METADATA,
    sa.Column(
        "user_id",
        sa.ForeignKey("users.user_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
        comment="Who asked",
    ),
    required_key("request_key", sa.Text, "The client's own name for the request"),
    column("request_hash", sa.LargeBinary, "SHA-256 of what was asked"),
    column("answer", sa.Text, "The answer as JSON; null only inside the transaction that makes it", null=True),
    written_at("answered_at", "When it was answered"),
    comment="Writes that clients named, so that one repeated after a lost answer is done once",
)
