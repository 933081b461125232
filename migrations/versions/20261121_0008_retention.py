"""Dropping the figures of old years is an operator's decision

Revision: 20261121_0008
Revises: 20261121_0007
"""

from alembic import op

revision = "20261121_0008"
down_revision = "20261121_0007"
branch_labels = None
depends_on = None

BEFORE = (
    "waive_session",
    "unwaive_session",
    "close_session",
    "reopen_session",
    "accept_bar",
    "reject_bar",
    "cash_out",
    "retry",
)


def _allow(kinds: tuple[str, ...]) -> None:
    op.drop_constraint(op.f("ck_operator_actions_kind"), "operator_actions")
    op.create_check_constraint(
        op.f("ck_operator_actions_kind"), "operator_actions", f"kind IN ({', '.join(map(repr, kinds))})"
    )


def upgrade() -> None:
    _allow((*BEFORE, "drop_figures"))


def downgrade() -> None:
    op.execute("DELETE FROM operator_actions WHERE kind = 'drop_figures'")
    _allow(BEFORE)
