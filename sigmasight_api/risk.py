"""The risk answer, what a session can cost: holdings and a market view in, the document out. No database, no clock.

Source: formulas.md section 8.
"""

from sigmasight_api.book_series import BookSeries
from sigmasight_api.books import Book, Holdings
from sigmasight_api.formats import cents
from sigmasight_api.risk_schemas import Loss, MissingNumber, Risk
from sigmasight_api.schemas import AnalyticsAnswer
from sigmasight_api.view import MarketView
from sigmasight_assets.quant.risk import MIN_OBSERVATIONS, last_year, tail_risk

TAILS = {"95": 0.05, "99": 0.01}


def risk(book: Book, holdings: Holdings, view: MarketView) -> AnalyticsAnswer[Risk]:
    """The answer for a portfolio; the newest snapshot of ``book`` is not newer than the view."""
    series = BookSeries.of(book, holdings, view)
    return AnalyticsAnswer[Risk](**series.surroundings(book, holdings, view), data=_numbers(series))


def _numbers(series: BookSeries) -> Risk:
    gains = last_year(series.gains)
    losses: dict[str, Loss | None] = {}
    for level, tail in TAILS.items():
        found = tail_risk(gains, tail=tail) if len(gains) >= MIN_OBSERVATIONS else None
        losses[f"value_at_risk_{level}"] = _loss(found.value_at_risk, series) if found else None
        losses[f"expected_shortfall_{level}"] = _loss(found.expected_shortfall, series) if found else None
    return Risk(
        **losses,
        missing=[
            MissingNumber(name=name, reason=series.reason, observations=len(gains), needed=MIN_OBSERVATIONS)
            for name, loss in losses.items()
            if loss is None
        ],
        series=series.described(len(gains)),
    )


def _loss(dollars: float, series: BookSeries) -> Loss:
    share = dollars / float(series.equity) if series.has_equity else None
    return Loss(share_of_equity=share, dollars=cents(dollars))
