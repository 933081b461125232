"""The concentration answer: holdings and a market view in, the document out. No database, no clock.

Source: formulas.md section 8.
"""

import numpy as np

from sigmasight_api.answers import carried_closes, stated
from sigmasight_api.books import PRIVATE, Book, Holdings
from sigmasight_api.formats import cents
from sigmasight_api.schemas import AnalyticsAnswer, Concentration, Excluded, HeldWeight
from sigmasight_api.valuation import BookValues, book_values, held_options, private_share, valued_positions
from sigmasight_api.view import NO_PRICE, MarketView
from sigmasight_assets.quant.concentration import concentration as measured
from sigmasight_assets.quant.concentration import weights

LARGEST = 10
NO_VALUATION = "no_valuation"


def concentration(book: Book, holdings: Holdings, view: MarketView) -> AnalyticsAnswer[Concentration]:
    """The answer for a portfolio; the newest snapshot of ``book`` is not newer than the view."""
    valued = valued_positions(holdings.shares, view)
    options = held_options(holdings, view, snapshot_session=book.equity_session)
    found = book_values(valued, options, holdings.private, view)
    held = len(found.values) + len(found.without)
    reasons = {kind: NO_VALUATION if kind == PRIVATE else NO_PRICE for kind, _ in found.without}
    return AnalyticsAnswer[Concentration](
        **stated(book, view),
        coverage=len(found.values) / held if held else None,
        private_share=private_share(valued, options, holdings.private, view),
        excluded=[Excluded(symbol=symbol, reason=reasons[kind]) for kind, symbol in sorted(found.without, key=_symbol)],
        incomplete=[],
        carried=carried_closes(valued, view),
        data=_numbers(found),
    )


def _symbol(key: tuple[str, str]) -> str:
    return key[1]


def _numbers(found: BookValues) -> Concentration:
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
