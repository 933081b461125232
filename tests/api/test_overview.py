"""Tests of the overview over HTTP: values from the tables, and the main number of each other answer."""

from decimal import Decimal
from typing import Any

import pytest

from sigmasight_assets.storage.database import Database
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
)

CALL = "AAPL250815C00150000"


def get(api: Api, token: str, portfolio: Any, analytic: str) -> dict[str, Any]:
    document: dict[str, Any] = api.get(f"/api/v1/analytics/portfolio/{portfolio}/{analytic}", token).json()
    return document


def test_values_are_those_of_the_tables_and_numbers_those_of_the_other_answers(api: Api, database: Database) -> None:
    figures = random_figures(["AAA", "BBB"], seed=1)
    generation = publish(database, SESSIONS[-1], {**figures, CALL: contract("2.5")})
    add_split(database, "BBB", SESSIONS[4], (3, 2), generation=generation)
    record = add_portfolio(database, "ann", {"AAA": "10", "BBB": "-4", "GONE": "1"})
    house = {"symbol": "HOUSE", "investment_class": "PRIVATE", "quantity": 1, "entry_price": None}
    add_lots(database, record, {"symbol": CALL, "investment_class": "OPTIONS", "quantity": -2})
    add_valuation(database, record, add_lots(database, record, house)[0], SESSIONS[0], "100.25")
    publish_snapshot(database, record, SESSIONS[-1], Decimal("12345.67"))
    api.refresh()
    token = add_token(database, "ann")
    document = get(api, token, record.public_id, "overview")
    long_value = 10 * figures["AAA"].close + Decimal("100.25")
    shorts = -6 * figures["BBB"].close, Decimal(-500)
    short_value = sum(shorts, start=Decimal(0))
    data = document["data"]
    assert {name: Decimal(value) for name, value in data["values"].items() if isinstance(value, str)} == {
        "long_value": round(long_value, 2),
        "short_value": round(short_value, 2),
        "gross": round(long_value - short_value, 2),
        "net": round(long_value + short_value, 2),
        "public_value": round(10 * figures["AAA"].close + shorts[0], 2),
        "options_value": Decimal(-500),
        "private_value": Decimal("100.25"),
    }
    assert data["values"]["gross_leverage"] == pytest.approx(float((long_value - short_value) / Decimal("12345.67")))
    assert data["values"]["net_leverage"] == pytest.approx(float((long_value + short_value) / Decimal("12345.67")))
    counts = ("positions", "long_positions", "short_positions", "positions_without_value")
    assert [data[name] for name in counts] == [4, 2, 2, 1]
    assert document["excluded"] == [{"symbol": "GONE", "reason": "no_price"}]
    assert data["snapshot"] == {
        "session": str(SESSIONS[-1]),
        "equity": "12345.67",
        "daily_pnl": "0.00",
        "daily_return": 0.0125,
        "cumulative_pnl": "12.34",
        "unrealized_pnl": "0.00",
        "is_partial": True,
    }
    exposures, held = (get(api, token, record.public_id, name) for name in ("factor-exposures", "concentration"))
    assert data["market_beta"] == exposures["data"]["factors"][0]["exposure"]
    assert (data["effective_positions"], data["largest"]) == (
        held["data"]["effective_positions"],
        held["data"]["largest"],
    )


def test_before_anything_is_known_there_are_reasons(api: Api, database: Database) -> None:
    record, token = add_portfolio(database, "ann", {}), add_token(database, "ann")
    document = get(api, token, record.public_id, "overview")
    assert (document["ratios_reason"], document["data"]["snapshot"]) == ("no_snapshot", None)
    assert (document["data"]["values"]["gross"], document["data"]["values"]["gross_leverage"]) == ("0.00", None)
    assert document["data"]["realized_volatility_21"] is None
