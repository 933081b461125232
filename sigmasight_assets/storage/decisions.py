"""Operators' decisions: the audit of who did what when and why, and which sessions are waived or were closed.

What a decision brings about is in ``operations``; decisions on bars are in ``bar_decisions``.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from sigmasight_assets.errors import DecisionError
from sigmasight_assets.storage.operations_tables import operator_actions, session_decisions

WAIVED, CLOSED = "waived", "closed"


@dataclass(frozen=True, slots=True)
class OperatorAction:
    """An entry of the audit."""

    action_id: int
    kind: str
    actor: str
    reason: str
    session: date | None
    symbol: str | None
    details: dict[str, Any] | None
    acted_at: datetime


@dataclass(frozen=True, slots=True)
class SessionDecision:
    """A decision on a session that is in force; ``kind`` is waived or closed."""

    session: date
    kind: str
    actor: str
    reason: str
    acted_at: datetime
    action_id: int

    def __str__(self) -> str:
        return f"{self.kind} by {self.actor} on {self.acted_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC ({self.reason})"


def require_reason(reason: str) -> None:
    """Raise ``DecisionError`` when a reason is not one line of printable characters."""
    if not (reason.strip() and reason.isprintable()):
        raise DecisionError("A decision needs a reason: one line of printable characters")


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
    """Record a decision and return its number; it belongs into the transaction that carries the decision out.

    Raises ``DecisionError`` as ``require_reason`` does.
    """
    require_reason(reason)
    statement = sa.insert(operator_actions).values(
        kind=kind, actor=actor, reason=reason, session=session, symbol=symbol, details=details
    )
    return int(connection.execute(statement.returning(operator_actions.c.action_id)).scalar_one())


def read_waived(connection: sa.Connection) -> dict[date, str]:
    """The reasons of the sessions that operators have waived: later sessions do not wait for them."""
    return _decided(connection, WAIVED)


def read_closures(connection: sa.Connection) -> dict[date, str]:
    """The reasons of the dates on which the exchange did not trade, though its calendar says so."""
    return _decided(connection, CLOSED)


def _decided(connection: sa.Connection, kind: str) -> dict[date, str]:
    rows = connection.execute(
        sa.select(session_decisions.c.session, operator_actions.c.reason)
        .join_from(session_decisions, operator_actions)
        .where(session_decisions.c.kind == kind)
        .order_by(session_decisions.c.session)
    )
    return {row.session: row.reason for row in rows}


def read_actions(connection: sa.Connection, *, limit: int, offset: int = 0) -> tuple[list[OperatorAction], int]:
    """A page of the audit, newest first, and how many entries there are."""
    columns = [operator_actions.c[name] for name in OperatorAction.__dataclass_fields__]
    rows = connection.execute(
        sa.select(*columns).order_by(operator_actions.c.action_id.desc()).limit(limit).offset(offset)
    )
    items = [OperatorAction(*row) for row in rows]
    return items, connection.execute(sa.select(sa.func.count()).select_from(operator_actions)).scalar_one()


def read_session_decisions(connection: sa.Connection) -> list[SessionDecision]:
    """The decisions in force, by session."""
    rows = connection.execute(_session_decisions().order_by(session_decisions.c.session))
    return [SessionDecision(*row) for row in rows]


def read_session_decision(connection: sa.Connection, session: date) -> SessionDecision | None:
    """The decision on a session, locked until the transaction ends; None when there is none."""
    query = _session_decisions().where(session_decisions.c.session == session)
    row = connection.execute(query.with_for_update(of=session_decisions)).one_or_none()
    return None if row is None else SessionDecision(*row)


def record_session_decision(connection: sa.Connection, session: date, *, kind: str, action_id: int) -> None:
    """Put a decision into force: kind waived or closed.

    Raises ``DecisionError`` when another operator has just decided on the session.
    """
    statement = insert(session_decisions).values(session=session, kind=kind, action_id=action_id)
    done = connection.execute(statement.on_conflict_do_nothing().returning(session_decisions.c.session))
    if done.one_or_none() is None:
        raise DecisionError(f"Somebody else has just decided on {session}; `sigmasight session list` shows how")


def forget_session_decision(connection: sa.Connection, session: date) -> None:
    """End the decision on a session; its audit stays."""
    connection.execute(sa.delete(session_decisions).where(session_decisions.c.session == session))


def _session_decisions() -> sa.Select[Any]:
    decided, actions = session_decisions.c, operator_actions.c
    return sa.select(
        decided.session, decided.kind, actions.actor, actions.reason, actions.acted_at, decided.action_id
    ).join_from(session_decisions, operator_actions)
