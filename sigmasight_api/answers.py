"""What every analytics answer states of its portfolio and its market, whatever its numbers are."""

from datetime import date
from typing import TypedDict
from uuid import UUID

import numpy as np

from sigmasight_api.books import PRIVATE, Book, Holdings, RatiosReason
from sigmasight_api.formats import optional_cents
from sigmasight_api.schemas import Carried, Excluded, Incomplete, Money
from sigmasight_api.valuation import (
    BookValues,
    ValuedPositions,
    book_values,
    held_options,
    private_share,
    valued_positions,
)
from sigmasight_api.view import NO_PRICE, PRODUCT_OF_FACTOR, MarketView
from sigmasight_assets.quant.arrays import BoolArray

NO_VALUATION = "no_valuation"


class Stated(TypedDict):
    """Fields of ``AnalyticsAnswer`` that depend on the book and the view alone."""

    portfolio_id: UUID
    as_of: date | None
    generation: int
    equity: Money | None
    equity_session: date | None
    ratios_reason: RatiosReason | None


class Surroundings(Stated):
    """Fields of ``AnalyticsAnswer`` but its data."""

    coverage: float | None
    private_share: float | None
    excluded: list[Excluded]
    incomplete: list[Incomplete]
    carried: list[Carried]


def whole_book(book: Book, holdings: Holdings, view: MarketView) -> tuple[BookValues, Surroundings]:
    """What everything held is worth, and what an answer about the positions of all classes states beside its numbers.

    Its coverage is the share of the number of positions that have a value.
    """
    valued = valued_positions(holdings.shares, view)
    options = held_options(holdings, view, snapshot_session=book.equity_session)
    found = book_values(valued, options, holdings.private, view)
    held = len(found.values) + len(found.without)
    without = ((symbol, NO_VALUATION if kind == PRIVATE else NO_PRICE) for kind, symbol in found.without)
    return found, Surroundings(
        **stated(book, view),
        coverage=len(found.values) / held if held else None,
        private_share=private_share(valued, options, holdings.private, view),
        excluded=[Excluded(symbol=symbol, reason=reason) for symbol, reason in sorted(without)],
        incomplete=[],
        carried=carried_closes(valued, view),
    )


def stated(book: Book, view: MarketView) -> Stated:
    """Of a book whose newest snapshot is not newer than the view."""
    return Stated(
        portfolio_id=book.public_id,
        as_of=view.as_of,
        generation=view.generation,
        equity=optional_cents(book.equity),
        equity_session=book.equity_session,
        ratios_reason=book.ratios_reason,
    )


def carried_closes(valued: ValuedPositions, view: MarketView) -> list[Carried]:
    """The positions that are valued at a close older than the view, for answers without exposures."""
    if view.as_of is None:
        return []
    sessions = view.close_session[valued.rows]
    older = np.flatnonzero(sessions < np.datetime64(view.as_of, "D")).tolist()
    return [
        Carried(symbol=valued.symbols[place], close_session=sessions[place].item(), factors_session=None)
        for place in older
    ]


def carried_figures(valued: ValuedPositions, missing: BoolArray, view: MarketView) -> list[Carried]:
    """The positions that are valued at an older close or use older exposures than the view's.

    ``missing`` (N, K) tells of the first K factors which exposures the answer does without.
    """
    if view.as_of is None:
        return []
    as_of = np.datetime64(view.as_of, "D")
    close_session = view.close_session[valued.rows]
    sessions = view.factors_session[valued.rows][:, PRODUCT_OF_FACTOR[: missing.shape[1]]]
    # What is not used counts as current, so that the minimum is the oldest that is used.
    oldest = np.where(missing, as_of, sessions).min(axis=1)
    return [
        Carried(
            symbol=valued.symbols[place],
            close_session=close_session[place].item(),
            factors_session=oldest[place].item() if not missing[place].all() else None,
        )
        for place in np.flatnonzero((close_session < as_of) | (oldest < as_of)).tolist()
    ]
