"""What people are told of published rows that break an invariant, once for the same words about them."""

import hashlib

import sqlalchemy as sa

from sigmasight_assets.storage.alerts import raise_alert

NEXT_STEP = (
    "the check invariants_hold of portfolio_snapshots names them all; compute their sessions again with force "
    '(runbook: "Published figures are in doubt")'
)


def raise_broken(connection: sa.Connection, words: str) -> str | None:
    """Raise the alert that something is broken, in these words; its key, None when it was raised before."""
    key = f"invariants:{hashlib.sha256(words.encode()).hexdigest()[:16]}"
    payload = {"kind": "invariant_broken", "text": words, "next_step": NEXT_STEP}
    return key if raise_alert(connection, key=key, severity="critical", payload=payload) else None
