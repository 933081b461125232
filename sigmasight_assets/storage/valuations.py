"""Owners' dated valuations of private lots, and which of them is in force at a session."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sigmasight_assets.quant.arrays import DateArray, IntArray
from sigmasight_assets.quant.carried_prices import NO_PRICE
from sigmasight_assets.storage.bulk import BulkTransaction, numpy_column

VALUATIONS_SQL = """
SELECT position_id, valued_on, (market_value * 100000000)::bigint AS market_value
FROM private_valuations JOIN positions USING (position_id)
WHERE portfolio_id = ANY($1) AND investment_class = 'PRIVATE'
ORDER BY position_id, valued_on
"""


@dataclass(frozen=True, eq=False)
class Valuations:
    """Valuations (N,) of private lots (V,), those of a lot ascending by date; ``value`` in units of 1e-8 USD.

    ``lot`` is an index from 0 to V - 1, ``lots`` is V.
    """

    lots: int
    lot: IntArray
    valued_on: DateArray
    value: IntArray

    def first(self) -> IntArray:
        """The value (V,) of each lot's first valuation, 0 for a lot that has none."""
        values = np.zeros(self.lots, dtype=np.int64)
        lot, place = np.unique(self.lot, return_index=True)
        values[lot] = self.value[place]
        return values

    def in_force(self, sessions: DateArray) -> tuple[IntArray, NDArray[np.int8]]:
        """Value (T, V) and age (T, V) at ``sessions`` (T,): the newest valuation dated on or before the session.

        A valuation has no end, so its age is 0 from its date on; before a lot's first the age is -1 and the value 0.
        """
        newest = np.full((len(sessions) + 1, self.lots), -1, dtype=np.int64)
        # A later row of the same lot has a later date, so the largest row number is that of the newest.
        np.maximum.at(newest, (np.searchsorted(sessions, self.valued_on), self.lot), np.arange(self.lot.size))
        newest = np.maximum.accumulate(newest, axis=0)[: len(sessions)]
        known = newest >= 0
        values = np.zeros(newest.shape, dtype=np.int64)
        values[known] = self.value[newest[known]]
        return values, np.where(known, 0, NO_PRICE).astype(np.int8)


def read_valuations(transaction: BulkTransaction, portfolio_ids: IntArray, position_ids: IntArray) -> Valuations:
    """The valuations of the private lots ``position_ids`` (V,) of these portfolios, which may have others."""
    rows = transaction.read(VALUATIONS_SQL, (portfolio_ids.tolist() or [0],))
    rows = rows.filter(pc.is_in(rows.column("position_id"), value_set=pa.array(position_ids, pa.int64())))
    order = np.argsort(position_ids)
    return Valuations(
        lots=len(position_ids),
        lot=order[np.searchsorted(position_ids[order], numpy_column(rows, "position_id"))],
        valued_on=numpy_column(rows, "valued_on"),
        value=numpy_column(rows, "market_value"),
    )
