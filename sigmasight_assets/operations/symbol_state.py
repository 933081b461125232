"""Reads from the database what the symbol layer's planner decides on."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from sigmasight_assets.operations.check_assets import STEP_ASSETS
from sigmasight_assets.operations.gate_causes import SIGN_OF_LIFE, Hole
from sigmasight_assets.operations.symbol_plan import CATCH_UP_SESSIONS, Attempt, SymbolState, UnderWay, due_sessions
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.calendar import read_calendar
from sigmasight_assets.storage.decisions import read_waived
from sigmasight_assets.storage.invalidations import read_marked_symbols
from sigmasight_assets.storage.publications import read_published_sessions, read_symbol_generations
from sigmasight_assets.storage.recorded_runs import PORTFOLIO_STEPS, RecordedRun, read_last_end, read_recorded_runs
from sigmasight_assets.storage.symbol_attempts import read_newest_attempts, read_refusals


def read_symbol_state(connection: sa.Connection, *, clock: datetime, pause: timedelta) -> SymbolState:
    """The state at this instant; ``pause`` is that between two attempts."""
    published = read_symbol_generations(connection)
    now = read_now(connection)
    calendar = read_calendar(connection)
    sessions = catch_up_window(calendar, published, clock)
    runs = read_recorded_runs(connection, since=sessions[0], without=PORTFOLIO_STEPS) if sessions else []
    running = read_recorded_runs(connection, alive_at=now - SIGN_OF_LIFE, without=PORTFOLIO_STEPS)
    state = SymbolState(
        sessions=sessions,
        published=frozenset(published),
        clock=clock,
        now=now,
        pause=pause,
        waived=frozenset(read_waived(connection)),
        attempts=newest_attempts(runs, sessions),
        marked=read_marked_symbols(connection),
        last_ended_at=read_last_end(connection, without=PORTFOLIO_STEPS),
        running=[UnderWay(run.run_id, run.first_session, run.last_session) for run in running],
    )
    # Of a first night that fails people want to know, though nothing is due before the first publication.
    missing = due_sessions(state) if published else [calendar.last_complete(clock)]
    return replace(state, holes=read_holes(connection, missing))


def catch_up_window(calendar: SessionCalendar, published: Collection[date], clock: datetime) -> list[date]:
    """The newest complete sessions that runs are started for, none before the first that was ever published."""
    if not published:
        return []
    newest = calendar.last_complete(clock)
    complete = calendar.between(calendar.offset(newest, 1 - CATCH_UP_SESSIONS), newest)
    return [day for day in complete if day >= min(published)]


def newest_attempts(runs: Sequence[RecordedRun], sessions: Sequence[date]) -> dict[date, Attempt]:
    """The newest ended run of each session, from runs with the newest first."""
    attempts: dict[date, Attempt] = {}
    for day in sessions:
        covering = [run for run in runs if run.first_session <= day <= run.last_session]
        ended = [(run, run.ended_at) for run in covering if run.ended_at is not None]
        if ended:
            run, end = ended[0]
            attempts[day] = Attempt(run.run_id, end, len(covering), has_failed=run.status == "failed")
    return attempts


def read_now(connection: sa.Connection) -> datetime:
    """The instant by the database's clock."""
    now: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
    return now


def read_holes(connection: sa.Connection, sessions: Sequence[date]) -> dict[date, Hole]:
    """What is known of sessions that are not published."""
    if not sessions:
        return {}
    published = read_published_sessions(connection, since=min(sessions))
    refusals = read_refusals(connection, sessions)
    steps = read_newest_attempts(connection, sessions, kinds=STEP_ASSETS)
    return {
        day: Hole(
            published=published[day].products if day in published else frozenset(),
            refusals=refusals.get(day, ()),
            steps=steps.get(day, ()),
        )
        for day in sessions
    }
