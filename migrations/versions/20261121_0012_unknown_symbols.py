"""At how many sessions in a row a source did not know a symbol, and when it last answered for it

Revision: 20261121_0012
Revises: 20261121_0011
"""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0012"
down_revision = "20261121_0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "symbol_universe",
        sa.Column(
            "unknown_sessions",
            sa.SmallInteger(),
            server_default="0",
            nullable=False,
            comment="At how many sessions in a row the source did not know the symbol",
        ),
    )
    op.add_column(
        "symbol_universe",
        sa.Column("unknown_at", sa.Date(), nullable=True, comment="The newest of those sessions"),
    )
    op.add_column(
        "symbol_universe",
        sa.Column(
            "answered_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the source last answered for the symbol",
        ),
    )


def downgrade() -> None:
    op.drop_column("symbol_universe", "answered_at")
    op.drop_column("symbol_universe", "unknown_at")
    op.drop_column("symbol_universe", "unknown_sessions")
