"""Turns at a market source: one rate limit for all processes, and who waits with the larger priority goes first.

The database keeps the time of the next call and who waits; its clock decides.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

import sqlalchemy as sa

from sigmasight_assets.storage.database import Database

# A waiter that has not asked again for so long has died.
SILENT_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 0.5
SHORTEST_PAUSE_SECONDS = 0.02
ONBOARDING, NIGHTLY, BACKFILL = 20, 10, 0

FIRST_CALL = """
INSERT INTO vendor_limits (vendor, next_call_at) VALUES (:vendor, clock_timestamp()) ON CONFLICT DO NOTHING
"""
STATE = """
SELECT extract(epoch FROM next_call_at - clock_timestamp())::float AS pause,
       EXISTS (SELECT FROM vendor_waiters
               WHERE vendor = :vendor AND priority > :priority
                 AND seen_at > clock_timestamp() - make_interval(secs => :silent)) AS is_outranked
FROM vendor_limits WHERE vendor = :vendor FOR UPDATE
"""
TAKE = """
UPDATE vendor_limits SET next_call_at = clock_timestamp() + make_interval(secs => 1.0 / :rate) WHERE vendor = :vendor
"""
SLOW_DOWN = """
UPDATE vendor_limits SET next_call_at = greatest(next_call_at, clock_timestamp() + make_interval(secs => :seconds))
WHERE vendor = :vendor
"""
WAIT = """
INSERT INTO vendor_waiters (waiter, vendor, priority, seen_at) VALUES (:waiter, :vendor, :priority, clock_timestamp())
ON CONFLICT (waiter) DO UPDATE SET seen_at = excluded.seen_at
"""
LEAVE = "DELETE FROM vendor_waiters WHERE waiter = :waiter OR seen_at < clock_timestamp() - interval '1 hour'"


@dataclass(frozen=True)
class VendorTurns:
    """One caller of a source that may be called ``calls_per_second`` times a second; ``priority``: larger first."""

    database: Database
    vendor: str
    calls_per_second: float
    priority: int
    sleep: Callable[[float], None] = time.sleep
    waiter: str = field(default_factory=lambda: uuid4().hex)

    def wait(self) -> None:
        """Return when the next call is this caller's; ``StorageError`` when the database is away."""
        pause = self._try()
        while pause > 0:
            self.sleep(min(max(pause, SHORTEST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS))
            pause = self._try()

    def slow_down(self, seconds: float) -> None:
        """Let no caller of the source have a turn before so many seconds have passed."""
        with self.database.begin() as connection:
            connection.execute(sa.text(FIRST_CALL), {"vendor": self.vendor})
            connection.execute(sa.text(SLOW_DOWN), {"vendor": self.vendor, "seconds": seconds})

    def _try(self) -> float:
        """Take the turn and return 0, or queue up and return for how many seconds it is pointless to ask again."""
        own = {"vendor": self.vendor, "priority": self.priority, "waiter": self.waiter}
        with self.database.begin() as connection:
            connection.execute(sa.text(FIRST_CALL), own)
            state = connection.execute(sa.text(STATE), {**own, "silent": SILENT_SECONDS}).one()
            if state.is_outranked or state.pause > 0:
                connection.execute(sa.text(WAIT), own)
                # An outranked caller has to see the other one leave.
                return max(float(state.pause), SHORTEST_PAUSE_SECONDS)
            connection.execute(sa.text(TAKE), {**own, "rate": self.calls_per_second})
            connection.execute(sa.text(LEAVE), own)
        return 0.0
