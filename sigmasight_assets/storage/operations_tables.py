"""Tables of operations: operators' decisions, onboarding requests, alerts, turns at a vendor, and shared answers.

Runs and verdicts are in ``ledger_tables``.
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from sigmasight_assets.storage.metadata import (
    INSTANT,
    METADATA,
    PRICE,
    column,
    identity_key,
    required_key,
    written_at,
)

ACTIONS = (
    "waive_session",
    "unwaive_session",
    "close_session",
    "reopen_session",
    "accept_bar",
    "reject_bar",
    "cash_out",
    "retry",
    "drop_figures",
)

operator_actions = sa.Table(
    "operator_actions",
    METADATA,
    identity_key("action_id", "Row number"),
    column("kind", sa.Text, "What was decided"),
    column("actor", sa.Text, "Who decided: the user of the command's machine, or of the API's token"),
    column("reason", sa.Text, "Why"),
    column("session", sa.Date, "Session it is about", null=True),
    column("symbol", sa.Text, "Ticker it is about", null=True),
    column("details", JSONB, "What exactly was done", null=True),
    written_at("acted_at", "When"),
    sa.CheckConstraint(f"kind IN ({', '.join(repr(kind) for kind in ACTIONS)})", name="kind"),
    sa.CheckConstraint("btrim(reason) <> ''", name="reason_given"),
    comment="Operators' decisions: rows are never changed",
)
sa.Index(None, operator_actions.c.acted_at)

session_decisions = sa.Table(
    "session_decisions",
    METADATA,
    required_key("session", sa.Date, "Date it is about"),
    column("kind", sa.Text, "waived: it will never be published; closed: the exchange did not trade"),
    column("action_id", sa.BigInteger, "The operator's action"),
    sa.ForeignKeyConstraint(["action_id"], ["operator_actions.action_id"]),
    sa.CheckConstraint("kind IN ('waived', 'closed')", name="kind"),
    comment="Sessions that later ones span, by an operator's decision now in force",
)

bar_decisions = sa.Table(
    "bar_decisions",
    METADATA,
    required_key("symbol", sa.Text, "Ticker"),
    required_key("price_date", sa.Date, "Session of the bar"),
    column("close_price", PRICE, "Close of the bar that was decided on, USD: another one is another bar"),
    column(
        "previous_close_price",
        PRICE,
        "Close before it, USD, by which the bar is known again in other share units; null: none",
        null=True,
    ),
    column("verdict", sa.Text, "accepted: a move that no action explains is right; rejected: the bar is not stored"),
    column("action_id", sa.BigInteger, "The operator's action"),
    sa.ForeignKeyConstraint(["action_id"], ["operator_actions.action_id"]),
    sa.CheckConstraint("verdict IN ('accepted', 'rejected')", name="verdict"),
    comment="Suspect bars that an operator has accepted or rejected, as decided last",
)

symbol_onboarding_queue = sa.Table(
    "symbol_onboarding_queue",
    METADATA,
    identity_key("request_id", "Row number"),
    column("symbol", sa.Text, "Ticker or option contract"),
    column("status", sa.Text, "pending, processing, completed or failed", server_default="pending"),
    column("priority", sa.Integer, "Larger is served first, dimensionless", server_default="0"),
    column("attempts", sa.SmallInteger, "How often it was taken up, count", server_default="0"),
    column("requested_by", sa.Text, "Who or what asked for it"),
    written_at("requested_at", "When it was asked for"),
    written_at("not_before", "Earliest next attempt"),
    column("lease_until", INSTANT, "While processing: until when whoever took it holds it", null=True),
    column("run_id", sa.Text, "Run that took it last", null=True),
    column("started_at", INSTANT, "Begin of the last attempt", null=True),
    column("finished_at", INSTANT, "When it was completed or given up", null=True),
    column("generation", sa.BigInteger, "Generation that published its figures; null when there were none", null=True),
    column("error", sa.Text, "Why the last attempt failed", null=True),
    sa.CheckConstraint("status IN ('pending', 'processing', 'completed', 'failed')", name="status"),
    sa.CheckConstraint("(status = 'processing') = (lease_until IS NOT NULL)", name="lease"),
    sa.CheckConstraint("(status IN ('completed', 'failed')) = (finished_at IS NOT NULL)", name="finished"),
    comment="Symbols to be brought into the universe at once, not only by the next night",
)
sa.Index(
    "ix_symbol_onboarding_queue_open",
    symbol_onboarding_queue.c.symbol,
    unique=True,
    postgresql_where=symbol_onboarding_queue.c.status.in_(("pending", "processing")),
)

alerts = sa.Table(
    "alerts",
    METADATA,
    required_key("alert_key", sa.Text, "What it is about: raised once"),
    column("severity", sa.Text, "warning or critical"),
    column("payload", JSONB, "The document sent to the webhook"),
    written_at("raised_at", "When it was raised"),
    column("attempts", sa.SmallInteger, "Deliveries tried", server_default="0"),
    written_at("not_before", "Earliest next delivery"),
    column("delivered_at", INSTANT, "When the webhook took it; null before, or without a webhook", null=True),
    column("last_error", sa.Text, "Why the last delivery failed", null=True),
    sa.CheckConstraint("severity IN ('warning', 'critical')", name="severity"),
    comment="Failures and late sessions that people were or will be told of",
)

vendor_limits = sa.Table(
    "vendor_limits",
    METADATA,
    required_key("vendor", sa.Text, "Market source"),
    column("next_call_at", INSTANT, "From when on the next call is allowed"),
    comment="When a market source may be called next, for all processes",
)

vendor_waiters = sa.Table(
    "vendor_waiters",
    METADATA,
    required_key("waiter", sa.Text, "One caller that waits for its turn"),
    column("vendor", sa.Text, "Market source"),
    column("priority", sa.SmallInteger, "Larger is served first"),
    column("seen_at", INSTANT, "Last sign of life: who gives none no longer waits"),
    comment="Callers of a market source that wait for their turn",
)

portfolio_analytics_cache = sa.Table(
    "portfolio_analytics_cache",
    METADATA,
    sa.Column(
        "portfolio_id",
        sa.ForeignKey("portfolios.portfolio_id", ondelete="CASCADE"),
        primary_key=True,
        comment="Portfolio that is answered for",
    ),
    required_key("kind", sa.Text, "Which answer, with its parameters"),
    column("answer_key", sa.LargeBinary, "SHA-256 of what it was computed from: lots, equity, generation, method"),
    column("generation", sa.BigInteger, "Published data set it was computed from"),
    column("body", sa.LargeBinary, "The JSON document as it is sent"),
    written_at("stored_at", "When it was stored"),
    comment="Answers of the API that took long to compute, shared by its processes; may be deleted at any time",
)
sa.Index(None, portfolio_analytics_cache.c.generation)
