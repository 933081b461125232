"""Requests that write, as tests make them, and what they leave in the tables."""

from collections.abc import Mapping
from typing import Any

import httpx
import sqlalchemy as sa

from sigmasight_assets.storage.book_tables import portfolios
from sigmasight_assets.storage.database import Database
from tests.api.conftest import Api, bearer
from tests.api.market import SESSIONS, Figures, publish, random_figures, track
from tests.contents import contents

AS_OF, LATER, LAST = str(SESSIONS[0]), str(SESSIONS[4]), str(SESSIONS[-1])
SYMBOLS = ("AAA", "BBB", "CCC")
LOT = {"symbol": "AAA", "quantity": "10", "entry_price": "12.5", "entry_date": AS_OF}
HOUSE = {
    "symbol": "A house",
    "quantity": "1",
    "entry_date": AS_OF,
    "investment_class": "PRIVATE",
    "market_value": "1000.5",
    "valued_on": AS_OF,
}
BOOK = {"name": "Main", "stated_equity": "100000", "as_of": AS_OF}
PORTFOLIOS, POSITIONS = "/api/v1/portfolios", "/api/v1/positions"
CSV = {"Content-Type": "text/csv"}
HEADER = "symbol,quantity,entry_price,entry_date"
LINE = f"AAA,10,12.5,{AS_OF}"


def publish_market(api: Api, database: Database) -> dict[str, Figures]:
    """Closes and betas of three symbols at the newest session, in the view of the application."""
    figures = random_figures(SYMBOLS, seed=5)
    for symbol in SYMBOLS:
        track(database, symbol)
    publish(database, SESSIONS[-1], figures)
    api.refresh()
    return figures


def send(api: Api, method: str, path: str, token: str, *, key: str | None = None, **options: Any) -> httpx.Response:
    """A request, named by ``key`` when there is one."""
    headers = {**bearer(token), **options.pop("headers", {})}
    if key is not None:
        headers["Idempotency-Key"] = key
    return api.http.request(method, path, headers=headers, **options)


def send_text(api: Api, method: str, path: str, token: str, body: str) -> httpx.Response:
    """A request whose JSON is given as text."""
    return send(api, method, path, token, content=body, headers={"Content-Type": "application/json"})


def open_book(api: Api, token: str, *positions: Mapping[str, Any], **terms: Any) -> str:
    """The id of a new portfolio."""
    answer = api.post(PORTFOLIOS, token, json={**BOOK, **terms, "positions": list(positions)})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["portfolio_id"])


def listed(api: Api, token: str, portfolio: str) -> list[dict[str, Any]]:
    """All positions of a portfolio."""
    items: list[dict[str, Any]] = api.get(f"{PORTFOLIOS}/{portfolio}/positions?all=true", token).json()["items"]
    return items


def settle(database: Database) -> None:
    """Count all snapshots as current."""
    with database.begin() as connection:
        connection.execute(sa.update(portfolios).values(stale_from=None))


def stale_from(database: Database) -> str | None:
    """The date from which the only portfolio's snapshots await recomputation."""
    with database.begin() as connection:
        found = connection.execute(sa.select(portfolios.c.stale_from)).scalar_one()
    return None if found is None else str(found)


def stored(database: Database) -> list[tuple[str, str]]:
    """Everything in the tables."""
    return contents(database)
