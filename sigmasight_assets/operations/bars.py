"""Suspect bars: which wait for an operator's decision, and what it brings about when one is accepted or rejected.

Each decision is one transaction with its audit, and waits for a price update or publication under way. It does not
compute anything: what rests on the bar is marked, and the next symbol run publishes it again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

import sqlalchemy as sa

from sigmasight_assets.errors import DecisionError, NotFoundError
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.storage.bar_decisions import (
    BarDecision,
    Verdict,
    read_bar_decisions,
    record_bar_decision,
)
from sigmasight_assets.storage.calendar import read_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.decisions import record_action
from sigmasight_assets.storage.invalidations import mark_bar_invalid
from sigmasight_assets.storage.stored_bars import (
    StoredBar,
    ask_again,
    count_holders,
    has_unexplained_moves,
    is_published,
    lock_prices,
    quarantine_stored_bar,
    read_bar,
    read_compared_bars,
    read_newest_bars,
    read_sessions_with_figures,
)

# As long as the market's newest sessions are read again; an older bar was confirmed by those after it.
RECENT_SESSIONS = 5
ONE_MOMENT = sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
# Contracts leap as a matter of course, and no figure waits for one of their bars.
NEVER_SUSPECT = "option"


@dataclass(frozen=True, slots=True)
class SuspectBar:
    """A bar that waits for a decision.

    That is its symbol's newest, beyond 50 % off the one before it without a cause, or one that the market
    ``second_source`` states otherwise, as ``second_close_price``; both are None when it has not. Closes in USD;
    ``move_percent`` is 100 x (close / previous close - 1), None like the previous bar when there is none. ``since`` is
    when the bar was stored. ``is_published`` tells whether published figures of its session rest on it: then they have
    the quality suspect. ``portfolios`` counts those with open lots of the symbol.
    """

    symbol: str
    session: date
    close_price: Decimal
    previous_session: date | None
    previous_close_price: Decimal | None
    move_percent: float | None
    since: datetime
    is_published: bool
    portfolios: int
    second_source: str | None = None
    second_close_price: Decimal | None = None


@dataclass(frozen=True, slots=True)
class DecidedBar:
    """A decision that was carried out; ``close_price`` (USD) tells the bar from others of the same session.

    ``effect`` says what follows: ``republished`` by the next symbol run, ``asked_again`` by the next price update, or
    ``none``, because no published figure rests on the bar.
    """

    symbol: str
    session: date
    close_price: Decimal
    verdict: Verdict
    effect: Literal["republished", "asked_again", "none"]
    action_id: int


def read_suspect_bars(database: Database) -> list[SuspectBar]:
    """The bars that wait for a decision, by symbol and session."""
    with database.begin() as connection:
        connection.execute(ONE_MOMENT)
        return find_suspect_bars(connection)


def find_suspect_bars(connection: sa.Connection) -> list[SuspectBar]:
    """The same, as this transaction sees it."""
    found = {(bar.symbol, bar.session): bar for bar in [*read_newest_bars(connection), *read_compared_bars(connection)]}
    bars = _waiting([found[key] for key in sorted(found)], read_bar_decisions(connection))
    used, holders = set[tuple[str, date]](), dict[str, int]()
    if bars:
        used = read_sessions_with_figures(connection, bars)
        holders = count_holders(connection, [bar.symbol for bar in bars])
    return [
        SuspectBar(
            symbol=bar.symbol,
            session=bar.session,
            close_price=bar.close_price,
            previous_session=bar.previous_session,
            previous_close_price=bar.previous_close_price,
            move_percent=bar.move_percent,
            since=bar.stored_at,
            is_published=(bar.symbol, bar.session) in used,
            portfolios=holders.get(bar.symbol, 0),
            second_source=bar.second_source if bar.is_disputed else None,
            second_close_price=bar.second_close_price if bar.is_disputed else None,
        )
        for bar in bars
    ]


def accept_bar(database: Database, symbol: str, session: date, *, actor: str, reason: str) -> DecidedBar:
    """Decide that the move to a suspect bar is right: it stays, and is suspect no longer while its close is this one.

    The bar that was rejected before may be accepted too: the next price update asks for it again. Raises
    ``NotFoundError`` when there is neither, ``DecisionError`` when the bar is not suspect or accepted already.
    """
    with database.begin() as connection:
        decision, bar = _read(connection, symbol, session)
        if bar is None:
            return _take_back(connection, _rejection(decision, symbol, session), actor=actor, reason=reason)
        _require_undecided(bar, decision, "accepted")
        if doubt := _why_not_suspect(bar):
            raise DecisionError(f"The bar of {symbol} at {session} is not suspect: {doubt}")
        action_id = _record(connection, bar, "accepted", actor=actor, reason=reason)
        marked = mark_bar_invalid(connection, symbol, session, has_new_returns=False, run_id=_run_id(action_id))
        effect: Literal["republished", "none"] = "republished" if marked else "none"
        return DecidedBar(symbol, session, bar.close_price, "accepted", effect, action_id)


def reject_bar(database: Database, symbol: str, session: date, *, actor: str, reason: str) -> DecidedBar:
    """Decide that a bar is wrong: it goes into quarantine, and is not stored again when the market sends it again.

    Another bar of the session is. A bar may be rejected while it is suspect, or one of the five newest sessions of its
    symbol. Raises ``NotFoundError`` when there is no such bar, ``DecisionError`` when it may not be rejected or is so
    already: the bars of factor ETFs at published sessions stay, for without one the session would have no figures.
    """
    with database.begin() as connection:
        decision, bar = _read(connection, symbol, session)
        if bar is None:
            rejected = _rejection(decision, symbol, session)
            raise DecisionError(_decided_already(rejected))
        _require_rejectable(connection, bar, decision)
        action_id = _record(connection, bar, "rejected", actor=actor, reason=reason)
        words = f"rejected by an operator (action {action_id}): {reason}"
        quarantine_stored_bar(connection, symbol, session, reason=words)
        marked = mark_bar_invalid(connection, symbol, session, has_new_returns=True, run_id=_run_id(action_id))
        effect: Literal["republished", "none"] = "republished" if marked else "none"
        return DecidedBar(symbol, session, bar.close_price, "rejected", effect, action_id)


def _read(connection: sa.Connection, symbol: str, session: date) -> tuple[BarDecision | None, StoredBar | None]:
    """The decision in force and the stored bar, once nobody else writes prices or publishes what they give."""
    lock_prices(connection)
    decisions = {item.price_date: item for item in read_bar_decisions(connection, [symbol])}
    return decisions.get(session), read_bar(connection, symbol, session)


def _waiting(bars: Sequence[StoredBar], decisions: Sequence[BarDecision]) -> list[StoredBar]:
    accepted = {(item.symbol, item.price_date): item for item in decisions if item.verdict == "accepted"}
    moved = has_unexplained_moves(bars).tolist()
    suspect = [
        bar
        for bar, has_moved in zip(bars, moved, strict=True)
        if bar.asset_type != NEVER_SUSPECT
        and (bar.is_disputed or (has_moved and bar.session == bar.newest_session and not bar.is_confirmed))
    ]
    return [bar for bar in suspect if not _is_decided(bar, accepted.get((bar.symbol, bar.session)))]


def _is_decided(bar: StoredBar, decision: BarDecision | None) -> bool:
    return decision is not None and decision.is_bar(*bar.units)


def _why_not_suspect(bar: StoredBar) -> str | None:
    """Why the bar does not wait for a decision, None when it does."""
    if bar.asset_type == NEVER_SUSPECT:
        return "option contracts leap as a matter of course, and no figure waits for one of their bars"
    return None if bar.is_disputed else _why_its_move_is_not(bar)


def _why_its_move_is_not(bar: StoredBar) -> str | None:
    if bar.session != bar.newest_session:
        return f"the bar of {bar.newest_session} that followed confirms it"
    if bar.previous_session is None:
        return "it is the symbol's first bar"
    if has_unexplained_moves([bar])[0]:
        return f"the second market, {bar.second_source}, confirms it" if bar.is_confirmed else None
    if bar.has_action:
        return f"a split or dividend since the bar of {bar.previous_session} explains its move"
    return f"it moved {bar.move_percent:+.2f} % from {bar.previous_session}, and only moves beyond 50 % are"


def _require_undecided(bar: StoredBar, decision: BarDecision | None, verdict: Verdict) -> None:
    if decision is not None and decision.verdict == verdict and _is_decided(bar, decision):
        raise DecisionError(_decided_already(decision))


def _require_rejectable(connection: sa.Connection, bar: StoredBar, decision: BarDecision | None) -> None:
    symbol, session = bar.symbol, bar.session
    if _why_not_suspect(bar) or _is_decided(bar, decision):
        recent = read_calendar(connection).between(session, bar.newest_session)
        if len(recent) > RECENT_SESSIONS:
            raise DecisionError(
                f"The bar of {symbol} at {session} is neither suspect nor among the {RECENT_SESSIONS} newest sessions "
                f"of {symbol}, which end at {bar.newest_session}: older bars change only when the market restates them"
            )
    if symbol in FACTOR_ETFS and is_published(connection, session):
        raise DecisionError(
            f"{symbol} is a factor ETF and {session} is published: without its bar the session would have no figures "
            "of any symbol. It stays until the market sends another one, which replaces it; accept it if it is right"
        )


def _rejection(decision: BarDecision | None, symbol: str, session: date) -> BarDecision:
    """The decision, which must be a rejection: there is no stored bar."""
    if decision is None or decision.verdict != "rejected":
        raise NotFoundError(f"There is no bar of {symbol} at {session}; `sigmasight bars list` shows what waits")
    return decision


def _take_back(connection: sa.Connection, decision: BarDecision, *, actor: str, reason: str) -> DecidedBar:
    """Accept a bar that was rejected: the market is asked for it again, which has it in today's share units."""
    symbol, session = decision.symbol, decision.price_date
    action_id = record_action(
        connection,
        kind="accept_bar",
        actor=actor,
        reason=reason,
        session=session,
        symbol=symbol,
        details={"close_price": str(decision.close_price), "takes_back": "rejection"},
    )
    record_bar_decision(
        connection,
        symbol,
        session,
        close_price=decision.close_price,
        previous_close_price=decision.previous_close_price,
        verdict="accepted",
        action_id=action_id,
    )
    ask_again(connection, symbol, session)
    return DecidedBar(symbol, session, decision.close_price, "accepted", "asked_again", action_id)


def _record(connection: sa.Connection, bar: StoredBar, verdict: Verdict, *, actor: str, reason: str) -> int:
    """Enter the decision and its audit; returns the number of the action."""
    details = {
        "close_price": str(bar.close_price),
        "previous_session": None if bar.previous_session is None else str(bar.previous_session),
        "previous_close_price": None if bar.previous_close_price is None else str(bar.previous_close_price),
        "move_percent": bar.move_percent,
    }
    if bar.is_disputed:
        details |= {"second_source": bar.second_source, "second_close_price": str(bar.second_close_price)}
    action_id = record_action(
        connection,
        kind="accept_bar" if verdict == "accepted" else "reject_bar",
        actor=actor,
        reason=reason,
        session=bar.session,
        symbol=bar.symbol,
        details=details,
    )
    record_bar_decision(
        connection,
        bar.symbol,
        bar.session,
        close_price=bar.close_price,
        previous_close_price=bar.previous_close_price,
        verdict=verdict,
        action_id=action_id,
    )
    return action_id


def _decided_already(decision: BarDecision) -> str:
    return (
        f"The bar of {decision.symbol} at {decision.price_date} with the close {decision.close_price} was "
        f"{decision.verdict} already, by {decision.actor} on {decision.acted_at:%Y-%m-%d %H:%M} UTC: {decision.reason}"
    )


def _run_id(action_id: int) -> str:
    """What a mark names as its cause in the place of a run."""
    return f"operator action {action_id}"
