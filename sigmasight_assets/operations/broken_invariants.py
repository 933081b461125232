"""What people are told of published rows that break an invariant: once a day for the same kinds of it."""

import hashlib
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from sigmasight_assets.sessions import NEW_YORK
from sigmasight_assets.storage.alerts import raise_alert
from sigmasight_assets.storage.invariants import kind_of

NEXT_STEP = (
    "the check invariants_hold of portfolio_snapshots names them all; compute their sessions again with force "
    '(runbook: "Published figures are in doubt")'
)


def in_short(broken: Sequence[str]) -> str:
    """How many things ``find_broken`` found, one at least, and the first of them."""
    return f"{len(broken)} broken; the first: {broken[0]}"


def raise_broken(connection: sa.Connection, broken: Sequence[str], *, clock: datetime) -> str | None:
    """Raise the alert of what ``find_broken`` found; its key, None when these kinds were told of on this day already.

    By kinds and not by rows: which rows there are changes while people mend them and runs add to them. By days of New
    York: what is mended and breaks again, or stays broken, is told again.
    """
    if not broken:
        return None
    kinds = "\n".join(sorted({kind_of(item) for item in broken}))
    day = clock.astimezone(NEW_YORK).date()
    key = f"invariants:{day}:{hashlib.sha256(kinds.encode()).hexdigest()[:16]}"
    payload = {"kind": "invariant_broken", "text": in_short(broken), "next_step": NEXT_STEP}
    return key if raise_alert(connection, key=key, severity="critical", payload=payload) else None
