"""Which lots a dividend pays, and how much, exactly.

Source: formulas.md section 5. Splits between the units of a lot and those of the amount are in the lot's factor.
"""

from dataclasses import dataclass

import numpy as np

from sigmasight_assets.quant.arrays import IntArray
from sigmasight_assets.quant.lots import Dividends, Lots
from sigmasight_assets.quant.money import (
    DIVIDEND_DIGITS,
    LARGEST_UNITS,
    MONEY_DIGITS,
    QUANTITY_DIGITS,
    AmountOverflowError,
    rational_product,
)

# Money units per (quantity x amount): the product has two digits more than money.
_EXTRA_UNITS = 10 ** (QUANTITY_DIGITS + DIVIDEND_DIGITS - MONEY_DIGITS)


@dataclass(frozen=True, eq=False)
class Claims:
    """Pairs (C,) of a lot and a dividend that it is entitled to, ascending by ex-date in days since 1970."""

    lot: IntArray
    ex_day: IntArray
    amount: IntArray

    @classmethod
    def of(cls, lots: Lots, dividends: Dividends, *, after: int, until: int) -> "Claims":
        """The claims of ``lots`` with ``after`` < ex-date <= ``until``, both in days since 1970.

        A lot is entitled when it takes part in dividends, was entered before the ex-date and was not closed before
        it; being closed on the ex-date does not end the claim.
        """
        ex_day = dividends.ex_date.astype("datetime64[D]").astype(np.int64)
        due = np.flatnonzero((ex_day > after) & (ex_day <= until))
        due = due[np.argsort(ex_day[due], kind="stable")]
        lot, which = _pairs_of_one_symbol(lots, dividends.symbol[due])
        pair = due[which]
        entitled = lots.entry_date[lot] < dividends.ex_date[pair]
        entitled &= np.isnat(lots.exit_date[lot]) | (lots.exit_date[lot] >= dividends.ex_date[pair])
        lot, pair = lot[entitled], pair[entitled]
        return cls(lot, ex_day[pair], dividends.amount[pair])

    def payments(self, lots: Lots, since: IntArray, until: IntArray) -> tuple[IntArray, IntArray]:
        """The lots (N,), perhaps several times, paid in (since, until] of their portfolios (P,), and the money (N,).

        The money is in units of 1e-8, rounded half-even; a short lot pays, so it is negative. Raises
        ``AmountOverflowError`` with the portfolios whose amounts do not fit.
        """
        earliest = since.min(where=since < until, initial=until.max(initial=np.iinfo(np.int64).min))
        candidates = np.arange(np.searchsorted(self.ex_day, earliest, side="right"), self.ex_day.size)
        owner, ex_day = lots.portfolio[self.lot[candidates]], self.ex_day[candidates]
        chosen = candidates[(ex_day > since[owner]) & (ex_day <= until[owner])]
        lot = self.lot[chosen]
        return lot, lot_product(lots, lot, self.amount[chosen], units=_EXTRA_UNITS)


def lot_product(lots: Lots, chosen: IntArray, price: IntArray, *, units: int = 1) -> IntArray:
    """Money (N,) of the ``chosen`` lots at ``price`` (N,): quantity x multiplier x factor x price / ``units``.

    Rounded half-even to units of 1e-8. Raises ``AmountOverflowError`` with the portfolios whose amounts do not fit.
    """
    quantity = lots.quantity[chosen] * lots.multiplier[chosen]
    numerator, denominator = lots.split_numerator[chosen], lots.split_denominator[chosen] * units
    try:
        return rational_product(quantity, price, numerator, denominator)
    except AmountOverflowError as error:
        offenders = chosen[error.offenders]
        message = f"portfolio {lots.portfolio[offenders[0]]}: an amount of lot {offenders[0]} is beyond the"
        raise AmountOverflowError(
            f"{message} {LARGEST_UNITS:.1e} units that fit", np.unique(lots.portfolio[offenders])
        ) from error


def _pairs_of_one_symbol(lots: Lots, symbol: IntArray) -> tuple[IntArray, IntArray]:
    """Every lot that takes part in dividends with every row of ``symbol`` that is its own, ascending by the row."""
    candidates = np.flatnonzero(lots.pays_dividends & np.isin(lots.symbol, symbol)) if symbol.size else symbol
    candidates = candidates[np.argsort(lots.symbol[candidates], kind="stable")]
    sorted_symbols = lots.symbol[candidates]
    start = np.searchsorted(sorted_symbols, symbol)
    counts = np.searchsorted(sorted_symbols, symbol, side="right") - start
    which = np.repeat(np.arange(symbol.size), counts)
    # The position of each pair within its row of ``symbol``.
    place = np.arange(which.size) - np.repeat(np.cumsum(counts) - counts, counts)
    return candidates[start[which] + place], which
