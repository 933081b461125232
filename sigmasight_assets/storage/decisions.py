"""Operators' decisions: the audit of who did what when and why, and which sessions are waived or were closed.

What a decision brings about is in ``operations``; decisions on bars are in ``bar_decisions``.
"""

from datetime import date
from typing import Any

import sqlalchemy as sa

from sigmasight_assets.storage.operations_tables import operator_actions, session_decisions


def record_action(
    connection: sa.Connection,
    *,
    kind: str,
    actor: str,
    reason: str,
    session: date | None = None,
    symbol: str | None = None,
    details: dict[str, Any] | None = None,
) -> int:
    """Record a decision and return its number; it belongs into the transaction that carries the decision out."""
    statement = sa.insert(operator_actions).values(
        kind=kind, actor=actor, reason=reason, session=session, symbol=symbol, details=details
    )
    return int(connection.execute(statement.returning(operator_actions.c.action_id)).scalar_one())


def read_waived(connection: sa.Connection) -> dict[date, str]:
    """The reasons of the sessions that operators have waived: later sessions do not wait for them."""
    return _decided(connection, "waived")


def read_closures(connection: sa.Connection) -> dict[date, str]:
    """The reasons of the dates on which the exchange did not trade, though its calendar says so."""
    return _decided(connection, "closed")


def _decided(connection: sa.Connection, kind: str) -> dict[date, str]:
    rows = connection.execute(
        sa.select(session_decisions.c.session, operator_actions.c.reason)
        .join_from(session_decisions, operator_actions)
        .where(session_decisions.c.kind == kind)
        .order_by(session_decisions.c.session)
    )
    return {row.session: row.reason for row in rows}
