"""What a second market served in place of the first: which of it fits what is stored, and what the first replaces."""

from collections.abc import Collection
from dataclasses import replace
from datetime import date

import numpy as np
import pyarrow as pa

from sigmasight_assets.market_data.protocol import DIVIDEND, SPLIT, Outcome, SymbolOutcome
from sigmasight_assets.orchestration.price_answers import ANSWERED, Answer
from sigmasight_assets.orchestration.price_changes import StoredFacts
from sigmasight_assets.orchestration.price_requests import REREAD_SESSIONS
from sigmasight_assets.quant.arrays import BoolArray, IntArray
from sigmasight_assets.quant.money import PRICE_DIGITS, from_units
from sigmasight_assets.quant.suspect import disagreeing
from sigmasight_assets.storage.bar_comparisons import read_open_disputes
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.prices import PriceWindow, without_bars

NOTHING_STORED = "nothing of it is stored"


def settled(answer: Answer, stored: StoredFacts, second: Collection[str], *, begun: Collection[str]) -> Answer:
    """The answer with as much of what the ``second`` market served as fits what is stored.

    Of a symbol that has bars, ``begun`` or stored, only those after its newest are taken, and only if both state every
    common session alike, within 1 %, and no split lies between: else the units may differ, and the symbol counts as
    failed. Adjusted closes are brought to the scale of the stored ones, for each source has its own. Of actions only
    dividends after the newest stored bar are taken.
    """
    served, close = answer.served_by(second), answer.window.close
    adj_close, dropped = answer.window.adj_close.copy(), np.zeros(answer.window.grid.shape, dtype=np.bool_)
    outcomes, newest = dict(answer.outcomes), dict[str, date]()
    for column, symbol in enumerate(answer.window.grid.symbols):
        known = stored.bars.close[:, column]
        if symbol not in served or not (symbol in begun or known.any()):
            continue
        doubt = _doubt(answer, stored, column)
        if doubt:
            words = f"{answer.outcomes[symbol].detail}; {served[symbol]}: {doubt}: {NOTHING_STORED}"
            outcomes[symbol] = SymbolOutcome(Outcome.FAILED, words)
            dropped[:, column], newest[symbol] = True, date.max
            continue
        common, last = _common(known, close[:, column])[-1], np.flatnonzero(known)[-1]
        adj_close[:, column] *= stored.bars.adj_close[common, column] / adj_close[common, column]
        dropped[: last + 1, column], newest[symbol] = True, answer.window.grid.sessions[last].item()
    if not newest:
        return answer
    window = without_bars(replace(answer.window, adj_close=adj_close), dropped)
    actions = replace(answer.actions, valid=_dividends_after(answer.actions.valid, newest))
    return replace(answer, window=window, outcomes=outcomes, actions=actions)


def _common(known: IntArray, sent: IntArray) -> IntArray:
    """Rows at which both have a bar."""
    return np.flatnonzero((known > 0) & (sent > 0))


def _doubt(answer: Answer, stored: StoredFacts, column: int) -> str | None:
    """Why bars of the second market may be in other units than the stored ones, None when they are not."""
    known, sent = stored.bars.close[:, column], answer.window.close[:, column]
    if not _common(known, sent).size:
        return "no session that is stored too"
    apart = np.flatnonzero(disagreeing(known, sent))
    if apart.size:
        day, ours, theirs = (values[apart[-1]].item() for values in (answer.window.grid.sessions, known, sent))
        return f"close {_price(theirs)} of {day}, where {_price(ours)} is stored"
    symbol = answer.window.grid.symbols[column]
    newest = answer.window.grid.sessions[np.flatnonzero(known)[-1]].item()
    splits = [
        day
        for table in (stored.actions, answer.actions.valid)
        for name, day, kind in _keys(table)
        if name == symbol and kind == SPLIT and newest < day <= answer.requests[symbol].last
    ]
    return f"a split of {max(splits)} lies between" if splits else None


def _price(units: int) -> str:
    return f"{from_units(units, PRICE_DIGITS):f}"


def _keys(actions: pa.Table) -> list[tuple[str, date, str]]:
    return list(zip(*(actions.column(name).to_pylist() for name in ("symbol", "ex_date", "kind")), strict=True))


def _dividends_after(actions: pa.Table, newest: dict[str, date]) -> pa.Table:
    """Without what is known already of the symbols in ``newest``, and without their splits."""
    kept = [name not in newest or (kind == DIVIDEND and day > newest[name]) for name, day, kind in _keys(actions)]
    return actions.filter(pa.array(kept, pa.bool_()))


def without_stored(answer: Answer, stored: PriceWindow, second: Collection[str]) -> Answer:
    """The answer without the second market's bars of sessions that have one, since somebody else has stored it."""
    served = answer.served_by(second)
    columns = np.array([symbol in served for symbol in answer.window.grid.symbols], dtype=np.bool_)
    late = stored.has_bar & answer.window.has_bar & columns
    return replace(answer, window=without_bars(answer.window, late)) if late.any() else answer


def served_reasons(answer: Answer, second: Collection[str]) -> dict[str, str]:
    """The symbols of which bars of the second market are taken: its name, and why the first did not serve."""
    return {
        symbol: f"{name}: {answer.outcomes[symbol].detail}"
        for symbol, name in answer.served_by(second).items()
        if answer.outcomes[symbol].outcome in ANSWERED
    }


def served_before(stored: StoredFacts, source: str, second: Collection[str]) -> dict[str, str]:
    """By symbol that has bars of the second market, why these are replaced."""
    if stored.of_second is None:
        return {}
    words = f"{source} in place of {', '.join(sorted(second))}"
    return {stored.bars.grid.symbols[column]: words for column in np.flatnonzero(stored.of_second.any(axis=0)).tolist()}


def rows_to_read_again(transaction: BulkTransaction, stored: StoredFacts) -> IntArray:
    """The first row (S,) that the first market is to be asked for again, the number of rows where there is none.

    That is five sessions before the oldest bar that the second served, for these tell whether the first's history has
    changed meanwhile, and the oldest bar that the two state otherwise.
    """
    disputed = read_open_disputes(transaction, stored.bars.grid)
    of_second = np.zeros_like(disputed) if stored.of_second is None else stored.of_second
    return np.minimum(_first_rows(of_second, before=REREAD_SESSIONS), _first_rows(disputed))


def _first_rows(marks: BoolArray, *, before: int = 0) -> IntArray:
    """So many rows ``before`` the first mark of each column."""
    return np.where(marks.any(axis=0), marks.argmax(axis=0) - before, len(marks))
