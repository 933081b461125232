"""Books for the ledger's tests: written down in decimals and dates, turned into the arrays that the ledger takes."""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

import numpy as np

from sigmasight_assets.quant.arrays import DateArray, IntArray
from sigmasight_assets.quant.carried_prices import NO_PRICE, carried_prices
from sigmasight_assets.quant.ledger import roll_forward
from sigmasight_assets.quant.ledger_identity import identity_violations
from sigmasight_assets.quant.lots import CapitalFlows, Dividends, LedgerState, Lots, Portfolios
from sigmasight_assets.quant.money import (
    DIVIDEND_DIGITS,
    MONEY_DIGITS,
    PRICE_DIGITS,
    QUANTITY_DIGITS,
    rational_product,
    to_units,
)
from sigmasight_assets.quant.snapshots import LedgerResult
from sigmasight_assets.quant.splits import Splits, split_factors

NOT_A_DATE = np.datetime64("NaT", "D")
PUBLIC, OPTIONS, PRIVATE = "PUBLIC", "OPTIONS", "PRIVATE"


@dataclass(frozen=True)
class Lot:
    """One lot as an owner would write it down.

    Prices are in the share units of their dates, the quantity in those of ``units_date`` (None: the entry date). A
    PRIVATE lot has a quantity of 1 or -1, its prices are amounts of money, and its value is that of ``valuations``.
    """

    portfolio: int
    symbol: int
    quantity: Decimal
    entry_price: Decimal
    entry_date: date
    exit_date: date | None = None
    exit_price: Decimal = Decimal(0)
    kind: str = PUBLIC
    units_date: date | None = None
    valuations: tuple[tuple[date, Decimal], ...] = ()

    @property
    def multiplier(self) -> int:
        """Shares a contract stands for."""
        return 100 if self.kind == OPTIONS else 1

    @property
    def stated_on(self) -> date:
        """The date in whose share units the quantity is."""
        return self.units_date or self.entry_date


@dataclass(frozen=True)
class Flow:
    """Capital paid in (or out, when negative)."""

    portfolio: int
    flow_date: date
    amount: Decimal


@dataclass(frozen=True)
class Split:
    """``numerator`` new shares for ``denominator`` old ones."""

    symbol: int
    ex_date: date
    numerator: int
    denominator: int = 1


@dataclass(frozen=True)
class Dividend:
    """An amount a share, in the share units of the closes."""

    symbol: int
    ex_date: date
    amount: Decimal


@dataclass(frozen=True)
class Book:
    """Portfolios as (start date, stated equity), their lots and flows, and closes[session][symbol] of a calendar.

    The closes are in the share units after the last of ``splits``.
    """

    portfolios: list[tuple[date, Decimal]]
    lots: list[Lot]
    calendar: list[date]
    closes: list[list[Decimal | None]]
    flows: list[Flow] = field(default_factory=list)
    splits: list[Split] = field(default_factory=list)
    dividends: list[Dividend] = field(default_factory=list)

    def lot_columns(self) -> Lots:
        """The lots as the ledger takes them; they must already be ascending by portfolio."""
        private = np.array([lot.kind == PRIVATE for lot in self.lots], dtype=np.bool_)
        public = np.array([lot.kind == PUBLIC for lot in self.lots], dtype=np.bool_)
        digits = [(0, MONEY_DIGITS) if lot.kind == PRIVATE else (QUANTITY_DIGITS, PRICE_DIGITS) for lot in self.lots]
        quantity = _integers([to_units(lot.quantity, q) for lot, (q, _) in zip(self.lots, digits, strict=True)])
        entry = _integers([to_units(lot.entry_price, p) for lot, (_, p) in zip(self.lots, digits, strict=True)])
        exit_ = _integers([to_units(lot.exit_price, p) for lot, (_, p) in zip(self.lots, digits, strict=True)])
        multiplier = _integers([lot.multiplier for lot in self.lots])
        # Only shares are split: other lots ask for a symbol that has none.
        symbol = np.where(public, [lot.symbol for lot in self.lots], -1)
        entry_date = _dates([lot.entry_date for lot in self.lots])
        stated_on = _dates([lot.stated_on for lot in self.lots])
        exit_date = _dates([lot.exit_date for lot in self.lots])
        splits = self.split_columns()
        numerator, denominator = split_factors(splits, symbol, stated_on)
        since_entry = split_factors(splits, symbol, entry_date, stated_on)
        until_exit = split_factors(splits, symbol, stated_on, np.where(np.isnat(exit_date), stated_on, exit_date))
        own_column = len(self.closes[0]) + np.cumsum(private) - 1
        return Lots(
            portfolio=_integers([lot.portfolio for lot in self.lots]),
            symbol=np.where(private, own_column, _integers([lot.symbol for lot in self.lots])),
            quantity=quantity,
            multiplier=multiplier,
            split_numerator=numerator,
            split_denominator=denominator,
            entry_date=entry_date,
            exit_date=exit_date,
            cost=rational_product(quantity * multiplier, entry, *reversed(since_entry)),
            proceeds=rational_product(quantity * multiplier, exit_, *until_exit),
            pays_dividends=public,
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

    def split_columns(self) -> Splits:
        """The splits as ``split_factors`` takes them."""
        return Splits(
            symbol=_integers([split.symbol for split in self.splits]),
            ex_date=_dates([split.ex_date for split in self.splits]),
            numerator=_integers([split.numerator for split in self.splits]),
            denominator=_integers([split.denominator for split in self.splits]),
        )

    def dividend_columns(self) -> Dividends:
        """The dividends as the ledger takes them."""
        return Dividends(
            symbol=_integers([dividend.symbol for dividend in self.dividends]),
            ex_date=_dates([dividend.ex_date for dividend in self.dividends]),
            amount=_units([dividend.amount for dividend in self.dividends], DIVIDEND_DIGITS),
        )

    def initial_state(self) -> LedgerState:
        """The state before any snapshot."""
        return LedgerState.initial(self.portfolio_columns(), self.lot_columns())

    def roll(self, rows: list[int] | None = None, state: LedgerState | None = None) -> LedgerResult:
        """Roll over the calendar's sessions in ``rows`` (all of them, when None)."""
        chosen = np.array(range(len(self.calendar)) if rows is None else rows, dtype=np.int64)
        closes = np.array([[_close_units(close) for close in closes] for closes in self.closes], dtype=np.int64)
        prices, price_age = carried_prices(closes, chosen)
        valuations = [self._valuations(lot, chosen) for lot in self.lots if lot.kind == PRIVATE]
        known = [column >= 0 for column in valuations]
        return roll_forward(
            self.lot_columns(),
            self.portfolio_columns(),
            self.flow_columns(),
            self.initial_state() if state is None else state,
            dividends=self.dividend_columns(),
            sessions=_dates(self.calendar)[chosen],
            prices=np.column_stack([prices, *(np.maximum(column, 0) for column in valuations)]),
            price_age=np.column_stack([price_age, *(np.where(is_known, 0, NO_PRICE) for is_known in known)]).astype(
                np.int8
            ),
        )

    def offenders(self, result: LedgerResult, state: LedgerState | None = None) -> list[list[int]]:
        """The portfolios that break an identity at each session of ``result``, which was rolled from ``state``."""
        found = identity_violations(
            self.lot_columns(),
            self.portfolio_columns(),
            self.flow_columns(),
            self.initial_state() if state is None else state,
            result,
            dividends=self.dividend_columns(),
        )
        return [portfolios.tolist() for portfolios in found]

    def _valuations(self, lot: Lot, chosen: IntArray) -> IntArray:
        """The valuation in force at the chosen sessions, -1 before the first."""
        values = []
        for row in chosen.tolist():
            known = [(day, amount) for day, amount in lot.valuations if day <= self.calendar[row]]
            values.append(to_units(max(known)[1], MONEY_DIGITS) if known else -1)
        return _integers(values)


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
