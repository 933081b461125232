"""What people are told of a run that failed: the document of its alert, from our own records and the orchestrator's."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from sigmasight_assets.storage.alerts import Severity, raise_alert
from sigmasight_assets.storage.failed_runs import FailedRunRecord, Offence, read_failed_run

MANUAL = "manual"
# Chat services cut or refuse long messages; our own records keep everything.
LONGEST_CAUSE = 2_000
MOST_OFFENDERS = 50


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A failed run as the orchestrator knows it; ``message`` is its own word on it.

    ``first_session`` and ``last_session`` are the asked ones, None for a run without partitions.
    """

    run_id: str
    job: str
    first_session: str | None
    last_session: str | None
    started_by: str
    failed_at: datetime
    steps: tuple[str, ...] = ()
    message: str = ""


def alert_key(run_id: str) -> str:
    """The key of the alert of a failed run."""
    return f"run:{run_id}"


def raise_failure(connection: sa.Connection, run: FailedRun) -> bool:
    """Raise the alert of a failed run, critical unless somebody started it by hand; False when it was raised before."""
    severity: Severity = "warning" if run.started_by == MANUAL else "critical"
    content = failure_document(run, read_failed_run(connection, run.run_id))
    return raise_alert(connection, key=alert_key(run.run_id), severity=severity, payload=content)


def failure_document(run: FailedRun, record: FailedRunRecord) -> dict[str, Any]:
    """Run, sessions, failed steps, cause and offenders.

    What the steps have recorded is the cause; the orchestrator's word is, when the run died before one.
    """
    recorded = "\n".join(f"{kind}: {error}" for kind, error in record.errors.items())
    return {
        "kind": "run_failed",
        "run_id": run.run_id,
        "job": run.job,
        "first_session": run.first_session or _text(record.first_session),
        "last_session": run.last_session or _text(record.last_session),
        "steps": list(dict.fromkeys([*record.errors, *run.steps])),
        "cause": _shortened(recorded or run.message),
        "offenders": [_offender(item) for item in record.offences[:MOST_OFFENDERS]],
        "offenders_total": len(record.offences),
        "started_by": run.started_by,
        "at": run.failed_at.isoformat(),
    }


def _offender(offence: Offence) -> Mapping[str, Any]:
    verdict = offence.verdict
    return {
        "check": verdict.check,
        "session": str(verdict.session),
        "detail": verdict.detail,
        "symbols": list(offence.symbols),
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_CAUSE else f"{text[: LONGEST_CAUSE - 2].rstrip()} …"
