"""Tests of the portfolio routes: content, ownership, date ranges."""

from decimal import ROUND_HALF_EVEN, Decimal

import pytest
import sqlalchemy as sa

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.ledger_tables import portfolio_snapshots
from sigmasight_assets.storage.portfolios import PortfolioRecord
from tests.api.conftest import Api
from tests.api.market import SESSIONS, add_portfolio, add_token, delete_portfolio, publish_snapshot

CENT = Decimal("0.01")


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


def test_someone_elses_a_deleted_and_an_unknown_id_are_the_same_404(
    api: Api, database: Database, record: PortfolioRecord, token: str
) -> None:
    other = add_portfolio(database, "bob", {"AAA": "1"})
    deleted = add_portfolio(database, "ann", {"AAA": "1"}, name="deleted")
    delete_portfolio(database, deleted.public_id)
    publish_snapshot(database, other, SESSIONS[-1], Decimal(1))
    ids = [str(other.public_id), str(deleted.public_id), "00000000-0000-0000-0000-000000000000"]
    ids += [record.public_id.hex, "%00", "1", "' OR 1=1--", "x" * 5_000, "\N{RIGHT-TO-LEFT OVERRIDE}"]
    paths = ("/portfolios/{}", "/portfolios/{}/snapshots", "/analytics/portfolio/{}/factor-exposures")
    answers = [api.get(f"/api/v1{path.format(wanted)}", token) for wanted in ids for path in paths]
    assert {answer.status_code for answer in answers} == {404}
    assert {answer.content for answer in answers} == {answers[0].content}
    assert answers[0].json()["detail"] == "There is no such portfolio."
    assert api.get("/api/v1/portfolios", token).json()["total"] == 1


def test_an_admin_sees_no_portfolio_but_its_own(api: Api, database: Database, record: PortfolioRecord) -> None:
    admin = add_token(database, "root", is_admin=True)
    assert api.get(f"/api/v1/portfolios/{record.public_id}", admin).status_code == 404
    assert api.get("/api/v1/portfolios", admin).json() == {"items": [], "total": 0}


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
