"""Operators' decisions on bars: which are accepted or rejected, and whether a bar that the market sends is one of them.

What a decision brings about is in ``operations.bars``; its audit is in ``operator_actions``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from sigmasight_assets.quant.arrays import BoolArray, IntArray
from sigmasight_assets.quant.money import PRICE_DIGITS, from_units
from sigmasight_assets.storage.bulk import BulkTransaction
from sigmasight_assets.storage.grid import Grid
from sigmasight_assets.storage.operations_tables import bar_decisions

Verdict = Literal["accepted", "rejected"]
# One part in so many: a previous close that was corrected by less is still in the same share units.
CORRECTED_PART = 10

DECISIONS = """
SELECT bar.symbol, bar.price_date, (bar.close_price * 10000)::bigint AS close_units,
       (bar.previous_close_price * 10000)::bigint AS previous_units, bar.verdict, done.actor, done.reason, done.acted_at
FROM bar_decisions AS bar JOIN operator_actions AS done USING (action_id)
"""


@dataclass(frozen=True, slots=True)
class BarDecision:
    """A decision in force on the bar of a symbol and session; closes in 1e-4 USD, in the share units of that time.

    ``previous_units`` is the symbol's close before it, None when there was none.
    """

    symbol: str
    price_date: date
    close_units: int
    previous_units: int | None
    verdict: Verdict
    actor: str
    reason: str
    acted_at: datetime

    @property
    def close_price(self) -> Decimal:
        """The close that was decided on, USD."""
        return from_units(self.close_units, PRICE_DIGITS)

    @property
    def previous_close_price(self) -> Decimal | None:
        """The close before it, USD."""
        return None if self.previous_units is None else from_units(self.previous_units, PRICE_DIGITS)

    def is_bar(self, close: int, previous: int | None) -> bool:
        """Whether a bar of this symbol and session with this close is the one that was decided on.

        It is when the close is the same, or when the close and the ``previous`` one (None: not known) have been
        restated by the same factor, as a split does. The same close after a previous one in other share units is
        another bar.
        """
        before = self.previous_units
        if before is None or previous is None:
            return close == self.close_units
        if CORRECTED_PART * abs(previous - before) <= before and close == self.close_units:
            return True
        # Each close is rounded to a unit, before and after.
        rounding = (close + previous + self.close_units + before) // 2 + 1
        return previous != before and abs(close * before - self.close_units * previous) <= rounding


def decided_bars(closes: IntArray, grid: Grid, decisions: Sequence[BarDecision]) -> BoolArray:
    """Where (N, S) one of the decisions is on the bar; ``closes`` (N, S) in 1e-4 USD, 0 where there is no bar.

    The previous close is that of the last bar on the grid, or of the last that none of the decisions is on.
    """
    decided = np.zeros(grid.shape, dtype=np.bool_)
    if not decisions:
        return decided
    columns = {symbol: column for column, symbol in enumerate(grid.symbols)}
    rows = {day: row for row, day in enumerate(grid.sessions.tolist())}
    for item in sorted(decisions, key=lambda item: item.price_date):
        row, column = rows.get(item.price_date), columns.get(item.symbol)
        if row is None or column is None or closes[row, column] == 0:
            continue
        earlier, others = closes[:row, column], ~decided[:row, column]
        befores = {_last_close(earlier), _last_close(earlier[others])}
        decided[row, column] = any(item.is_bar(int(closes[row, column]), before) for before in befores)
    return decided


def _last_close(closes: IntArray) -> int | None:
    found = np.flatnonzero(closes)
    return int(closes[found[-1]]) if found.size else None


def read_bar_decisions(connection: sa.Connection, symbols: Sequence[str] | None = None) -> list[BarDecision]:
    """The decisions in force on bars of all symbols, or of those given, by symbol and session."""
    chosen = "" if symbols is None else "WHERE bar.symbol = ANY(:symbols) "
    rows = connection.execute(
        sa.text(f"{DECISIONS} {chosen}ORDER BY bar.symbol, bar.price_date"),
        {} if symbols is None else {"symbols": [*symbols]},
    )
    return [_decision(dict(row)) for row in rows.mappings()]


def read_bar_decisions_in_bulk(
    transaction: BulkTransaction, grid: Grid, *, verdict: Verdict | None = None
) -> list[BarDecision]:
    """Those on bars of the grid's symbols and sessions, or only the accepted or rejected ones among them."""
    rows = transaction.read(
        f"{DECISIONS} WHERE bar.price_date BETWEEN $1::date AND $2::date AND bar.symbol = ANY($3::text[]) "
        "AND ($4::text IS NULL OR bar.verdict = $4::text) ORDER BY bar.symbol, bar.price_date",
        (grid.sessions[0].item(), grid.sessions[-1].item(), list(grid.symbols), verdict),
    )
    return [_decision(row) for row in rows.to_pylist()]


def _decision(row: dict[str, Any]) -> BarDecision:
    return BarDecision(**row)


def record_bar_decision(
    connection: sa.Connection,
    symbol: str,
    price_date: date,
    *,
    close_price: Decimal,
    previous_close_price: Decimal | None,
    verdict: Verdict,
    action_id: int,
) -> None:
    """Record a decision in the place of an earlier one on the bar of that symbol and session."""
    values = {
        "close_price": close_price,
        "previous_close_price": previous_close_price,
        "verdict": verdict,
        "action_id": action_id,
    }
    statement = insert(bar_decisions).values(symbol=symbol, price_date=price_date, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["symbol", "price_date"], set_=values))
