"""What an answer of the market changes: actions other than those stated, and published sessions that rest on either."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sigmasight_assets.market_data.protocol import SPLIT
from sigmasight_assets.quant.arrays import BoolArray, IntArray
from sigmasight_assets.quant.suspect import unexplained_moves
from sigmasight_assets.storage.actions import ActionChange, Terms
from sigmasight_assets.storage.bar_decisions import BarDecision
from sigmasight_assets.storage.invalidations import MARK_SCHEMA
from sigmasight_assets.storage.prices import PriceWindow, changed_bars, changed_returns, changed_values

Key = tuple[str, date, str]


def compare_actions(
    stated: pa.Table, sent: pa.Table, *, since: Mapping[str, date], kept: Collection[str]
) -> list[ActionChange]:
    """How the actions an answer tells of differ from those stated, by symbol, ex-date and kind.

    Both tables are in ``ACTION_ROWS``. The answer speaks of the symbols in ``since`` from those dates on: others, and
    earlier ex-dates, stay. Of the symbols in ``kept``, whose answer held actions that cannot be read, none is
    withdrawn.
    """
    before, after = _terms(stated, since), _terms(sent, since)
    changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    changes = [ActionChange(*key, old=before.get(key), new=after.get(key)) for key in changed]
    return [item for item in changes if item.new is not None or item.symbol not in kept]


def _terms(actions: pa.Table, since: Mapping[str, date]) -> dict[Key, Terms]:
    if not since:
        return {}
    recent = actions.filter(pc.greater_equal(actions.column("ex_date"), min(since.values())))
    return {
        (symbol, ex_date, kind): Terms(*terms)
        for symbol, ex_date, kind, *terms in zip(*(column.to_pylist() for column in recent.columns), strict=True)
        if symbol in since and ex_date >= since[symbol]
    }


def change_reasons(changes: Sequence[ActionChange]) -> dict[str, str]:
    """By symbol the change that makes it state its history otherwise: its newest split, or else its newest action."""
    in_order = sorted(changes, key=lambda item: (item.kind == SPLIT, item.ex_date))
    return {item.symbol: str(item) for item in in_order}


def late_actions(changes: Sequence[ActionChange], stored: PriceWindow) -> list[ActionChange]:
    """The changes of facts that sessions already stored rest on.

    A new action that comes with the bar of its ex-date, or with history from before all that is stored, is none.
    """
    spans = _stored_spans(stored)
    return [
        item
        for item in changes
        if item.old is not None
        or (item.symbol in spans and spans[item.symbol][0] <= item.ex_date <= spans[item.symbol][1])
    ]


def _stored_spans(stored: PriceWindow) -> dict[str, tuple[date, date]]:
    """First and last session with a stored bar, by symbol."""
    sessions, last = stored.grid.sessions.tolist(), _last_rows(stored.has_bar).tolist()
    first = stored.has_bar.argmax(axis=0).tolist()
    return {
        symbol: (sessions[first[column]], sessions[last[column]])
        for column, symbol in enumerate(stored.grid.symbols)
        if last[column] >= 0
    }


@dataclass(frozen=True)
class StoredFacts:
    """What is stored of the symbols of one answer before it is written: bars, stated actions, and what is published.

    ``rejections`` are operators' decisions on bars of these symbols and sessions that are not to be stored;
    ``of_second`` (N, S) are the bars that a second market has served, None where there is none.
    """

    bars: PriceWindow
    actions: pa.Table
    newest_published: date | None
    rejections: Sequence[BarDecision] = ()
    of_second: BoolArray | None = None

    def restated(self, sent: PriceWindow) -> set[str]:
        """The symbols whose stored bars the market states otherwise, and with them perhaps its whole history.

        Bars that a second market served in its place tell nothing of that, unless the symbol has no others.
        """
        of_second = np.zeros(self.bars.grid.shape, dtype=np.bool_) if self.of_second is None else self.of_second
        changed, own = changed_bars(self.bars, sent), self.bars.has_bar & sent.has_bar & ~of_second
        other = np.where(own.any(axis=0), (changed & own).any(axis=0), changed.any(axis=0))
        return {self.bars.grid.symbols[column] for column in np.flatnonzero(other).tolist()}


def find_marks(
    stored: StoredFacts, sent: PriceWindow, changes: Sequence[ActionChange], *, without_moves: Collection[str] = ()
) -> pa.Table:
    """The symbols whose published figures the bars ``sent`` and the changed actions affect, in ``MARK_SCHEMA``.

    A bar counts when it is new, when its prices or volume changed or when its return did, and when it confirms a
    move of the bar before it that no action explains (not of the symbols ``without_moves``); an adjusted close that
    is only rescaled does not. Sessions after the newest published one do not count.
    """
    if stored.newest_published is None:
        return MARK_SCHEMA.empty_table()
    grid = sent.grid
    published = grid.sessions <= np.datetime64(stored.newest_published, "D")
    new_returns = changed_returns(stored.bars, sent) & published[:, None]
    affected = changed_values(stored.bars, sent) | new_returns
    affected |= _confirmed_moves(stored, sent) & ~np.isin(grid.symbols, list(without_moves))
    affected &= published[:, None]
    marks = _bar_marks(grid.sessions.tolist(), grid.symbols, affected, np.asarray(new_returns.any(axis=0)))
    for item in changes:
        if item.ex_date <= stored.newest_published:
            _add_action(marks, item)
    return pa.Table.from_pylist(list(marks.values()), schema=MARK_SCHEMA)


def _confirmed_moves(stored: StoredFacts, sent: PriceWindow) -> BoolArray:
    """Where (N, S) the newest stored bar was an unexplained move and bars after it are sent."""
    bars = stored.bars
    has_action = bars.grid.marks(stored.actions, "ex_date")
    rows = np.arange(len(bars.grid.sessions))[:, None]
    newest = rows == _last_rows(bars.has_bar)
    confirmed = _last_rows(sent.has_bar) > _last_rows(bars.has_bar)
    return np.asarray(newest & confirmed & unexplained_moves(bars.close, has_action))


def _last_rows(has_bar: BoolArray) -> IntArray:
    """Row of the last bar of each symbol (S,), -1 without any."""
    return np.where(has_bar.any(axis=0), len(has_bar) - 1 - has_bar[::-1].argmax(axis=0), -1)


def _bar_marks(
    sessions: list[date], symbols: Sequence[str], affected: BoolArray, has_new_returns: BoolArray
) -> dict[str, dict[str, Any]]:
    first, last = affected.argmax(axis=0).tolist(), _last_rows(affected).tolist()
    return {
        symbols[column]: {
            "symbol": symbols[column],
            "first_session": sessions[first[column]],
            "last_session": sessions[last[column]],
            "has_new_returns": bool(has_new_returns[column]),
            "actions_from": None,
        }
        for column in np.flatnonzero(affected.any(axis=0)).tolist()
    }


def _add_action(marks: dict[str, dict[str, Any]], item: ActionChange) -> None:
    """Extend the symbol's mark to an ex-date."""
    day = item.ex_date
    mark = marks.setdefault(
        item.symbol,
        {"symbol": item.symbol, "first_session": day, "last_session": day, "has_new_returns": False},
    )
    mark["first_session"] = min(mark["first_session"], day)
    mark["last_session"] = max(mark["last_session"], day)
    mark["actions_from"] = min(mark.get("actions_from") or day, day)
