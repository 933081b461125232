"""Books for the ledger's tests: written down in decimals and dates, turned into the arrays that the ledger takes."""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

import numpy as np

from sigmasight_assets.quant.arrays import DateArray, IntArray
from sigmasight_assets.quant.carried_prices import carried_prices
from sigmasight_assets.quant.ledger import roll_forward
from sigmasight_assets.quant.lots import CapitalFlows, LedgerState, Lots, Portfolios
from sigmasight_assets.quant.money import MONEY_DIGITS, PRICE_DIGITS, QUANTITY_DIGITS, to_units
from sigmasight_assets.quant.snapshots import LedgerResult

NOT_A_DATE = np.datetime64("NaT", "D")


@dataclass(frozen=True)
class Lot:
    """One lot as an owner would write it down."""

    portfolio: int
    symbol: int
    quantity: Decimal
    entry_price: Decimal
    entry_date: date
    exit_date: date | None = None
    exit_price: Decimal = Decimal(0)
    multiplier: int = 1


@dataclass(frozen=True)
class Flow:
    """Capital paid in (or out, when negative)."""

    portfolio: int
    flow_date: date
    amount: Decimal


@dataclass(frozen=True)
class Book:
    """Portfolios as (start date, stated equity), their lots and flows, and closes[session][symbol] of a calendar."""

    portfolios: list[tuple[date, Decimal]]
    lots: list[Lot]
    calendar: list[date]
    closes: list[list[Decimal | None]]
    flows: list[Flow] = field(default_factory=list)

    def lot_columns(self) -> Lots:
        """The lots as the ledger takes them; they must already be ascending by portfolio."""
        return Lots(
            portfolio=_integers([lot.portfolio for lot in self.lots]),
            symbol=_integers([lot.symbol for lot in self.lots]),
            quantity=_units([lot.quantity for lot in self.lots], QUANTITY_DIGITS),
            entry_price=_units([lot.entry_price for lot in self.lots], PRICE_DIGITS),
            entry_date=_dates([lot.entry_date for lot in self.lots]),
            exit_date=_dates([lot.exit_date for lot in self.lots]),
            exit_price=_units([lot.exit_price for lot in self.lots], PRICE_DIGITS),
            multiplier=_integers([lot.multiplier for lot in self.lots]),
        )

    def portfolio_columns(self) -> Portfolios:
        """The portfolios as the ledger takes them."""
        return Portfolios(
            start_date=_dates([start for start, _ in self.portfolios]),
            stated_equity=_units([equity for _, equity in self.portfolios], MONEY_DIGITS),
        )

    def flow_columns(self) -> CapitalFlows:
        """The flows as the ledger takes them."""
        return CapitalFlows(
            portfolio=_integers([flow.portfolio for flow in self.flows]),
            flow_date=_dates([flow.flow_date for flow in self.flows]),
            amount=_units([flow.amount for flow in self.flows], MONEY_DIGITS),
        )

    def initial_state(self) -> LedgerState:
        """The state before any snapshot."""
        return LedgerState.initial(self.portfolio_columns(), self.lot_columns())

    def roll(self, rows: list[int] | None = None, state: LedgerState | None = None) -> LedgerResult:
        """Roll over the calendar's sessions in ``rows`` (all of them, when None)."""
        chosen = np.array(range(len(self.calendar)) if rows is None else rows, dtype=np.int64)
        closes = np.array([[_close_units(close) for close in closes] for closes in self.closes], dtype=np.int64)
        prices, price_age = carried_prices(closes, chosen)
        return roll_forward(
            self.lot_columns(),
            self.portfolio_columns(),
            self.flow_columns(),
            self.initial_state() if state is None else state,
            sessions=_dates(self.calendar)[chosen],
            prices=prices,
            price_age=price_age,
        )


def money(amount: str | int) -> int:
    """An amount in dollars as units of 1e-8."""
    return to_units(Decimal(amount), MONEY_DIGITS)


def price(amount: str | int) -> int:
    """A price in dollars as units of 1e-4."""
    return to_units(Decimal(amount), PRICE_DIGITS)


def _close_units(close: Decimal | None) -> int:
    return 0 if close is None else to_units(close, PRICE_DIGITS)


def _integers(values: list[int]) -> IntArray:
    return np.array(values, dtype=np.int64)


def _units(values: list[Decimal], digits: int) -> IntArray:
    return _integers([to_units(value, digits) for value in values])


def _dates(values: list[date] | list[date | None]) -> DateArray:
    return np.array([NOT_A_DATE if value is None else np.datetime64(value, "D") for value in values], "datetime64[D]")
