"""The exposures of single positions now, and of a portfolio night by night: what is known in, the documents out.

No database, no clock.

Source: formulas.md section 6.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sigmasight_api.books import Book, Holdings
from sigmasight_api.exposure_schemas import (
    PositionExposures,
    PositionFactor,
    PositionsExposures,
    RecordedExposure,
    RecordedExposures,
)
from sigmasight_api.exposures import FACTOR_NAMES, factor_exposures
from sigmasight_api.formats import cents, optional_cents, optional_number
from sigmasight_api.repository import Page
from sigmasight_api.schemas import AnalyticsAnswer
from sigmasight_api.symbols import QUALITY_LABELS
from sigmasight_api.valuation import valued_positions
from sigmasight_api.view import PRODUCT_OF_FACTOR, MarketView
from sigmasight_assets.storage.tables import FACTOR_COLUMNS


@dataclass(frozen=True, slots=True)
class _Held:
    """One symbol: its row in the view, its signed value in USD, and its weight unless there is no equity."""

    symbol: str
    row: int
    value: float
    weight: float | None


def position_exposures(
    book: Book, holdings: Holdings, view: MarketView, *, page: Page
) -> AnalyticsAnswer[PositionsExposures]:
    """What each position adds; what is said of the portfolio is what its factor exposures say."""
    valued = valued_positions(holdings.shares, view)
    equity = float(book.equity) if book.equity is not None and book.equity > 0 else None
    rows, values = valued.rows.tolist(), valued.market_value.tolist()
    shown = [
        _Held(valued.symbols[place], rows[place], values[place], None if equity is None else values[place] / equity)
        for place in valued.largest_first()[page.offset : page.offset + page.limit]
    ]
    positions = [_position(held, view) for held in shown]
    whole = factor_exposures(book, holdings, view)
    stated = {name: getattr(whole, name) for name in AnalyticsAnswer.model_fields if name != "data"}
    return AnalyticsAnswer[PositionsExposures](
        **stated, data=PositionsExposures(positions=positions, total=len(valued.symbols))
    )


def _position(held: _Held, view: MarketView) -> PositionExposures:
    return PositionExposures(
        symbol=held.symbol,
        market_value=cents(held.value),
        weight=held.weight,
        factors=[_factor(factor, held, view) for factor in range(len(FACTOR_NAMES))],
    )


def _factor(factor: int, held: _Held, view: MarketView) -> PositionFactor:
    beta = optional_number(view.betas[held.row, factor])
    if beta is None:
        reason = view.missing_reason(held.symbol, factor)
        missing = dict.fromkeys(("beta", "std_err", "quality", "session", "exposure", "dollars"))
        return PositionFactor(name=FACTOR_NAMES[factor], reason=reason, **missing)
    return PositionFactor(
        name=FACTOR_NAMES[factor],
        beta=beta,
        std_err=optional_number(view.std_errors[held.row, factor]),
        quality=QUALITY_LABELS.get(int(view.quality[held.row, factor])),
        session=view.factors_session[held.row, PRODUCT_OF_FACTOR[factor]].item(),
        exposure=None if held.weight is None else held.weight * beta,
        dollars=cents(held.value * beta),
        reason=None,
    )


def recorded_exposures(row: sa.Row[Any]) -> RecordedExposures:
    """From a row of ``portfolio_exposures``."""
    numbers = row._mapping
    return RecordedExposures(
        session=row.session,
        generation=row.generation,
        factors=[
            RecordedExposure(
                name=name,
                exposure=numbers[f"{column}_exposure"],
                dollars=optional_cents(numbers[f"{column}_dollars"]),
                per_invested=numbers[f"{column}_per_invested"],
                coverage=numbers[f"{column}_coverage"],
            )
            for name, column in zip(FACTOR_NAMES, FACTOR_COLUMNS, strict=True)
        ],
    )
