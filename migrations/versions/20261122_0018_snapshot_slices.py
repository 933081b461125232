"""Snapshots that several runs compute at once: the parts that are announced, and their slices that are done

Revision: 20261122_0018
Revises: 20261121_0017
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "20261122_0018"
down_revision = "20261121_0017"
branch_labels = None
depends_on = None


def _stamp(name: str, comment: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False, comment=comment)


def upgrade() -> None:
    """Add both tables, which are empty but while snapshots are made."""
    op.create_table(
        "snapshot_parts",
        sa.Column("part_id", sa.BigInteger, sa.Identity(always=True), primary_key=True, comment="Part"),
        sa.Column("generation", sa.BigInteger, nullable=False, comment="Generation of the rows that its slices write"),
        sa.Column("sessions", ARRAY(sa.Date), nullable=False, comment="Sessions, ascending"),
        sa.Column(
            "symbol_generations",
            ARRAY(sa.BigInteger),
            nullable=False,
            comment="Symbol publication that each is computed from",
        ),
        sa.Column("slices", sa.Integer, nullable=False, comment="Number of slices"),
        sa.Column("force", sa.Boolean, nullable=False, comment="Whether what does not differ is written too"),
        sa.Column("run_id", sa.Text, nullable=False, comment="Run that announced it and closes it"),
        _stamp("announced_at", "When it was announced"),
        sa.CheckConstraint("slices > 0", name=op.f("ck_snapshot_parts_slices")),
        comment="Snapshots that several runs are computing at the moment",
    )
    op.create_table(
        "snapshot_slices",
        sa.Column(
            "part_id",
            sa.BigInteger,
            sa.ForeignKey(
                "snapshot_parts.part_id", ondelete="CASCADE", name=op.f("fk_snapshot_slices_part_id_snapshot_parts")
            ),
            primary_key=True,
            autoincrement=False,
            comment="Part",
        ),
        sa.Column("slice", sa.Integer, primary_key=True, autoincrement=False, comment="Which slice, from 0"),
        sa.Column("existing", ARRAY(sa.BigInteger), nullable=False, comment="Snapshots by session"),
        sa.Column("changed", ARRAY(sa.BigInteger), nullable=False, comment="Of these, written"),
        sa.Column("run_id", sa.Text, nullable=False, comment="Run that computed it"),
        _stamp("finished_at", "When it was done"),
        comment="Slices of those that are done",
    )


def downgrade() -> None:
    """Forget what is under way: it is computed again."""
    op.drop_table("snapshot_slices")
    op.drop_table("snapshot_parts")
