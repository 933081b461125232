"""Books made by hand, lot by lot, without a database."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from sigmasight_assets.quant.arrays import DateArray
from sigmasight_assets.quant.lots import CapitalFlows, Dividends, Lots, Portfolios
from sigmasight_assets.storage.books import Books
from sigmasight_assets.storage.option_expiries import Settlements
from sigmasight_assets.storage.valuations import Valuations

DOLLARS, SHARES, MONEY = 10_000, 10_000, 10**8
BOUGHT, STARTED = date(2025, 6, 2), date(2025, 7, 1)
NONE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Lot:
    """A lot of so many shares, contracts or, of class PRIVATE, things, bought at 20 dollars."""

    symbol: str
    quantity: int
    number: int
    kind: str = "PUBLIC"
    entry_date: date = BOUGHT
    exit_date: date | None = None

    @property
    def size(self) -> int:
        return self.quantity * (100 if self.kind == "OPTIONS" else 1)


def days(*dates: date | None) -> DateArray:
    """The dates, None as NaT."""
    return np.array(["NaT" if day is None else str(day) for day in dates], dtype="datetime64[D]")


def small_books(
    owned: dict[int, Sequence[Lot]],
    *,
    symbols: Sequence[str] = (),
    valuations: Valuations | None = None,
    dividends: Dividends | None = None,
) -> Books:
    """Portfolios by number, each stated at 1,000 dollars, and their lots; more symbols than those held may be given."""
    lots = [(place, lot) for place, owner in enumerate(owned) for lot in owned[owner]]
    public = tuple(sorted({*symbols, *(lot.symbol for _, lot in lots if lot.kind != "PRIVATE")}))
    private = [lot for _, lot in lots if lot.kind == "PRIVATE"]
    one = np.ones(len(lots), dtype=np.int64)
    return Books(
        portfolio_ids=np.array(list(owned), dtype=np.int64),
        book_versions=np.ones(len(owned), dtype=np.int64),
        stale_from=days(*[None] * len(owned)),
        position_ids=np.array([lot.number for _, lot in lots], dtype=np.int64),
        symbols=public,
        private_names=tuple(lot.symbol for lot in private),
        is_option=np.array([lot.kind == "OPTIONS" for _, lot in lots], dtype=np.bool_),
        portfolios=Portfolios(days(*[STARTED] * len(owned)), np.full(len(owned), 1_000 * MONEY)),
        lots=Lots(
            portfolio=np.array([place for place, _ in lots], dtype=np.int64),
            symbol=np.array(
                [
                    len(public) + private.index(lot) if lot.kind == "PRIVATE" else public.index(lot.symbol)
                    for _, lot in lots
                ],
                dtype=np.int64,
            ),
            quantity=np.array(
                [lot.quantity * (1 if lot.kind == "PRIVATE" else SHARES) for _, lot in lots], dtype=np.int64
            ),
            multiplier=np.array([100 if lot.kind == "OPTIONS" else 1 for _, lot in lots], dtype=np.int64),
            split_numerator=one,
            split_denominator=one.copy(),
            entry_date=days(*(lot.entry_date for _, lot in lots)),
            exit_date=days(*(lot.exit_date for _, lot in lots)),
            cost=np.array([lot.size * 20 * MONEY for _, lot in lots], dtype=np.int64),
            proceeds=np.zeros(len(lots), dtype=np.int64),
            pays_dividends=np.array([lot.kind == "PUBLIC" for _, lot in lots], dtype=np.bool_),
        ),
        flows=CapitalFlows(NONE, days(), NONE),
        dividends=dividends or Dividends.none(),
        valuations=valuations or Valuations(len(private), NONE, days(), NONE),
    )


def no_settlements() -> Settlements:
    """None at all."""
    return Settlements(NONE, NONE, days(), [], [], NONE, NONE)
