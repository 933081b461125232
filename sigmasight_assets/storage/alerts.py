"""Alerts: what people are to be told, each raised once, and how its delivery goes. Who sends them is ``operations``."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from sigmasight_assets.storage.operations_tables import alerts

Severity = Literal["warning", "critical"]


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert; ``delivered_at`` is None while the webhook has not taken it, or there is none."""

    alert_key: str
    severity: str
    payload: dict[str, Any]
    raised_at: datetime
    attempts: int
    delivered_at: datetime | None
    last_error: str | None


COLUMNS = [alerts.c[name] for name in Alert.__dataclass_fields__]


def raise_alert(connection: sa.Connection, *, key: str, severity: Severity, payload: Mapping[str, Any]) -> bool:
    """Keep an alert to be delivered; False when one of this key was raised before."""
    statement = insert(alerts).values(alert_key=key, severity=severity, payload=dict(payload))
    raised = connection.execute(statement.on_conflict_do_nothing().returning(alerts.c.alert_key))
    return raised.first() is not None


def read_raised(connection: sa.Connection, keys: Collection[str]) -> set[str]:
    """Those of the keys whose alert was raised."""
    return set(connection.execute(sa.select(alerts.c.alert_key).where(alerts.c.alert_key.in_(keys))).scalars())


def read_alerts(connection: sa.Connection, *, limit: int = 50) -> list[Alert]:
    """The newest alerts, newest first."""
    newest = sa.select(*COLUMNS).order_by(alerts.c.raised_at.desc(), alerts.c.alert_key).limit(limit)
    return [Alert(*row) for row in connection.execute(newest)]


def read_undelivered(connection: sa.Connection) -> list[Alert]:
    """Alerts that the webhook was sent in vain, oldest first."""
    query = sa.select(*COLUMNS).where(alerts.c.delivered_at.is_(None), alerts.c.attempts > 0)
    return [Alert(*row) for row in connection.execute(query.order_by(alerts.c.raised_at, alerts.c.alert_key))]


def take_due_alert(connection: sa.Connection) -> Alert | None:
    """The oldest undelivered alert whose pause is over, held for this transaction; None when none is free."""
    due = (
        sa.select(*COLUMNS)
        .where(alerts.c.delivered_at.is_(None), alerts.c.not_before <= sa.func.clock_timestamp())
        .order_by(alerts.c.raised_at, alerts.c.alert_key)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = connection.execute(due).first()
    return None if row is None else Alert(*row)


def record_delivery(connection: sa.Connection, key: str) -> None:
    """The webhook took the alert."""
    taken = {"delivered_at": sa.func.clock_timestamp(), "last_error": None}
    _record_attempt(connection, key, taken)


def record_failed_delivery(connection: sa.Connection, key: str, *, error: str, pause: timedelta) -> None:
    """The webhook did not take it; it is due again after the pause."""
    _record_attempt(connection, key, {"last_error": error, "not_before": sa.func.clock_timestamp() + pause})


def _record_attempt(connection: sa.Connection, key: str, values: Mapping[str, Any]) -> None:
    attempt = sa.update(alerts).where(alerts.c.alert_key == key)
    connection.execute(attempt.values(attempts=alerts.c.attempts + 1, **values))
