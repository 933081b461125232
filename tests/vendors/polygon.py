"""What Polygon answers of option contracts when nothing is wrong, and its own words when something is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from tests.vendors.server import Page

AGGREGATES = re.compile(r"/v2/aggs/ticker/([^/]+)/range/1/day/([^/]+)/([^/]+)")
NEW_YORK = ZoneInfo("America/New_York")

UNKNOWN_KEY = {"status": "ERROR", "request_id": "r1", "error": "Unknown API Key"}
NOT_ENTITLED = {
    "status": "NOT_AUTHORIZED",
    "request_id": "r2",
    "message": "Your plan doesn't include this data timeframe. Please upgrade your plan at https://polygon.io/pricing",
}
TOO_MANY = {
    "status": "ERROR",
    "request_id": "r3",
    "error": "You've exceeded the maximum requests per minute, please wait or upgrade your subscription to continue.",
}
NOT_FOUND = {"status": "NOT_FOUND", "request_id": "r4", "message": "Resource not found."}

# Open, high, low, close and volume of a day.
Day = tuple[float, float, float, float, float]


@dataclass
class PolygonMarketplace:
    """Days by contract, without the vendor's prefix; ``routes`` are what a stand-in needs."""

    days: dict[str, dict[date, Day]] = field(default_factory=dict)
    status: str = "OK"

    def routes(self, path: str, query: Mapping[str, str]) -> tuple[str, Page]:
        """The contract that is asked for, and the good answer."""
        if found := AGGREGATES.fullmatch(path):
            ticker, first, last = found.groups()
            return _symbol(ticker), Page(self._aggregates(ticker, first, last, query))
        return path, Page(b"404 page not found", 404, content_type="text/plain")

    def _aggregates(self, ticker: str, first: str, last: str, query: Mapping[str, str]) -> dict[str, Any]:
        """A contract without trades and one that nobody knows get the same answer, without a list."""
        days = self.days.get(_symbol(ticker), {})
        bars = [bar(day, days[day]) for day in sorted(days) if first <= day.isoformat() <= last]
        answer = {
            "ticker": ticker,
            "queryCount": len(bars),
            "resultsCount": len(bars),
            "adjusted": query.get("adjusted") != "false",
            "status": self.status,
            "request_id": "r6",
        }
        return {**answer, "results": bars, "count": len(bars)} if bars else answer


def bar(day: date, values: Day) -> dict[str, Any]:
    """A day as the vendor states it: its time is the midnight in New York with which it begins."""
    opened, high, low, close, volume = values
    begins = int(datetime.combine(day, time(), NEW_YORK).timestamp() * 1000)
    return {"v": volume, "vw": close, "o": opened, "c": close, "h": high, "l": low, "t": begins, "n": 3}


def _symbol(ticker: str) -> str:
    return ticker.removeprefix("O:")
