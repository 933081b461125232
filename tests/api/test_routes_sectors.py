"""Sector exposure over HTTP: every number as in a plain computation from the tables."""

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import PortfolioRecord
from tests.api.conftest import Api
from tests.api.market import (
    SESSIONS,
    add_lots,
    add_portfolio,
    add_split,
    add_token,
    add_valuation,
    contract,
    publish,
    publish_snapshot,
    random_figures,
    track,
)
from tests.api.oracle import Window, held_values

CALL = "AAPL250815C00150000"
SECTORS = {"S00": "Energy", "S01": "Energy", "S02": "Utilities", "S03": None, "FUND": "Energy"}
EQUITY = Decimal("4321.98765432")


def path_of(record: PortfolioRecord) -> str:
    return f"/api/v1/analytics/portfolio/{record.public_id}/sector-exposure"


def publish_book(database: Database) -> tuple[PortfolioRecord, int]:
    """Two stocks of a sector, long and short, one of another, one of none, a fund, a contract, a house, a stranger."""
    figures = random_figures(list(SECTORS), seed=41)
    shown = {symbol: replace(figures[symbol], sector=sector) for symbol, sector in SECTORS.items()}
    track(database, "FUND", asset_type="etf")
    add_split(database, "S02", SESSIONS[4], (3, 2), generation=1)
    publish(database, SESSIONS[-4], {"S01": shown.pop("S01")})
    publish(database, SESSIONS[-1], {**shown, CALL: contract("3.1")})
    held = {"S00": "7.5", "S01": "-20", "S02": "3", "S03": "-1.25", "FUND": "9", "GONE": "4"}
    record = add_portfolio(database, "ann", held)
    add_lots(database, record, {"symbol": CALL, "quantity": -2, "investment_class": "OPTIONS"})
    house = {"symbol": "S00", "quantity": 1, "investment_class": "PRIVATE", "entry_price": None}
    add_valuation(database, record, add_lots(database, record, house)[0], SESSIONS[0], "250.25")
    return record, publish_snapshot(database, record, SESSIONS[-1], EQUITY)


def expected_groups(database: Database, portfolio: UUID) -> dict[str, dict[str, Fraction]]:
    """Long, short and number of positions by group, from the tables."""
    groups: dict[str, dict[str, Fraction]] = defaultdict(lambda: defaultdict(Fraction))
    with database.begin() as connection:
        values = held_values(connection, portfolio, Window(SESSIONS[-6], SESSIONS[-1]))
        for (kind, symbol), value in values.items():
            name = {"OPTIONS": "Options", "PRIVATE": "Private"}.get(kind) or _group(connection, symbol)
            groups[name]["long" if value > 0 else "short"] += value
            groups[name]["positions"] += 1
    return groups


def _group(connection: sa.Connection, symbol: str) -> str:
    row: Any = connection.execute(
        sa.text(
            "SELECT sector, (SELECT asset_type FROM symbol_universe AS tracked WHERE tracked.symbol = :symbol) "
            "FROM symbol_daily_metrics WHERE symbol = :symbol ORDER BY metrics_date DESC LIMIT 1"
        ),
        {"symbol": symbol},
    ).one()
    return "ETF" if row.asset_type == "etf" else row.sector or "Unclassified"


def test_every_number_is_that_of_a_plain_computation(api: Api, database: Database) -> None:
    record, generation = publish_book(database)
    api.refresh()
    answer = api.get(path_of(record), add_token(database, "ann"))
    document = answer.json()
    assert (answer.status_code, answer.headers["X-Data-Generation"]) == (200, str(generation))
    expected = expected_groups(database, record.public_id)
    gross = sum(group["long"] - group["short"] for group in expected.values())
    data = document["data"]
    assert {item["sector"] for item in data["sectors"]} == set(expected)
    assert set(expected) == {"Energy", "Utilities", "Unclassified", "ETF", "Options", "Private"}
    for item in data["sectors"]:
        group = expected[item["sector"]]
        net = group["long"] + group["short"]
        assert item["gross_share"] == pytest.approx(float((group["long"] - group["short"]) / gross), rel=1e-12)
        assert item["net_share_of_equity"] == pytest.approx(float(net / Fraction(EQUITY)), rel=1e-12)
        dollars = {"long": group["long"], "short": group["short"], "net": net, "gross": group["long"] - group["short"]}
        for name, amount in dollars.items():
            assert float(item[name]) == pytest.approx(float(amount), abs=0.0051)
        assert item["positions"] == group["positions"]
    assert sum(item["gross_share"] for item in data["sectors"]) == pytest.approx(1.0, rel=1e-12)
    assert [float(item["gross"]) for item in data["sectors"]] == sorted(
        (float(item["gross"]) for item in data["sectors"]), reverse=True
    )
    assert float(data["gross"]) == pytest.approx(float(gross), abs=0.0051)
    assert document["excluded"] == [{"symbol": "GONE", "reason": "no_price"}]
    assert document["coverage"] == pytest.approx(7 / 8)
    assert [item["symbol"] for item in document["carried"]] == ["S01"]


def test_positions_carry_the_group_they_are_counted_in(api: Api, database: Database) -> None:
    record, _ = publish_book(database)
    api.refresh()
    items = api.get(f"/api/v1/portfolios/{record.public_id}/positions", add_token(database, "ann")).json()["items"]
    assert {(item["symbol"], item["investment_class"]): item["sector"] for item in items} == {
        (CALL, "OPTIONS"): "Options",
        ("FUND", "PUBLIC"): "ETF",
        ("GONE", "PUBLIC"): None,
        ("S00", "PUBLIC"): "Energy",
        ("S00", "PRIVATE"): "Private",
        ("S01", "PUBLIC"): "Energy",
        ("S02", "PUBLIC"): "Utilities",
        ("S03", "PUBLIC"): "Unclassified",
    }


def test_other_peoples_portfolios_are_unknown(api: Api, database: Database) -> None:
    record = add_portfolio(database, "bob", {})
    answer = api.get(path_of(record), add_token(database, "ann"))
    assert (answer.status_code, answer.json()["detail"]) == (404, "There is no such portfolio.")
    assert api.get(path_of(record)).status_code == 401
