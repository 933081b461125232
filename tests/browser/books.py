"""Portfolios beside those of the demo: one of 500 positions and one that owes more than it holds."""

from dataclasses import dataclass, field

import httpx

from tests.browser.answers import read
from tests.browser.demo import Demo

# The demo has some 410 stocks that trade.
LARGE, DISTINCT = 500, 400
OPENED = "2026-04-06"
LARGE_NAME, OWING_NAME = "Five hundred", "Owing"


@dataclass(frozen=True)
class Books:
    """The tokens of their owners."""

    large: str = field(repr=False)
    owing: str = field(repr=False)


def open_books(demo: Demo) -> Books:
    """Open the portfolios over the API, as other programs do."""
    books = Books(demo.new_owner(), demo.new_owner())
    with demo.client(books.large) as api:
        listed = read(api, "symbols?limit=1000&status=active")["items"]
        symbols = [item["symbol"] for item in listed if item["asset_type"] == "equity"]
        assert len(symbols) >= DISTINCT
        _open(api, LARGE_NAME, "5000000", [_lot(symbols[place % DISTINCT], place) for place in range(LARGE)])
    with demo.client(books.owing) as api:
        _open(api, OWING_NAME, "-5000", [_lot(symbol, 0) for symbol in symbols[8:12]])
    return books


def _lot(symbol: str, place: int) -> dict[str, str]:
    """Every seventh is short."""
    quantity = (place % 20 + 1) * (-1 if place % 7 == 3 else 1)
    return {"symbol": symbol, "quantity": str(quantity), "entry_price": "100", "entry_date": OPENED}


def _open(api: httpx.Client, name: str, equity: str, lots: list[dict[str, str]]) -> None:
    document = {"name": name, "stated_equity": equity, "as_of": OPENED, "positions": lots}
    answer = api.post("portfolios", json=document)
    assert answer.status_code == 201, answer.text
