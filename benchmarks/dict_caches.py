"""What the API's answers are held against: caches of dictionaries, symbol by symbol, and loops in Decimal.

This is how the first design of the project wrote it down. What costs nothing per request there is not counted here
either: the dictionaries are filled, and the moves of the factors in each scenario known, before the clock runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np

from sigmasight_api.books import Lot
from sigmasight_api.exposures import FACTOR_NAMES
from sigmasight_api.view import MarketView
from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.quant.stress import StressTable

Moves = Sequence[Decimal]
ZERO, WHOLE_LOSS = Decimal(0), Decimal(-1)


@dataclass(frozen=True)
class DictCaches:
    """Closes in USD, betas by factor, stress sensitivities and daily returns, by symbol; what is missing is no key."""

    closes: Mapping[str, Decimal]
    betas: Mapping[str, Mapping[str, Decimal]]
    sensitivities: Mapping[str, Sequence[Decimal]]
    returns: Mapping[str, Mapping[date, Decimal]]

    @classmethod
    def of(cls, view: MarketView, table: StressTable) -> "DictCaches":
        """The same figures as in a view and in the table of its scenarios."""
        rows = list(enumerate(view.symbols))
        days = view.sessions.tolist()
        return cls(
            closes={symbol: Decimal(int(view.close[row])).scaleb(-4) for row, symbol in rows if view.close[row]},
            betas={
                symbol: {
                    name: Decimal(repr(beta))
                    for name, beta in zip(FACTOR_NAMES, view.betas[row].tolist(), strict=True)
                    if np.isfinite(beta)
                }
                for row, symbol in rows
            },
            sensitivities={
                symbol: _decimals(table.sensitivities[row])
                for row, symbol in rows
                if np.isfinite(table.sensitivities[row]).all()
            },
            returns={
                symbol: {
                    day: Decimal(repr(value))
                    for day, value in zip(days, view.returns[row].tolist(), strict=True)
                    if np.isfinite(value)
                }
                for row, symbol in rows
            },
        )


def moves_of(correlated: FloatArray) -> list[Moves]:
    """Of each scenario the move of each factor, from an array (N, 8)."""
    return [_decimals(row) for row in correlated]


def market_values(lots: Sequence[Lot], caches: DictCaches) -> dict[str, Decimal]:
    """Signed value in USD by symbol."""
    values: dict[str, Decimal] = {}
    for lot in lots:
        close = caches.closes.get(lot.symbol)
        if close is not None:
            values[lot.symbol] = values.get(lot.symbol, ZERO) + lot.quantity * close
    return values


def exposures(lots: Sequence[Lot], equity: Decimal, caches: DictCaches) -> dict[str, tuple[Decimal, Decimal, Decimal]]:
    """Exposure, dollars and dollars per invested dollar, by factor."""
    dollars = dict.fromkeys(FACTOR_NAMES, ZERO)
    invested = dict.fromkeys(FACTOR_NAMES, ZERO)
    for symbol, value in market_values(lots, caches).items():
        for name, beta in caches.betas[symbol].items():
            dollars[name] += value * beta
            invested[name] += abs(value)
    return {name: (dollars[name] / equity, dollars[name], dollars[name] / invested[name]) for name in FACTOR_NAMES}


def impacts(lots: Sequence[Lot], scenarios: Sequence[Moves], caches: DictCaches) -> list[Decimal]:
    """Of each scenario the gain in USD; no symbol loses more than its value."""
    values = market_values(lots, caches)
    found = []
    for moves in scenarios:
        total = ZERO
        for symbol, value in values.items():
            sensitivities = caches.sensitivities.get(symbol)
            if sensitivities is not None:
                change = sum((slope * move for slope, move in zip(sensitivities, moves, strict=True)), ZERO)
                total += value * max(change, WHOLE_LOSS)
        found.append(total)
    return found


def daily_gains(lots: Sequence[Lot], days: Sequence[date], caches: DictCaches, *, least: int) -> dict[date, Decimal]:
    """What the book would have gained each day, in USD, weights renormalised over what has a return that day.

    A symbol with fewer than ``least`` returns is left out; so is a day without returns of more than 5 % of the gross.
    """
    values = market_values(lots, caches)
    used = {symbol: value for symbol, value in values.items() if len(caches.returns[symbol]) >= least}
    gross = sum((abs(value) for value in used.values()), ZERO)
    gains = {}
    for day in days:
        gain = present = ZERO
        for symbol, value in used.items():
            change = caches.returns[symbol].get(day)
            if change is not None:
                gain += value * change
                present += abs(value)
        if present and (gross - present) <= gross * Decimal("0.05"):
            gains[day] = gain * gross / present
    return gains


def _decimals(row: FloatArray) -> list[Decimal]:
    return [Decimal(repr(value)) for value in row.tolist()]
