"""Delivery of alerts to the webhook, each at least once and one at a time; without a webhook they are just kept."""

from datetime import timedelta
from typing import Any

import httpx
import sqlalchemy as sa

from sigmasight_assets.storage.alerts import Alert, record_delivery, record_failed_delivery, take_due_alert
from sigmasight_assets.storage.database import Database

TIMEOUT_SECONDS = 5.0
# More wait for the next tick: a sensor has a minute.
MOST_AT_ONCE = 20
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=10), timedelta(hours=1)


def deliver_alerts(database: Database, url: str) -> int:
    """Post what is due to the webhook and return how many it took; after the first that it refuses, no more are tried.

    An alert that was not taken is due again after a pause that doubles, up to an hour. Two callers never post the same
    one at the same time. Raises ``StorageError`` when the database is away.
    """
    if not url:
        return 0
    with httpx.HTTPTransport(trust_env=False) as transport:
        for delivered in range(MOST_AT_ONCE):
            with database.begin() as connection:
                alert = take_due_alert(connection)
                if alert is None or not _deliver(connection, transport, url, alert):
                    return delivered
    return MOST_AT_ONCE


def delivery_pause(attempts: int) -> timedelta:
    """How long an alert waits after so many failed attempts."""
    doublings = min(attempts - 1, 16)
    return min(FIRST_PAUSE * float(1 << doublings), LONGEST_PAUSE)


def document(alert: Alert) -> dict[str, Any]:
    """What is sent: the alert's own fields, and by ``key`` a receiver knows one that it has already."""
    own = {"key": alert.alert_key, "severity": alert.severity, "raised_at": alert.raised_at.isoformat()}
    return {**alert.payload, **own}


def _deliver(connection: sa.Connection, transport: httpx.HTTPTransport, url: str, alert: Alert) -> bool:
    error = _post(transport, url, document(alert))
    if error is None:
        record_delivery(connection, alert.alert_key)
        return True
    pause = delivery_pause(alert.attempts + 1)
    record_failed_delivery(connection, alert.alert_key, error=error, pause=pause)
    return False


def _post(transport: httpx.HTTPTransport, url: str, content: dict[str, Any]) -> str | None:
    """Send the document; why it was not taken, in words without the address, which is a secret.

    A client would follow redirects, obey the environment's proxies and write each address into the log.
    """
    timeout = httpx.Timeout(TIMEOUT_SECONDS).as_dict()
    request = httpx.Request("POST", url, json=content, extensions={"timeout": timeout})
    try:
        response = transport.handle_request(request)
        response.close()
    except httpx.TimeoutException:
        return f"the webhook did not answer within {TIMEOUT_SECONDS:g} s"
    except httpx.HTTPError as error:
        return f"the webhook cannot be reached ({type(error).__name__})"
    return None if response.is_success else f"the webhook answered HTTP {response.status_code}"
