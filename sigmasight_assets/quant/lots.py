"""What the ledger is given: lots, dividends, portfolios, capital flows, and the state that the last session left.

Columns of arrays, checked when they are put together. What is computed from them is in ``ledger``; the factors that
bring lots to the units of the prices come from ``splits``.
"""

from dataclasses import dataclass, fields

import numpy as np

from sigmasight_assets.quant.arrays import BoolArray, DateArray, IntArray

# Far beyond any chain of splits, and small enough to be multiplied by a few digits more.
LARGEST_SPLIT_PART = 10**12


@dataclass(frozen=True, eq=False)
class Lots:
    """One row per lot (L,), ascending by portfolio; a partial close is a lot of its own.

    ``portfolio`` and ``symbol`` are indices (row of ``Portfolios``, column of the price matrix); dates are
    datetime64[D] and need not be sessions; a lot whose ``exit_date`` is NaT is open.

    ``quantity``
        signed (short < 0), in units of 1e-4, in the share units it was stated in
    ``multiplier``
        units of the underlying that one contract stands for: 100 for an option, 1 for a share
    ``split_numerator``, ``split_denominator``
        shares in the units of the prices per share in the units of ``quantity``, see ``splits.split_factors``
    ``cost``, ``proceeds``
        money paid at the entry and received at the exit, in units of 1e-8, of the sign of the quantity;
        ``proceeds`` of an open lot are not read
    ``pays_dividends``
        whether the lot takes part in the dividends of its symbol

    A private asset is a lot of quantity 1 (one unit, not 1e-4), multiplier 1 and factor 1/1, with a price column of
    its own that holds the owner's valuations in units of 1e-8.

    Raises ``ValueError``, naming the first lot, when columns differ in length, portfolios are not ascending, an
    entry date is missing, an exit lies before its entry, a quantity is 0, a multiplier is not positive, a part of a
    split factor is not within 1 to 1e12, or cost or proceeds have not the sign of the quantity.
    """

    portfolio: IntArray
    symbol: IntArray
    quantity: IntArray
    multiplier: IntArray
    split_numerator: IntArray
    split_denominator: IntArray
    entry_date: DateArray
    exit_date: DateArray
    cost: IntArray
    proceeds: IntArray
    pays_dividends: BoolArray

    def __post_init__(self) -> None:
        _require_equal_lengths(self)
        is_closed = ~np.isnat(self.exit_date)
        _require_none(np.diff(self.portfolio, prepend=self.portfolio[:1]) < 0, "lot", "its portfolio is out of order")
        _require_none(np.isnat(self.entry_date), "lot", "it has no entry date")
        _require_none(self.exit_date < self.entry_date, "lot", "its exit lies before its entry")
        _require_none(self.quantity == 0, "lot", "its quantity is 0")
        _require_none(self.multiplier < 1, "lot", "its multiplier is not positive")
        for part in (self.split_numerator, self.split_denominator):
            wrong = (part < 1) | (part > LARGEST_SPLIT_PART)
            _require_none(wrong, "lot", f"its split factor is not made of numbers from 1 to {LARGEST_SPLIT_PART:.0e}")
        _require_none(self.has_other_sign(self.cost), "lot", "its cost has not the sign of its quantity")
        wrong = is_closed & self.has_other_sign(self.proceeds)
        _require_none(wrong, "lot", "its proceeds have not the sign of its quantity")

    def __len__(self) -> int:
        return self.portfolio.size

    def has_other_sign(self, money: IntArray) -> BoolArray:
        """Where (L,) ``money`` is of the sign that a value of the lot cannot have; 0 is of either."""
        is_other: BoolArray = np.sign(money) == -np.sign(self.quantity)
        return is_other


@dataclass(frozen=True, eq=False)
class Dividends:
    """One row per dividend (D,), in any order: index of the symbol, ex-date, amount a share in units of 1e-6.

    Amounts are in the share units of the prices. Raises ``ValueError`` when the columns differ in length, an ex-date
    is missing or an amount is negative.
    """

    symbol: IntArray
    ex_date: DateArray
    amount: IntArray

    def __post_init__(self) -> None:
        _require_equal_lengths(self)
        _require_none(np.isnat(self.ex_date), "dividend", "it has no ex-date")
        _require_none(self.amount < 0, "dividend", "its amount is negative")

    def __len__(self) -> int:
        return self.symbol.size

    @classmethod
    def none(cls) -> "Dividends":
        """No dividends."""
        empty = np.zeros(0, dtype=np.int64)
        return cls(empty, empty.astype("datetime64[D]"), empty)


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
    ``position_values``: ``has_mark``, whether a price of the market was ever used for it; ``value``, the money it
    was valued at in that session, in units of 1e-8; ``price``, the price used, in the units of its column then, which
    is carried for display only. A lot without a mark counts as held at its cost.
    """

    session: DateArray
    equity: IntArray
    cumulative_pnl: IntArray
    value: IntArray
    price: IntArray
    has_mark: BoolArray

    @classmethod
    def initial(cls, portfolios: Portfolios, lots: Lots) -> "LedgerState":
        """The state of portfolios that have no snapshot yet."""
        return cls(
            session=np.full(len(portfolios), "NaT", dtype="datetime64[D]"),
            equity=np.zeros(len(portfolios), dtype=np.int64),
            cumulative_pnl=np.zeros(len(portfolios), dtype=np.int64),
            value=np.zeros(len(lots), dtype=np.int64),
            price=np.zeros(len(lots), dtype=np.int64),
            has_mark=np.zeros(len(lots), dtype=np.bool_),
        )


def _require_equal_lengths(table: Lots | Dividends | Portfolios | CapitalFlows) -> None:
    shapes = {field.name: getattr(table, field.name).shape for field in fields(table)}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"the columns of {type(table).__name__} differ in length: {shapes}")


def _require_none(wrong: BoolArray, row: str, problem: str) -> None:
    if wrong.any():
        raise ValueError(f"{row} {int(wrong.argmax())}: {problem}")
