"""``sigmasight status``: sessions, runs, what is failed right now, and what happens next."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from sigmasight_assets.commands.common import CONSOLE, Json, open_database, show, show_json
from sigmasight_assets.operations.failures import Failure
from sigmasight_assets.operations.run_status import RunStatus
from sigmasight_assets.operations.status import SessionStatus, SystemStatus, read_status
from sigmasight_assets.sessions import NEW_YORK
from sigmasight_assets.settings import load_settings


def status(
    sessions: Annotated[int, typer.Option(min=1, max=1000, help="How many sessions to show.")] = 10,
    as_json: Json = False,
) -> None:
    """Show the newest sessions, the last runs, what is failed right now and what happens next."""
    settings = load_settings()
    with open_database(settings) as database:
        found = read_status(database, clock=settings.clock(), pause=settings.retry_pause, sessions=sessions)
    if as_json:
        show_json(as_document(found))
    else:
        _show(found)


def as_document(found: SystemStatus) -> dict[str, Any]:
    """The status for programs; ``items`` are the sessions."""
    items = [_session(item) for item in found.sessions]
    return {
        "clock": found.clock,
        "items": items,
        "total": len(items),
        "running": [asdict(run) for run in found.running],
        "runs": [asdict(run) for run in found.runs],
        "failed_now": [asdict(item) for item in found.failures],
        "freshness": [asdict(item) for item in found.freshness],
        "onboarding": [asdict(item) for item in found.onboarding],
        "alerts_undelivered": found.alerts_undelivered,
        "next": found.next_snapshots,
        "next_symbols": found.next_symbols,
    }


def _session(item: SessionStatus) -> dict[str, Any]:
    return {**asdict(item), "coverage": None if item.coverage is None else f"{item.coverage:.2%}"}


def _show(found: SystemStatus) -> None:
    """For people: a table of sessions that fits a terminal, and a line for everything else."""
    show([_row(item) for item in found.sessions], title="Sessions", as_json=False)
    _lines("", [_remark(item) for item in found.sessions])
    _lines("Under way", [_run_line(run) for run in found.running])
    _lines("Last runs", [_run_line(run) for run in found.runs if run.status != "running"])
    _lines("Failed right now", [_failure_line(item) for item in found.failures] or ["nothing"])
    _lines("Onboarding", [f"{item.symbol}: {item.sentence}" for item in found.onboarding])
    if found.alerts_undelivered:
        CONSOLE.print(f"alerts that the webhook has not taken: {found.alerts_undelivered}")
    CONSOLE.print(f"next symbol run: {found.next_symbols}")
    CONSOLE.print(f"next: {found.next_snapshots}")


def _lines(title: str, lines: Sequence[str]) -> None:
    shown = [line for line in lines if line]
    if shown and title:
        CONSOLE.print(f"{title}:")
    for line in shown:
        CONSOLE.print(f"  {line}")


def _row(item: SessionStatus) -> dict[str, Any]:
    shown = _session(item)
    published = item.published_at and f"{item.published_at.astimezone(NEW_YORK):%m-%d %H:%M}"
    names = ("session", "coverage", "symbol_generation", "snapshots", "state")
    return {**{name: shown[name] for name in names}, "published": published}


def _remark(item: SessionStatus) -> str:
    """Why a session is as it is and what happens next, empty where nothing is to be said."""
    stale = f"figures of {item.stale_symbols} symbols are older than their prices" if item.stale_symbols else None
    reasons = [item.failed, item.waived and f"waived: {item.waived}", item.closed and f"closed: {item.closed}", stale]
    words = "; ".join(dict.fromkeys(text for text in (*reasons, item.next_step) if text))
    return f"{item.session}: {words}" if words else ""


def _run_line(run: RunStatus) -> str:
    sessions = (
        f"{run.first_session} to {run.last_session}" if run.first_session < run.last_session else run.last_session
    )
    counted = {"computed": run.computed, "fresh": run.fresh, "failed": run.failed, "vendor calls": run.vendor_calls}
    counts = ", ".join(f"{name} {count}" for name, count in counted.items() if count is not None)
    error = f": {run.error}" if run.error else ""
    return (
        f"{run.run_id} {run.layer} {sessions} {run.status}, {run.seconds:.1f} s, by {run.started_by}"
        f"{f' ({counts})' if counts else ''}{error}"
    )


def _failure_line(item: Failure) -> str:
    return f"{item.severity}: {item.kind} {item.subject}: {item.detail}; {item.next_step}"
