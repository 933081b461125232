"""Tests of the files that owners take away: exact, safe to open in a spreadsheet, and readable by the importer."""

import csv
import io
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.ledger_tables import portfolio_snapshots
from sigmasight_assets.storage.portfolios import NewLot, read_lots, require_portfolio
from tests.api.conftest import Api
from tests.api.market import SESSIONS, add_portfolio, add_token, publish_snapshot
from tests.api.writing import AS_OF, CSV, HOUSE, LAST, LATER, LOT, PORTFOLIOS, open_book, send

NAMES = (
    '=HYPERLINK("http://x","y")',
    "+1",
    "-1",
    "@x",
    "'=1",
    "''",
    "# no comment",
    'a "quoted", name',
    "plain",
    "M\u00fcnchen \U0001f3e0",
)
NOTES = ("=1+1", "\t=1", "-2", "+3", "@4", "'=5", "'6", '7"7', "8,8", "# 9", "a\tb", "\u2028", "")


@pytest.fixture
def token(database: Database) -> str:
    return add_token(database, "ann")


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def lots_of(database: Database, portfolio: str) -> list[dict[str, Any]]:
    """What is stored of the lots, without the keys of the database."""
    with database.begin() as connection:
        found = read_lots(connection, require_portfolio(connection, UUID(portfolio)).portfolio_id)
    return [{name: getattr(lot, name) for name in NewLot.__dataclass_fields__} for lot in found]


@pytest.mark.fault(29)
def test_a_book_is_taken_away_and_brought_back_as_it_was(api: Api, database: Database, token: str) -> None:
    portfolio = open_book(
        api,
        token,
        *({**HOUSE, "symbol": name} for name in NAMES),
        *({**LOT, "notes": note} for note in NOTES),
        {**LOT, "quantity": "-12345.6789", "entry_price": "99999.9999", "exit_date": LAST, "exit_price": "0"},
        {**LOT, "symbol": "AAA250725C00150000", "investment_class": "OPTIONS"},
        {**LOT, "units_date": LATER},
        {**HOUSE, "market_value": "0.00000001", "entry_price": "5"},
    )
    answer = api.get(f"{PORTFOLIOS}/{portfolio}/positions.csv", token)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="positions-{portfolio}.csv"'
    query = {"name": "Copy", "stated_equity": "1", "as_of": AS_OF}
    brought = send(api, "POST", f"{PORTFOLIOS}.csv", token, params=query, content=answer.content, headers=CSV)
    assert brought.status_code == 201, brought.text
    copied = lots_of(database, brought.json()["portfolio_id"])
    assert copied == lots_of(database, portfolio)
    assert [lot["symbol"] for lot in copied[: len(NAMES)]] == list(NAMES)
    again = api.get(f"{PORTFOLIOS}/{brought.json()['portfolio_id']}/positions.csv", token)
    assert again.content == answer.content


@pytest.mark.fault(29)
def test_no_cell_is_a_formula_and_numbers_stay_numbers(api: Api, token: str) -> None:
    portfolio = open_book(api, token, {**LOT, "quantity": "-5"}, *({**HOUSE, "symbol": name} for name in NAMES))
    text = api.get(f"{PORTFOLIOS}/{portfolio}/positions.csv", token).text
    found = rows(text)
    assert found[0]["quantity"] == "-5.0000"
    assert found[1]["symbol"] == f"'{NAMES[0]}"
    for row in found:
        assert not {row["symbol"][0], *row["notes"][:1]} & set("=+-@\t\r")
    assert "\n#" not in text


def test_the_newest_valuation_goes_with_a_private_position(api: Api, token: str) -> None:
    portfolio = open_book(api, token, HOUSE)
    (position,) = api.get(f"{PORTFOLIOS}/{portfolio}/positions", token).json()["items"]
    path = f"/api/v1/positions/{position['position_id']}/valuations/{LATER}"
    assert send(api, "PUT", path, token, json={"market_value": "7.125"}).status_code == 200
    (row,) = rows(api.get(f"{PORTFOLIOS}/{portfolio}/positions.csv", token).text)
    assert (row["market_value"], row["valued_on"]) == ("7.12500000", LATER)


def test_snapshots_are_taken_away_as_they_are_listed(api: Api, database: Database, token: str) -> None:
    record = add_portfolio(database, "ann", {"AAA": "1"})
    for session in SESSIONS[:3]:
        publish_snapshot(database, record, session, Decimal("-1.005"))
    with database.begin() as connection:
        connection.execute(sa.update(portfolio_snapshots).values(missing_symbols=["=1", "B"], daily_return=None))
    path = f"{PORTFOLIOS}/{record.public_id}/snapshots"
    answer = api.get(f"{path}.csv", token)
    assert answer.headers["Content-Disposition"] == f'attachment; filename="snapshots-{record.public_id}.csv"'
    listed = api.get(path, token).json()["items"]
    texts = {"None": "", "True": "true", "['=1', 'B']": "'=1; B"}
    assert rows(answer.text) == [
        {name: texts.get(str(value), str(value)) for name, value in snapshot.items()} for snapshot in listed
    ]
    assert len(listed) == 3


def test_a_long_book_is_sent_in_pieces_and_whole(api: Api, token: str) -> None:
    portfolio = open_book(api, token, *({**LOT, "notes": f"number {place}"} for place in range(3_000)))
    found = rows(api.get(f"{PORTFOLIOS}/{portfolio}/positions.csv", token).text)
    assert [row["notes"] for row in found] == [f"number {place}" for place in range(3_000)]


def test_a_portfolio_without_anything_has_headers(api: Api, token: str) -> None:
    portfolio = open_book(api, token)
    for kind in ("positions", "snapshots"):
        lines = api.get(f"{PORTFOLIOS}/{portfolio}/{kind}.csv", token).text.splitlines()
        assert len(lines) == 1
