"""What the ledger gives back: the columns of ``portfolio_snapshots`` and ``position_values`` over a range of sessions.

How they are computed is in ``ledger``.
"""

from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from sigmasight_assets.quant.arrays import BoolArray, DateArray, FloatArray, IntArray
from sigmasight_assets.quant.lots import LedgerState


class LotStatus(IntEnum):
    """How a lot was valued at a session; ``NOT_HELD`` when it was not open at the session's end."""

    NOT_HELD = 0
    PRICED = 1
    STALE = 2
    UNPRICED = 3

    @property
    def label(self) -> str:
        """The word that is stored and shown."""
        return self.name.lower()


@dataclass(frozen=True, eq=False)
class _Columns:
    """Arrays of one shape; ``other_types`` names the columns that are not int64."""

    other_types: ClassVar[dict[str, type[np.generic]]]

    @classmethod
    def allocate(cls, sessions: int, rows: int) -> Self:
        """Columns of zeros (sessions, rows)."""
        shape = (sessions, rows)
        columns: dict[str, Any] = {
            field.name: np.zeros(shape, dtype=cls.other_types.get(field.name, np.int64)) for field in fields(cls)
        }
        return cls(**columns)

    def at(self, index: int) -> Self:
        """The columns of one session (rows,), as views: what is written to them is written here."""
        return type(self)(**{field.name: getattr(self, field.name)[index] for field in fields(self)})


@dataclass(frozen=True, eq=False)
class Snapshots(_Columns):
    """Portfolio columns (T, P); money in int64 units of 1e-8, counts are of lots.

    ``exists``
        the portfolio has a snapshot at the session; elsewhere its integers are 0 and its ratios NaN
    ``equity``
        stated equity at the first snapshot, then the previous one + ``daily_pnl`` + ``capital_flow``
    ``long_value``, ``short_value`` (negative), ``gross``, ``net``
        of the held lots that have a price in force
    ``unpriced_value``, ``cash``
        signed last value of the held lots without a price in force; equity - net - unpriced value
    ``daily_pnl``, ``cumulative_pnl``
        since the previous snapshot, since the first; 0 at the first
    ``daily_return``
        daily P&L / (previous equity + capital flow); NaN at the first snapshot and where that base is not positive
    ``realized_pnl``, ``unrealized_pnl``
        proceeds - cost of the lots closed since the previous snapshot; value - cost of the held lots
    ``capital_flow``, ``dividends``
        since the previous snapshot; a dividend on a short lot is negative
    ``positions``, ``long_positions``, ``short_positions``, ``stale_positions``, ``excluded_positions``
        held lots: all, by sign of the quantity, valued at a carried price, without a price in force
    ``is_partial``
        some held lot is stale or excluded
    ``priced_share``
        share of sum |last value| of the held lots that the session's own closes (a private lot: the valuation in
        force) price; NaN where that sum is 0
    """

    other_types: ClassVar[dict[str, type[np.generic]]] = {
        "exists": np.bool_,
        "is_partial": np.bool_,
        "daily_return": np.float64,
        "priced_share": np.float64,
    }

    exists: BoolArray
    equity: IntArray
    long_value: IntArray
    short_value: IntArray
    gross: IntArray
    net: IntArray
    cash: IntArray
    unpriced_value: IntArray
    daily_pnl: IntArray
    daily_return: FloatArray
    cumulative_pnl: IntArray
    realized_pnl: IntArray
    unrealized_pnl: IntArray
    capital_flow: IntArray
    dividends: IntArray
    positions: IntArray
    long_positions: IntArray
    short_positions: IntArray
    stale_positions: IntArray
    excluded_positions: IntArray
    is_partial: BoolArray
    priced_share: FloatArray


@dataclass(frozen=True, eq=False)
class PositionValues(_Columns):
    """Lot columns (T, L); 26 bytes per lot and session.

    ``status``
        a ``LotStatus`` code
    ``has_mark``
        the lot is held and a price of the market was used for it at least once; a held lot without a mark is valued
        at its cost
    ``price``
        price used, in units of 1e-4 (a private lot: of 1e-8): in force, or the last one used before; 0 where the lot
        is not held or has no mark
    ``value``
        quantity x multiplier x split factor x price, or the last such value, in units of 1e-8; 0 where the lot is not
        held
    ``pnl``
        of the interval since the previous snapshot, dividends included, in units of 1e-8; also for a lot closed in it
    """

    other_types: ClassVar[dict[str, type[np.generic]]] = {"status": np.int8, "has_mark": np.bool_}

    status: NDArray[np.int8]
    has_mark: BoolArray
    price: IntArray
    value: IntArray
    pnl: IntArray

    @property
    def held(self) -> BoolArray:
        """Whether the lot was open at the end of the session."""
        held: BoolArray = self.status != int(LotStatus.NOT_HELD)
        return held


@dataclass(frozen=True, eq=False)
class LedgerResult:
    """Rows of the sessions (T,) that were rolled over, and the state that the last of them leaves."""

    sessions: DateArray
    snapshots: Snapshots
    position_values: PositionValues
    state: LedgerState
