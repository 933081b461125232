"""The factor-exposures answer: holdings and a market view in, the document out. No database, no clock.

Source: formulas.md section 6.
"""

from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np

from sigmasight_api.books import Book, Holdings
from sigmasight_api.formats import optional_cents, optional_number
from sigmasight_api.schemas import AnalyticsAnswer, Carried, Excluded, FactorExposure, FactorExposures, Incomplete
from sigmasight_api.view import NO_PRICE, PRODUCT_OF_FACTOR, MarketView
from sigmasight_assets.quant.arrays import FloatArray, IntArray
from sigmasight_assets.quant.factors import FACTORS
from sigmasight_assets.quant.money import MONEY_DIGITS
from sigmasight_assets.quant.portfolio_exposures import PortfolioExposures, SymbolPositions, portfolio_exposures

FACTOR_NAMES = tuple(factor.name for factor in FACTORS)
PRIVATE = "PRIVATE"


@dataclass(frozen=True, slots=True, eq=False)
class ValuedPositions:
    """The held symbols (N,) that have a close: row in the view and signed market value in USD; and those without."""

    symbols: tuple[str, ...]
    rows: IntArray
    market_value: FloatArray
    unpriced: tuple[str, ...]


def valued_positions(holdings: Holdings, view: MarketView) -> ValuedPositions:
    """Value the holdings at the closes of the view, exactly, before they become floats."""
    symbols, rows, values, unpriced = [], [], [], []
    for symbol, quantity in zip(holdings.symbols, holdings.quantities, strict=True):
        row = view.rows.get(symbol)
        close = 0 if row is None else int(view.close[row])
        if row is None or close == 0:
            unpriced.append(symbol)
            continue
        symbols.append(symbol)
        rows.append(row)
        values.append(quantity * close / 10**MONEY_DIGITS)
    return ValuedPositions(
        tuple(symbols), np.array(rows, dtype=np.int64), np.array(values, dtype=np.float64), tuple(unpriced)
    )


def factor_exposures(book: Book, holdings: Holdings, view: MarketView) -> AnalyticsAnswer[FactorExposures]:
    """The answer for a portfolio; the newest snapshot of ``book`` is not newer than the view."""
    valued = valued_positions(holdings, view)
    equity = np.nan if book.equity is None else float(book.equity)
    owner = np.zeros(valued.rows.size, dtype=np.int64)
    positions = SymbolPositions(owner, valued.rows, valued.market_value)
    result = portfolio_exposures(positions, view.betas, equity=np.array([equity]))
    return AnalyticsAnswer[FactorExposures](
        portfolio_id=book.public_id,
        as_of=view.as_of,
        generation=view.generation,
        equity=optional_cents(book.equity),
        equity_session=book.equity_session,
        ratios_reason=_ratios_reason(equity),
        coverage=optional_number(result.coverage[0]),
        private_share=None if any(kind == PRIVATE for _, kind in holdings.others) else 0.0,
        excluded=_excluded(holdings, valued, view),
        incomplete=_incomplete(valued, view),
        carried=_carried(valued, view),
        data=FactorExposures(factors=_factors(result, nothing_priced=bool(valued.unpriced) and not valued.symbols)),
    )


def _ratios_reason(equity: float) -> Literal["no_snapshot", "equity_not_positive"] | None:
    if np.isnan(equity):
        return "no_snapshot"
    return None if equity > 0 else "equity_not_positive"


def _factors(result: PortfolioExposures, *, nothing_priced: bool) -> list[FactorExposure]:
    # Sums over no position are 0, which is right for an empty book and a false answer for one without any price.
    known = np.nan if nothing_priced else 1.0
    columns = zip(
        FACTOR_NAMES,
        (result.exposures[0] * known).tolist(),
        (result.dollars[0] * known).tolist(),
        (result.per_invested[0] * known).tolist(),
        strict=True,
    )
    return [
        FactorExposure(
            name=name,
            exposure=optional_number(exposure),
            dollars=optional_cents(dollars),
            per_invested=optional_number(per_invested),
        )
        for name, exposure, dollars, per_invested in columns
    ]


def _excluded(holdings: Holdings, valued: ValuedPositions, view: MarketView) -> list[Excluded]:
    entries = [Excluded(symbol=symbol, reason=NO_PRICE) for symbol in valued.unpriced]
    entries += [Excluded(symbol=symbol, reason=kind.lower()) for symbol, kind in holdings.others]
    for position in np.flatnonzero(np.isnan(view.betas[valued.rows]).all(axis=1)):
        symbol = valued.symbols[position]
        entries.append(Excluded(symbol=symbol, reason=view.missing_reason(symbol, 0)))
    return sorted(entries, key=lambda entry: entry.symbol)


def _incomplete(valued: ValuedPositions, view: MarketView) -> list[Incomplete]:
    missing = np.isnan(view.betas[valued.rows])
    entries = []
    for position in np.flatnonzero(missing.any(axis=1) & ~missing.all(axis=1)):
        symbol = valued.symbols[position]
        by_reason: dict[str, list[str]] = {}
        for factor in np.flatnonzero(missing[position]).tolist():
            by_reason.setdefault(view.missing_reason(symbol, factor), []).append(FACTOR_NAMES[factor])
        entries += [Incomplete(symbol=symbol, reason=reason, factors=names) for reason, names in by_reason.items()]
    return entries


def _carried(valued: ValuedPositions, view: MarketView) -> list[Carried]:
    if view.as_of is None:
        return []
    as_of = np.datetime64(view.as_of, "D")
    close_session = view.close_session[valued.rows]
    used = np.isfinite(view.betas[valued.rows])
    sessions = view.factors_session[valued.rows][:, PRODUCT_OF_FACTOR]
    # What is not used counts as current, so that the minimum is the oldest that is used.
    oldest = np.where(used, sessions, as_of).min(axis=1)
    return [
        Carried(
            symbol=valued.symbols[position],
            close_session=_day(close_session[position]),
            factors_session=_day(oldest[position]) if used[position].any() else None,
        )
        for position in np.flatnonzero((close_session < as_of) | (oldest < as_of)).tolist()
    ]


def _day(value: np.datetime64[date]) -> date:
    return value.item()
