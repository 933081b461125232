"""Tests of single bars: what operators see of them, and what is left when one is taken out."""

from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa

from sigmasight_assets.errors import TransientStorageError
from sigmasight_assets.storage import stored_bars
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.publications import lock_layer
from sigmasight_assets.storage.stored_bars import (
    StoredBar,
    ask_again,
    count_holders,
    has_unexplained_moves,
    is_published,
    lock_prices,
    quarantine_stored_bar,
    read_bar,
    read_newest_bars,
    read_sessions_with_figures,
)
from tests.orchestration.contents import execute, rows_of
from tests.stored_bars import DAYS, FALLEN, fallen, hold, lot, publish_figures, state_split, store_bars


def newest(database: Database) -> dict[str, StoredBar]:
    with database.begin() as connection:
        return {bar.symbol: bar for bar in read_newest_bars(connection)}


def one(database: Database, symbol: str, day: date) -> StoredBar | None:
    with database.begin() as connection:
        return read_bar(connection, symbol, day)


def known(database: Database, symbol: str) -> tuple[Any, ...]:
    names = "history_from, first_trade_date, last_price_date, status"
    (row,) = rows_of(database, f"SELECT {names} FROM symbol_universe WHERE symbol = :symbol", symbol=symbol)
    return tuple(row.values())


def test_newest_bars_with_the_ones_before_them(database: Database) -> None:
    fallen(database, "AAA")
    store_bars(database, "GAP", {DAYS[0]: "10", DAYS[4]: "12.5"})
    store_bars(database, "ONE", {DAYS[3]: "7"})
    execute(database, "INSERT INTO symbol_universe (symbol, name, asset_type) VALUES ('NEW', 'New', 'equity')")
    found = newest(database)
    assert list(found) == ["AAA", "GAP", "ONE"]
    each = {symbol: (bar.session, bar.units, bar.previous_session, bar.move_percent) for symbol, bar in found.items()}
    assert each == {
        "AAA": (FALLEN, (250_000, 1_000_000), DAYS[-2], -75.0),
        "GAP": (DAYS[4], (125_000, 100_000), DAYS[0], 25.0),
        "ONE": (DAYS[3], (70_000, None), None, None),
    }
    assert found["AAA"].stored_at.tzinfo is not None
    assert has_unexplained_moves(list(found.values())).tolist() == [True, False, False]
    assert has_unexplained_moves([]).tolist() == []


def test_a_bar_that_is_not_the_newest(database: Database) -> None:
    fallen(database, "AAA")
    bar = one(database, "AAA", DAYS[2])
    assert bar is not None
    assert (bar.session, bar.previous_session, bar.newest_session) == (DAYS[2], DAYS[1], FALLEN)
    assert one(database, "AAA", date(2025, 7, 26)) is None
    assert one(database, "ZZZ", FALLEN) is None


@pytest.mark.parametrize(
    ("ex_date", "columns", "explains"),
    [
        (FALLEN, {}, True),
        # Between the two bars, on a Saturday.
        (date(2025, 7, 26), {}, True),
        (DAYS[3], {}, False),
        (date(2025, 8, 1), {}, False),
        (FALLEN, {"withdrawn_at": sa.func.now()}, False),
        (FALLEN, {"symbol": "ZZZ"}, False),
    ],
)
def test_an_action_between_two_bars_explains_a_move(
    database: Database, ex_date: date, columns: dict[str, Any], explains: bool
) -> None:
    store_bars(database, "AAA", {DAYS[3]: "100", FALLEN: "25"})
    state_split(database, ex_date=ex_date, **({"symbol": "AAA"} | columns))
    bar = newest(database)["AAA"]
    assert bar.has_action is explains
    assert has_unexplained_moves([bar]).tolist() == [not explains]


def test_a_bar_goes_into_quarantine_as_it_was_stored(database: Database) -> None:
    fallen(database, "AAA", to="25.1234")
    fallen(database, "BBB")
    execute(database, "UPDATE symbol_prices_daily SET adj_close_price = 0.1, volume = 9007199254740993")
    stored = rows_of(
        database, "SELECT * FROM symbol_prices_daily WHERE symbol = 'AAA' AND price_date = :day", day=FALLEN
    )
    with database.begin() as connection:
        quarantine_stored_bar(connection, "AAA", FALLEN, reason="rejected by somebody")
    (row,) = rows_of(database, "SELECT * FROM price_quarantine")
    for name in stored_bars.SENT_VALUES:
        assert row[name] == float(stored[0][name])
    assert (row["source"], row["symbol"], row["price_date"]) == ("test", "AAA", FALLEN)
    assert row["reason"] == "rejected by somebody"
    left = rows_of(database, "SELECT symbol, count(*) AS bars FROM symbol_prices_daily GROUP BY 1 ORDER BY 1")
    assert [row["bars"] for row in left] == [len(DAYS) - 1, len(DAYS)]
    assert known(database, "AAA")[1:] == (DAYS[0], DAYS[-2], "active")
    assert known(database, "BBB")[1:] == (DAYS[0], FALLEN, "active")


def test_the_first_and_the_only_bar(database: Database) -> None:
    store_bars(database, "AAA", {DAYS[3]: "7", DAYS[5]: "8"})
    asked_from = known(database, "AAA")[0]
    for day, left in ((DAYS[3], (DAYS[5], DAYS[5], "active")), (DAYS[5], (None, None, "pending"))):
        with database.begin() as connection:
            quarantine_stored_bar(connection, "AAA", day, reason="wrong")
        assert known(database, "AAA") == (asked_from, *left)


def test_a_delisted_symbol_stays_delisted(database: Database) -> None:
    store_bars(database, "AAA", {DAYS[5]: "8"})
    execute(database, "UPDATE symbol_universe SET status = 'delisted'")
    with database.begin() as connection:
        quarantine_stored_bar(connection, "AAA", DAYS[5], reason="wrong")
    assert known(database, "AAA")[1:] == (None, None, "delisted")


def test_sessions_that_are_to_be_asked_for_again(database: Database) -> None:
    fallen(database, "AAA")
    for session, asked_from in ((DAYS[5], DAYS[5]), (DAYS[2], DAYS[5])):
        with database.begin() as connection:
            ask_again(connection, "AAA", session)
        assert known(database, "AAA")[0] == asked_from


def test_who_uses_and_holds_a_bar(database: Database) -> None:
    for symbol in ("AAA", "BBB"):
        fallen(database, symbol)
    publish_figures(database, DAYS[-2], "BBB")
    publish_figures(database, FALLEN, "AAA")
    hold(database, "one", lot("AAA"), lot("AAA"), lot("BBB"))
    hold(database, "two", lot("AAA"), lot("BBB", exit_price=lot("BBB").entry_price, exit_date=DAYS[2]))
    hold(database, "private", lot("AAA", investment_class="PRIVATE"))
    with database.begin() as connection:
        assert read_sessions_with_figures(connection, read_newest_bars(connection)) == {("AAA", FALLEN)}
        assert count_holders(connection, ["AAA", "BBB", "CCC"]) == {"AAA": 2, "BBB": 1}
        assert [is_published(connection, day) for day in DAYS[-3:]] == [False, True, True]


def test_prices_that_others_write_are_waited_for(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_bars, "LOCK_TIMEOUT", "50ms")
    with database.bulk() as transaction:
        lock_layer(transaction, "prices")
        with pytest.raises(TransientStorageError, match="is busy"), database.begin() as connection:
            lock_prices(connection)
    with database.begin() as connection:
        lock_prices(connection)
