"""Bars and actions of the simulated market as its vendor states them at a session: in the units after the last known
split, some bars late, missing or first wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sigmasight_assets.market_data.protocol import (
    ACTION_SCHEMA,
    BAR_SCHEMA,
    DIVIDEND,
    SPLIT,
    BarRequest,
    FetchResult,
    Outcome,
    SymbolOutcome,
)
from sigmasight_assets.market_data.simulated_actions import Dividends
from sigmasight_assets.market_data.simulated_lives import CORRECTED_AFTER, Defects, Integers, Mask
from sigmasight_assets.market_data.simulated_world import UnsplitBars, View

# Symbols computed at a time: one array of them over eleven years is 6 MB.
_BLOCK = 256


@dataclass(frozen=True, slots=True)
class _Block:
    """Some symbols with their windows: ``asked`` (S,) position of the first date asked for, and from ``start`` to
    before ``stop`` (S,) the known sessions of the window at which the symbol was listed.
    """

    requests: Sequence[BarRequest]
    rows: Integers
    asked: Integers
    start: Integers
    stop: Integers

    def span(self) -> tuple[int, int]:
        """From the first to before the last session of all windows."""
        filled = self.stop > self.start
        return (int(self.start[filled].min()), int(self.stop[filled].max())) if filled.any() else (0, 0)

    def symbols(self, which: NDArray[np.intp]) -> pa.Array:
        """The symbols at these positions of the block."""
        return pa.array([request.symbol for request in self.requests], pa.string()).take(pa.array(which))


def fetch_stock_bars(view: View, requests: Sequence[BarRequest]) -> FetchResult:
    """Bars, outcomes and actions of funds and stocks, all of which are listed by now."""
    parts = [_fetch(view, _block(view, requests[at : at + _BLOCK])) for at in range(0, len(requests), _BLOCK)]
    outcomes: dict[str, SymbolOutcome] = {}
    for part in parts:
        outcomes |= part.outcomes
    return FetchResult(
        pa.concat_tables([BAR_SCHEMA.empty_table(), *(part.bars for part in parts)]),
        outcomes,
        pa.concat_tables([ACTION_SCHEMA.empty_table(), *(part.actions for part in parts)]),
    )


def _block(view: View, requests: Sequence[BarRequest]) -> _Block:
    lives = view.world.lives
    rows = np.array([view.rows[request.symbol] for request in requests])
    asked = np.array([view.start(request.first) for request in requests])
    end = np.array([view.end(request.last) for request in requests])
    start = np.maximum(asked, lives.first[rows])
    stop = np.minimum(np.minimum(end, view.known), lives.last[rows] + 1)
    return _Block(requests, rows, asked, start, stop)


def _fetch(view: View, block: _Block) -> FetchResult:
    start, stop = block.span()
    world, sessions = view.world, np.arange(start, stop)
    bars = world.bars(block.rows, start, stop, known=view.known)
    defects = world.defects(block.rows, start, stop)
    sent = (sessions >= block.start[:, None]) & (sessions < block.stop[:, None])
    sent &= world.lives.trades(block.rows, start, stop)
    sent &= ~defects.missing & ~(defects.late & (sessions == view.known - 1))
    _make_wrong(bars, defects, sessions >= view.known - CORRECTED_AFTER)
    _state_in_units(bars, *world.splits.ratio(block.rows, view.known - 1))
    numbers = (bars.opened, bars.high, bars.low, bars.close, bars.adj_close, bars.volume)
    symbol_at, session_at = np.nonzero(sent)
    days = pa.array(view.sessions[start:stop][session_at])
    columns = [block.symbols(symbol_at), days, *(pa.array(number[sent]) for number in numbers)]
    outcomes = {
        request.symbol: _outcome(view, request, row, has_bars=count > 0)
        for request, row, count in zip(block.requests, block.rows.tolist(), sent.sum(axis=1).tolist(), strict=True)
    }
    return FetchResult(pa.table(columns, schema=BAR_SCHEMA), outcomes, _actions(view, block, bars.dividends))


def _make_wrong(bars: UnsplitBars, defects: Defects, is_new: Mask) -> None:
    """Put the errors into the bars of the new sessions, a mask (T,)."""
    wrong = np.nonzero((defects.error != 0) & is_new)
    right = bars.close[wrong]
    bars.close[wrong] = np.round(right * (1 + defects.error[wrong]), 2)
    bars.adj_close[wrong] *= bars.close[wrong] / right
    bars.high[wrong] = np.maximum(bars.high[wrong], bars.close[wrong])
    bars.low[wrong] = np.minimum(bars.low[wrong], bars.close[wrong])


def _state_in_units(bars: UnsplitBars, new: Integers, old: Integers) -> None:
    """Turn never-split dollars and shares into those after splits of ``new`` for ``old`` shares (S,) in all."""
    for row in np.flatnonzero(new != old):
        for price in (bars.opened, bars.high, bars.low, bars.close):
            price[row] = np.round(price[row] * old[row] / new[row], 4)
        bars.adj_close[row] *= old[row] / new[row]
        bars.volume[row] = np.rint(bars.volume[row] * new[row] / old[row])


def _actions(view: View, block: _Block, dividends: Dividends) -> pa.Table:
    """The known splits and dividends from the first dates asked for on."""
    splits, asked = view.world.splits, block.asked[:, None]
    position = splits.position[block.rows]
    split = np.nonzero((position >= asked) & (position < view.known))
    paid = np.nonzero((dividends.amount > 0) & (dividends.position >= asked))
    new, old = (ratio[:, None] for ratio in splits.ratio(block.rows, view.known - 1))
    amount = np.round(dividends.amount * old / new, 6)[paid]
    split_values = [pa.array(part[block.rows][split]) for part in (splits.numerator, splits.denominator)]
    no_ratio, no_amount = pa.nulls(len(amount), pa.int64()), pa.nulls(len(split[0]), pa.float64())
    tables = []
    for kind, (which, column), positions, values in (
        (SPLIT, split, position, [*split_values, no_amount]),
        (DIVIDEND, paid, dividends.position, [no_ratio, no_ratio, pa.array(amount)]),
    ):
        days = pa.array(view.sessions[positions[which, column]])
        columns = [block.symbols(which), days, pa.array([kind] * len(which), pa.string()), *values]
        tables.append(pa.table(columns, schema=ACTION_SCHEMA))
    return pa.concat_tables(tables)


def _outcome(view: View, request: BarRequest, row: int, *, has_bars: bool) -> SymbolOutcome:
    last = int(view.world.lives.last[row])
    if view.has_ended(row) and view.end(request.last) > last + 1:
        return SymbolOutcome(Outcome.DELISTED, f"ceased to trade; the last session was {view.day(last)}")
    if has_bars:
        return SymbolOutcome(Outcome.OK)
    return SymbolOutcome(Outcome.EMPTY, _why_empty(view, request, int(view.world.lives.first[row])))


def _why_empty(view: View, request: BarRequest, first: int) -> str:
    window = f"from {request.first} to {request.last}"
    if view.start(request.first) >= min(view.end(request.last), view.known):
        return f"no session {window}; {view.extent()}"
    if view.end(request.last) <= first:
        return f"no bar {window}; the first session was {view.day(first)}"
    return f"no bar {window}: trading was halted, or the bar is missing or late"
