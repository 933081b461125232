"""What to ask a market source for: per symbol one window, of what it lacks and of the newest sessions again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

import numpy as np

from sigmasight_assets.errors import MarketDataError, MarketSetupError
from sigmasight_assets.market_data.options import OptionContract, parse_occ_symbol
from sigmasight_assets.market_data.protocol import BarRequest
from sigmasight_assets.quant.arrays import BoolArray, DateArray, IntArray
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.prices import PriceWindow
from sigmasight_assets.storage.universe import TrackedSymbol

# Sessions of history a symbol needs before the first session asked for.
HISTORY_SESSIONS = 400
# The newest sessions are asked for again, because vendors correct them.
REREAD_SESSIONS = 5
# A contract's prices long before its expiry are of no use to anybody.
CONTRACT_HISTORY = timedelta(days=400)
ADJUSTED_CONTRACT = "adjusted contract: its deliverable is not known"


@dataclass(frozen=True)
class PricePlan:
    """The windows to ask for, and by symbol why the others are refused or, with the window, over."""

    requests: list[BarRequest] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    expired: dict[str, str] = field(default_factory=dict)

    def only(self, requests: list[BarRequest]) -> "PricePlan":
        """Some of the requests, with what is known of their symbols."""
        symbols = {request.symbol for request in requests}
        return PricePlan(requests, {}, {symbol: said for symbol, said in self.expired.items() if symbol in symbols})

    def without_requests(self) -> "PricePlan":
        """What is known of the symbols that are not asked for."""
        asked = {request.symbol for request in self.requests}
        return PricePlan(
            [], self.refused, {symbol: said for symbol, said in self.expired.items() if symbol not in asked}
        )


@dataclass(frozen=True, slots=True)
class _Span:
    """Rows of the sessions at which a symbol may trade, ``end`` excluded; ``reason`` says why it ends, if it does."""

    start: int
    end: int
    reason: str | None = None


def needed_sessions(calendar: SessionCalendar, sessions: Sequence[date], *, history_start: date) -> DateArray:
    """The sessions whose bars the asked ones need; ``MarketSetupError`` when all lie before the history's start."""
    first = max(0, calendar.index(sessions[0]) - HISTORY_SESSIONS)
    window = calendar.sessions[first : calendar.index(sessions[-1]) + 1]
    window = window[window >= np.datetime64(history_start, "D")]
    if not window.size:
        raise MarketSetupError(
            f"{sessions[-1]} is before SIGMASIGHT_HISTORY_START {history_start}: no price is asked for; set it earlier"
        )
    return window


def plan_requests(
    batch: Sequence[TrackedSymbol],
    stored: PriceWindow,
    *,
    again: IntArray | None = None,
    fresh_since: datetime | None = None,
) -> PricePlan:
    """One window per symbol, from the first session it lacks or the first of the last five, to its last session.

    What the source was asked for once and did not send stays missing, unless it is among the last five sessions
    before a symbol's newest price: a halt is not asked for every night. Nothing is asked of a symbol that has ceased
    to trade since more than five sessions before those that are read again, of an adjusted contract, and of a contract
    outside the time from 400 days before its expiry to its expiry. ``again`` (S,) are rows from which on a symbol is
    read again, if that is earlier. A symbol for which the source answered after ``fresh_since``, if given, is only
    asked for what it lacks.
    """
    plan = PricePlan()
    for column, item in enumerate(batch):
        try:
            contract = _contract(item)
        except MarketDataError as error:
            plan.refused[item.symbol] = str(error)
            continue
        span = _span(contract, stored.grid.sessions)
        if span.reason is not None:
            plan.expired[item.symbol] = span.reason
        if contract is not None and _has_told_all(item, contract, since=stored.grid.sessions[span.start : span.end]):
            continue
        is_fresh = fresh_since is not None and item.answered_at is not None and item.answered_at >= fresh_since
        first = _first_row(item, stored.has_bar[:, column], stored.grid.sessions, span, is_fresh=is_fresh)
        if first is not None:
            if again is not None:
                first = min(first, max(span.start, int(again[column])))
            days = stored.grid.sessions[[first, span.end - 1]].tolist()
            plan.requests.append(BarRequest(item.symbol, *days))
    return plan


def plan_histories(
    items: Sequence[TrackedSymbol], requests: Mapping[str, BarRequest], first_actions: Mapping[str, date]
) -> list[BarRequest]:
    """All that is stored of the symbols and all that ``requests`` ask for, each in one window.

    ``first_actions`` has the ex-date of the oldest corporate action stated of a symbol, where there is one.
    """
    windows = []
    for item in items:
        request = requests[item.symbol]
        known = (request.first, item.history_from, item.first_trade_date, first_actions.get(item.symbol))
        first = min(day for day in known if day is not None)
        windows.append(BarRequest(item.symbol, first, max(request.last, item.last_price_date or request.last)))
    return windows


def _contract(item: TrackedSymbol) -> OptionContract | None:
    """The contract of an option, None for other assets; ``MarketDataError`` when it cannot be priced."""
    if item.asset_type != "option":
        return None
    contract = parse_occ_symbol(item.symbol)
    if contract.is_adjusted:
        raise MarketDataError(ADJUSTED_CONTRACT)
    return contract


def _span(contract: OptionContract | None, sessions: DateArray) -> _Span:
    if contract is None:
        return _Span(0, len(sessions))
    expiry = np.datetime64(contract.expiry, "D")
    start = int(np.searchsorted(sessions, np.datetime64(contract.expiry - CONTRACT_HISTORY, "D")))
    end = int(np.searchsorted(sessions, expiry, side="right"))
    return _Span(start, end, f"expired on {contract.expiry}" if expiry <= sessions[-1] else None)


def _first_row(
    item: TrackedSymbol, has_bar: BoolArray, sessions: DateArray, span: _Span, *, is_fresh: bool
) -> int | None:
    """Row of the first session to ask for, None when there is nothing to ask.

    What is fresh was read a moment ago and is not read again for its own sake.
    """
    if span.start >= span.end:
        return None
    reread = max(span.start, span.end - REREAD_SESSIONS)
    was_asked = item.history_from is not None and np.datetime64(item.history_from, "D") <= sessions[span.start]
    newest = np.datetime64(item.last_price_date or date.min, "D")
    known = int(np.searchsorted(sessions, newest, side="right"))
    if was_asked and item.status == "delisted":
        over = known if span.reason is None else span.end
        if over + REREAD_SESSIONS <= len(sessions) - REREAD_SESSIONS:
            return None
    elif not was_asked or item.first_trade_date is None:
        missing = np.flatnonzero(~has_bar[span.start : span.end])
        if missing.size:
            return min(reread, span.start + int(missing[0]))
        return None if is_fresh else reread
    if is_fresh and known >= span.end:
        return None
    # However many nights were missed, as many stored sessions are read again as by a night that was not.
    return max(span.start, min(reread, known + 1 - REREAD_SESSIONS))


def _has_told_all(item: TrackedSymbol, contract: OptionContract, *, since: DateArray) -> bool:
    """Whether the source has answered for the whole life of a contract, after its expiry."""
    if not since.size or item.answered_at is None or item.history_from is None:
        return False
    # The day after it, at whatever hour the source is asked in New York.
    over = datetime.combine(contract.expiry + timedelta(days=1), time(12), UTC)
    return bool(item.answered_at >= over and np.datetime64(item.history_from, "D") <= since[0])
