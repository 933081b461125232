"""Reads everything that is failed right now from our own tables."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from sigmasight_assets.operations.bars import find_suspect_bars
from sigmasight_assets.operations.failures import (
    Failure,
    failed_onboardings,
    failed_portfolio_run,
    held_without_price,
    left_out_portfolios,
    symbols_without_data,
    undelivered_alerts,
    unpublished_sessions,
    unsettled_marks,
    waiting_bars,
)
from sigmasight_assets.operations.gate import GateDecision
from sigmasight_assets.operations.gate import plan as plan_gate
from sigmasight_assets.operations.gate_state import read_gate_state
from sigmasight_assets.operations.symbol_plan import SymbolDecision, SymbolState, newest_published
from sigmasight_assets.operations.symbol_plan import plan as plan_symbols
from sigmasight_assets.operations.symbol_state import read_symbol_state
from sigmasight_assets.quant.carried_prices import CARRIED_SESSIONS
from sigmasight_assets.storage.alerts import read_undelivered
from sigmasight_assets.storage.calendar import read_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.left_out import read_named_left_out
from sigmasight_assets.storage.lot_terms import NAMED_OFFENDERS
from sigmasight_assets.storage.operations import read_run_errors
from sigmasight_assets.storage.recorded_runs import PORTFOLIO_STEPS, read_newest_ended
from sigmasight_assets.storage.symbol_troubles import (
    read_asked_for,
    read_held_without_price,
    read_refused,
    read_without_data,
)


def read_failures(database: Database, *, clock: datetime, pause: timedelta) -> list[Failure]:
    """Everything that is failed at this instant, the most urgent first; ``pause`` is that between two attempts."""
    gate = plan_gate(read_gate_state(database, now=clock))
    with database.begin() as connection:
        state = read_symbol_state(connection, clock=clock, pause=pause)
        return failures_of(connection, gate, state, plan_symbols(state))


def failures_of(
    connection: sa.Connection, gate: GateDecision, state: SymbolState, decision: SymbolDecision
) -> list[Failure]:
    """The same, where the two planners have been asked already."""
    newest = read_newest_ended(connection, without=PORTFOLIO_STEPS)
    errors = read_run_errors(connection, gate.failed_run) if gate.failed_run else []
    found = [
        *unpublished_sessions(state, decision),
        *failed_portfolio_run(gate, errors),
        *left_out_portfolios(*read_named_left_out(connection, most=NAMED_OFFENDERS)),
        *unsettled_marks(state, decision, newest),
        *_symbols(connection, state),
        *waiting_bars(find_suspect_bars(connection)),
        *undelivered_alerts(read_undelivered(connection)),
    ]
    return sorted(found, key=lambda item: item.severity == "warning")


def _symbols(connection: sa.Connection, state: SymbolState) -> Iterator[Failure]:
    """Symbols that are not as they should be."""
    refused = read_refused(connection)
    yield from failed_onboardings(refused)
    yield from symbols_without_data(read_without_data(connection), without=[item.symbol for item in refused])
    if state.sessions:
        session = newest_published(state)
        carried_since = _sessions_before(connection, session, CARRIED_SESSIONS)
        held, asked_for = read_held_without_price(connection, session), read_asked_for(connection)
        yield from held_without_price(held, session, carried_since=carried_since, asked_for=asked_for)


def _sessions_before(connection: sa.Connection, day: date, count: int) -> date:
    """The session so many sessions before the last one that is not after the day."""
    calendar = read_calendar(connection)
    return calendar.offset(calendar.on_or_before(day), -count)
