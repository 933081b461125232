"""The concentration answer: holdings and a market view in, the document out. No database, no clock.

Source: formulas.md section 8.
"""

import numpy as np

from sigmasight_api.answers import whole_book
from sigmasight_api.books import Book, Holdings
from sigmasight_api.formats import cents
from sigmasight_api.schemas import AnalyticsAnswer, Concentration, HeldWeight
from sigmasight_api.valuation import BookValues
from sigmasight_api.view import MarketView
from sigmasight_assets.quant.concentration import concentration as measured
from sigmasight_assets.quant.concentration import weights

LARGEST = 10


def concentration(book: Book, holdings: Holdings, view: MarketView) -> AnalyticsAnswer[Concentration]:
    """The answer for a portfolio; the newest snapshot of ``book`` is not newer than the view."""
    found, around = whole_book(book, holdings, view)
    return AnalyticsAnswer[Concentration](**around, data=concentration_of(found))


def concentration_of(found: BookValues) -> Concentration:
    """The numbers alone, of everything that has a value."""
    if not found.values:
        return Concentration(
            herfindahl=None, effective_positions=None, top_3=None, top_10=None, positions=0, largest=[]
        )
    values = np.array(list(found.values.values()))
    shares, keys = weights(values), list(found.values)
    numbers = measured(values)
    # Of equal ones the first by name, so that the same book gives the same answer.
    order = sorted(range(len(keys)), key=lambda place: (-shares[place], keys[place]))[:LARGEST]
    return Concentration(
        herfindahl=numbers.herfindahl,
        effective_positions=numbers.effective_positions,
        top_3=numbers.top_3,
        top_10=numbers.top_10,
        positions=len(keys),
        largest=[
            HeldWeight(
                symbol=keys[place][1],
                investment_class=keys[place][0],
                market_value=cents(float(values[place])),
                weight=float(shares[place]),
            )
            for place in order
        ],
    )
