"""Tests of the portfolio routes: content, ownership, date ranges."""

from decimal import ROUND_HALF_EVEN, Decimal

import pytest
import sqlalchemy as sa

from sigmasight_assets.storage.book_tables import portfolios
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.ledger_tables import portfolio_snapshots
from sigmasight_assets.storage.portfolios import PortfolioRecord
from tests.api.conftest import Api
from tests.api.market import (
    SESSIONS,
    Figures,
    add_lots,
    add_portfolio,
    add_split,
    add_token,
    add_valuation,
    contract,
    delete_portfolio,
    publish,
    publish_snapshot,
    settle_option,
)
from tests.api.oracle import expected_positions

CENT = Decimal("0.01")
CALL, OVER, SETTLED = "AAPL250815C00150000", "AAPL250730C00150000", "AAPL250731C00150000"


@pytest.fixture
def token(database: Database) -> str:
    return add_token(database, "ann")


@pytest.fixture
def record(database: Database) -> PortfolioRecord:
    return add_portfolio(database, "ann", {"AAA": "1"}, equity="100000.005")


def test_a_portfolio_is_shown_with_and_without_a_snapshot(
    api: Api, database: Database, record: PortfolioRecord, token: str
) -> None:
    path = f"/api/v1/portfolios/{record.public_id}"
    before = api.get(path, token).json()
    assert before == {
        "portfolio_id": str(record.public_id),
        "name": "Main",
        "stated_equity": "100000.00",
        "as_of": str(SESSIONS[0]),
        "created_at": record.created_at.isoformat().replace("+00:00", "Z"),
        "equity": None,
        "equity_session": None,
        "stale_from": str(SESSIONS[0]),
    }
    publish_snapshot(database, record, SESSIONS[-1], Decimal("1.015"))
    after = api.get(path, token).json()
    assert after == {**before, "equity": "1.02", "equity_session": str(SESSIONS[-1])}
    assert api.get("/api/v1/portfolios", token).json() == {"items": [after], "total": 1}


def test_snapshots_that_a_portfolio_is_left_out_of_are_not_up_to_date(
    api: Api, database: Database, record: PortfolioRecord, token: str
) -> None:
    for stale, told in ((None, SESSIONS[2]), (SESSIONS[1], SESSIONS[1]), (SESSIONS[3], SESSIONS[2])):
        with database.begin() as connection:
            connection.execute(sa.update(portfolios).values(stale_from=stale, left_out_from=SESSIONS[2]))
        answer = api.get(f"/api/v1/portfolios/{record.public_id}", token).json()
        assert answer["stale_from"] == str(told)
        assert api.get("/api/v1/portfolios", token).json()["items"] == [answer]


def test_someone_elses_a_deleted_and_an_unknown_id_are_the_same_404(
    api: Api, database: Database, record: PortfolioRecord, token: str
) -> None:
    other = add_portfolio(database, "bob", {"AAA": "1"})
    deleted = add_portfolio(database, "ann", {"AAA": "1"}, name="deleted")
    delete_portfolio(database, deleted.public_id)
    publish_snapshot(database, other, SESSIONS[-1], Decimal(1))
    ids = [str(other.public_id), str(deleted.public_id), "00000000-0000-0000-0000-000000000000"]
    ids += [record.public_id.hex, "%00", "1", "' OR 1=1--", "x" * 5_000, "\N{RIGHT-TO-LEFT OVERRIDE}"]
    paths = (
        "/portfolios/{}",
        "/portfolios/{}/snapshots",
        "/portfolios/{}/positions",
        "/analytics/portfolio/{}/factor-exposures",
    )
    answers = [api.get(f"/api/v1{path.format(wanted)}", token) for wanted in ids for path in paths]
    assert {answer.status_code for answer in answers} == {404}
    assert {answer.content for answer in answers} == {answers[0].content}
    assert answers[0].json()["detail"] == "There is no such portfolio."
    assert api.get("/api/v1/portfolios", token).json()["total"] == 1


def test_an_admin_sees_no_portfolio_but_its_own(api: Api, database: Database, record: PortfolioRecord) -> None:
    admin = add_token(database, "root", is_admin=True)
    assert api.get(f"/api/v1/portfolios/{record.public_id}", admin).status_code == 404
    assert api.get("/api/v1/portfolios", admin).json() == {"items": [], "total": 0}


def test_positions_are_lots_with_the_values_of_a_plain_computation(api: Api, database: Database, token: str) -> None:
    record = add_portfolio(database, "ann", {})
    figures = {"AAA": Figures(Decimal("12.3457"), (1.0,) * 12), "BBB": Figures(Decimal("0.3333"), (1.0,) * 12)}
    add_split(database, "AAA", SESSIONS[4], (3, 2), generation=1)
    add_split(database, "BBB", SESSIONS[4], (2, 1), generation=None)
    publish(database, SESSIONS[-3], {"OLD": Figures(Decimal(7), (1.0,) * 12)})
    publish(database, SESSIONS[-1], {**figures, CALL: contract("2.5")})
    add_lots(
        database,
        record,
        {"symbol": "AAA", "quantity": Decimal("-10.0001"), "entry_price": Decimal("9.9999")},
        {"symbol": "AAA", "quantity": 10, "units_date": SESSIONS[4], "notes": "kept"},
        {"symbol": "BBB", "quantity": 3},
        {"symbol": "OLD", "quantity": 3},
        {"symbol": "UNHEARD", "quantity": 3},
        {"symbol": "AAA", "quantity": 99, "exit_price": 11, "exit_date": SESSIONS[2]},
    )
    option = {"investment_class": "OPTIONS", "quantity": 1}
    keys = add_lots(
        database,
        record,
        *({"symbol": symbol, **option} for symbol in (CALL, OVER, SETTLED)),
        {"symbol": "a house", "investment_class": "PRIVATE", "quantity": 1, "entry_price": None},
    )
    add_valuation(database, record, keys[3], SESSIONS[0], "5")
    add_valuation(database, record, keys[3], SESSIONS[3], "6.015")
    newest = settle_option(database, record, keys[2], SESSIONS[-1], Decimal(1))
    api.refresh()
    answer = api.get(f"/api/v1/portfolios/{record.public_id}/positions", token)
    document = answer.json()
    assert answer.headers["X-Data-Generation"] == str(newest)
    shown = [
        (item["symbol"], item["status"], item["market_value"], item["close_session"]) for item in document["items"]
    ]
    today, older = str(SESSIONS[-1]), str(SESSIONS[-3])
    assert shown == [
        ("AAA", "priced", "-185.19", today),
        ("AAA", "priced", "123.46", today),
        (CALL, "priced", "250.00", today),
        ("BBB", "priced", "1.00", today),
        ("OLD", "stale", "21.00", older),
        ("UNHEARD", "unpriced", None, None),
        ("a house", "private", "6.02", None),
    ]
    expected = expected_positions(database, record.public_id, oldest=SESSIONS[-6], as_of=SESSIONS[-1])
    values = {item["position_id"]: (item["market_value"], item["unrealized_pnl"]) for item in document["items"]}
    assert values == expected
    assert (document["items"][0]["split_numerator"], document["items"][0]["split_denominator"]) == (3, 2)
    everything = api.get(f"/api/v1/portfolios/{record.public_id}/positions?all=true", token).json()
    others = {(item["symbol"], item["status"], item["market_value"]) for item in everything["items"]} - {
        line[:3] for line in shown
    }
    assert others == {("AAA", "closed", None), (OVER, "expired", None), (SETTLED, "expired", None)}
    assert (document["total"], everything["total"]) == (7, 10)


def test_positions_come_in_pages(api: Api, database: Database, token: str) -> None:
    record = add_portfolio(database, "ann", dict.fromkeys(("DDD", "BBB", "AAA", "CCC"), "1"))
    path = f"/api/v1/portfolios/{record.public_id}/positions"
    document = api.get(f"{path}?limit=2&offset=1", token).json()
    assert ([item["symbol"] for item in document["items"]], document["total"]) == (["BBB", "CCC"], 4)
    assert api.get(f"{path}?offset=4", token).json() == {"items": [], "total": 4}
    wrong = api.get(f"{path}?all=perhaps", token)
    assert (wrong.status_code, wrong.headers["Content-Type"]) == (422, "application/problem+json")


def test_a_portfolio_without_lots_has_no_positions(api: Api, database: Database, token: str) -> None:
    record = add_portfolio(database, "ann", {})
    answer = api.get(f"/api/v1/portfolios/{record.public_id}/positions?all=true", token)
    assert answer.json() == {"items": [], "total": 0}


def test_snapshots_are_the_stored_rows_rounded_half_even(
    api: Api, database: Database, record: PortfolioRecord, token: str
) -> None:
    for session in SESSIONS[:3]:
        publish_snapshot(database, record, session, Decimal(f"{session.day}.12500000"))
    document = api.get(f"/api/v1/portfolios/{record.public_id}/snapshots", token).json()
    with database.begin() as connection:
        rows = connection.execute(sa.select(portfolio_snapshots).order_by(portfolio_snapshots.c.session)).all()
    assert document["total"] == len(rows) == len(document["items"])
    for row, shown in zip(rows, document["items"], strict=True):
        stored = {name: value for name, value in row._mapping.items() if name in shown}
        assert set(stored) == set(shown)
        for name, value in stored.items():
            if isinstance(value, Decimal):
                assert Decimal(shown[name]) == value.quantize(CENT, rounding=ROUND_HALF_EVEN)
                assert shown[name] != "-0.00"
            else:
                assert shown[name] == (str(value) if name == "session" else value)


def test_snapshots_of_a_range_in_pages(api: Api, database: Database, record: PortfolioRecord, token: str) -> None:
    for session in SESSIONS:
        publish_snapshot(database, record, session, Decimal(1))
    path = f"/api/v1/portfolios/{record.public_id}/snapshots?from={SESSIONS[2]}&to={SESSIONS[6]}&limit=2&offset=3"
    document = api.get(path, token).json()
    assert [item["session"] for item in document["items"]] == [str(SESSIONS[5]), str(SESSIONS[6])]
    assert document["total"] == 5


@pytest.mark.parametrize(
    "query",
    [
        "from=2025-07-32",
        "from=1704412800",
        "to=yesterday",
        "to=%00",
        "from=2025-07-31T00:00:00",
        "from=2025-07-31&to=2025-07-30",
    ],
)
def test_wrong_dates_are_named(api: Api, record: PortfolioRecord, token: str, query: str) -> None:
    answer = api.get(f"/api/v1/portfolios/{record.public_id}/snapshots?{query}", token)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert query.partition("=")[0] in answer.json()["detail"]


def test_the_ends_of_time_are_dates(api: Api, record: PortfolioRecord, token: str) -> None:
    path = f"/api/v1/portfolios/{record.public_id}/snapshots?from=0001-01-01&to=9999-12-31"
    assert api.get(path, token).json() == {"items": [], "total": 0}
