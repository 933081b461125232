"""Option lots that ended by expiry: one row each, replaced together with the snapshots that settled them."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sigmasight_assets.quant.arrays import BoolArray, DateArray, IntArray
from sigmasight_assets.storage.bulk import BulkTransaction, price_array
from sigmasight_assets.storage.ledger_tables import option_expiries

DELETE_SQL = """
DELETE FROM option_expiries AS stored USING settled_ranges AS range
WHERE stored.portfolio_id = range.portfolio_id
  AND (range.after IS NULL OR stored.session > range.after) AND stored.session <= range.until
"""


@dataclass(frozen=True, eq=False)
class SnapshotRange:
    """Where portfolios (P,) have snapshots at the sessions (T,) of a range: from one session on, ``exists`` (T, P).

    ``previous`` (P,) is the session of the snapshot before the range, NaT where there is none.
    """

    portfolio_ids: IntArray
    previous: DateArray
    sessions: DateArray
    exists: BoolArray

    def before(self, row: IntArray, portfolio: IntArray) -> DateArray:
        """The session (N,) of the snapshot before those of the portfolios (N,) at ``row`` (N,); NaT for none."""
        earlier = np.maximum(row - 1, 0)
        has_earlier = (row > 0) & self.exists[earlier, portfolio]
        return np.where(has_earlier, self.sessions[earlier], self.previous[portfolio])


@dataclass(frozen=True, eq=False)
class Settlements:
    """Option lots (M,) that ended: their portfolios, positions and contracts, when and at what price.

    ``portfolio`` (M,) is an index of the books' portfolios. ``underlying_price``, in the share units of the strike,
    and ``price``, the intrinsic value a share, are in units of 1e-4 USD.
    """

    portfolio: IntArray
    position_id: IntArray
    session: DateArray
    symbol: list[str]
    underlying: list[str]
    underlying_price: IntArray
    price: IntArray

    def settled_at(self, snapshots: SnapshotRange) -> IntArray:
        """The row (M,) of the snapshot that settles each lot, -1 where it is not in the range.

        It is the portfolio's first snapshot at or after the settlement session.
        """
        if not self.portfolio.size:
            return self.portfolio
        exists = snapshots.exists[:, self.portfolio] & (snapshots.sessions[:, None] >= self.session)
        is_new = ~(self.session <= snapshots.previous[self.portfolio])
        return np.where(exists.any(axis=0) & is_new, exists.argmax(axis=0), -1)


def replace_option_expiries(
    transaction: BulkTransaction,
    snapshots: SnapshotRange,
    changed: BoolArray,
    settlements: Settlements,
    *,
    generation: int,
) -> None:
    """Replace the settlements of each portfolio from its first ``changed`` (T, P) snapshot to its last.

    A row of a lot that is stored anew goes whatever its session was.
    """
    portfolio = np.flatnonzero(changed.any(axis=0))
    first = changed[:, portfolio].argmax(axis=0)
    last = len(changed) - 1 - changed[::-1, portfolio].argmax(axis=0)
    ranges = pa.table(
        {
            "portfolio_id": pa.array(snapshots.portfolio_ids[portfolio]),
            "after": pa.array(snapshots.before(first, portfolio)),
            "until": pa.array(snapshots.sessions[last]),
        }
    )
    columns = {"portfolio_id": "bigint", "after": "date", "until": "date"}
    with transaction.scratch_table("settled_ranges", columns, ranges):
        transaction.execute(DELETE_SQL)
    rows_of = np.zeros((2, changed.shape[1]), dtype=np.int64)
    rows_of[:, portfolio] = first, last + 1
    row = settlements.settled_at(snapshots)
    start, end = rows_of[:, settlements.portfolio]
    rows = _rows(settlements, np.flatnonzero((row >= start) & (row < end)), snapshots.portfolio_ids, generation)
    transaction.replace(option_expiries, rows.select(["portfolio_id", "position_id"]), rows)


def _rows(settlements: Settlements, chosen: IntArray, portfolio_ids: IntArray, generation: int) -> pa.Table:
    return pa.table(
        {
            "portfolio_id": pa.array(portfolio_ids[settlements.portfolio[chosen]]),
            "position_id": pa.array(settlements.position_id[chosen]),
            "session": pa.array(settlements.session[chosen]),
            "symbol": pa.array(settlements.symbol, pa.string()).take(pa.array(chosen)),
            "underlying": pa.array(settlements.underlying, pa.string()).take(pa.array(chosen)),
            "underlying_price": price_array(settlements.underlying_price[chosen]),
            "settlement_price": price_array(settlements.price[chosen]),
            "generation": pa.repeat(pa.scalar(generation, pa.int64()), len(chosen)),
        }
    )
