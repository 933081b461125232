"""A recorded run as operators see it: what it did in how long, with how many calls of the market source."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sigmasight_assets.storage.recorded_runs import RecordedRun

# Names under which steps count what they computed, found fresh or could not compute.
COMPUTED = ("rows_computed", "rows_republished", "snapshots_computed")
FRESH = ("rows_fresh", "snapshots_fresh")
FAILED = ("rows_failed",)
VENDOR_CALLS = ("vendor_calls",)


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run of either layer, or an onboarding, by its recorded steps.

    ``computed``, ``fresh`` and ``failed`` count rows or snapshots, ``vendor_calls`` those of the market source; each is
    None when no step has counted any. ``seconds`` is the time it took, or has taken so far.
    """

    run_id: str
    layer: str
    steps: tuple[str, ...]
    first_session: date
    last_session: date
    status: str
    started_by: str
    started_at: datetime
    seconds: float
    computed: int | None
    fresh: int | None
    failed: int | None
    vendor_calls: int | None
    error: str | None


def describe_run(run: RecordedRun, *, now: datetime) -> RunStatus:
    """The run at this instant, by the database's clock."""
    return RunStatus(
        run_id=run.run_id,
        layer=run.layer,
        steps=tuple(step.kind for step in run.steps),
        first_session=run.first_session,
        last_session=run.last_session,
        status=run.status,
        started_by=run.started_by,
        started_at=run.started_at,
        seconds=round(((run.ended_at or now) - run.started_at).total_seconds(), 3),
        computed=_total(run, COMPUTED),
        fresh=_total(run, FRESH),
        failed=_total(run, FAILED),
        vendor_calls=_total(run, VENDOR_CALLS),
        error=run.error,
    )


def _total(run: RecordedRun, names: Sequence[str]) -> int | None:
    found = [int(step.counts[name]) for step in run.steps for name in names if name in step.counts]
    return sum(found) if found else None
