"""What the ledger is given: lots, portfolios, capital flows, and the state that the previous session left.

Columns of arrays, checked when they are put together. What is computed from them is in ``ledger``.
"""

from dataclasses import dataclass, fields

import numpy as np

from sigmasight_assets.quant.arrays import BoolArray, DateArray, IntArray


@dataclass(frozen=True, eq=False)
class Lots:
    """One row per lot (L,), ascending by portfolio; a partial close is a lot of its own.

    ``portfolio`` and ``symbol`` are indices (row of ``Portfolios``, column of the price matrix); ``quantity`` is
    signed (short < 0) in units of 1e-4; prices are in units of 1e-4; dates are datetime64[D] and need not be
    sessions. A lot whose ``exit_date`` is NaT is open, and its ``exit_price`` is not read. ``multiplier`` is the
    number of units of the underlying that one contract stands for, 1 for a share.

    Raises ``ValueError``, naming the first lot, when columns differ in length, portfolios are not ascending, an
    entry date is missing, an exit lies before its entry, a quantity is 0, a price is negative or a multiplier is not
    positive.
    """

    portfolio: IntArray
    symbol: IntArray
    quantity: IntArray
    entry_price: IntArray
    entry_date: DateArray
    exit_date: DateArray
    exit_price: IntArray
    multiplier: IntArray

    def __post_init__(self) -> None:
        _require_equal_lengths(self)
        _require_none(np.diff(self.portfolio, prepend=self.portfolio[:1]) < 0, "lot", "its portfolio is out of order")
        _require_none(np.isnat(self.entry_date), "lot", "it has no entry date")
        _require_none(self.exit_date < self.entry_date, "lot", "its exit lies before its entry")
        _require_none(self.quantity == 0, "lot", "its quantity is 0")
        _require_none(self.entry_price < 0, "lot", "its entry price is negative")
        _require_none(~np.isnat(self.exit_date) & (self.exit_price < 0), "lot", "its exit price is negative")
        _require_none(self.multiplier < 1, "lot", "its multiplier is not positive")

    def __len__(self) -> int:
        return self.portfolio.size


@dataclass(frozen=True, eq=False)
class Portfolios:
    """One row per portfolio (P,): the equity its owner stated, in units of 1e-8, and the date it was stated for.

    Raises ``ValueError`` when the columns differ in length or a start date is missing.
    """

    start_date: DateArray
    stated_equity: IntArray

    def __post_init__(self) -> None:
        _require_equal_lengths(self)
        _require_none(np.isnat(self.start_date), "portfolio", "it has no start date")

    def __len__(self) -> int:
        return self.start_date.size


@dataclass(frozen=True, eq=False)
class CapitalFlows:
    """One row per flow (F,), in any order: index of the portfolio, date, amount in units of 1e-8 (in > 0).

    Raises ``ValueError`` when the columns differ in length or a date is missing.
    """

    portfolio: IntArray
    flow_date: DateArray
    amount: IntArray

    def __post_init__(self) -> None:
        _require_equal_lengths(self)
        _require_none(np.isnat(self.flow_date), "flow", "it has no date")


@dataclass(frozen=True, eq=False)
class LedgerState:
    """What one session leaves to the next; it can be put together from the stored rows of that session.

    Per portfolio (P,), from ``portfolio_snapshots``: ``session`` of its last snapshot (NaT: none yet, and then the
    amounts are not read), ``equity`` and ``cumulative_pnl`` in units of 1e-8. Per lot (L,), from
    ``position_values``: ``mark``, the price used at that session in units of 1e-4, and ``has_mark``, whether a
    price of the market was ever used for it. A lot without a mark counts as held at its entry price.
    """

    session: DateArray
    equity: IntArray
    cumulative_pnl: IntArray
    mark: IntArray
    has_mark: BoolArray

    @classmethod
    def initial(cls, portfolios: Portfolios, lots: Lots) -> "LedgerState":
        """The state of portfolios that have no snapshot yet."""
        return cls(
            session=np.full(len(portfolios), np.datetime64("NaT", "D"), dtype="datetime64[D]"),
            equity=np.zeros(len(portfolios), dtype=np.int64),
            cumulative_pnl=np.zeros(len(portfolios), dtype=np.int64),
            mark=np.zeros(len(lots), dtype=np.int64),
            has_mark=np.zeros(len(lots), dtype=np.bool_),
        )


def _require_equal_lengths(table: Lots | Portfolios | CapitalFlows) -> None:
    shapes = {field.name: getattr(table, field.name).shape for field in fields(table)}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"the columns of {type(table).__name__} differ in length: {shapes}")


def _require_none(wrong: BoolArray, row: str, problem: str) -> None:
    if wrong.any():
        raise ValueError(f"{row} {int(wrong.argmax())}: {problem}")
