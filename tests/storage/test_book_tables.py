"""Tests of the rules of owners' tables."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from sigmasight_assets.storage.book_tables import api_tokens, capital_flows, portfolios, positions, users
from sigmasight_assets.storage.database import Database
from tests.contents import contents
from tests.storage.rows import LOT, PORTFOLIO, SESSION, insert, refused_by


@pytest.fixture
def owner(database: Database) -> int:
    return int(insert(database, users, {"name": "ann"}))


@pytest.fixture
def portfolio(database: Database, owner: int) -> int:
    return int(insert(database, portfolios, {**PORTFOLIO, "user_id": owner}))


@pytest.mark.parametrize(
    ("changes", "constraint"),
    [
        ({"investment_class": "SHARES"}, "investment_class"),
        ({"investment_class": None}, "investment_class"),
        ({"quantity": 0}, "quantity_not_zero"),
        ({"quantity": "NaN"}, "quantity_not_zero"),
        ({"quantity": "Infinity"}, "numeric field overflow"),
        ({"quantity": "100000000000000"}, "numeric field overflow"),
        ({"entry_price": 0}, "entry_price_positive"),
        ({"entry_price": -1}, "entry_price_positive"),
        ({"entry_price": "NaN"}, "entry_price_positive"),
        ({"entry_date": None}, "entry_date"),
        ({"exit_price": 1}, "exit_complete"),
        ({"exit_date": SESSION}, "exit_complete"),
        ({"exit_price": 1, "exit_date": SESSION - timedelta(1)}, "exit_after_entry"),
        ({"exit_price": -1, "exit_date": SESSION}, "exit_price_not_negative"),
        ({"exit_price": "NaN", "exit_date": SESSION}, "exit_price_not_negative"),
    ],
)
def test_impossible_lots_are_refused(
    database: Database, portfolio: int, changes: dict[str, Any], constraint: str
) -> None:
    assert refused_by(database, positions, {**LOT, "portfolio_id": portfolio, **changes}) == constraint


def test_lots_may_be_short_closed_the_same_day_and_worthless_at_the_end(database: Database, portfolio: int) -> None:
    insert(database, positions, {**LOT, "portfolio_id": portfolio, "quantity": "-0.0001"})
    insert(database, positions, {**LOT, "portfolio_id": portfolio, "exit_price": 0, "exit_date": SESSION})


@pytest.mark.parametrize("amount", [0, "NaN"])
def test_a_flow_moves_money(database: Database, portfolio: int, amount: Any) -> None:
    values = {"portfolio_id": portfolio, "flow_date": SESSION, "amount": amount}
    assert refused_by(database, capital_flows, values) == "amount_not_zero"


def test_stated_equity_is_a_number(database: Database, owner: int) -> None:
    values = {**PORTFOLIO, "user_id": owner}
    assert refused_by(database, portfolios, {**values, "stated_equity": "NaN"}) == "stated_equity_finite"
    insert(database, portfolios, {**values, "stated_equity": -1})


def test_names_are_unique_where_they_must_be(database: Database, owner: int, portfolio: int) -> None:
    other = int(insert(database, users, {"name": "bob"}))
    insert(database, portfolios, {**PORTFOLIO, "user_id": other})
    assert portfolio
    assert refused_by(database, users, {"name": "ann"}) == "uq_users_name"
    assert refused_by(database, portfolios, {**PORTFOLIO, "user_id": owner}) == "uq_portfolios_user_id_name"


def test_nothing_belongs_to_nobody(database: Database) -> None:
    assert refused_by(database, portfolios, {**PORTFOLIO, "user_id": 7}).startswith("fk_portfolios")
    assert refused_by(database, positions, {**LOT, "portfolio_id": 7}).startswith("fk_positions")
    flow = {"portfolio_id": 7, "flow_date": SESSION, "amount": 1}
    assert refused_by(database, capital_flows, flow).startswith("fk_capital_flows")


def test_an_owner_takes_everything_along(database: Database, owner: int, portfolio: int) -> None:
    insert(database, positions, {**LOT, "portfolio_id": portfolio})
    insert(database, capital_flows, {"portfolio_id": portfolio, "flow_date": SESSION, "amount": 1})
    insert(database, api_tokens, {"user_id": owner, "token_hash": b"hash"})
    with database.begin() as connection:
        connection.execute(sa.delete(users))
    assert {name for name, _ in contents(database)} == {"factor_definitions"}
