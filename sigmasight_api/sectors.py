"""The sector-exposure answer: holdings and a market view in, the document out. No database, no clock.

Source: formulas.md section 8. Option contracts are a group of their own: what moves with the sector of an underlying is
not the value of a contract but its delta, which nobody publishes here.
"""

import numpy as np

from sigmasight_api.answers import whole_book
from sigmasight_api.books import OPTIONS, PRIVATE, Book, Holdings
from sigmasight_api.formats import cents
from sigmasight_api.schemas import AnalyticsAnswer
from sigmasight_api.sector_schemas import SectorExposure, SectorShare
from sigmasight_api.valuation import BookValues
from sigmasight_api.view import MarketView
from sigmasight_assets.quant.sectors import GroupTotals, group_totals

FUND_GROUP, UNCLASSIFIED, OPTIONS_GROUP, PRIVATE_GROUP = "ETF", "Unclassified", "Options", "Private"


def sector_of(investment_class: str, symbol: str, view: MarketView) -> str | None:
    """The group of a position; None for a symbol that the view does not know."""
    if investment_class in (OPTIONS, PRIVATE):
        return OPTIONS_GROUP if investment_class == OPTIONS else PRIVATE_GROUP
    row = view.rows.get(symbol)
    if row is None:
        return None
    return FUND_GROUP if view.is_fund[row] else view.sectors[row] or UNCLASSIFIED


def sector_exposure(book: Book, holdings: Holdings, view: MarketView) -> AnalyticsAnswer[SectorExposure]:
    """The answer for a portfolio; the newest snapshot of ``book`` is not newer than the view."""
    found, around = whole_book(book, holdings, view)
    equity = None if book.equity is None else float(book.equity)
    return AnalyticsAnswer[SectorExposure](**around, data=_numbers(found, view, equity=equity))


def _numbers(found: BookValues, view: MarketView, *, equity: float | None) -> SectorExposure:
    if found.without and not found.values:
        return SectorExposure(gross=None, net=None, sectors=[])
    # What has a value is known to the view.
    tags = [sector_of(*key, view) or UNCLASSIFIED for key in found.values]
    names = sorted(set(tags))
    groups = np.array([names.index(tag) for tag in tags], dtype=np.int64)
    totals = group_totals(np.array(list(found.values.values())), groups, count=len(names))
    order = sorted(range(len(names)), key=lambda group: (-totals.gross[group], names[group]))
    return SectorExposure(
        gross=cents(float(totals.gross.sum())),
        net=cents(float(totals.net.sum())),
        sectors=[_share(names[group], totals, group, tags.count(names[group]), equity=equity) for group in order],
    )


def _share(name: str, totals: GroupTotals, group: int, positions: int, *, equity: float | None) -> SectorShare:
    net = float(totals.net[group])
    return SectorShare(
        sector=name,
        gross_share=float(totals.gross_share[group]),
        gross=cents(float(totals.gross[group])),
        long=cents(float(totals.long[group])),
        short=cents(float(totals.short[group])),
        net=cents(net),
        net_share_of_equity=net / equity if equity is not None and equity > 0 else None,
        positions=positions,
    )
