"""Yahoo's routes for a stand-in: charts and summaries of made-up symbols, as yfinance 1.7.0 asks for them.

The key of a chart is its symbol, that of a summary ``summary:SYMBOL``, and ``cookie`` and ``crumb`` are the calls that
fetch those. The behaviours at the end alter charts as Yahoo is known to.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from tests.vendors.server import PAGE, Behaviour, Page, altered, sends

NEW_YORK = ZoneInfo("America/New_York")
CRUMB = "m4de.Up/Crumb"
NO_DATA = {"code": "Not Found", "description": "No data found, symbol may be delisted"}
NO_WINDOW = {"code": "Bad Request", "description": "Data doesn't exist for startDate = 1, endDate = 2"}
COLUMNS = ("open", "high", "low", "close", "adjclose", "volume")

# Open, high, low, close, adjusted close and volume.
Bar = tuple[float | None, float | None, float | None, float | None, float | None, float | None]
Chart = dict[str, Any]


def at(day: date, moment: time = time(9, 30)) -> int:
    """The seconds at which Yahoo dates a session's row: those of its opening."""
    return int(datetime.combine(day, moment, NEW_YORK).timestamp())


def bar_of(close: float, volume: float = 1_000.0) -> Bar:
    """A bar around a close."""
    return close, close * 1.01, close * 0.99, close, close * 0.9, volume


@dataclass
class Company:
    """One symbol: its bars by day, its splits (numerator, denominator) and dividends by ex-date, its summary."""

    bars: dict[date, Bar] = field(default_factory=dict)
    splits: dict[date, tuple[float, float]] = field(default_factory=dict)
    dividends: dict[date, float] = field(default_factory=dict)
    currency: str = "USD"
    zone: str = "America/New_York"
    summary: dict[str, Any] = field(default_factory=dict)


class YahooMarketplace:
    """The companies of a stand-in for Yahoo, by Yahoo's symbol."""

    def __init__(self, companies: Mapping[str, Company] | None = None) -> None:
        self.companies = dict(companies or {})
        # The crumb that counts; whoever changes it makes those handed out worthless.
        self.crumb = CRUMB

    def routes(self, path: str, query: Mapping[str, str]) -> tuple[str, Page]:
        """The key and the good answer of a request."""
        symbol = path.rpartition("/")[2]
        if path.startswith("/v8/finance/chart/"):
            return symbol, self._chart(symbol, query)
        if path.startswith("/v10/finance/quoteSummary/"):
            return f"summary:{symbol}", self._summary(symbol, query)
        if path == "/v1/test/getcrumb":
            return "crumb", Page(self.crumb.encode(), content_type="text/plain")
        if path in ("", "/"):
            # Yahoo's page of the cookie is not found, and brings it all the same.
            return "cookie", Page(PAGE, 404, {"Set-Cookie": "A3=made-up; Path=/"}, "text/html")
        return path, Page(PAGE, 404, content_type="text/html")

    def _chart(self, symbol: str, query: Mapping[str, str]) -> Page:
        company = self.companies.get(symbol)
        if company is None:
            return refusal(NO_DATA)
        # A range instead of two times is how the client looks for a symbol's time zone.
        first, end = int(query.get("period1", 0)), int(query.get("period2", 2**33))
        days = [day for day in sorted(company.bars) if first <= at(day) < end]
        if not days and company.bars:
            return refusal(NO_WINDOW, 400)
        return Page({"chart": {"result": [_result(symbol, company, days, first, end)], "error": None}})

    def _summary(self, symbol: str, query: Mapping[str, str]) -> Page:
        if query.get("crumb") != self.crumb:
            error = {"code": "Unauthorized", "description": "Invalid Crumb"}
            return Page({"finance": {"result": None, "error": error}}, 401)
        company = self.companies.get(symbol)
        if company is None:
            error = {"code": "Not Found", "description": f"Quote not found for symbol: {symbol}"}
            return Page({"quoteSummary": {"result": None, "error": error}}, 404)
        asked = query["modules"].split(",")
        modules = {name: company.summary[name] for name in asked if name in company.summary}
        return Page({"quoteSummary": {"result": [modules], "error": None}})


def refusal(error: Mapping[str, str], status: int = 404) -> Page:
    """Yahoo's answer about a symbol or a window that it has nothing of."""
    return Page({"chart": {"result": None, "error": dict(error)}}, status)


def refuses(error: Mapping[str, str], status: int = 404) -> Behaviour:
    """That answer."""
    return sends(refusal(error, status).body, status)


def _result(symbol: str, company: Company, days: list[date], first: int, end: int) -> dict[str, Any]:
    columns = {name: [company.bars[day][place] for day in days] for place, name in enumerate(COLUMNS)}
    adjusted = columns.pop("adjclose")
    result: dict[str, Any] = {
        "meta": {
            "symbol": symbol,
            "currency": company.currency,
            "instrumentType": "EQUITY",
            "exchangeTimezoneName": company.zone,
            "regularMarketTime": at(days[-1], time(16)) if days else None,
            "dataGranularity": "1d",
        },
        "indicators": {"quote": [columns if days else {}], "adjclose": [{"adjclose": adjusted} if days else {}]},
    }
    if days:
        result["timestamp"] = [at(day) for day in days]
    splits = {str(at(day)): (at(day), *ratio) for day, ratio in company.splits.items() if first <= at(day) < end}
    dividends = {str(at(day)): (at(day), cash) for day, cash in company.dividends.items() if first <= at(day) < end}
    if splits or dividends:
        result["events"] = {
            "splits": {
                key: {"date": when, "numerator": new, "denominator": old, "splitRatio": f"{new:g}:{old:g}"}
                for key, (when, new, old) in splits.items()
            },
            "dividends": {key: {"date": when, "amount": cash} for key, (when, cash) in dividends.items()},
        }
    return result


def chart_altered(change: Callable[[Chart], None]) -> Behaviour:
    """The good chart after ``change`` of its result."""

    def changed(body: Any) -> Any:
        change(body["chart"]["result"][0])
        return body

    return altered(changed)


def with_rows(edit: Callable[[list[list[Any]]], list[list[Any]]]) -> Behaviour:
    """The good chart with other rows, each of the time and the six values of ``COLUMNS``."""

    def change(result: Chart) -> None:
        quote, adjusted = result["indicators"]["quote"][0], result["indicators"]["adjclose"][0]
        columns = [adjusted["adjclose"] if name == "adjclose" else quote[name] for name in COLUMNS]
        rows = edit([list(row) for row in zip(result["timestamp"], *columns, strict=True)])
        stamps, *values = [list(column) for column in zip(*rows, strict=True)]
        result["timestamp"] = stamps
        for name, column in zip(COLUMNS, values, strict=True):
            (adjusted if name == "adjclose" else quote)[name] = column

    return chart_altered(change)


def _empty_newest(rows: list[list[Any]]) -> list[list[Any]]:
    return [*rows[:-1], [rows[-1][0], *[None] * len(COLUMNS)]]


def _repeated(rows: list[list[Any]]) -> list[list[Any]]:
    return [*rows, list(rows[-1])]


def _contradicted(rows: list[list[Any]]) -> list[list[Any]]:
    return [*rows, [rows[-1][0], *(value * 1.1 for value in rows[-1][1:])]]


# The newest session has no values yet; its row comes twice, alike or with other values.
nan_last_session = with_rows(_empty_newest)
duplicate = with_rows(_repeated)
conflicting_duplicate = with_rows(_contradicted)


def redated(days: int) -> Behaviour:
    """The newest row is dated so many days later than it is."""
    return with_rows(lambda rows: [*rows[:-1], [rows[-1][0] + days * 86_400, *rows[-1][1:]]])


def rescaled_before(day: date, factor: float) -> Behaviour:
    """Prices before a day times a factor, volumes by it: history that was restated once too little or too often."""

    def edit(rows: list[list[Any]]) -> list[list[Any]]:
        return [
            [stamp, *(value * factor for value in prices), volume / factor]
            if stamp < at(day, time())
            else [stamp, *prices, volume]
            for stamp, *prices, volume in rows
        ]

    return with_rows(edit)
