"""What people are told of sessions that are late, once when they are and once when the night has given them up."""

from collections.abc import Sequence

import sqlalchemy as sa

from sigmasight_assets.operations.failures import Failure
from sigmasight_assets.operations.symbol_plan import SEVERITIES, LateSession
from sigmasight_assets.storage.alerts import raise_alert


def raise_late(connection: sa.Connection, late: Sequence[LateSession], failures: Sequence[Failure]) -> list[str]:
    """Raise the alerts of late sessions that were not raised before; their keys."""
    details = {item.session: item for item in failures if item.kind == "session_not_published"}
    return [
        item.alert_key
        for item in late
        if raise_alert(
            connection,
            key=item.alert_key,
            severity=SEVERITIES[item.lateness],
            payload=late_document(item, details.get(item.session)),
        )
    ]


def late_document(late: LateSession, failure: Failure | None) -> dict[str, object]:
    """The session, how late it is, why, and what happens next."""
    hour = "23:00 New York" if late.lateness == "late" else "06:00 New York of the next day"
    document: dict[str, object] = {
        "kind": f"session_{late.lateness}",
        "session": str(late.session),
        "text": f"session {late.session} not published by {hour}",
    }
    if failure is not None:
        document |= {
            "cause": failure.detail,
            "asset": failure.asset,
            "check": failure.check,
            "run_id": failure.run_id,
            "attempts": failure.attempts,
            "next_step": failure.next_step,
        }
    return document
