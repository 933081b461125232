"""Tests of several portfolios as one: each answer is that of one portfolio which holds all their lots."""

import sys
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from sigmasight_api.aggregate_schemas import AggregateAnswer
from sigmasight_api.aggregates import MOST_PORTFOLIOS, combined_book, combined_holdings, digest
from sigmasight_api.rendered import ENTRY_BYTES
from sigmasight_api.snapshot_series import SnapshotSeries
from sigmasight_assets.quant.covariance import factor_covariances
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.quant.performance import snapshot_returns
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import NewLot, PortfolioRecord
from tests.api.conftest import Api
from tests.api.handmade import BOUGHT, holdings, lot, private
from tests.api.market import (
    SESSIONS,
    add_bars,
    add_covariance,
    add_lots,
    add_portfolio,
    add_token,
    add_valuation,
    contract,
    publish,
    publish_snapshot,
    random_figures,
)
from tests.api.test_exposures import BOOK

STOCKS = ("AAA", "BBB", "CCC", "DDD")
CALL = "AAPL250815C00150000"
ANALYTICS = (
    "overview",
    "factor-exposures",
    "positions/factor-exposures",
    "stress-test",
    "correlation-matrix",
    "volatility",
    "sector-exposure",
    "concentration",
    "risk",
)
ONE, OTHER = {"AAA": "10", "BBB": "-4", "CCC": "3"}, {"AAA": "-2.5", "CCC": "-3", "DDD": "8"}


def publish_market(database: Database) -> None:
    figures = random_figures([*STOCKS, *FACTOR_ETFS], seed=1)
    figures["AAA"] = replace(figures["AAA"], sector="Energy")
    random = np.random.default_rng(3)
    returns = random.normal(0.0, 0.01, (300, len(figures)))
    closes = np.asarray(50 * np.cumprod(1 + returns, axis=0), dtype=np.float64)
    add_bars(database, {symbol: closes[:, place] for place, symbol in enumerate(figures)})
    funds = returns[-252:, [list(figures).index(fund) for fund in FACTOR_ETFS]]
    add_covariance(database, SESSIONS[-1], factor_covariances(funds, rows=np.array([251]))[0][0], FACTOR_ETFS)
    publish(database, SESSIONS[-1], {**figures, CALL: contract("2.5")})


def add_others(database: Database, record: PortfolioRecord, contracts: int, worth: str) -> None:
    """An option and a private asset."""
    house = {"symbol": "HOUSE", "investment_class": "PRIVATE", "quantity": 1, "entry_price": None}
    add_lots(database, record, {"symbol": CALL, "investment_class": "OPTIONS", "quantity": contracts})
    add_valuation(database, record, add_lots(database, record, house)[0], SESSIONS[0], worth)


@pytest.fixture
def token(api: Api, database: Database) -> str:
    """Of an owner of two portfolios, and of another who holds the lots of both in one."""
    publish_market(database)
    for user, name, quantities, equity in (
        ("ann", "One", ONE, "700.25"),
        ("ann", "Other", OTHER, "300.5"),
    ):
        record = add_portfolio(database, user, quantities, name=name)
        add_others(database, record, 2 if name == "One" else -1, "100")
        publish_snapshot(database, record, SESSIONS[-1], Decimal(equity))
    lots = [
        NewLot(symbol, Decimal(count), Decimal(10), SESSIONS[0])
        for part in (ONE, OTHER)
        for symbol, count in part.items()
    ]
    whole = add_portfolio(database, "bob", lots)
    add_others(database, whole, 1, "200")
    publish_snapshot(database, whole, SESSIONS[-1], Decimal("1000.75"))
    api.refresh()
    return add_token(database, "ann")


def get(api: Api, token: str, path: str) -> dict[str, Any]:
    answer = api.get(f"/api/v1/analytics/{path}", token)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    assert answer.headers["X-Data-Generation"] == str(document["generation"])
    return document


def only_portfolio(api: Api, token: str) -> str:
    (item,) = api.get("/api/v1/portfolios", token).json()["items"]
    return str(item["portfolio_id"])


def assert_same(one: Any, other: Any, path: str = "") -> None:
    """Equal but for the rounding of floating-point sums, and of the cents that come of them."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for name in one:
            assert_same(one[name], other[name], f"{path}.{name}")
    elif isinstance(one, list):
        assert len(one) == len(other), path
        for place, items in enumerate(zip(one, other, strict=True)):
            assert_same(*items, f"{path}[{place}]")
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-9, abs=1e-12), path
    else:
        assert one == other, path


@pytest.mark.parametrize("analytic", ANALYTICS)
def test_it_is_the_answer_of_one_portfolio_with_all_the_lots(
    api: Api, database: Database, token: str, analytic: str
) -> None:
    bob = add_token(database, "bob")
    document = get(api, token, f"aggregate/{analytic}")
    AggregateAnswer[Any].model_validate(document)
    whole = get(api, bob, f"portfolio/{only_portfolio(api, bob)}/{analytic}")
    assert len(document.pop("portfolio_ids")) == 2
    whole.pop("portfolio_id")
    if analytic == "overview":
        # The rows that tests publish have the same P&L whatever the equity: of two portfolios it is twice that.
        snapshots = document["data"].pop("snapshot"), whole["data"].pop("snapshot")
        assert [snapshot["daily_pnl"] for snapshot in snapshots] == ["0.00", "0.00"]
        assert [snapshot["cumulative_pnl"] for snapshot in snapshots] == ["24.69", "12.34"]
        assert snapshots[0]["daily_return"] == pytest.approx(-0.002 / (1000.75 + 0.002))
    assert_same(document, whole)


def test_custom_scenarios_are_those_of_all_lots(api: Api, database: Database, token: str) -> None:
    bob, scenario = add_token(database, "bob"), {"shocks": {"Market": -0.1, "Value": 0.05}}
    document = api.post("/api/v1/analytics/aggregate/stress-test", token, json=scenario).json()
    path = f"/api/v1/analytics/portfolio/{only_portfolio(api, bob)}/stress-test"
    assert_same(document["data"], api.post(path, bob, json=scenario).json()["data"])


def test_portfolios_can_be_chosen(api: Api, token: str) -> None:
    ids = [item["portfolio_id"] for item in api.get("/api/v1/portfolios", token).json()["items"]]
    chosen = get(api, token, f"aggregate/factor-exposures?portfolio_id={ids[0]}")
    alone = get(api, token, f"portfolio/{ids[0]}/factor-exposures")
    assert chosen.pop("portfolio_ids") == [alone.pop("portfolio_id")]
    assert_same(chosen, alone)
    both = get(api, token, f"aggregate/factor-exposures?portfolio_id={ids[1]}&portfolio_id={ids[0]}")
    assert both == get(api, token, "aggregate/factor-exposures")


def test_an_edit_of_any_of_them_is_seen(api: Api, database: Database, token: str) -> None:
    before = get(api, token, "aggregate/concentration")
    assert get(api, token, "aggregate/concentration") == before
    record = add_portfolio(database, "ann", {"DDD": "1000"}, name="Third")
    after = get(api, token, "aggregate/concentration")
    assert after["portfolio_ids"][-1] == str(record.public_id)
    assert after["data"]["top_3"] > before["data"]["top_3"]
    assert (after["equity"], after["ratios_reason"]) == (None, "no_snapshot")


def test_other_peoples_portfolios_are_as_unknown_ones(api: Api, database: Database, token: str) -> None:
    bob = add_token(database, "bob")
    own, others = (api.get("/api/v1/portfolios", one).json()["items"][0]["portfolio_id"] for one in (token, bob))
    bodies = set()
    for named in (others, str(uuid4()), "no-id", f"{own}&portfolio_id={others}"):
        answer = api.get(f"/api/v1/analytics/aggregate/overview?portfolio_id={named}", token)
        bodies.add((answer.status_code, answer.text))
    nobody = api.get("/api/v1/analytics/aggregate/overview", add_token(database, "cid"))
    assert {(nobody.status_code, nobody.text)} == bodies
    assert nobody.status_code == 404


def test_too_many_portfolios_are_refused(api: Api, database: Database) -> None:
    for number in range(MOST_PORTFOLIOS + 1):
        add_portfolio(database, "ann", {}, name=f"P{number}")
    token, path = add_token(database, "ann"), "/api/v1/analytics/aggregate/overview"
    answer = api.get(path, token)
    assert (answer.status_code, "more than 100" in answer.json()["detail"]) == (422, True)
    query = "&".join(f"portfolio_id={uuid4()}" for _ in range(MOST_PORTFOLIOS + 1))
    assert api.get(f"{path}?{query}", token).status_code == 422


def test_lots_that_cancel_between_portfolios_are_gone() -> None:
    together = combined_holdings([holdings({"AAA": 3, "BBB": 1}), holdings({"AAA": -3, "BBB": 2}, private("HOUSE"))])
    assert (together.shares.symbols, together.shares.quantities) == (("BBB",), (30_000,))
    assert [one.symbol for one in together.private] == ["HOUSE"]
    assert sum(cost.amount for cost in together.shares.costs if cost.symbol == "AAA") == 0


def test_lots_in_other_units_stay_apart() -> None:
    later = combined_holdings([holdings({"AAA": 1}), holdings({}, lot("AAA", 2, units_date=date(2025, 7, 1)))])
    assert later.shares.units_dates.tolist() == [BOUGHT, date(2025, 7, 1)]


def test_equities_add_up_when_they_are_of_one_session() -> None:
    other = replace(BOOK, portfolio_id=2, equity=Decimal(500), daily_pnl=Decimal(-1), daily_return=-0.002)
    book = combined_book([BOOK, other])
    assert (book.equity, book.daily_pnl, book.ratios_reason) == (Decimal("1500.005"), Decimal(4), None)
    assert book.daily_return == pytest.approx(4 / 1496.005)
    assert [part.portfolio_id for part in book.parts] == [1, 2]
    first = replace(other, daily_pnl=Decimal(0), daily_return=None)
    assert combined_book([BOOK, first]).daily_return == pytest.approx(5 / 1495.005)
    assert combined_book([first, first]).daily_return is None
    older = combined_book([BOOK, replace(other, equity_session=SESSIONS[-2])])
    assert (older.equity, older.ratios_reason, older.equity_session) == (None, "different_sessions", SESSIONS[-1])
    new = combined_book([BOOK, replace(other, equity=None, equity_session=None, equity_generation=None)])
    assert (new.equity, new.ratios_reason, new.equity_generation) == (None, "no_snapshot", 1)
    debt = combined_book([BOOK, replace(other, equity=Decimal(-2000))])
    assert (debt.equity, debt.ratios_reason) == (Decimal("-999.995"), "equity_not_positive")


def series(days: dict[int, tuple[float, float, float]], **changes: Any) -> SnapshotSeries:
    """Equity, P&L and flow by place among the sessions."""
    made = SnapshotSeries(
        sessions=np.array([SESSIONS[place] for place in days], dtype="datetime64[D]"),
        equity=np.array([equity for equity, _, _ in days.values()]),
        daily_pnl=np.array([pnl for _, pnl, _ in days.values()]),
        capital_flow=np.array([flow for _, _, flow in days.values()]),
        benchmark=np.array([100.0 + place for place in days]),
        partial=[["AAA"] if place == 1 else [] for place in days],
        generation=len(days),
    )
    return replace(made, **changes)


def test_series_add_up_and_a_later_one_flows_in() -> None:
    one = series({0: (100, 0, 0), 1: (110, 10, 0), 2: (125, 5, 10), 3: (120, -5, 0)})
    other = series({2: (50, 0, 0), 3: (55, 5, 0)})
    together = SnapshotSeries.together([one, other])
    assert together.sessions.tolist() == SESSIONS[:4]
    assert together.equity.tolist() == [100, 110, 175, 175]
    assert together.daily_pnl.tolist() == [0, 10, 5, 0]
    assert together.capital_flow[1:].tolist() == [0, 60, 0]
    assert together.benchmark.tolist() == [100, 101, 102, 103]
    assert [list(symbols) for symbols in together.partial] == [[], ["AAA"], [], []]
    assert together.generation == 4


def test_portfolios_without_snapshots_add_nothing() -> None:
    none, one = series({}), series({0: (100, 0, 0), 1: (110, 10, 0)})
    assert SnapshotSeries.together([none, none]).sessions.size == 0
    assert SnapshotSeries.together([none, one]) is one


def test_what_lies_between_common_sessions_is_part_of_the_later_one() -> None:
    one = series({0: (100, 0, 0), 1: (110, 10, 0), 2: (125, 5, 10), 3: (120, -5, 0)})
    other = series({0: (50, 0, 0), 3: (56, 4, 2)})
    together = SnapshotSeries.together([one, other])
    assert together.sessions.tolist() == [SESSIONS[0], SESSIONS[3]]
    assert (together.equity.tolist(), together.daily_pnl.tolist()) == ([150, 176], [0, 14])
    assert together.capital_flow[1] == 12
    assert together.equity[1] == together.equity[0] + together.daily_pnl[1] + together.capital_flow[1]


def test_random_series_keep_the_identity_of_the_ledger() -> None:
    random = np.random.default_rng(9)
    for _ in range(50):
        parts = []
        for _ in range(3):
            equity = 100.0
            days: dict[int, tuple[float, float, float]] = {}
            for place in range(int(random.integers(0, 5)), 10):
                pnl, flow = random.normal(), random.normal() if random.random() < 0.3 else 0.0
                if random.random() < 0.8 or not days:
                    equity += pnl + flow
                    days[place] = (equity, pnl, flow)
            parts.append(series(days))
        together = SnapshotSeries.together(parts)
        if together.sessions.size == 0:
            continue
        change = together.daily_pnl[1:] + together.capital_flow[1:]
        assert np.diff(together.equity) == pytest.approx(change)
        assert np.isfinite(snapshot_returns(together.equity, together.daily_pnl, together.capital_flow)[1:]).all()


def test_performance_of_two_accounts_is_that_of_their_sum(api: Api, database: Database) -> None:
    publish_market(database)
    for name, equities in (("One", (600, 700)), ("Other", (400, 300))):
        record = add_portfolio(database, "ann", {"AAA": "1"}, name=name)
        for session, equity in zip(SESSIONS[-2:], equities, strict=True):
            publish_snapshot(database, record, session, Decimal(equity))
    api.refresh()
    document = get(api, add_token(database, "ann"), "aggregate/performance")
    points = document["data"]["items"]
    assert [point["session"] for point in points] == [str(session) for session in SESSIONS[-2:]]
    # Each has lost a tenth of a cent.
    assert points[1]["daily_return"] == pytest.approx(-0.002 / 1000)
    assert document["equity"] == "1000.00"


@pytest.mark.parametrize("count", [1, 2])
def test_performance_before_any_snapshot_is_null(api: Api, database: Database, count: int) -> None:
    token = add_token(database, "new")
    for number in range(count):
        add_portfolio(database, "new", {"AAA": "1"}, name=f"Account {number}")
    answer = api.get("/api/v1/analytics/aggregate/performance", token)
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["total_return"] is None


def test_a_remembered_answer_is_given_without_the_lots(api: Api, token: str) -> None:
    first, uses = get(api, token, "aggregate/volatility"), api.components.aggregates._holdings.uses
    assert get(api, token, "aggregate/volatility") == first
    assert api.components.aggregates._holdings.uses == uses
    get(api, token, "aggregate/risk")
    assert api.components.aggregates._holdings.uses != uses


def test_what_is_remembered_of_many_takes_no_more_than_is_counted() -> None:
    books = [replace(BOOK, portfolio_id=number) for number in range(MOST_PORTFOLIOS)]
    one, other = (
        digest(books),
        digest([*books[:-1], replace(BOOK, portfolio_id=books[-1].portfolio_id, book_version=9)]),
    )
    assert one == digest([replace(book) for book in books]) != other
    assert sys.getsizeof(one) < ENTRY_BYTES / 2
