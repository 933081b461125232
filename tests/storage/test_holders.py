"""Tests of who holds what when: PUBLIC and OPTIONS lots in windows of time, whatever else bears the same name."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from sigmasight_assets.storage.book_tables import portfolios, positions
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.holders import (
    HeldWindow,
    find_holders,
    mark_later_starts,
    read_contracts,
    read_due,
)
from sigmasight_assets.storage.portfolios import create_portfolio
from tests.storage.conftest import SESSIONS
from tests.storage.rows import LOT, PRIVATE_LOT, insert

FIRST, LAST = SESSIONS[0], SESSIONS[-1]
CALL = "AAA250718C00150000"
DAY = timedelta(days=1)


def create(database: Database, name: str, *lots: dict[str, Any], as_of: date = FIRST) -> int:
    """A portfolio whose snapshots are current, with these lots; its number."""
    with database.begin() as connection:
        number = create_portfolio(
            connection, user="ann", name=name, equity=Decimal(1), as_of=as_of, lots=[]
        ).portfolio_id
        settle = sa.update(portfolios).where(portfolios.c.portfolio_id == number)
        connection.execute(settle.values(stale_from=None))
    for lot in lots:
        insert(database, positions, {**LOT, "portfolio_id": number, **lot})
    return number


def stale(database: Database) -> dict[int, date]:
    query = sa.select(portfolios.c.portfolio_id, portfolios.c.stale_from).where(portfolios.c.stale_from.is_not(None))
    with database.begin() as connection:
        return {row.portfolio_id: row.stale_from for row in connection.execute(query)}


def holders(database: Database, *windows: HeldWindow) -> list[int]:
    with database.bulk() as transaction:
        found: list[int] = find_holders(transaction, windows).tolist()
    return found


@pytest.mark.parametrize(
    ("lot", "window", "is_held"),
    [
        ((FIRST, None), (SESSIONS[1], SESSIONS[2]), True),
        ((SESSIONS[2], None), (SESSIONS[1], SESSIONS[2]), True),
        ((SESSIONS[2] + DAY, None), (SESSIONS[1], SESSIONS[2]), False),
        ((FIRST, SESSIONS[1]), (SESSIONS[1], SESSIONS[2]), False),
        ((FIRST, SESSIONS[1] + DAY), (SESSIONS[1], SESSIONS[2]), True),
        ((SESSIONS[2], SESSIONS[2]), (SESSIONS[1], SESSIONS[2]), True),
        # There are no snapshots before.
        ((FIRST, FIRST), (None, SESSIONS[2]), True),
        # An option has to be open at the session itself.
        ((FIRST, SESSIONS[2]), (SESSIONS[2], SESSIONS[2]), False),
        ((FIRST, SESSIONS[2] + DAY), (SESSIONS[2], SESSIONS[2]), True),
    ],
)
def test_lots_are_held_in_a_window(
    database: Database, lot: tuple[date, date | None], window: tuple[date | None, date], is_held: bool
) -> None:
    entry, exit_date = lot
    terms = {"entry_date": entry, "exit_date": exit_date, "exit_price": None if exit_date is None else 3}
    number = create(database, "Main", terms)
    assert holders(database, HeldWindow("AAA", *window)) == [number] * is_held
    assert holders(database, HeldWindow("BBB", *window)) == []


@pytest.mark.parametrize(
    ("begun_by", "is_held"), [(None, False), (SESSIONS[2], False), (SESSIONS[3], True), (date.max, True)]
)
def test_portfolios_that_begin_later(database: Database, begun_by: date | None, is_held: bool) -> None:
    number = create(database, "late", {"entry_date": FIRST}, as_of=SESSIONS[3])
    assert holders(database, HeldWindow("AAA", None, SESSIONS[1], begun_by)) == [number] * is_held


def test_each_holder_once_and_in_order(database: Database) -> None:
    both = create(database, "both", {}, {"symbol": "BBB"}, {})
    option = create(database, "option", {"symbol": CALL, "investment_class": "OPTIONS"})
    create(database, "other", {"symbol": "CCC"})
    house = create(database, "house")
    insert(database, positions, {**PRIVATE_LOT, "portfolio_id": house, "symbol": "AAA"})
    windows = [HeldWindow(symbol, None, LAST) for symbol in (CALL, "BBB", "AAA")]
    assert holders(database, *windows) == [both, option]
    assert holders(database, HeldWindow("AAA", FIRST, FIRST), HeldWindow("AAA", None, LAST)) == [both]
    assert holders(database) == []


def test_contracts_are_those_of_any_lot(database: Database) -> None:
    closed = {"exit_price": 1, "exit_date": LAST}
    create(database, "a", {"symbol": CALL, "investment_class": "OPTIONS", **closed}, {"symbol": "BBB"})
    create(
        database, "b", {"symbol": CALL, "investment_class": "OPTIONS"}, {"symbol": "B", "investment_class": "OPTIONS"}
    )
    with database.bulk() as transaction:
        assert read_contracts(transaction) == [CALL, "B"]


@pytest.mark.parametrize(
    ("last", "only", "due"),
    [(LAST, None, 4), (SESSIONS[3], None, 3), (LAST, [], 2), (SESSIONS[3], [], 1), (SESSIONS[3], [0, 1, 3], 2)],
)
def test_due_are_those_asked_for_and_those_stale_by_then(
    database: Database, last: date, only: Sequence[int] | None, due: int
) -> None:
    numbers = [create(database, name) for name in ("edited", "current", "edited later")]
    numbers.append(create(database, "late", as_of=LAST))
    for number, day in ((numbers[0], SESSIONS[2]), (numbers[2], LAST)):
        mark = sa.update(portfolios).where(portfolios.c.portfolio_id == number).values(stale_from=day)
        with database.begin() as connection:
            connection.execute(mark)
    ids = None if only is None else np.array([numbers[place] for place in only], dtype=np.int64)
    with database.bulk() as transaction:
        found = read_due(transaction, last=last, only=ids)
        assert len(found) == due
        assert found.tolist() == sorted(found.tolist())


def test_holders_that_begin_later_are_marked_from_their_beginning_on(database: Database) -> None:
    numbers = {day: create(database, str(day), {}, as_of=day) for day in SESSIONS}
    create(database, "other", {"symbol": "BBB"}, as_of=SESSIONS[3])
    with database.bulk() as transaction:
        windows = [HeldWindow("AAA", None, LAST)]
        mark_later_starts(transaction, windows, after=SESSIONS[1], until=SESSIONS[3])
    assert stale(database) == {numbers[day]: day for day in SESSIONS[2:4]}
