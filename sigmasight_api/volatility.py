"""The volatility answer: holdings and a market view in, the document out. No database, no clock.

Source: formulas.md section 8.
"""

from sigmasight_api.book_series import BookSeries
from sigmasight_api.books import Book, Holdings
from sigmasight_api.risk_schemas import MissingNumber, Volatility
from sigmasight_api.schemas import AnalyticsAnswer
from sigmasight_api.view import MarketView
from sigmasight_assets.quant.volatility import NEEDED
from sigmasight_assets.quant.volatility import volatility as measured


def volatility(book: Book, holdings: Holdings, view: MarketView) -> AnalyticsAnswer[Volatility]:
    """The answer for a portfolio; the newest snapshot of ``book`` is not newer than the view."""
    series = BookSeries.of(book, holdings, view)
    return AnalyticsAnswer[Volatility](**series.surroundings(book, holdings, view), data=_numbers(series))


def _numbers(series: BookSeries) -> Volatility:
    count = len(series.gains)
    # Without equity there are no returns, however long the series is.
    found = measured(series.returns if series.has_equity else series.gains[:0])
    return Volatility(
        realized_21=found.realized_21,
        realized_63=found.realized_63,
        expected_21=found.expected_21,
        trend=found.trend.direction if found.trend else None,
        trend_slope=found.trend.slope if found.trend else None,
        percentile=found.percentile,
        missing=[
            MissingNumber(name=name, reason=series.reason, observations=count, needed=needed)
            if series.has_equity
            else MissingNumber(name=name, reason="equity_not_positive", observations=None, needed=None)
            for name, needed in NEEDED.items()
            if getattr(found, name) is None
        ],
        series=series.described(count),
    )
