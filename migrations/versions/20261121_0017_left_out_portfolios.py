"""Portfolios whose amounts have become too large to be exact, from which session on

Revision: 20261121_0017
Revises: 20261121_0016
"""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0017"
down_revision = "20261121_0016"
branch_labels = None
depends_on = None

COMMENT = "First session without a snapshot because its amounts are too large to be exact"
INDEX = "ix_portfolios_left_out_from"


def upgrade() -> None:
    """Add the column, which hardly any portfolio has a value in."""
    op.add_column("portfolios", sa.Column("left_out_from", sa.Date, nullable=True, comment=COMMENT))
    op.create_index(INDEX, "portfolios", ["left_out_from"], postgresql_where=sa.text("left_out_from IS NOT NULL"))


def downgrade() -> None:
    """Have those that are left out computed again, which the earlier version refuses until they are corrected."""
    op.execute("UPDATE portfolios SET stale_from = least(stale_from, left_out_from) WHERE left_out_from IS NOT NULL")
    op.drop_index(INDEX, "portfolios")
    op.drop_column("portfolios", "left_out_from")
