"""The stand-in for Yahoo answers as Yahoo does, to a plain client."""

import json
from datetime import date
from typing import Any

from tests.vendors import yahoo
from tests.vendors.server import Page
from tests.vendors.yahoo import Company, YahooMarketplace, at, bar_of

FRIDAY, MONDAY = date(2024, 3, 8), date(2024, 3, 11)
MARKET = YahooMarketplace(
    {"ABC": Company(bars={FRIDAY: bar_of(100), MONDAY: bar_of(50)}, splits={MONDAY: (2, 1)}, dividends={FRIDAY: 0.5})}
)


def chart(symbol: str = "ABC", first: date = FRIDAY, end: date = date(2024, 3, 12)) -> Page:
    query = {"period1": str(at(first) - 34_200), "period2": str(at(end) - 34_200)}
    key, page = MARKET.routes(f"/v8/finance/chart/{symbol}", query)
    assert key == symbol
    return page


def said(page: Page) -> Any:
    return json.loads(page.content)


def test_a_chart_has_the_rows_and_events_of_its_window() -> None:
    (result,) = said(chart())["chart"]["result"]
    assert result["timestamp"] == [1_709_908_200, 1_710_163_800]
    assert result["indicators"]["quote"][0]["close"] == [100, 50]
    assert result["indicators"]["adjclose"] == [{"adjclose": [90.0, 45.0]}]
    (split,), (dividend,) = (list(result["events"][kind].values()) for kind in ("splits", "dividends"))
    assert split == {"date": 1_710_163_800, "numerator": 2, "denominator": 1, "splitRatio": "2:1"}
    assert dividend == {"date": 1_709_908_200, "amount": 0.5}
    (monday,) = said(chart(first=MONDAY))["chart"]["result"]
    assert (len(monday["timestamp"]), monday["events"]["dividends"]) == (1, {})


def test_it_says_why_there_is_no_chart() -> None:
    gone, early = chart("GONE"), chart(end=date(2024, 3, 8), first=date(2024, 3, 1))
    assert (gone.status, said(gone)["chart"]["error"]) == (404, yahoo.NO_DATA)
    assert (early.status, said(early)["chart"]["error"]) == (400, yahoo.NO_WINDOW)


def test_a_summary_needs_the_crumb() -> None:
    market = YahooMarketplace({"ABC": Company(summary={"price": {"symbol": "ABC"}, "other": {}})})
    path = "/v10/finance/quoteSummary/ABC"
    key, refused = market.routes(path, {"modules": "price"})
    assert (key, refused.status) == ("summary:ABC", 401)
    _, crumb = market.routes("/v1/test/getcrumb", {})
    _, page = market.routes(path, {"modules": "price,assetProfile", "crumb": crumb.content.decode()})
    assert said(page)["quoteSummary"]["result"] == [{"price": {"symbol": "ABC"}}]
    assert "Set-Cookie" in market.routes("/", {})[1].headers
