"""Operators' decisions, onboarding requests, alerts, turns at a vendor, and what a publication changed

Revision: 20261121_0007
Revises: 20261121_0006
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261121_0007"
down_revision = "20261121_0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("alert_key", sa.Text(), autoincrement=False, nullable=False, comment="What it is about: raised once"),
        sa.Column("severity", sa.Text(), nullable=False, comment="warning or critical"),
        sa.Column(
            "payload",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            comment="The document sent to the webhook",
        ),
        sa.Column(
            "raised_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was raised",
        ),
        sa.Column("attempts", sa.SmallInteger(), server_default="0", nullable=False, comment="Deliveries tried"),
        sa.Column(
            "not_before",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Earliest next delivery",
        ),
        sa.Column(
            "delivered_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the webhook took it; null before, or without a webhook",
        ),
        sa.Column("last_error", sa.Text(), nullable=True, comment="Why the last delivery failed"),
        sa.CheckConstraint("severity IN ('warning', 'critical')", name=op.f("ck_alerts_severity")),
        sa.PrimaryKeyConstraint("alert_key", name=op.f("pk_alerts")),
        comment="Failures and late sessions that people were or will be told of",
    )
    op.create_table(
        "operator_actions",
        sa.Column("action_id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Row number"),
        sa.Column("kind", sa.Text(), nullable=False, comment="What was decided"),
        sa.Column(
            "actor",
            sa.Text(),
            nullable=False,
            comment="Who decided: the user of the command's machine, or of the API's token",
        ),
        sa.Column("reason", sa.Text(), nullable=False, comment="Why"),
        sa.Column("session", sa.Date(), nullable=True, comment="Session it is about"),
        sa.Column("symbol", sa.Text(), nullable=True, comment="Ticker it is about"),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), nullable=True, comment="What exactly was done"),
        sa.Column(
            "acted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False, comment="When"
        ),
        sa.CheckConstraint("btrim(reason) <> ''", name=op.f("ck_operator_actions_reason_given")),
        sa.CheckConstraint(
            "kind IN ('waive_session', 'unwaive_session', 'close_session', 'reopen_session', "
            "'accept_bar', 'reject_bar', 'cash_out', 'retry')",
            name=op.f("ck_operator_actions_kind"),
        ),
        sa.PrimaryKeyConstraint("action_id", name=op.f("pk_operator_actions")),
        comment="Operators' decisions: rows are never changed",
    )
    op.create_index(op.f("ix_operator_actions_acted_at"), "operator_actions", ["acted_at"], unique=False)
    op.create_table(
        "symbol_onboarding_queue",
        sa.Column("request_id", sa.BigInteger(), sa.Identity(always=True), nullable=False, comment="Row number"),
        sa.Column("symbol", sa.Text(), nullable=False, comment="Ticker or option contract"),
        sa.Column(
            "status",
            sa.Text(),
            server_default="pending",
            nullable=False,
            comment="pending, processing, completed or failed",
        ),
        sa.Column("priority", sa.Integer(), server_default="0", nullable=False, comment="Larger is served first"),
        sa.Column(
            "attempts", sa.SmallInteger(), server_default="0", nullable=False, comment="How often it was taken up"
        ),
        sa.Column("requested_by", sa.Text(), nullable=False, comment="Who or what asked for it"),
        sa.Column(
            "requested_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was asked for",
        ),
        sa.Column(
            "not_before",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Earliest next attempt",
        ),
        sa.Column(
            "lease_until",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="While processing: until when whoever took it holds it",
        ),
        sa.Column("run_id", sa.Text(), nullable=True, comment="Run that took it last"),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True, comment="Begin of the last attempt"),
        sa.Column(
            "finished_at", sa.DateTime(timezone=True), nullable=True, comment="When it was completed or given up"
        ),
        sa.Column(
            "generation",
            sa.BigInteger(),
            nullable=True,
            comment="Generation that published its figures; null when there were none",
        ),
        sa.Column("error", sa.Text(), nullable=True, comment="Why the last attempt failed"),
        sa.CheckConstraint(
            "(status = 'processing') = (lease_until IS NOT NULL)", name=op.f("ck_symbol_onboarding_queue_lease")
        ),
        sa.CheckConstraint(
            "(status IN ('completed', 'failed')) = (finished_at IS NOT NULL)",
            name=op.f("ck_symbol_onboarding_queue_finished"),
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'processing', 'completed', 'failed')", name=op.f("ck_symbol_onboarding_queue_status")
        ),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_symbol_onboarding_queue")),
        comment="Symbols to be brought into the universe at once, not only by the next night",
    )
    op.create_index(
        "ix_symbol_onboarding_queue_open",
        "symbol_onboarding_queue",
        ["symbol"],
        unique=True,
        postgresql_where=sa.text("status IN ('pending', 'processing')"),
    )
    op.create_table(
        "vendor_limits",
        sa.Column("vendor", sa.Text(), autoincrement=False, nullable=False, comment="Market source"),
        sa.Column(
            "next_call_at", sa.DateTime(timezone=True), nullable=False, comment="From when on the next call is allowed"
        ),
        sa.PrimaryKeyConstraint("vendor", name=op.f("pk_vendor_limits")),
        comment="When a market source may be called next, for all processes",
    )
    op.create_table(
        "vendor_waiters",
        sa.Column(
            "waiter", sa.Text(), autoincrement=False, nullable=False, comment="One caller that waits for its turn"
        ),
        sa.Column("vendor", sa.Text(), nullable=False, comment="Market source"),
        sa.Column("priority", sa.SmallInteger(), nullable=False, comment="Larger is served first"),
        sa.Column(
            "seen_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="Last sign of life: who gives none no longer waits",
        ),
        sa.PrimaryKeyConstraint("waiter", name=op.f("pk_vendor_waiters")),
        comment="Callers of a market source that wait for their turn",
    )
    op.create_table(
        "bar_decisions",
        sa.Column("symbol", sa.Text(), autoincrement=False, nullable=False, comment="Ticker"),
        sa.Column("price_date", sa.Date(), autoincrement=False, nullable=False, comment="Session of the bar"),
        sa.Column(
            "close_price",
            sa.Numeric(precision=14, scale=4),
            nullable=False,
            comment="Close of the bar that was decided on, USD: another one is another bar",
        ),
        sa.Column(
            "previous_close_price",
            sa.Numeric(precision=14, scale=4),
            nullable=True,
            comment="Close before it, USD, by which the bar is known again in other share units; null: none",
        ),
        sa.Column(
            "verdict",
            sa.Text(),
            nullable=False,
            comment="accepted: a move that no action explains is right; rejected: the bar is not stored",
        ),
        sa.Column("action_id", sa.BigInteger(), nullable=False, comment="The operator's action"),
        sa.CheckConstraint("verdict IN ('accepted', 'rejected')", name=op.f("ck_bar_decisions_verdict")),
        sa.ForeignKeyConstraint(
            ["action_id"], ["operator_actions.action_id"], name=op.f("fk_bar_decisions_action_id_operator_actions")
        ),
        sa.PrimaryKeyConstraint("symbol", "price_date", name=op.f("pk_bar_decisions")),
        comment="Suspect bars that an operator has accepted or rejected, as decided last",
    )
    op.create_table(
        "session_decisions",
        sa.Column("session", sa.Date(), autoincrement=False, nullable=False, comment="Date it is about"),
        sa.Column(
            "kind",
            sa.Text(),
            nullable=False,
            comment="waived: it will never be published; closed: the exchange did not trade",
        ),
        sa.Column("action_id", sa.BigInteger(), nullable=False, comment="The operator's action"),
        sa.CheckConstraint("kind IN ('waived', 'closed')", name=op.f("ck_session_decisions_kind")),
        sa.ForeignKeyConstraint(
            ["action_id"], ["operator_actions.action_id"], name=op.f("fk_session_decisions_action_id_operator_actions")
        ),
        sa.PrimaryKeyConstraint("session", name=op.f("pk_session_decisions")),
        comment="Sessions that later ones span, by an operator's decision now in force",
    )
    op.add_column(
        "batch_runs",
        sa.Column(
            "started_by",
            sa.Text(),
            server_default="manual",
            nullable=False,
            comment="Schedule or sensor that started the run, or manual",
        ),
    )
    op.add_column(
        "batch_runs",
        sa.Column(
            "seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="Last sign of life while it runs",
        ),
    )
    op.alter_column(
        "batch_runs",
        "kind",
        existing_type=sa.TEXT(),
        comment="Step: symbol_prices, symbol_products, portfolio_products, ...",
        existing_comment="Step: prices, symbol_products or portfolio_products",
        existing_nullable=False,
    )
    op.add_column(
        "publications",
        sa.Column(
            "symbols",
            postgresql.ARRAY(sa.Text()),
            nullable=True,
            comment="Symbols that changed in a session published before; null: any",
        ),
    )
    op.drop_index(op.f("ix_publications_layer_session"), table_name="publications")
    op.create_index(
        op.f("ix_publications_layer_session_generation"),
        "publications",
        ["layer", "session", "generation"],
        unique=False,
    )
    op.create_index(
        "ix_batch_runs_gated",
        "batch_runs",
        ["input_hash", "started_at"],
        unique=False,
        postgresql_where=sa.text("input_hash IS NOT NULL"),
    )
    op.create_index(
        "ix_batch_runs_running",
        "batch_runs",
        ["started_at"],
        unique=False,
        postgresql_where=sa.text("status = 'running'"),
    )


def downgrade() -> None:
    op.drop_index("ix_batch_runs_running", table_name="batch_runs", postgresql_where=sa.text("status = 'running'"))
    op.drop_index("ix_batch_runs_gated", table_name="batch_runs", postgresql_where=sa.text("input_hash IS NOT NULL"))
    op.drop_index(op.f("ix_publications_layer_session_generation"), table_name="publications")
    op.create_index(op.f("ix_publications_layer_session"), "publications", ["layer", "session"], unique=False)
    op.drop_column("publications", "symbols")
    op.alter_column(
        "batch_runs",
        "kind",
        existing_type=sa.TEXT(),
        comment="Step: prices, symbol_products or portfolio_products",
        existing_comment="Step: symbol_prices, symbol_products, portfolio_products, ...",
        existing_nullable=False,
    )
    op.drop_column("batch_runs", "seen_at")
    op.drop_column("batch_runs", "started_by")
    op.drop_table("session_decisions")
    op.drop_table("bar_decisions")
    op.drop_table("vendor_waiters")
    op.drop_table("vendor_limits")
    op.drop_table("symbol_onboarding_queue")
    op.drop_table("operator_actions")
    op.drop_table("alerts")
