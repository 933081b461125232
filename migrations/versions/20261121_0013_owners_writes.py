"""What owners write over the API: flows with identifiers, requests answered once, and what goes with a portfolio

Revision: 20261121_0013
Revises: 20261121_0012
"""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0013"
down_revision = "20261121_0012"
branch_labels = None
depends_on = None

# What is published of portfolios has no foreign keys: they would cost more than the rows themselves in a night. With
# the rights of the tables' owner, because whoever may delete a portfolio need not be able to write what is published.
FUNCTION = """
CREATE FUNCTION drop_published_of_portfolio() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = public, pg_temp AS $body$
DECLARE first_kept date := CASE WHEN TG_OP = 'DELETE' THEN 'infinity' ELSE NEW.as_of END;
BEGIN
    DELETE FROM portfolio_snapshots WHERE portfolio_id = OLD.portfolio_id AND session < first_kept;
    DELETE FROM portfolio_lot_values WHERE portfolio_id = OLD.portfolio_id AND session < first_kept;
    DELETE FROM portfolio_exposures WHERE portfolio_id = OLD.portfolio_id AND session < first_kept;
    DELETE FROM option_expiries WHERE portfolio_id = OLD.portfolio_id AND session < first_kept;
    RETURN NULL;
END
$body$
"""
TRIGGERS = {
    "drop_published_of_deleted": "AFTER DELETE ON portfolios FOR EACH ROW",
    "drop_published_before_as_of": ("AFTER UPDATE OF as_of ON portfolios FOR EACH ROW WHEN (NEW.as_of > OLD.as_of)"),
}


def upgrade() -> None:
    op.add_column(
        "capital_flows",
        sa.Column(
            "public_id",
            sa.UUID(),
            server_default=sa.text("gen_random_uuid()"),
            nullable=False,
            comment="Identifier in URLs",
        ),
    )
    op.create_unique_constraint(op.f("uq_capital_flows_public_id"), "capital_flows", ["public_id"])
    op.create_table(
        "answered_requests",
        sa.Column("user_id", sa.BigInteger(), autoincrement=False, nullable=False, comment="Who asked"),
        sa.Column(
            "request_key",
            sa.Text(),
            autoincrement=False,
            nullable=False,
            comment="The client's own name for the request",
        ),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False, comment="SHA-256 of what was asked"),
        sa.Column(
            "answer",
            sa.Text(),
            nullable=True,
            comment="The answer as JSON; null only inside the transaction that makes it",
        ),
        sa.Column(
            "answered_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was answered",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.user_id"], name=op.f("fk_answered_requests_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "request_key", name=op.f("pk_answered_requests")),
        comment="Writes that clients named, so that one repeated after a lost answer is done once",
    )
    op.execute(FUNCTION)
    for name, when in TRIGGERS.items():
        op.execute(f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION drop_published_of_portfolio()")


def downgrade() -> None:
    for name in TRIGGERS:
        op.execute(f"DROP TRIGGER {name} ON portfolios")
    op.execute("DROP FUNCTION drop_published_of_portfolio()")
    op.drop_table("answered_requests")
    op.drop_constraint(op.f("uq_capital_flows_public_id"), "capital_flows")
    op.drop_column("capital_flows", "public_id")
