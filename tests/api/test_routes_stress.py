"""Stress tests over HTTP: every number as in a plain computation from the tables, and what is refused."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from sigmasight_api.app import create_app
from sigmasight_api.settings import Settings
from sigmasight_assets.errors import ConfigurationError
from sigmasight_assets.quant.covariance import factor_covariances
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import PortfolioRecord
from tests.api.conftest import Api
from tests.api.market import (
    SESSIONS,
    Figures,
    add_covariance,
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
from tests.api.stress_tables import ExpectedImpact, StressedBook, stressed_book
from tests.quant.reference import random_market
from tests.quant.stress_oracle import SCENARIOS, STYLES

CALL = "AAPL250815C00150000"
STOCKS = [f"S{number:02d}" for number in range(12)]
EQUITY = Decimal("4321.98765432")


def path_of(record: PortfolioRecord) -> str:
    return f"/api/v1/analytics/portfolio/{record.public_id}/stress-test"


def publish_market(database: Database) -> None:
    """Figures of two sessions: SPY as it is published, steep stocks, some carried, some without one of the betas."""
    figures = random_figures([*STOCKS, "SPY", "TLT"], seed=31)
    spy = figures["SPY"]
    figures["SPY"] = replace(spy, betas=(1.0, *spy.betas[1:]))
    figures["S01"] = replace(figures["S01"], betas=(*figures["S01"].betas[:8], None, None, None, None))
    figures["S02"] = replace(figures["S02"], betas=(None, *figures["S02"].betas[1:]))
    figures["S03"] = replace(figures["S03"], betas=(4.9, *figures["S03"].betas[1:]))
    figures["S04"] = replace(figures["S04"], products=frozenset({"symbol_daily_metrics", "market_beta", "ir_beta"}))
    publish(database, SESSIONS[-4], {symbol: figures.pop(symbol) for symbol in ("S05", "TLT")})
    add_split(database, "S06", SESSIONS[4], (3, 2), generation=1)
    funds = random_market(seed=32, sessions=252).factor_returns
    matrix = factor_covariances(funds, rows=np.array([251]))[0][0]
    add_covariance(database, SESSIONS[-2], matrix[::-1, ::-1], FACTOR_ETFS[::-1])
    publish(database, SESSIONS[-1], {**figures, CALL: contract("3.1")}, exclusions=[("S02", "market_beta", "constant")])


def publish_book(database: Database) -> PortfolioRecord:
    """Long and short of every stock and fund, one symbol without a price, a contract and a house."""
    record = add_portfolio(
        database, "ann", {symbol: str(Decimal(7 * place - 40) / 8) for place, symbol in enumerate([*STOCKS, "SPY"])}
    )
    add_lots(database, record, {"symbol": "TLT", "quantity": Decimal("2.5")}, {"symbol": "GONE", "quantity": 3})
    add_lots(database, record, {"symbol": CALL, "quantity": 2, "investment_class": "OPTIONS"})
    house = {"symbol": "HOUSE", "quantity": 1, "investment_class": "PRIVATE", "entry_price": None}
    add_valuation(database, record, add_lots(database, record, house)[0], SESSIONS[0], "250")
    return record


def assert_as_computed(item: dict[str, Any], expected: ExpectedImpact) -> None:
    """Every number of a scenario is that of the plain computation."""
    assert Decimal(item["correlated"]) == pytest.approx(Decimal(float(expected.correlated)), abs=Decimal("0.0051"))
    assert Decimal(item["direct"]) == pytest.approx(Decimal(float(expected.direct)), abs=Decimal("0.0051"))
    assert item["share_of_equity"] == pytest.approx(float(expected.correlated) / float(EQUITY), rel=1e-9, abs=1e-15)
    assert item["is_beyond_equity"] == (-expected.correlated > EQUITY)
    assert {effect["factor"]: effect["shock"] for effect in item["effects"]} == pytest.approx(
        {factor: float(shock) for factor, shock in expected.shocks.items()}, rel=1e-9, abs=1e-12
    )
    for effect in item["effects"]:
        assert float(effect["dollars"]) == pytest.approx(float(expected.effects[effect["factor"]]), abs=0.0051)
    floored = float(expected.correlated - sum(expected.effects.values()))
    assert float(item["floored_dollars"]) == pytest.approx(floored, abs=0.0051)
    assert (item["floored_symbols"], item["floored_count"]) == (expected.floored, len(expected.floored))
    assert item["reason"] is None


def book_of(database: Database, record: PortfolioRecord) -> StressedBook:
    return stressed_book(database, record.public_id, oldest=SESSIONS[-6], as_of=SESSIONS[-1])


def test_every_number_is_that_of_a_plain_computation(api: Api, database: Database) -> None:
    publish_market(database)
    record = publish_book(database)
    generation = publish_snapshot(database, record, SESSIONS[-1], EQUITY)
    api.refresh()
    answer = api.get(path_of(record), add_token(database, "ann"))
    document = answer.json()
    assert answer.status_code == 200
    assert answer.headers["X-Data-Generation"] == str(document["generation"]) == str(generation)
    expected = book_of(database, record)
    assert [item["id"] for item in document["data"]["scenarios"]] == list(SCENARIOS)
    for item in document["data"]["scenarios"]:
        assert_as_computed(item, expected.impact(SCENARIOS[item["id"]]))
    assert document["coverage"] == pytest.approx(expected.coverage, rel=1e-12)
    assert {item["symbol"]: item["reason"] for item in document["excluded"]} == {
        CALL: "options",
        "GONE": "no_price",
        "HOUSE": "private",
        "S02": "constant",
        "S04": "no_exposures",
    }
    older = str(SESSIONS[-4])
    assert {item["symbol"]: item["factors_session"] for item in document["carried"]} == {"S05": older, "TLT": older}
    data = document["data"]
    assert (data["duration"], data["convexity"], data["covariance_session"]) == (16.5, 370.0, str(SESSIONS[-2]))
    # The book is one in which floors and losses beyond the equity happen.
    assert {item["floored_count"] > 0 for item in data["scenarios"]} == {True, False}
    assert {item["is_beyond_equity"] for item in data["scenarios"]} == {True, False}


@pytest.mark.parametrize(
    "scenario",
    [
        {"Market": -0.1234},
        {"Rates": -137.5},
        {"Market": 0.3, "Growth": -0.25, "Rates": 60},
        {"Value": 0.0, "Low Volatility": 0.3},
        dict.fromkeys(STYLES, -0.1),
    ],
)
def test_a_custom_scenario_is_that_of_a_plain_computation(
    api: Api, database: Database, scenario: dict[str, float]
) -> None:
    shocks = {factor: shock for factor, shock in scenario.items() if factor != "Rates"}
    body = {"name": "Our own", "shocks": shocks, "rates_bp": scenario.get("Rates")}
    publish_market(database)
    record = publish_book(database)
    generation = publish_snapshot(database, record, SESSIONS[-1], EQUITY)
    api.refresh()
    answer = api.post(path_of(record), add_token(database, "ann"), json=body)
    document = answer.json()
    assert (answer.status_code, answer.headers["X-Data-Generation"]) == (200, str(generation))
    (item,) = document["data"]["scenarios"]
    assert (item["id"], item["name"], item["category"]) == ("custom", "Our own", "custom")
    assert_as_computed(item, book_of(database, record).impact(scenario))


def test_each_scenario_has_its_own_answer(api: Api, database: Database) -> None:
    publish(database, SESSIONS[-1], {"SPY": Figures(Decimal(500), (1.0, *[0.2] * 11))})
    token, record = add_token(database, "ann"), add_portfolio(database, "ann", {"SPY": "10"})
    api.refresh()

    def answered(body: dict[str, Any] | None) -> list[str]:
        answer = api.get(path_of(record), token) if body is None else api.post(path_of(record), token, json=body)
        found = answer.json()["data"]["scenarios"]
        return [len(found), found[0]["name"], found[0]["correlated"]]

    asked = [
        None,
        {"shocks": {"Market": 0.5}},
        {"shocks": {"Market": -0.5}},
        {"name": "Half", "shocks": {"Market": -0.5}},
    ]
    expected = [
        [22, "Market up 5 %", "250.00"],
        [1, "Custom", "2500.00"],
        [1, "Custom", "-2500.00"],
        [1, "Half", "-2500.00"],
    ]
    for _ in range(2):
        assert [answered(body) for body in asked] == expected


def test_mirror_portfolios_sum_to_zero(api: Api, database: Database) -> None:
    publish_market(database)
    token = add_token(database, "ann")
    held = {symbol: str(3 * place - 17) for place, symbol in enumerate([*STOCKS, "SPY", "TLT"])}
    one = add_portfolio(database, "ann", held)
    mirror = {symbol: str(-int(quantity)) for symbol, quantity in held.items()}
    other = add_portfolio(database, "ann", mirror, name="Mirror")
    api.refresh()
    first, second = (api.get(path_of(record), token).json()["data"]["scenarios"] for record in (one, other))
    for item, opposite in zip(first, second, strict=True):
        for field in ("correlated", "direct", "floored_dollars"):
            assert Decimal(item[field]) + Decimal(opposite[field]) == 0


def test_a_book_of_one_fund_makes_its_shock(api: Api, database: Database) -> None:
    funds = {"SPY": Figures(Decimal(500), (1.0, *[0.2] * 11)), "TLT": Figures(Decimal(80), (-0.3, 1.0, *[0.1] * 10))}
    publish(database, SESSIONS[-1], funds)
    token = add_token(database, "ann")
    spy, tlt = (add_portfolio(database, "ann", {fund: "10"}, name=fund) for fund in funds)
    api.refresh()
    by_id = {item["id"]: item for item in api.get(path_of(spy), token).json()["data"]["scenarios"]}
    assert (by_id["market_crash_35"]["correlated"], by_id["market_up_5"]["direct"]) == ("-1750.00", "250.00")
    by_id = {item["id"]: item for item in api.get(path_of(tlt), token).json()["data"]["scenarios"]}
    assert by_id["rates_up_100bp"]["correlated"] == "-117.20"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{}",
        "[]",
        '"Market"',
        '{"shocks": {"Market": NaN}}',
        '{"shocks": {"Market": -Infinity}}',
        '{"shocks": {"Market": 1e400}}',
        '{"shocks": {"Market": true}}',
        '{"shocks": {"Market": "0.1"}}',
        '{"shocks": {"Market": 2}}',
        '{"shocks": {"Gold": 0.1}}',
        '{"rates_bp": 1e5}',
        '{"rates_bp": false}',
        '{"rates_bp": 25, "portfolio_id": "x"}',
        '{"rates_bp": 25',
    ],
)
def test_what_is_no_scenario_is_a_problem(api: Api, database: Database, body: str) -> None:
    record = add_portfolio(database, "ann", {})
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {add_token(database, 'ann')}"}
    answer = api.http.post(path_of(record), content=body, headers=headers)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["errors"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_other_peoples_portfolios_are_as_unknown_ones(api: Api, database: Database, method: str) -> None:
    record = add_portfolio(database, "bob", {"S01": "1"})
    headers = {"Authorization": f"Bearer {add_token(database, 'ann')}"}
    body = {"rates_bp": 25} if method == "POST" else None
    unknown = path_of(record).replace(str(record.public_id), str(uuid4()))
    answers = [api.http.request(method, path, headers=headers, json=body) for path in (path_of(record), unknown)]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content
    assert api.http.request(method, path_of(record), json=body).status_code == 401


def test_before_the_first_publication_nothing_is_known(api: Api, database: Database) -> None:
    record = add_portfolio(database, "ann", {"AAA": "1"})
    document = api.get(path_of(record), add_token(database, "ann")).json()
    assert (document["as_of"], document["data"]["covariance_session"]) == (None, None)
    assert {item["correlated"] for item in document["data"]["scenarios"]} == {None}
    assert [item["reason"] for item in document["excluded"]] == ["no_price"]


def test_wrong_scenarios_stop_the_start(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text("[[scenarios]]\nid = 'own'\nname = 'x'\nrates_bp = 5000\n", encoding="utf-8")
    settings = Settings.model_validate({"database_url": database.url, "scenarios": file})
    with pytest.raises(ConfigurationError, match=r"own\.toml has wrong scenarios:\nscenario 1 \(own\): rates_bp"):
        create_app(settings)
