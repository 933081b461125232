"""The newest stored closes compared with those of a second market: what is in doubt, and which moves are confirmed.

It runs once the first market's bars are stored, and never fails an update: what cannot be compared is reported.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.protocol import BarRequest, MarketSource, in_parts, source_names
from sigmasight_assets.orchestration.price_answers import Answer, ask
from sigmasight_assets.orchestration.price_requests import REREAD_SESSIONS
from sigmasight_assets.orchestration.vendor_access import MeteredMarket
from sigmasight_assets.quant.arrays import BoolArray, DateArray, IntArray
from sigmasight_assets.quant.money import PRICE_DIGITS, from_units
from sigmasight_assets.quant.suspect import agreeing, disagreeing, unexplained_moves
from sigmasight_assets.sessions import SessionCalendar
from sigmasight_assets.storage.bar_comparisons import (
    ComparedCloses,
    read_compared_closes,
    read_open_disputes,
    replace_compared_closes,
)
from sigmasight_assets.storage.bar_decisions import decided_bars, read_bar_decisions_in_bulk
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.calendar import require_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.invalidations import MARK_SCHEMA, mark_invalid, newest_published_session
from sigmasight_assets.storage.prices import read_bars_of, read_price_window
from sigmasight_assets.storage.publications import lock_layer
from sigmasight_assets.storage.universe import TrackedSymbol

# Symbols per request and transaction.
BATCH_SYMBOLS = 1_000
ONLY_SECOND = "only the second market has served its newest bar"


@dataclass
class CrossCheck:
    """What came of a comparison.

    ``compared`` counts bars. ``disputed`` has the closes of both, in words, of those compared now that the two state
    otherwise and no operator has accepted, ``confirmed`` the moves beyond 50 % that both state alike. ``not_compared``
    says of symbols with a new bar why it was not compared, ``marked`` are those whose figures are to be made again.
    """

    second: str
    compared: int = 0
    disputed: dict[tuple[str, date], str] = field(default_factory=dict)
    confirmed: set[tuple[str, date]] = field(default_factory=set)
    not_compared: dict[str, str] = field(default_factory=dict)
    marked: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class _Check:
    """A comparison under way."""

    database: Database
    second: MarketSource
    calendar: SessionCalendar
    run_id: str
    result: CrossCheck


def cross_check(
    database: Database,
    second: MarketSource,
    calendar: SessionCalendar,
    tracked: Sequence[TrackedSymbol],
    *,
    sessions: DateArray,
    run_id: str,
) -> CrossCheck:
    """Compare the newest bars stored of shares and funds with those of the second market, and store what is worth it.

    Of each symbol it is the newest bar, if it is one of the last five of ``sessions``, and those on which the two
    disagreed before. One window a symbol is asked for, from the oldest of these bars to the newest. Option contracts
    are left out: no figure rests on their bars.
    """
    check = _Check(database, MeteredMarket(second), calendar, run_id, CrossCheck(second.name))
    names = [item.symbol for item in tracked if item.asset_type != "option"]
    for batch in in_parts(names, BATCH_SYMBOLS):
        _check_batch(check, Grid(sessions, tuple(batch)))
    return check.result


def _check_batch(check: _Check, grid: Grid) -> None:
    with check.database.bulk(read_only=True) as transaction:
        closes, of_second = _stored(transaction, check, grid)
        newest = _newest_bars(closes)
        wanted = newest | (read_open_disputes(transaction, grid) & (closes > 0))
    for column in np.flatnonzero((newest & of_second).any(axis=0)).tolist():
        check.result.not_compared[grid.symbols[column]] = ONLY_SECOND
    wanted &= ~of_second
    requests = list(_requests(grid, wanted))
    if not requests:
        return
    try:
        answer = ask(check.second, check.calendar, requests, grid)
    except MarketDataError as error:
        check.result.not_compared |= dict.fromkeys((item.symbol for item in requests), str(error))
        return
    check.result.not_compared |= dict(_without_bar(answer, newest & wanted))
    with check.database.bulk() as transaction:
        lock_layer(transaction, "prices")
        require_calendar(transaction, check.calendar)
        _store(transaction, check, wanted & answer.window.has_bar, answer.window.close, grid)


def _stored(transaction: BulkTransaction, check: _Check, grid: Grid) -> tuple[IntArray, BoolArray]:
    """Closes (N, S), and which of them the second market itself has served."""
    window = read_price_window(transaction, grid, columns=("close_price",))
    return window.close, read_bars_of(transaction, grid, source_names(check.second))


def _newest_bars(closes: IntArray) -> BoolArray:
    """The newest bar (N, S) of each symbol that has one among the last sessions."""
    has_bar = closes > 0
    later: IntArray = np.cumsum(has_bar[::-1], axis=0)[::-1] - has_bar
    newest: BoolArray = has_bar & (later == 0)
    newest[:-REREAD_SESSIONS] = False
    return newest


def _requests(grid: Grid, wanted: BoolArray) -> Iterator[BarRequest]:
    for column in np.flatnonzero(wanted.any(axis=0)).tolist():
        days = grid.sessions[wanted[:, column]]
        yield BarRequest(grid.symbols[column], days[0].item(), days[-1].item())


def _without_bar(answer: Answer, newest: BoolArray) -> Iterator[tuple[str, str]]:
    """Symbols of whose newest bar the second market says nothing, and why."""
    for column in np.flatnonzero((newest & ~answer.window.has_bar).any(axis=0)).tolist():
        symbol = answer.window.grid.symbols[column]
        yield symbol, answer.problems.get(symbol, "no valid bar")


def _store(transaction: BulkTransaction, check: _Check, compared: BoolArray, sent: IntArray, grid: Grid) -> None:
    """Judge the bars ``compared`` as they are stored now, which others may have changed since they were read."""
    closes, of_second = _stored(transaction, check, grid)
    compared = compared & (closes > 0) & ~of_second
    first, second = np.where(compared, closes, 0), np.where(compared, sent, 0)
    moved = unexplained_moves(closes, np.zeros(grid.shape, dtype=np.bool_))
    confirmed = agreeing(first, second) & moved
    kept = disagreeing(first, second) | confirmed
    found = ComparedCloses(np.where(kept, first, 0), np.where(kept, second, 0))
    before = read_compared_closes(transaction, grid)
    replace_compared_closes(transaction, grid, compared, found, second_source=check.second.name)
    changed = (before.disputed != found.disputed) | (moved & (before.confirm(closes) != found.confirm(closes)))
    _mark(transaction, check, grid, changed & compared)

    accepted = decided_bars(closes, grid, read_bar_decisions_in_bulk(transaction, grid, verdict="accepted"))
    check.result.compared += int(compared.sum())
    for row, column in np.argwhere(found.disputed & ~accepted).tolist():
        words = f"{_price(first[row, column])}, {check.second.name}: {_price(second[row, column])}"
        check.result.disputed[grid.symbols[column], grid.sessions[row].item()] = words
    for row, column in np.argwhere(confirmed).tolist():
        check.result.confirmed.add((grid.symbols[column], grid.sessions[row].item()))


def _mark(transaction: BulkTransaction, check: _Check, grid: Grid, changed: BoolArray) -> None:
    """Have published figures made again that rest on bars which are in doubt from now on, or no longer."""
    published_until = newest_published_session(transaction)
    if published_until is None:
        return
    changed = changed & (grid.sessions <= np.datetime64(published_until, "D"))[:, None]
    marks: list[dict[str, Any]] = [
        {"symbol": item.symbol, "first_session": item.first, "last_session": item.last, "has_new_returns": False}
        for item in _requests(grid, changed)
    ]
    mark_invalid(transaction, pa.Table.from_pylist(marks, schema=MARK_SCHEMA), run_id=check.run_id)
    check.result.marked.update(item["symbol"] for item in marks)


def _price(units: IntArray) -> str:
    return f"{from_units(int(units), PRICE_DIGITS):f}"
