"""A stand-in for Yahoo with two companies, and what an answer about them holds."""

from datetime import date
from typing import Any

from sigmasight_assets.market_data.protocol import BarRequest, FetchResult
from sigmasight_assets.market_data.yahoo import YahooMarket
from sigmasight_assets.sessions import exchange_calendar
from tests.vendors.yahoo import Company, bar_of

CALENDAR = exchange_calendar()
TODAY = date(2024, 3, 15)
DAYS = CALENDAR.between(date(2024, 2, 1), TODAY)
FIRST, LAST = DAYS[0], DAYS[-1]
SECONDS = 1.0


def company(**others: Any) -> Company:
    bars = {day: bar_of(100.0 + place) for place, day in enumerate(DAYS)}
    return Company(bars=bars, **others)


def ask(source: YahooMarket, symbol: str = "ABC", first: date = FIRST, last: date = LAST) -> FetchResult:
    return source.fetch_bars([BarRequest(symbol, first, last)])


def days_of(answer: FetchResult) -> list[date]:
    days: list[date] = answer.bars["price_date"].to_pylist()
    return days


def closes_of(answer: FetchResult) -> list[float]:
    closes: list[float] = answer.bars["close_price"].to_pylist()
    return closes
