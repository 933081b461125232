"""What counts as failed right now: each entry names the thing, the cause and what happens next.

Pure functions, one for each kind; nothing is remembered, so an entry is gone as soon as its cause is. What they judge
is read in ``failure_state``.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Literal

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.options import parse_occ_symbol
from sigmasight_assets.operations.bars import SuspectBar
from sigmasight_assets.operations.check_assets import CHECK_ASSETS, STEP_ASSETS
from sigmasight_assets.operations.gate import GateDecision
from sigmasight_assets.operations.gate_causes import Hole, hole_cause
from sigmasight_assets.operations.symbol_plan import (
    SymbolDecision,
    SymbolState,
    due_sessions,
    lateness,
    local,
    marks_in_words,
)
from sigmasight_assets.storage.alerts import Alert
from sigmasight_assets.storage.left_out import LeftOut
from sigmasight_assets.storage.lot_terms import TOO_LARGE
from sigmasight_assets.storage.recorded_runs import RecordedRun
from sigmasight_assets.storage.symbol_troubles import RefusedSymbol, TroubledSymbol

Kind = Literal[
    "session_not_published",
    "portfolio_run_failed",
    "portfolio_left_out",
    "marks_not_settled",
    "symbol_without_data",
    "held_without_price",
    "suspect_bar",
    "onboarding_failed",
    "alert_not_delivered",
]


# Of a symbol; a contract's reason tells what it lacks.
CORRECT_IT = "; correct the symbol where it is held"


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that is not as it should be.

    ``subject`` is the session, range, symbol or alert; ``detail`` is the cause with its offenders, ``next_step`` what
    happens by itself or what to do. What does not apply is None.
    """

    kind: Kind
    severity: Literal["warning", "critical"]
    subject: str
    detail: str
    next_step: str
    session: date | None = None
    symbol: str | None = None
    asset: str | None = None
    check: str | None = None
    run_id: str | None = None
    attempts: int | None = None
    next_attempt: datetime | None = None


def blame(hole: Hole) -> tuple[str | None, str | None]:
    """The asset that failed, and the check if it was one; what happened last counts. Both None when nothing has."""
    failed = next((step for step in hole.steps if step.status == "failed"), None)
    refused_at = max((item.judged_at for item in hole.refusals), default=None)
    if failed is not None and (refused_at is None or failed.started_at > refused_at):
        return ", ".join(STEP_ASSETS.get(failed.kind, (failed.kind,))), None
    if not hole.refusals:
        return None, None
    checks = [item.check for item in hole.refusals]
    assets = dict.fromkeys(CHECK_ASSETS.get(check, "symbol_products") for check in checks)
    return ", ".join(assets), ", ".join(checks)


def failure_cause(hole: Hole) -> str | None:
    """What the session failed of, whatever is at work now; None when nothing has failed."""
    asset, _ = blame(hole)
    ended = replace(hole, steps=[step for step in hole.steps if step.status != "running"])
    return None if asset is None else hole_cause(ended, now=datetime.max.replace(tzinfo=UTC)).text


def unpublished_sessions(state: SymbolState, decision: SymbolDecision) -> Iterator[Failure]:
    """Sessions that should be published and are not, once an attempt has failed or the hour is late."""
    due = due_sessions(state)
    for day, hole in sorted(state.holes.items()):
        asset, check = blame(hole)
        if asset is None and (day not in due or lateness(day, state.clock) is None):
            continue
        attempt = state.attempts.get(day)
        yield Failure(
            "session_not_published",
            "critical",
            str(day),
            failure_cause(hole) or hole_cause(hole, now=state.now).text,
            f"{next_step_of_symbols(decision)}; at once: `sigmasight retry`; if it never can be: "
            f"`sigmasight session waive {day} --reason ...`",
            session=day,
            asset=asset,
            check=check,
            run_id=attempt.run_id if attempt else None,
            attempts=attempt.number if attempt else 0,
            next_attempt=decision.next_attempt,
        )


def failed_portfolio_run(decision: GateDecision, errors: Sequence[str]) -> Iterator[Failure]:
    """The run that failed for the inputs as they are; ``errors`` are those of its steps."""
    if decision.failed_run is not None:
        subject, _, reason = decision.reasons[0].partition(": ")
        yield Failure(
            "portfolio_run_failed",
            "critical",
            subject,
            "; ".join(errors) or reason,
            "mend the cause, then `sigmasight retry`",
            asset="portfolio_snapshots",
            run_id=decision.failed_run,
        )


def left_out_portfolios(left_out: Sequence[LeftOut], total: int) -> Iterator[Failure]:
    """Portfolios whose snapshots have ended as their amounts are too large: the first of the ``total``, then the rest.

    Warnings: everybody else has theirs, and only the owner can act.
    """
    for item in left_out:
        yield _left_out(
            f"portfolio {item.public_id}",
            f"{item.name!r} of {item.owner} is without snapshots from {item.first} on: its amounts are {TOO_LARGE}",
            item.first,
        )
    if total > len(left_out):
        more = f"{total - len(left_out)} more portfolios"
        yield _left_out(more, f"without snapshots: their amounts are {TOO_LARGE}", None)


def _left_out(subject: str, detail: str, session: date | None) -> Failure:
    return Failure(
        "portfolio_left_out",
        "warning",
        subject,
        detail,
        "the owner corrects the lots, or splits the portfolio in two; a wrong price: `sigmasight bars reject SYMBOL D "
        "--reason ...`; the gate then computes what is missing",
        session=session,
        asset="portfolio_snapshots",
        check="amounts_fit",
    )


def unsettled_marks(state: SymbolState, decision: SymbolDecision, newest: RecordedRun | None) -> Iterator[Failure]:
    """Symbols that a run was to compute anew and did not, or that have waited for longer than the pause.

    ``newest`` is the newest run of the symbol layer that has ended.
    """
    failed = newest if newest is not None and newest.status == "failed" else None
    left = [
        symbol
        for symbol, since in state.marked.items()
        if state.now - since > state.pause or (failed is not None and failed.ended_at and since < failed.ended_at)
    ]
    if left:
        cause = f": {failed.error}" if failed is not None and failed.error else ""
        yield Failure(
            "marks_not_settled",
            "critical",
            left[0] if len(left) == 1 else f"{len(left)} symbols",
            f"{marks_in_words(left)}{cause}",
            f"{next_step_of_symbols(decision)}; at once: `sigmasight retry`",
            symbol=left[0] if len(left) == 1 else None,
            run_id=failed.run_id if failed is not None else None,
            next_attempt=decision.next_attempt,
        )


def symbols_without_data(symbols: Sequence[TroubledSymbol], *, without: Collection[str] = ()) -> Iterator[Failure]:
    """Tracked symbols that the market has nothing of; those in ``without`` are told of elsewhere."""
    for item in symbols:
        if item.symbol not in without:
            yield Failure(
                "symbol_without_data",
                "warning",
                item.symbol,
                (item.reason or "the market has nothing of it") + (", and it is held" if item.is_held else ""),
                "every night asks for it again" + ("" if item.asset_type == "option" else CORRECT_IT),
                symbol=item.symbol,
                asset="symbol_prices",
            )


def held_without_price(
    symbols: Sequence[TroubledSymbol], session: date, *, carried_since: date, asked_for: Collection[str] = ()
) -> Iterator[Failure]:
    """Symbols that are held and have no price at the session; those in ``asked_for`` are being onboarded.

    An option need not trade every day: it counts once its last price is from before ``carried_since``, and not after
    its last day.
    """
    for item in symbols:
        is_option = item.asset_type == "option"
        is_recent = item.last_price_date is not None and item.last_price_date >= carried_since
        if item.symbol in asked_for or (is_option and (is_recent or _has_expired(item.symbol, session))):
            continue
        last = f"the last is of {item.last_price_date}" if item.last_price_date else "it never had one"
        cause = f"; {item.status}: {item.reason}" if item.reason else ""
        close = "if it has ceased to trade: `sigmasight universe cash-out`"
        yield Failure(
            "held_without_price",
            "warning",
            item.symbol,
            f"no price at {session}, {last}{cause}",
            close if item.status == "delisted" else f"every night asks for it again; {close}",
            session=session,
            symbol=item.symbol,
            asset="symbol_prices",
        )


def failed_onboardings(symbols: Sequence[RefusedSymbol]) -> Iterator[Failure]:
    """Symbols that somebody asked for and that could not be had."""
    for item in symbols:
        yield Failure(
            "onboarding_failed",
            "warning",
            item.symbol,
            item.error or "no reason given",
            f"correct the symbol where it is held, or `sigmasight retry --symbol {item.symbol}`",
            symbol=item.symbol,
            asset="onboarded_symbols",
            run_id=item.run_id,
            attempts=item.attempts,
        )


def waiting_bars(bars: Sequence[SuspectBar]) -> Iterator[Failure]:
    """Bars that moved so much without a cause, or that two markets state otherwise, so that somebody has to decide."""
    for bar in bars:
        decide = f"{bar.symbol} {bar.session} --reason ..."
        if bar.second_source is not None:
            detail = f"close {bar.close_price:f}, where {bar.second_source} has {bar.second_close_price:f}"
            otherwise = "it is settled too when both markets agree"
        else:
            detail = (
                f"close {bar.close_price:f} after {bar.previous_close_price:f} at {bar.previous_session} "
                f"({bar.move_percent:+.1f} %), without a corporate action"
            )
            otherwise = "the next session's price decides too"
        yield Failure(
            "suspect_bar",
            "warning",
            f"{bar.symbol} {bar.session}",
            detail,
            f"`sigmasight bars accept {decide}` or `reject`; {otherwise}",
            session=bar.session,
            symbol=bar.symbol,
            asset="symbol_prices",
        )


def undelivered_alerts(alerts: Sequence[Alert]) -> Iterator[Failure]:
    """Alerts that the webhook has not taken."""
    for item in alerts:
        yield Failure(
            "alert_not_delivered",
            "warning",
            item.alert_key,
            item.last_error or "not taken yet",
            "it is sent again by itself; check SIGMASIGHT_WEBHOOK_URL",
            attempts=item.attempts,
        )


def next_step_of_symbols(decision: SymbolDecision) -> str:
    """What the symbol layer does next by itself, in words."""
    if decision.waits_for is not None:
        return f"run {decision.waits_for} is under way"
    if decision.chosen is not None:
        return "the sensor late_sessions starts a run within a minute"
    if decision.next_attempt is not None:
        return f"next attempt at {local(decision.next_attempt)}"
    return "the next night takes it up, or `sigmasight backfill`"


def _has_expired(contract: str, session: date) -> bool:
    with suppress(MarketDataError):
        return parse_occ_symbol(contract).expiry <= session
    return False
