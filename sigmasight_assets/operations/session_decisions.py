"""Sessions that will never be published, and dates on which the exchange did not trade: operators' decisions.

A waived session stays in the calendar; later ones do not wait for it. A closed date leaves the calendar, so every
window that spans it reaches one session further back. Each decision is one transaction with its audit.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

import sqlalchemy as sa

from sigmasight_assets.errors import DecisionError
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.calendar import read_calendar
from sigmasight_assets.storage.closures import (
    ask_for_session_again,
    has_publications,
    lock_layers,
    mark_settlements,
    remove_session,
)
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.decisions import (
    CLOSED,
    WAIVED,
    SessionDecision,
    forget_session_decision,
    read_session_decision,
    read_session_decisions,
    record_action,
    record_session_decision,
)
from sigmasight_assets.storage.invalidations import mark_bar_invalid
from sigmasight_assets.storage.publications import read_symbol_generations

Decided = Literal["waived", "unwaived", "closed", "reopened"]


@dataclass(frozen=True, slots=True)
class DecidedSession:
    """A decision that was carried out; ``effect`` tells in words what follows from it."""

    session: date
    decision: Decided
    effect: str
    action_id: int


def list_session_decisions(database: Database) -> list[SessionDecision]:
    """The decisions in force, by session."""
    with database.begin() as connection:
        return read_session_decisions(connection)


def waive_session(database: Database, day: date, *, actor: str, reason: str, now: datetime) -> DecidedSession:
    """Have later sessions not wait for one that will never be published.

    Raises ``SessionError`` when it is no complete session, ``DecisionError`` when it is published or waived already.
    """
    with database.begin() as connection:
        read_calendar(connection).require_complete(day, now)
        _require_undecided(connection, day)
        if day in read_symbol_generations(connection, since=day):
            raise DecisionError(f"{day} is published: later sessions do not wait for it, so there is nothing to waive")
        action_id = record_action(connection, kind="waive_session", actor=actor, reason=reason, session=day)
        record_session_decision(connection, day, kind=WAIVED, action_id=action_id)
    return DecidedSession(
        day, "waived", "later sessions no longer wait for it; if it is published, it counts", action_id
    )


def unwaive_session(database: Database, day: date, *, actor: str, reason: str) -> DecidedSession:
    """Take a waiver back; ``DecisionError`` when there is none."""
    with database.begin() as connection:
        _require_decided(connection, day, WAIVED)
        action_id = record_action(connection, kind="unwaive_session", actor=actor, reason=reason, session=day)
        forget_session_decision(connection, day)
    return DecidedSession(day, "unwaived", "later sessions wait for it unless it is published", action_id)


def close_session(database: Database, day: date, *, actor: str, reason: str) -> DecidedSession:
    """Take a date out of the calendar, because the exchange did not trade.

    Bars of the date go into quarantine. Figures of published sessions after it rest on windows that now reach one
    session further back: the next symbol run publishes them again. Raises ``SessionError`` when the date is no session
    anyway, ``DecisionError`` when something of it is published or it is closed already.
    """
    with database.begin() as connection:
        lock_layers(connection)
        exchange_calendar().index(day)
        decision = read_session_decision(connection, day)
        if decision is not None and decision.kind == CLOSED:
            raise DecisionError(_decided_already(decision))
        if has_publications(connection, day):
            raise DecisionError(
                f"Figures of {day} are published, so the exchange traded. Reject the bars that are wrong "
                "(`sigmasight bars reject`), or leave the session as it is"
            )
        details = _remove(connection, day, reason=f"no session: closed by an operator ({reason})")
        action_id = record_action(
            connection, kind="close_session", actor=actor, reason=reason, session=day, details=details
        )
        forget_session_decision(connection, day)
        record_session_decision(connection, day, kind=CLOSED, action_id=action_id)
        later = _mark_later_sessions(connection, day, action_id=action_id)
    return DecidedSession(day, "closed", f"{details['bars_quarantined']} bars are in quarantine{later}", action_id)


def reopen_session(database: Database, day: date, *, actor: str, reason: str) -> DecidedSession:
    """Put a closed date back into the calendar, and have its bars asked for again.

    Raises ``DecisionError`` when it is not closed.
    """
    with database.begin() as connection:
        lock_layers(connection)
        _require_decided(connection, day, CLOSED)
        details = {"portfolios_to_settle_anew": _mark_settlements(connection, day)}
        action_id = record_action(
            connection, kind="reopen_session", actor=actor, reason=reason, session=day, details=details
        )
        forget_session_decision(connection, day)
        ask_for_session_again(connection, day)
        later = _mark_later_sessions(connection, day, action_id=action_id)
    return DecidedSession(
        day,
        "reopened",
        f"it is a session again: the night publishes it, or `sigmasight backfill` if it is past{later}",
        action_id,
    )


def _remove(connection: sa.Connection, day: date, *, reason: str) -> dict[str, int]:
    """Take everything that is dated so out of what is stored; how much of each there was."""
    _, following = _neighbours(connection, day)
    profiles_to = following if has_publications(connection, following) else None
    removed = remove_session(connection, day, reason=reason, profiles_to=profiles_to)
    return {**removed, "portfolios_to_settle_anew": _mark_settlements(connection, day)}


def _mark_settlements(connection: sa.Connection, day: date) -> int:
    """Options that expire on a date, or before the session after it, settle at another session than before."""
    previous, following = _neighbours(connection, day)
    return mark_settlements(connection, first=day, before=following, since=previous)


def _neighbours(connection: sa.Connection, day: date) -> tuple[date, date]:
    """The sessions before and after a date, be it one or not."""
    calendar = read_calendar(connection)
    return calendar.on_or_before(day - timedelta(days=1)), calendar.offset(calendar.on_or_before(day), 1)


def _mark_later_sessions(connection: sa.Connection, day: date, *, action_id: int) -> str:
    """Have figures of published sessions after the date computed anew; returns that in words.

    Every symbol's figures rest on the market's returns, so a mark of the first factor ETF is one of all.
    """
    _, following = _neighbours(connection, day)
    run_id = f"operator action {action_id}"
    marked = mark_bar_invalid(connection, FACTOR_ETFS[0], following, has_new_returns=True, run_id=run_id)
    return "; the next symbol run publishes the sessions after it again" if marked else ""


def _require_undecided(connection: sa.Connection, day: date) -> None:
    decision = read_session_decision(connection, day)
    if decision is not None:
        raise DecisionError(_decided_already(decision))


def _require_decided(connection: sa.Connection, day: date, kind: str) -> None:
    decision = read_session_decision(connection, day)
    if decision is None or decision.kind != kind:
        raise DecisionError(f"{day} is not {kind}; `sigmasight session list` shows the decisions in force")


def _decided_already(decision: SessionDecision) -> str:
    return f"{decision.session} is already {decision}"
