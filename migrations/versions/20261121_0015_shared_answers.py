"""Answers of the API that took long to compute, shared by its processes

Revision: 20261121_0015
Revises: 20261121_0012
"""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0015"
down_revision = "20261121_0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "portfolio_analytics_cache",
        sa.Column("portfolio_id", sa.BigInteger(), nullable=False, comment="Portfolio that is answered for"),
        sa.Column("kind", sa.Text(), nullable=False, comment="Which answer, with its parameters"),
        sa.Column(
            "answer_key",
            sa.LargeBinary(),
            nullable=False,
            comment="SHA-256 of what it was computed from: lots, equity, generation, method",
        ),
        sa.Column("generation", sa.BigInteger(), nullable=False, comment="Published data set it was computed from"),
        sa.Column("body", sa.LargeBinary(), nullable=False, comment="The JSON document as it is sent"),
        sa.Column(
            "stored_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
            comment="When it was stored",
        ),
        sa.ForeignKeyConstraint(
            ["portfolio_id"],
            ["portfolios.portfolio_id"],
            name=op.f("fk_portfolio_analytics_cache_portfolio_id_portfolios"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("portfolio_id", "kind", name=op.f("pk_portfolio_analytics_cache")),
        comment="Answers of the API that took long to compute, shared by its processes; may be deleted at any time",
    )
    op.create_index(
        op.f("ix_portfolio_analytics_cache_generation"), "portfolio_analytics_cache", ["generation"], unique=False
    )


def downgrade() -> None:
    op.drop_table("portfolio_analytics_cache")
