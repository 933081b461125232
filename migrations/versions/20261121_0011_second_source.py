"""What a second market says of the bars of the first

Revision: 20261121_0011
Revises: 20261121_0010
"""

import sqlalchemy as sa
from alembic import op

revision = "20261121_0011"
down_revision = "20261121_0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bar_comparisons",
        sa.Column("symbol", sa.Text(), autoincrement=False, nullable=False, comment="Ticker"),
        sa.Column("price_date", sa.Date(), autoincrement=False, nullable=False, comment="Session of the bar"),
        sa.Column(
            "close_price", sa.Numeric(14, 4), nullable=False, comment="Close that was compared, USD, split-adjusted"
        ),
        sa.Column(
            "second_close_price",
            sa.Numeric(14, 4),
            nullable=False,
            comment="Close of the second market, USD, split-adjusted",
        ),
        sa.Column("second_source", sa.Text(), nullable=False, comment="The second market"),
        sa.Column(
            "seen_at",
            sa.DateTime(timezone=True),
            server_default=sa.func.now(),
            nullable=False,
            comment="When the two were first seen so",
        ),
        sa.CheckConstraint(
            "close_price > 0 AND close_price < 'NaN' AND second_close_price > 0 AND second_close_price < 'NaN'",
            name=op.f("ck_bar_comparisons_closes_positive"),
        ),
        sa.PrimaryKeyConstraint("symbol", "price_date", name=op.f("pk_bar_comparisons")),
        comment="Bars on which two markets lie more than 1 % apart, and moves beyond 50 % that the second confirms",
    )


def downgrade() -> None:
    op.drop_table("bar_comparisons")
