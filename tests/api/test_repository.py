"""Tests of the statements: ownership, paging, sums of lots, the newest publication and judgement."""

from datetime import date
from decimal import Decimal
from uuid import uuid4

import numpy as np
import pytest

from sigmasight_api.repository import Page, Repository
from sigmasight_assets.errors import NotFoundError, StorageError
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.operations import Verdict, finish_batch, record_verdicts, start_batch
from sigmasight_assets.storage.portfolios import NewLot
from tests.api.market import (
    SESSIONS,
    add_bars,
    add_lots,
    add_portfolio,
    add_valuation,
    publish,
    publish_snapshot,
    random_figures,
    settle_option,
)

CALL = "AAPL250815C00150000"
ALL = Page(limit=100, offset=0)


@pytest.fixture
def repository(database: Database) -> Repository:
    return Repository(database)


def test_a_book_is_its_owners_alone(repository: Repository, database: Database) -> None:
    book = add_portfolio(database, "ann", {"AAA": "1"})
    other = add_portfolio(database, "bob", {"AAA": "1"})
    assert repository.read_book(book.user_id, book.public_id).portfolio_id == book.portfolio_id
    for user_id, public_id in ((other.user_id, book.public_id), (book.user_id, uuid4())):
        with pytest.raises(NotFoundError, match=r"^There is no such portfolio\.$"):
            repository.read_book(user_id, public_id)


def test_a_book_has_its_newest_snapshot(repository: Repository, database: Database) -> None:
    record = add_portfolio(database, "ann", {"AAA": "1"})
    before = repository.read_book(record.user_id, record.public_id)
    assert (before.equity, before.equity_session, before.equity_generation) == (None, None, None)
    newest = publish_snapshot(database, record, SESSIONS[-1], Decimal("12.34567891"))
    publish_snapshot(database, record, SESSIONS[-2], Decimal(11))
    after = repository.read_book(record.user_id, record.public_id)
    assert after.equity == Decimal("12.34567891")
    assert (after.equity_session, after.equity_generation) == (SESSIONS[-1], newest)


def test_books_are_listed_by_name_in_pages(repository: Repository, database: Database) -> None:
    records = [add_portfolio(database, "ann", {"AAA": "1"}, name=name) for name in ("c", "a", "b")]
    add_portfolio(database, "bob", {"AAA": "1"})
    books, total = repository.read_books(records[0].user_id, Page(limit=2, offset=1))
    assert ([book.name for book in books], total) == (["b", "c"], 3)


def test_holdings_are_open_lots_summed_exactly(repository: Repository, database: Database) -> None:
    day = SESSIONS[0]
    record = add_portfolio(
        database,
        "ann",
        [
            NewLot("BBB", Decimal("10.0001"), Decimal(5), day),
            NewLot("AAA", Decimal(7), Decimal(5), day),
            NewLot("BBB", Decimal("-0.0002"), Decimal(5), day),
            NewLot("AAA", Decimal(100), Decimal(5), day, exit_price=Decimal(6), exit_date=day),
            NewLot("CCC", Decimal(1), Decimal(5), day),
            NewLot("CCC", Decimal(-1), Decimal(5), day),
            NewLot("HOUSE", Decimal(1), Decimal(5), day, investment_class="PRIVATE"),
        ],
    )
    held = repository.read_holdings(record.portfolio_id)
    assert dict(zip(held.shares.symbols, held.shares.quantities, strict=True)) == {"AAA": 70_000, "BBB": 99_999}
    assert [lot.symbol for lot in held.private] == ["HOUSE"]


def test_lots_come_whole_by_symbol_and_entry(repository: Repository, database: Database) -> None:
    record = add_portfolio(database, "ann", {})
    other = add_portfolio(database, "ann", {"AAA": "1"}, name="other")
    call, house = {"symbol": CALL, "quantity": 1, "investment_class": "OPTIONS"}, {"symbol": "a house", "quantity": 1}
    keys = add_lots(
        database,
        record,
        {"symbol": "BBB", "quantity": Decimal("-1.5"), "units_date": SESSIONS[2], "notes": "split"},
        {"symbol": "AAA", "quantity": 2, "entry_date": SESSIONS[1]},
        {"symbol": "AAA", "quantity": 3, "exit_price": 11, "exit_date": SESSIONS[3]},
        call,
        {**house, "investment_class": "PRIVATE", "entry_price": None},
    )
    add_valuation(database, record, keys[4], SESSIONS[5], "700.00000001")
    add_valuation(database, record, keys[4], SESSIONS[4], "600")
    settle_option(database, record, keys[3], SESSIONS[6], Decimal(1))
    lots = repository.read_lots(record.portfolio_id, with_closed=True)
    assert [(lot.symbol, lot.quantity) for lot in lots] == [
        ("AAA", 3),
        ("AAA", 2),
        (CALL, 1),
        ("BBB", Decimal("-1.5")),
        ("a house", 1),
    ]
    assert [lot.units_date for lot in lots] == [*SESSIONS[:2], SESSIONS[0], SESSIONS[2], SESSIONS[0]]
    assert (lots[0].exit_price, lots[0].exit_date, lots[3].notes) == (Decimal(11), SESSIONS[3], "split")
    assert [lot.settled_on for lot in lots] == [None, None, SESSIONS[6], None, None]
    assert lots[4].valued_on == [SESSIONS[4], SESSIONS[5]]
    assert lots[4].valuations == [Decimal(600), Decimal("700.00000001")]
    assert (lots[0].valued_on, lots[4].entry_price) == ([], None)
    assert repository.read_lots(record.portfolio_id, with_closed=False) == lots[1:]
    assert len(repository.read_lots(other.portfolio_id, with_closed=True)) == 1


def test_snapshots_are_those_of_the_dates_oldest_first(repository: Repository, database: Database) -> None:
    record = add_portfolio(database, "ann", {"AAA": "1"})
    for session in reversed(SESSIONS):
        publish_snapshot(database, record, session, Decimal(session.day))
    rows = repository.read_snapshots(
        record.user_id, record.public_id, first=SESSIONS[2], last=SESSIONS[6], page=Page(limit=2, offset=1)
    )
    assert ([row.session for row in rows.items], rows.total) == ([SESSIONS[3], SESSIONS[4]], 5)


def test_a_session_shows_its_newest_publication(repository: Repository, database: Database) -> None:
    figures = random_figures(["AAA"], seed=1)
    publish(database, SESSIONS[-2], figures)
    publish(database, SESSIONS[-1], figures, products=["market_beta"])
    newest = publish(database, SESSIONS[-2], figures, products=["ir_beta"])
    record = add_portfolio(database, "ann", {"AAA": "1"})
    publish_snapshot(database, record, SESSIONS[-2], Decimal(1))
    rows = repository.read_symbol_sessions(ALL)
    assert [(row.session, row.is_complete) for row in rows.items] == [(SESSIONS[-1], False), (SESSIONS[-2], True)]
    assert (rows.items[1].generation, rows.items[1].run_id, rows.total) == (newest, f"run-{newest}", 2)


def test_a_check_has_failed_when_its_newest_judgement_did(repository: Repository, database: Database) -> None:
    def judge(passed: bool, *, is_blocking: bool = True) -> None:
        verdict = Verdict("coverage", SESSIONS[-1], passed=passed, detail="97 %", is_blocking=is_blocking)
        with database.begin() as connection:
            record_verdicts(connection, [verdict], layer="symbol", run_id="night")

    judge(False, is_blocking=False)
    judge(True)
    assert repository.read_failed_symbol_checks(ALL).total == 0
    judge(False)
    rows = repository.read_failed_symbol_checks(ALL)
    assert [(row.session, row.check_name, row.detail) for row in rows.items] == [(SESSIONS[-1], "coverage", "97 %")]
    judge(True)
    assert repository.read_failed_symbol_checks(ALL).items == []


def test_recorded_steps_are_listed_newest_first(repository: Repository, database: Database) -> None:
    for run_id in ("first", "second"):
        with database.begin() as connection:
            start_batch(connection, run_id=run_id, kind="prices", sessions=SESSIONS)
    with database.begin() as connection:
        finish_batch(connection, run_id="second", kind="prices", counts={"rows": 1}, error="vendor away")
    rows = repository.read_batches(ALL)
    assert [(row.run_id, row.status, row.error) for row in rows.items] == [
        ("second", "failed", "vendor away"),
        ("first", "running", None),
    ]


def test_a_database_that_is_away_is_a_storage_error() -> None:
    away = Repository(Database("postgresql+psycopg2://nobody@127.0.0.1:9/nothing"))
    with pytest.raises(StorageError, match="does not answer"):
        away.read_books(1, ALL)
    with pytest.raises(StorageError, match="does not answer"):
        away.read_snapshots(1, uuid4(), first=None, last=date(2025, 1, 1), page=ALL)


def test_a_series_begins_with_the_snapshot_before_it(repository: Repository, database: Database) -> None:
    record, other = (add_portfolio(database, user, {"AAA": "1"}) for user in ("ann", "bob"))
    for place in (1, 2, 5, 6):
        publish_snapshot(database, record, SESSIONS[place], Decimal(place))
    publish_snapshot(database, other, SESSIONS[4], Decimal(100))
    add_bars(database, {"SPY": np.array([7.0, 8.0]), "AAA": np.array([1.0, 2.0])}, last=SESSIONS[2])

    def series(first: int | None, last: int | None) -> list[tuple[int, float | None]]:
        begin, end = (None if place is None else SESSIONS[place] for place in (first, last))
        rows = repository.read_snapshot_series(record.portfolio_id, first=begin, last=end, benchmark="SPY")
        assert [row.session for row in rows] == [SESSIONS[int(row.equity)] for row in rows]
        return [(int(row.equity), row.benchmark) for row in rows]

    assert series(None, None) == [(1, 7.0), (2, 8.0), (5, None), (6, None)]
    assert series(4, None) == [(2, 8.0), (5, None), (6, None)]
    assert series(5, 5) == [(2, 8.0), (5, None)]
    assert series(0, 2) == [(1, 7.0), (2, 8.0)]
    assert series(8, None) == [(6, None)]
    assert series(None, 0) == []
