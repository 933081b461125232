"""Edits of lots as owners make them: what is recomputed, from when on, and that it is right."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.lots import add_lot, add_valuation, close_lot, delete_lot, delete_valuation
from sigmasight_assets.storage.portfolios import NewLot, StoredLot, read_lots
from tests.orchestration.books import DAYS, MOVING, RUNNING, SOLID
from tests.orchestration.contents import rows_of
from tests.orchestration.portfolio_runs import assert_equal_to_oracle, next_range, portfolio_id, run_gate

Edit = Callable[[sa.Connection, list[StoredLot]], Any]


def close(place: int, day: date, price: str, quantity: str | None = None) -> Edit:
    """Close the lot at this place of its book."""

    def edit(connection: sa.Connection, lots: list[StoredLot]) -> None:
        amount = None if quantity is None else Decimal(quantity)
        close_lot(connection, lots[place].position_id, exit_date=day, exit_price=Decimal(price), quantity=amount)

    return edit


def value(place: int, day: date, amount: str) -> Edit:
    return lambda connection, lots: add_valuation(
        connection, lots[place].position_id, valued_on=day, market_value=Decimal(amount)
    )


def buy(symbol: str, day: date, **columns: Any) -> Edit:
    lot = NewLot(symbol, Decimal(7), Decimal("9.5"), day, **columns)
    return lambda connection, lots: add_lot(connection, lots[0].portfolio_id, lot)


EDITS: dict[str, tuple[str, Edit, date]] = {
    "a share sold": ("moving", close(0, DAYS[7], "25.5"), DAYS[7]),
    "a share sold on a day without session": ("moving", close(0, date(2025, 5, 31), "25.5"), DAYS[9]),
    "a part sold": ("mixed", close(0, DAYS[7], "51.25", "33.3333"), DAYS[0]),
    "a part sold after a split": ("moving", close(0, DAYS[5], "25.5", "15"), DAYS[0]),
    "a part of a short bought back after two splits": ("moving", close(4, DAYS[8], "38", "0.5"), DAYS[6]),
    "a part of a lot that is in later units": ("moving", close(12, DAYS[2], "102", "1.25"), DAYS[0]),
    "a contract sold": ("options", close(6, DAYS[7], "4.5"), DAYS[7]),
    "a part of some contracts sold": ("options", close(6, DAYS[7], "4.5", "2"), DAYS[0]),
    "a private asset sold": ("private", close(0, DAYS[9], "10100.1"), DAYS[9]),
    "a part of a private asset sold": ("private", close(0, DAYS[9], "10100.1", "1"), DAYS[0]),
    "a valuation": ("private", value(0, DAYS[4], "123.45678901"), DAYS[4]),
    "a valuation corrected": ("private", value(0, DAYS[8], "1"), DAYS[8]),
    "a valuation deleted": (
        "private",
        lambda connection, lots: delete_valuation(connection, lots[0].position_id, valued_on=DAYS[8]),
        DAYS[8],
    ),
    "a share bought": ("mixed", buy(SOLID, DAYS[3]), DAYS[3]),
    "a share bought before the start": ("mixed", buy(MOVING, date(2025, 2, 3)), DAYS[0]),
    "a contract bought": ("options", buy(RUNNING, DAYS[2], investment_class="OPTIONS"), DAYS[2]),
    "a private asset entered": (
        "private",
        buy("Horse", DAYS[2], investment_class="PRIVATE", market_value=Decimal(80), valued_on=DAYS[4]),
        DAYS[2],
    ),
    "a lot deleted": ("mixed", lambda connection, lots: delete_lot(connection, lots[2].position_id), DAYS[3]),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_settled_from_its_date_on(done: Database, name: str) -> None:
    portfolio, edit, first = EDITS[name]
    number = portfolio_id(done, portfolio)
    before = generations(done, number)
    with done.begin() as connection:
        edit(connection, read_lots(connection, number))
    chosen = run_gate(done)
    assert chosen is not None
    assert (chosen.first, chosen.last) == (first, DAYS[-1])
    assert_equal_to_oracle(done)
    assert next_range(done) is None
    after = generations(done, number)
    assert {day for day in DAYS if after[day] == before[day]} >= {day for day in DAYS if day < first}


@pytest.mark.parametrize(
    "name",
    ["a part sold", "a part sold after a split", "a part of some contracts sold", "a part of a private asset sold"],
)
def test_history_before_a_partial_close_has_the_same_amounts(done: Database, name: str) -> None:
    portfolio, edit, _ = EDITS[name]
    number = portfolio_id(done, portfolio)
    before = amounts(done, number)
    with done.begin() as connection:
        edit(connection, read_lots(connection, number))
        exit_date = max(lot.exit_date for lot in read_lots(connection, number)[-1:] if lot.exit_date)
    assert run_gate(done) is not None
    after = amounts(done, number)
    assert [after[day] for day in DAYS if day < exit_date] == [before[day] for day in DAYS if day < exit_date]
    assert after[exit_date] != before[exit_date]


def generations(database: Database, number: int) -> dict[date, int]:
    sql = "SELECT session, generation FROM portfolio_snapshots WHERE portfolio_id = :number"
    return {row["session"]: row["generation"] for row in rows_of(database, sql, number=number)}


def amounts(database: Database, number: int) -> dict[date, tuple[Any, ...]]:
    columns = "equity, long_value, short_value, cash, daily_pnl, cumulative_pnl, unrealized_pnl, dividends"
    sql = f"SELECT session, {columns} FROM portfolio_snapshots WHERE portfolio_id = :number"
    return {row["session"]: tuple(row.values())[1:] for row in rows_of(database, sql, number=number)}
