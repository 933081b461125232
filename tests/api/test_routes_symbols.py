"""Tests of the symbol routes: content, and symbols that are none."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
import sqlalchemy as sa

from sigmasight_assets.storage.database import Database
from tests.api.conftest import Api
from tests.api.market import SESSIONS, add_bars, add_profile, add_token, contract, publish, random_figures, track

# The longest that there are.
OPTION = "GOOGL1250815C00150000"


@pytest.fixture
def token(database: Database) -> str:
    return add_token(database, "ann")


def test_a_symbol_shows_what_is_published(api: Api, database: Database, token: str) -> None:
    figures = random_figures(["BRK-B"], seed=1)
    figures["BRK-B"] = replace(figures["BRK-B"], quality="suspect")
    track(database, "BRK-B", name="Berkshire Hathaway", sector="Financials")
    generation = publish(database, SESSIONS[-1], figures)
    api.refresh()
    document = api.get("/api/v1/symbols/BRK-B", token).json()
    factors = document.pop("factors")
    assert document == {
        "symbol": "BRK-B",
        "name": "Berkshire Hathaway",
        "asset_type": "equity",
        "status": "active",
        "status_reason": None,
        "sector": "Financials",
        "industry": None,
        "profile_date": None,
        "market_cap": None,
        "pe_ratio": None,
        "forward_pe": None,
        "dividend_yield": None,
        "provider_beta": None,
        "as_of": str(SESSIONS[-1]),
        "generation": generation,
        "close": f"{figures['BRK-B'].close:.4f}",
        "close_session": str(SESSIONS[-1]),
    }
    assert tuple(factor["beta"] for factor in factors) == figures["BRK-B"].betas
    assert {(factor["quality"], factor["session"], factor["reason"]) for factor in factors} == {
        ("suspect", str(SESSIONS[-1]), None)
    }


def test_a_symbol_shows_its_newest_profile_beside_our_betas(api: Api, database: Database, token: str) -> None:
    track(database, "AAA", sector="Energy", industry="Coal")
    publish(database, SESSIONS[-1], random_figures(["AAA"], seed=1))
    add_profile(database, "AAA", SESSIONS[-3], sector="Old", market_cap=1.0, pe_ratio=1.0)
    add_profile(database, "AAA", SESSIONS[-2], sector="Utilities", market_cap=2.5e9, provider_beta=0.75)
    add_profile(database, "BBB", SESSIONS[-1], sector="Other")
    api.refresh()
    document = api.get("/api/v1/symbols/AAA", token).json()
    names = ("sector", "industry", "profile_date", "market_cap", "pe_ratio", "provider_beta")
    assert [document[name] for name in names] == [
        "Utilities",
        "Coal",
        str(SESSIONS[-2]),
        "2500000000.00",
        None,
        0.75,
    ]


def test_an_option_contract_is_a_symbol(api: Api, database: Database, token: str) -> None:
    track(database, OPTION, asset_type="option")
    publish(database, SESSIONS[-1], {OPTION: contract("2.5")})
    api.refresh()
    document = api.get(f"/api/v1/symbols/{OPTION}", token).json()
    assert (document["asset_type"], document["close"], document["status"]) == ("option", "2.5000", "active")
    assert {factor["reason"] for factor in document["factors"]} == {"options"}
    assert api.get(f"/api/v1/symbols/{OPTION}/status", token).json()["status"] == "ready"


def test_the_status_of_a_symbol(api: Api, database: Database, token: str) -> None:
    track(database, "AAA", last_factor_date=SESSIONS[-1])
    track(database, "NEW", status="pending")
    track(database, "BAD", status="error", status_reason="no such ticker")
    track(database, "YOUNG")
    track(database, "NEXT")
    publish(database, SESSIONS[-1], random_figures(["AAA"], 1), exclusions=[("YOUNG", "market_beta", "short_history")])
    api.refresh()
    found = {
        symbol: api.get(f"/api/v1/symbols/{symbol}/status", token).json()
        for symbol in ("AAA", "NEW", "BAD", "YOUNG", "NEXT", "UNHEARD")
    }
    assert {symbol: document["status"] for symbol, document in found.items()} == {
        "AAA": "ready",
        "NEW": "pending",
        "BAD": "error",
        "YOUNG": "pending",
        "NEXT": "processing",
        "UNHEARD": "unknown",
    }
    assert found["AAA"] == {
        "symbol": "AAA",
        "status": "ready",
        "factors_date": str(SESSIONS[-1]),
        "reason": None,
    }
    assert found["BAD"]["reason"] == "no such ticker"


def test_a_symbol_that_is_not_tracked_is_a_404(api: Api, token: str) -> None:
    answer = api.get("/api/v1/symbols/UNHEARD", token)
    assert (answer.status_code, answer.json()["detail"]) == (404, "The symbol UNHEARD is not tracked.")


def test_tracked_symbols_are_listed_by_name(api: Api, database: Database, token: str) -> None:
    track(database, "SPY", asset_type="etf", name="SPDR S&P 500", last_price_date=SESSIONS[-1])
    track(database, "BBB", status="pending")
    track(database, "AAA", sector="Energy", industry="Coal", first_trade_date=SESSIONS[0])
    track(database, "GONE", status="delisted", status_reason="bought")
    assert api.get("/api/v1/symbols?limit=2&offset=1", token).json() == {
        "items": [
            {**TRACKED, "symbol": "BBB", "name": "BBB Inc.", "status": "pending"},
            {**TRACKED, "symbol": "GONE", "name": "GONE Inc.", "status": "delisted", "status_reason": "bought"},
        ],
        "total": 4,
    }
    first, *_, last = api.get("/api/v1/symbols", token).json()["items"]
    assert (first["sector"], first["industry"], first["first_trade_date"]) == ("Energy", "Coal", str(SESSIONS[0]))
    assert (last["symbol"], last["asset_type"], last["last_price_date"]) == ("SPY", "etf", str(SESSIONS[-1]))


TRACKED = {
    "asset_type": "equity",
    **dict.fromkeys(("status_reason", "sector", "industry", "first_trade_date", "last_price_date", "last_factor_date")),
}


@pytest.mark.parametrize(
    ("query", "symbols"),
    [
        ("status=active", ["AAA", "SPY"]),
        ("asset_type=equity", ["AAA", "BBB"]),
        ("status=active&asset_type=equity", ["AAA"]),
        ("status=error", []),
    ],
)
def test_symbols_of_a_status_and_a_type(
    api: Api, database: Database, token: str, query: str, symbols: list[str]
) -> None:
    track(database, "SPY", asset_type="etf")
    track(database, "BBB", status="pending")
    track(database, "AAA")
    document = api.get(f"/api/v1/symbols?{query}", token).json()
    assert ([item["symbol"] for item in document["items"]], document["total"]) == (symbols, len(symbols))


@pytest.mark.parametrize("query", ["status=lost", "asset_type=bond", "limit=0", "limit=1001", "offset=-1"])
def test_wrong_queries_for_symbols_are_refused(api: Api, token: str, query: str) -> None:
    assert api.get(f"/api/v1/symbols?{query}", token).status_code == 422


def test_bars_are_those_of_the_table(api: Api, database: Database, token: str) -> None:
    track(database, "AAA")
    add_bars(database, {"AAA": np.array([1.25, np.nan, 0.1, 5e-324]), "BBB": np.array([9.0])})
    with database.begin() as connection:
        rows = connection.execute(
            sa.text("SELECT * FROM symbol_prices_daily WHERE symbol = 'AAA' ORDER BY price_date")
        ).all()
    document = api.get("/api/v1/symbols/AAA/prices", token).json()
    assert document["total"] == len(rows) == 3
    for item, row in zip(document["items"], rows, strict=True):
        assert {name: item[name] for name in ("open", "high", "low", "close")} == {
            "open": f"{row.open_price:.4f}",
            "high": f"{row.high_price:.4f}",
            "low": f"{row.low_price:.4f}",
            "close": f"{row.close_price:.4f}",
        }
        assert (item["session"], item["adj_close"]) == (str(row.price_date), row.adj_close_price)
        assert (item["volume"], item["source"]) == (row.volume, row.source)
        assert datetime.fromisoformat(item["fetched_at"]) == row.fetched_at


def test_bars_between_dates_in_pages(api: Api, database: Database, token: str) -> None:
    track(database, "AAA")
    add_bars(database, {"AAA": np.arange(1.0, 11.0)})

    def sessions(query: str) -> tuple[list[str], int]:
        document = api.get(f"/api/v1/symbols/AAA/prices?{query}", token).json()
        return [item["session"] for item in document["items"]], document["total"]

    days = [str(session) for session in SESSIONS]
    assert sessions(f"from={days[2]}&to={days[5]}") == (days[2:6], 4)
    assert sessions(f"from={days[2]}&limit=3&offset=2") == (days[4:7], 8)
    assert sessions(f"to={days[0]}") == (days[:1], 1)
    assert sessions("from=2020-01-01&to=2020-12-31") == ([], 0)
    reversed_range = api.get(f"/api/v1/symbols/AAA/prices?from={days[5]}&to={days[2]}", token)
    assert (reversed_range.status_code, reversed_range.json()["status"]) == (422, 422)


def test_a_symbol_that_is_not_tracked_has_no_bars(api: Api, database: Database, token: str) -> None:
    add_bars(database, {"UNHEARD": np.array([1.0])})
    answer = api.get("/api/v1/symbols/UNHEARD/prices", token)
    assert (answer.status_code, answer.json()["detail"]) == (404, "The symbol UNHEARD is not tracked.")


@pytest.mark.parametrize(
    "symbol",
    ["aapl", "%00AAPL", "AAPL%0d%0aX: 1", "' OR 1=1--", "\N{GRINNING FACE}", "-A", "A" * 22, "A" * 10_000, "A%2FB"],
)
def test_what_is_no_symbol_is_refused(api: Api, token: str, symbol: str) -> None:
    for path in (f"/api/v1/symbols/{symbol}{part}" for part in ("", "/status", "/prices")):
        answer = api.get(path, token)
        assert answer.status_code in ({404} if "%2F" in symbol else {422})
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert symbol not in answer.text
