"""Tests of volatility, correlation, risk and performance over HTTP: equal to plain computations from the tables."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage import ledger_tables
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import PortfolioRecord
from tests.api import risk_oracle
from tests.api.conftest import Api
from tests.api.market import (
    SESSIONS,
    add_bars,
    add_lots,
    add_portfolio,
    add_token,
    contract,
    publish,
    publish_snapshot,
    random_figures,
    snapshot_values,
)

AS_OF = SESSIONS[-1]
SYMBOLS = [f"S{number:02d}" for number in range(55)]
CALL = "AAPL250815C00150000"
EQUITY = Decimal("1234567.89012345")
ANALYTICS = ("volatility", "correlation-matrix", "risk", "performance")


def path_of(record: PortfolioRecord, analytic: str) -> str:
    return f"/api/v1/analytics/portfolio/{record.public_id}/{analytic}"


def prices_of(returns: FloatArray) -> FloatArray:
    """Prices in USD that have these returns down the columns."""
    return np.asarray(100 * np.cumprod(1 + returns, axis=0), dtype=np.float64)


def random_closes(seed: int, *, bars: int = 320, gaps: float = 0.0) -> dict[str, FloatArray]:
    """Adjusted closes of symbols that move together; the newest of each at the newest session."""
    random = np.random.default_rng(seed)
    common = random.normal(0.0, 0.01, (bars, 1))
    returns = common * random.uniform(0.2, 2.0, len(SYMBOLS)) + random.normal(0.0, 0.015, (bars, len(SYMBOLS)))
    closes = prices_of(returns)
    closes[random.random(closes.shape) < gaps] = np.nan
    return {symbol: closes[:, place] for place, symbol in enumerate(SYMBOLS)}


def publish_market(database: Database, closes: Mapping[str, FloatArray]) -> None:
    """Bars, and figures of the newest session."""
    add_bars(database, closes)
    publish(database, AS_OF, {**random_figures(list(closes), seed=2), CALL: contract("2.5")})


def add_book(database: Database) -> PortfolioRecord:
    """Long and short lots of all symbols, an option and a private asset."""
    quantities = {symbol: str(Decimal(37 * (place - 11) + 1) / 8) for place, symbol in enumerate(SYMBOLS)}
    record = add_portfolio(database, "ann", quantities, equity="4000")
    others = ((CALL, "OPTIONS", 2), ("HOUSE", "PRIVATE", 1))
    add_lots(
        database,
        record,
        {"symbol": "S03", "quantity": 20, "entry_price": Decimal("12.3456")},
        *({"symbol": name, "investment_class": kind, "quantity": count} for name, kind, count in others),
    )
    return record


def get(api: Api, database: Database, record: PortfolioRecord, analytic: str, **query: Any) -> dict[str, Any]:
    """The document, whose header names its generation."""
    answer = api.get(path_of(record, analytic), add_token(database, "ann"), params=query)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    assert answer.headers["X-Data-Generation"] == str(document["generation"])
    return document


@pytest.fixture
def record(api: Api, database: Database) -> PortfolioRecord:
    """A book with a snapshot in a market of gaps; one symbol is young, one has no bars."""
    closes = random_closes(seed=1, gaps=0.003)
    closes["S05"][:-60] = np.nan
    closes["S06"][:] = np.nan
    publish_market(database, closes)
    record = add_book(database)
    publish_snapshot(database, record, AS_OF, EQUITY)
    api.refresh()
    return record


def gains_of(database: Database, record: PortfolioRecord) -> risk_oracle.Gains:
    values = risk_oracle.market_values(database, record.public_id, AS_OF)
    return risk_oracle.book_gains(database, values, equity=float(EQUITY), as_of=AS_OF)


def assert_describes(series: Mapping[str, Any], gains: pd.Series, basis: str, equity: str) -> None:
    calendar = exchange_calendar()
    span = len(calendar.between(gains.index[0], AS_OF))
    assert series == {
        "weights_basis": basis,
        "equity": equity,
        "observations": len(gains),
        "sessions_left_out": span - len(gains),
        "first_session": str(gains.index[0]),
        "last_session": str(gains.index[-1]),
    }


def assert_volatility(data: Mapping[str, Any], returns: pd.Series) -> None:
    for name, value in risk_oracle.volatility_figures(returns).items():
        assert data[name] == pytest.approx(value, rel=1e-8), name
    assert data["trend"] == risk_oracle.trend(returns)
    assert data["missing"] == []


def test_volatility_is_that_of_a_plain_computation(api: Api, database: Database, record: PortfolioRecord) -> None:
    document = get(api, database, record, "volatility")
    found = gains_of(database, record)
    assert 272 <= len(found.values) < 293
    assert_volatility(document["data"], found.returns)
    assert_describes(document["data"]["series"], found.values, "snapshot", "1234567.89")
    values = risk_oracle.market_values(database, record.public_id, AS_OF).abs()
    assert document["coverage"] == pytest.approx(values[found.symbols].sum() / values.sum(), rel=1e-12)
    assert document["excluded"] == [
        {"symbol": CALL, "reason": "options"},
        {"symbol": "HOUSE", "reason": "private"},
        {"symbol": "S05", "reason": "short_history"},
        {"symbol": "S06", "reason": "short_history"},
    ]
    assert (document["as_of"], document["equity"]) == (str(AS_OF), "1234567.89")


def test_risk_is_that_of_a_plain_computation(api: Api, database: Database, record: PortfolioRecord) -> None:
    document = get(api, database, record, "risk")
    gains = gains_of(database, record).values
    for name, loss in risk_oracle.tail_losses(gains).items():
        assert document["data"][name]["share_of_equity"] == pytest.approx(loss / float(EQUITY), rel=1e-9)
        assert float(document["data"][name]["dollars"]) == pytest.approx(loss, abs=0.0051)
    assert_describes(document["data"]["series"], gains.tail(252), "snapshot", "1234567.89")
    assert document["data"]["missing"] == []


def test_before_the_first_snapshot_weights_are_those_of_the_entry_prices(api: Api, database: Database) -> None:
    publish_market(database, random_closes(seed=3))
    record = add_book(database)
    api.refresh()
    values = risk_oracle.entry_values(database, record.public_id)
    gains = risk_oracle.book_gains(database, values, equity=4000.0, as_of=AS_OF)
    volatility, risk = (get(api, database, record, analytic) for analytic in ("volatility", "risk"))
    assert_volatility(volatility["data"], gains.returns)
    assert_describes(volatility["data"]["series"], gains.values, "entry_prices", "4000.00")
    loss = risk_oracle.tail_losses(gains.values)["expected_shortfall_99"]
    assert risk["data"]["expected_shortfall_99"]["share_of_equity"] == pytest.approx(loss / 4000, rel=1e-9)
    assert (volatility["equity"], volatility["ratios_reason"]) == (None, None)


def test_a_mirror_portfolio_is_as_volatile_and_loses_what_the_other_gains(api: Api, database: Database) -> None:
    publish_market(database, random_closes(seed=4))
    books = {
        sign: add_portfolio(database, "ann", {"S00": f"{sign}5", "S01": f"{sign}8"}, name=f"{sign}") for sign in "+-"
    }
    for book in books.values():
        publish_snapshot(database, book, AS_OF, Decimal(5000))
    api.refresh()
    one, other = (get(api, database, book, "volatility")["data"] for book in books.values())
    assert one == other
    one, other = (get(api, database, book, "correlation-matrix")["data"] for book in books.values())
    assert one == other
    gains = [get(api, database, book, "risk")["data"]["value_at_risk_95"]["dollars"] for book in books.values()]
    returns = risk_oracle.daily_returns(database, as_of=AS_OF, sessions=293)
    values = risk_oracle.market_values(database, books["+"].public_id, AS_OF)
    plain = (returns[values.index] * values).sum(axis=1).tail(252)
    assert [float(gain) for gain in gains] == pytest.approx([-plain.quantile(0.05), plain.quantile(0.95)], abs=0.0051)


@pytest.mark.parametrize("sessions", [None, 30, 252])
def test_correlations_are_those_of_pandas(
    api: Api, database: Database, record: PortfolioRecord, sessions: int | None
) -> None:
    query = {} if sessions is None else {"sessions": sessions}
    document = get(api, database, record, "correlation-matrix", **query)
    data = document["data"]
    values = risk_oracle.market_values(database, record.public_id, AS_OF)
    largest = values.abs().sort_values(ascending=False).index[:50]
    returns = risk_oracle.daily_returns(database, as_of=AS_OF, sessions=sessions or 90).reindex(columns=largest)
    assert data["symbols"] == list(largest)
    assert (data["symbols_not_shown"], data["sessions"]) == (5, sessions or 90)
    expected = returns.corr(min_periods=30)
    found = pd.DataFrame(data["matrix"], index=largest, columns=largest, dtype=float)
    pd.testing.assert_frame_equal(found, expected, rtol=1e-10, check_names=False)
    pairs = expected.to_numpy()[np.triu_indices(50, k=1)]
    assert data["mean_correlation"] == pytest.approx(np.nanmean(pairs), rel=1e-9)
    assert data["mean_absolute_correlation"] == pytest.approx(np.nanmean(abs(pairs)), rel=1e-9)
    assert document["coverage"] == pytest.approx(values[largest].abs().sum() / values.abs().sum(), rel=1e-12)
    kept = [symbol for symbol in largest if symbol not in data["symbols_without_all"]]
    assert expected.loc[kept, kept].notna().all(axis=None)
    assert 1 <= data["effective_bets"] <= len(kept)


def test_the_whole_is_that_of_the_eigenvalues_and_covariances(api: Api, database: Database) -> None:
    publish_market(database, random_closes(seed=6))
    record = add_book(database)
    api.refresh()
    data = get(api, database, record, "correlation-matrix")["data"]
    returns = risk_oracle.daily_returns(database, as_of=AS_OF, sessions=90)[data["symbols"]]
    values = risk_oracle.market_values(database, record.public_id, AS_OF)[data["symbols"]]
    shares = np.linalg.eigvalsh(returns.corr()) / 50
    assert data["effective_bets"] == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-9)
    whole = np.sqrt(values @ returns.cov() @ values)
    apart = (values.abs() * returns.std()).sum()
    assert data["diversification_ratio"] == pytest.approx(apart / whole, rel=1e-9)
    assert (data["is_repaired"], data["symbols_without_all"], data["missing"]) == (False, [], [])


def add_snapshots(database: Database, record: PortfolioRecord, *, count: int, holes: Collection[int] = ()) -> None:
    """Snapshots up to the newest session, with flows; the rows are as the ledger writes them."""
    calendar, random = exchange_calendar(), np.random.default_rng(11)
    sessions = calendar.between(calendar.offset(AS_OF, 1 - count), AS_OF)
    equity = Decimal(100_000)
    rows: list[dict[str, Any]] = []
    for place, session in enumerate(sessions):
        if place in holes:
            continue
        flow = Decimal(int(random.integers(-900, 1000))) if place % 40 == 39 else Decimal(0)
        base = equity + flow
        pnl = Decimal(f"{float(base) * random.normal(0.0005, 0.01):.8f}") if rows else Decimal(0)
        equity = base + pnl
        own = {"daily_pnl": pnl, "capital_flow": flow, "daily_return": float(pnl / base) if rows else None}
        rows.append(
            {**snapshot_values(equity), **own, "session": session, "portfolio_id": record.portfolio_id, "generation": 1}
        )
    with database.begin() as connection:
        connection.execute(sa.insert(ledger_tables.portfolio_snapshots), rows)


@pytest.fixture
def account(api: Api, database: Database) -> PortfolioRecord:
    """Three hundred sessions of snapshots, two of which are missing, and SPY, which lacks a bar."""
    spy = prices_of(np.random.default_rng(12).normal(0.0, 0.01, 310))
    spy[200] = np.nan
    publish_market(database, {**random_closes(seed=5, bars=3), "SPY": spy})
    record = add_portfolio(database, "ann", {"S00": "1"})
    add_snapshots(database, record, count=300, holes={100, 101, 250})
    api.refresh()
    return record


def test_performance_is_that_of_a_plain_computation(api: Api, database: Database, account: PortfolioRecord) -> None:
    document = get(api, database, account, "performance")
    assert_performance(document["data"], risk_oracle.snapshot_frame(database, account.public_id), sessions=299)
    assert (document["coverage"], document["as_of"]) == (1.0, str(AS_OF))
    assert [point["sessions"] for point in document["data"]["items"] if point["sessions"] != 1] == [0, 3, 2]
    assert [(item["symbol"], item["snapshots"]) for item in document["data"]["partial_symbols"]] == [("GONE", 297)]


def assert_performance(data: Mapping[str, Any], frame: pd.DataFrame, *, sessions: int) -> None:
    """Every number of the series that begins with the first row of the frame."""
    returns, spy = frame["daily_return"].iloc[1:], frame["spy"].iloc[1:]
    index = pd.Series(np.cumprod([1.0, *(1 + returns)]), index=frame.index)
    falls = index / index.cummax() - 1
    assert (data["base_session"], data["last_session"]) == (str(frame.index[0]), str(frame.index[-1]))
    assert (data["sessions"], data["observations"]) == (sessions, len(returns))
    assert data["total_return"] == pytest.approx(index.iloc[-1] - 1, rel=1e-9)
    assert data["volatility"] == pytest.approx(returns.std() * np.sqrt(252), rel=1e-9)
    if sessions >= 252:
        assert data["annualized_return"] == pytest.approx(index.iloc[-1] ** (252 / sessions) - 1, rel=1e-9)
    trough, peak = falls.idxmin(), index[: falls.idxmin()].idxmax()
    deepest, now = data["maximum_drawdown"], data["current_drawdown"]
    assert (deepest["session"], deepest["peak_session"]) == (str(trough), str(peak))
    assert deepest["depth"] == pytest.approx(falls.min(), rel=1e-9)
    assert (now["session"], now["peak_session"]) == (str(frame.index[-1]), str(index.idxmax()))
    assert now["depth"] == pytest.approx(falls.iloc[-1], rel=1e-9)
    both = pd.DataFrame({"own": returns, "spy": spy}).dropna()
    benchmark = data["benchmark"]
    assert benchmark["observations"] == len(both)
    assert benchmark["tracking_error"] == pytest.approx((both["own"] - both["spy"]).std() * np.sqrt(252), rel=1e-9)
    assert benchmark["beta"] == pytest.approx(both.cov().iloc[0, 1] / both["spy"].var(), rel=1e-9)
    assert benchmark["correlation"] == pytest.approx(both.corr().iloc[0, 1], rel=1e-9)
    assert [point["session"] for point in data["items"]] == [str(day) for day in frame.index]
    assert [point["index"] for point in data["items"]] == pytest.approx(index.tolist(), rel=1e-9)
    assert [point["drawdown"] for point in data["items"]] == pytest.approx(falls.tolist(), rel=1e-9, abs=1e-12)
    assert [point["daily_return"] for point in data["items"][1:]] == pytest.approx(returns.tolist(), rel=1e-9)


def test_a_part_of_the_series_begins_at_the_snapshot_before_it(
    api: Api, database: Database, account: PortfolioRecord
) -> None:
    frame = risk_oracle.snapshot_frame(database, account.public_id)
    first, last = frame.index[150], frame.index[220]
    data = get(api, database, account, "performance", **{"from": str(first), "to": str(last)})["data"]
    assert_performance(data, frame.iloc[149:221], sessions=71)
    until = get(api, database, account, "performance", to=str(frame.index[149]))["data"]
    whole = get(api, database, account, "performance", to=str(last))["data"]
    assert (1 + until["total_return"]) * (1 + data["total_return"]) == pytest.approx(
        1 + whole["total_return"], rel=1e-12
    )


def test_spy_over_the_same_sessions(api: Api, database: Database, account: PortfolioRecord) -> None:
    data = get(api, database, account, "performance")["data"]
    with database.begin() as connection:
        rows = connection.execute(
            sa.text("SELECT price_date, adj_close_price FROM symbol_prices_daily WHERE symbol = 'SPY'")
        )
        bars = {row.price_date: row.adj_close_price for row in rows}
    sessions = [pd.Timestamp(point["session"]).date() for point in data["items"]]
    for session, point in zip(sessions, data["items"], strict=True):
        price = bars.get(session)
        wanted = None if price is None else pytest.approx(price / bars[sessions[0]], rel=1e-12)
        assert point["benchmark_index"] == wanted
    assert None in [point["benchmark_index"] for point in data["items"]]
    total = bars[AS_OF] / bars[sessions[0]] - 1
    assert data["benchmark"]["total_return"] == pytest.approx(total, rel=1e-12)
    assert data["benchmark"]["annualized_return"] == pytest.approx((1 + total) ** (252 / 299) - 1, rel=1e-9)


def test_an_account_that_holds_spy_has_beta_1_and_no_tracking_error(api: Api, database: Database) -> None:
    closes = prices_of(np.random.default_rng(13).normal(0.0, 0.01, 60))
    publish_market(database, {"SPY": closes})
    record = add_portfolio(database, "ann", {"SPY": "1"})
    sessions = exchange_calendar().between(exchange_calendar().offset(AS_OF, -59), AS_OF)
    pnl = np.diff(closes, prepend=closes[0])
    own = [
        {**snapshot_values(Decimal(f"{equity:.8f}")), "daily_pnl": Decimal(f"{gain:.8f}"), "session": session}
        for equity, gain, session in zip(closes.tolist(), pnl.tolist(), sessions, strict=True)
    ]
    rows = [{**row, "portfolio_id": record.portfolio_id, "generation": 1} for row in own]
    with database.begin() as connection:
        connection.execute(sa.insert(ledger_tables.portfolio_snapshots), rows)
    api.refresh()
    data = get(api, database, record, "performance")["data"]
    assert data["benchmark"]["beta"] == pytest.approx(1.0, abs=1e-6)
    assert data["benchmark"]["tracking_error"] == pytest.approx(0.0, abs=1e-6)
    assert data["total_return"] == pytest.approx(data["benchmark"]["total_return"], abs=1e-8)


def test_a_book_without_anything_has_reasons_for_all(api: Api, database: Database) -> None:
    record = add_portfolio(database, "ann", {})
    api.refresh()
    reasons = {
        analytic: {item["reason"] for item in get(api, database, record, analytic)["data"]["missing"]}
        for analytic in ANALYTICS
    }
    assert reasons.pop("performance") == {"no_snapshot"}
    assert list(reasons.values()) == [{"no_positions"}] * 3


@pytest.mark.parametrize(
    ("analytic", "query"),
    [
        ("correlation-matrix", {"sessions": "29"}),
        ("correlation-matrix", {"sessions": "253"}),
        ("correlation-matrix", {"sessions": "NaN"}),
        ("performance", {"from": "2025-13-01"}),
        ("performance", {"from": "1e9"}),
        ("performance", {"from": "2025-07-02", "to": "2025-07-01"}),
        *(("correlation-matrix", {"sessions": text}) for text in ("+90", "90.0", "9_0", " 90 ")),
    ],
)
def test_wrong_queries_are_refused(api: Api, database: Database, analytic: str, query: dict[str, str]) -> None:
    record = add_portfolio(database, "ann", {})
    answer = api.get(path_of(record, analytic), add_token(database, "ann"), params=query)
    assert (answer.status_code, answer.headers["Content-Type"]) == (422, "application/problem+json")


@pytest.mark.parametrize("analytic", ANALYTICS)
def test_a_portfolio_of_someone_else_is_an_unknown_one(api: Api, database: Database, analytic: str) -> None:
    record = add_portfolio(database, "ann", {})
    unknown = replace(record, public_id=type(record.public_id)(int=7))
    answers = [api.get(path_of(one, analytic), add_token(database, "bob")) for one in (record, unknown)]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].json() == answers[1].json()
    assert api.get(path_of(record, analytic)).status_code == 401
