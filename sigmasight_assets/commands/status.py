"""``sigmasight status``: the newest sessions, what is published, what failed and why, and what happens next."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated

import typer

from sigmasight_assets.commands.common import CONSOLE, Json, open_database, show, show_json
from sigmasight_assets.operations.gate import plan
from sigmasight_assets.operations.gate_state import read_gate_state
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.settings import load_settings
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.publications import read_coverage


@dataclass(frozen=True)
class SessionStatus:
    """One session as operators see it."""

    session: date
    coverage: str | None
    symbol_generation: int | None
    snapshots: str
    failed: str | None


def status(
    sessions: Annotated[int, typer.Option(min=1, max=1000, help="How many sessions to show.")] = 10,
    as_json: Json = False,
) -> None:
    """Show the newest sessions and what happens next."""
    settings = load_settings()
    with open_database(settings) as database:
        rows, next_step = read_status(database, count=sessions)
    if as_json:
        show_json({"items": [row.__dict__ for row in rows], "total": len(rows), "next": next_step})
        return
    show(rows, title="Sessions", as_json=False)
    CONSOLE.print(f"next: {next_step}", markup=False)


def read_status(database: Database, *, count: int) -> tuple[list[SessionStatus], str]:
    """The newest ``count`` complete sessions, newest first, and the gate's next step in words."""
    calendar, settings = exchange_calendar(), load_settings()
    newest = calendar.last_complete(settings.clock())
    state = read_gate_state(database, calendar, now=settings.clock())
    with database.begin() as connection:
        coverage = read_coverage(connection)
    decision = plan(state)
    stale_from = min((mark for _, _, mark in state.stale_books), default=None)
    rows = []
    for day in reversed(calendar.between(calendar.offset(newest, 1 - count), newest)):
        generation = state.symbol_generations.get(day)
        is_stale = generation is not None and (
            state.consumed.get(day) != generation or (stale_from is not None and stale_from <= day)
        )
        snapshots = "stale" if is_stale and day in state.consumed else "current" if day in state.consumed else "none"
        share = coverage.get(day)
        rows.append(
            SessionStatus(
                session=day,
                coverage=None if share is None else f"{share:.2%}",
                symbol_generation=generation,
                snapshots=snapshots,
                failed=state.failed_checks.get(day) if generation is None else None,
            )
        )
    if decision.range is not None:
        return rows, f"the gate starts snapshots of {decision.range.first} to {decision.range.last}"
    return rows, "; ".join(decision.reasons)
