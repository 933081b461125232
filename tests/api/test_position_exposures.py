"""Tests of exposures position by position and night by night, over HTTP and against the tables."""

from decimal import Decimal
from fractions import Fraction

import pytest
import sqlalchemy as sa

from sigmasight_assets.quant.factors import FACTORS
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.ledger_tables import EXPOSURE_NUMBERS, portfolio_exposures
from sigmasight_assets.storage.portfolios import PortfolioRecord
from sigmasight_assets.storage.tables import FACTOR_COLUMNS
from tests.api.conftest import Api
from tests.api.market import SESSIONS, add_portfolio, add_token, publish, publish_snapshot, random_figures
from tests.api.test_routes_analytics import publish_uneven_market

PATH = "/api/v1/analytics/portfolio/{}/{}"
EQUITY = Decimal("250000")
# The view in long form and the wide row that the standard errors are of.
EXPOSURES = sa.text(
    "SELECT factor, beta_value, std_err, quality_flag, calculation_date FROM symbol_factor_exposures AS one "
    "WHERE symbol = :symbol AND calculation_date BETWEEN :oldest AND :as_of"
)


@pytest.fixture
def record(api: Api, database: Database) -> PortfolioRecord:
    publish_uneven_market(database)
    record = add_portfolio(database, "ann", {"S01": "10", "S02": "-20", "S03": "4", "S05": "0.5", "OLD": "3"})
    publish_snapshot(database, record, SESSIONS[-1], EQUITY)
    api.refresh()
    return record


def test_every_position_has_its_published_betas_and_errors(
    api: Api, database: Database, record: PortfolioRecord
) -> None:
    answer = api.get(PATH.format(record.public_id, "positions/factor-exposures"), add_token(database, "ann"))
    document = answer.json()
    assert answer.headers["X-Data-Generation"] == str(document["generation"])
    quantities = {"S01": Fraction(10), "S02": Fraction(-20), "S03": Fraction(4), "S05": Fraction(1, 2)}
    values = {}
    for position in document["data"]["positions"]:
        symbol = position["symbol"]
        with database.begin() as connection:
            newest_close = sa.text(
                "SELECT close_price FROM symbol_daily_metrics WHERE symbol = :s ORDER BY metrics_date DESC LIMIT 1"
            )
            close: Decimal = connection.execute(newest_close, {"s": symbol}).scalar_one()
            rows = connection.execute(
                EXPOSURES, {"symbol": symbol, "oldest": SESSIONS[-6], "as_of": SESSIONS[-1]}
            ).all()
        value = values[symbol] = quantities[symbol] * Fraction(close)
        assert Decimal(position["market_value"]) == round(Decimal(float(value)), 2)
        assert position["weight"] == pytest.approx(float(value / Fraction(EQUITY)), rel=1e-12)
        assert [factor["name"] for factor in position["factors"]] == [factor.name for factor in FACTORS]
        for factor in position["factors"]:
            known = [row for row in rows if row.factor == factor["name"]]
            newest = max(known, key=lambda row: row.calculation_date, default=None)
            if symbol == "S02" and factor["reason"] is not None:
                assert (factor["reason"], factor["beta"], factor["exposure"]) == ("short_history", None, None)
                continue
            assert newest is not None
            assert (factor["beta"], factor["std_err"]) == (newest.beta_value, newest.std_err)
            assert (factor["quality"], factor["session"]) == (newest.quality_flag, str(newest.calculation_date))
            assert factor["exposure"] == pytest.approx(float(value / Fraction(EQUITY)) * newest.beta_value, rel=1e-12)
            assert float(factor["dollars"]) == pytest.approx(float(value) * newest.beta_value, abs=0.00501)
    assert list(values) == sorted(values, key=lambda symbol: -abs(values[symbol]))
    assert [item for item in document["excluded"] if item["reason"] == "no_price"] == [
        {"symbol": "OLD", "reason": "no_price"}
    ]


def test_positions_add_up_to_the_portfolio(api: Api, database: Database, record: PortfolioRecord) -> None:
    token = add_token(database, "ann")
    whole = api.get(PATH.format(record.public_id, "factor-exposures"), token).json()
    parts = [
        api.get(PATH.format(record.public_id, f"positions/factor-exposures?limit=3&offset={offset}"), token).json()
        for offset in (0, 3)
    ]
    positions = [position for part in parts for position in part["data"]["positions"]]
    assert [len(part["data"]["positions"]) for part in parts] == [3, 1]
    assert {part["data"]["total"] for part in parts} == {4}
    for number, factor in enumerate(whole["data"]["factors"]):
        added = sum(position["factors"][number]["exposure"] or 0.0 for position in positions)
        assert added == pytest.approx(factor["exposure"], rel=1e-12)
    for name in ("as_of", "generation", "equity", "coverage", "excluded", "incomplete", "carried"):
        assert parts[0][name] == whole[name]


def test_without_equity_there_are_dollars_and_no_weights(api: Api, database: Database) -> None:
    publish(database, SESSIONS[-1], random_figures(["AAA"], seed=1))
    record, token = add_portfolio(database, "ann", {"AAA": "1"}), add_token(database, "ann")
    api.refresh()
    document = api.get(PATH.format(record.public_id, "positions/factor-exposures"), token).json()
    (position,) = document["data"]["positions"]
    assert (document["ratios_reason"], position["weight"]) == ("no_snapshot", None)
    assert position["factors"][0]["exposure"] is None
    assert position["factors"][0]["dollars"] is not None


def test_recorded_exposures_are_listed_night_by_night(api: Api, database: Database, record: PortfolioRecord) -> None:
    names = [f"{factor}_{number}" for factor in FACTOR_COLUMNS for number in EXPOSURE_NUMBERS]
    numbers: dict[str, float | None] = {name: place + 0.125 for place, name in enumerate(names)}
    numbers["ir_exposure"] = numbers["ir_dollars"] = None
    with database.begin() as connection:
        for generation, session in enumerate(SESSIONS[-4:], start=70):
            row = {"portfolio_id": record.portfolio_id, "session": session, "generation": generation, **numbers}
            connection.execute(sa.insert(portfolio_exposures).values(row))
    token, path = add_token(database, "ann"), PATH.format(record.public_id, "factor-exposures/history")
    listing = api.get(f"{path}?from={SESSIONS[-3]}&limit=2", token).json()
    assert listing["total"] == 3
    assert [(item["session"], item["generation"]) for item in listing["items"]] == [
        (str(SESSIONS[-3]), 71),
        (str(SESSIONS[-2]), 72),
    ]
    market, rates, *_ = listing["items"][0]["factors"]
    assert market == {
        "name": "Market Beta",
        "exposure": 0.125,
        "dollars": "1.12",
        "per_invested": 2.125,
        "coverage": 3.125,
    }
    assert (rates["exposure"], rates["dollars"], rates["coverage"]) == (None, None, 7.125)
    wrong = api.get(f"{path}?from=2025-07-31&to=2025-07-01", token)
    assert (wrong.status_code, wrong.json()["detail"]) == (422, "from (2025-07-31) is after to (2025-07-01).")
