"""Tests of what is taken out of the database of a date that was no session, and of what is asked for again."""

from datetime import date
from decimal import Decimal

import pytest
import sqlalchemy as sa

from sigmasight_assets.errors import TransientStorageError
from sigmasight_assets.storage import closures
from sigmasight_assets.storage.closures import (
    ask_for_session_again,
    has_publications,
    lock_layers,
    mark_settlements,
    remove_session,
)
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import NewLot, create_portfolio
from sigmasight_assets.storage.publications import lock_layer
from sigmasight_assets.storage.tables import (
    company_profiles,
    price_quarantine,
    symbol_exclusions,
    symbol_prices_daily,
    symbol_universe,
)
from tests.operations.ledger_rows import consume, publish
from tests.orchestration.contents import execute, rows_of
from tests.storage.rows import ROWS, insert

THURSDAY, FRIDAY, TUESDAY = date(2025, 5, 22), date(2025, 5, 23), date(2025, 5, 27)


def enter_bars(database: Database, bars: dict[str, list[date]]) -> None:
    """Track symbols with a bar at each of these dates."""
    for symbol, days in bars.items():
        first, last = (min(days), max(days)) if days else (None, None)
        row = {**ROWS[symbol_universe], "symbol": symbol, "status": "active", "history_from": date(2025, 1, 2)}
        insert(database, symbol_universe, {**row, "first_trade_date": first, "last_price_date": last})
        for day in days:
            insert(database, symbol_prices_daily, {**ROWS[symbol_prices_daily], "symbol": symbol, "price_date": day})


def remove(database: Database, *, profiles_to: date | None = None) -> dict[str, int]:
    with database.begin() as connection:
        return remove_session(connection, FRIDAY, reason="no session", profiles_to=profiles_to)


def spans(database: Database) -> dict[str, tuple[str, date | None, date | None]]:
    rows = rows_of(database, "SELECT symbol, status, first_trade_date, last_price_date FROM symbol_universe")
    return {row["symbol"]: (row["status"], row["first_trade_date"], row["last_price_date"]) for row in rows}


def test_bars_go_into_quarantine_with_all_their_values(database: Database) -> None:
    enter_bars(database, {"OLD": [THURSDAY, FRIDAY], "NEW": [FRIDAY, TUESDAY], "ONLY": [FRIDAY], "OTHER": [THURSDAY]})
    assert remove(database)["bars_quarantined"] == 3
    assert spans(database) == {
        "OLD": ("active", THURSDAY, THURSDAY),
        "NEW": ("active", TUESDAY, TUESDAY),
        "ONLY": ("pending", None, None),
        "OTHER": ("active", THURSDAY, THURSDAY),
    }
    assert rows_of(database, "SELECT * FROM symbol_prices_daily WHERE price_date = :day", day=FRIDAY) == []
    kept = rows_of(database, "SELECT * FROM price_quarantine ORDER BY symbol")
    assert [(row["symbol"], row["price_date"], row["reason"]) for row in kept] == [
        (symbol, FRIDAY, "no session") for symbol in ("NEW", "OLD", "ONLY")
    ]
    assert (kept[0]["close_price"], kept[0]["adj_close_price"], kept[0]["source"]) == (10.5, 10.25, "test")


def test_the_same_bar_is_kept_once(database: Database) -> None:
    enter_bars(database, {"AAA": [FRIDAY]})
    remove(database)
    insert(database, symbol_prices_daily, {**ROWS[symbol_prices_daily], "price_date": FRIDAY})
    assert remove(database)["bars_quarantined"] == 1
    with database.begin() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(price_quarantine)).scalar_one() == 1


@pytest.mark.parametrize(
    ("profiles_to", "moved", "deleted", "left"),
    [(None, 0, 2, [("HAS", TUESDAY)]), (TUESDAY, 1, 1, [("HAS", TUESDAY), ("LACKS", TUESDAY)])],
)
def test_profiles_move_to_a_session_that_has_none(
    database: Database, profiles_to: date | None, moved: int, deleted: int, left: list[tuple[str, date]]
) -> None:
    for symbol, day in (("HAS", FRIDAY), ("LACKS", FRIDAY), ("HAS", TUESDAY)):
        insert(database, company_profiles, {"symbol": symbol, "captured_on": day, "source": "test"})
    done = remove(database, profiles_to=profiles_to)
    assert (done["profiles_moved"], done["profiles_deleted"]) == (moved, deleted)
    rows = rows_of(database, "SELECT symbol, captured_on FROM company_profiles ORDER BY symbol")
    assert [(row["symbol"], row["captured_on"]) for row in rows] == left


def test_reasons_for_missing_figures_go(database: Database) -> None:
    for day in (THURSDAY, FRIDAY):
        row = {"session": day, "symbol": "AAA", "product": "market_beta", "reason": "no_price"}
        insert(database, symbol_exclusions, row)
    assert remove(database)["exclusions_deleted"] == 1
    assert [row["session"] for row in rows_of(database, "SELECT session FROM symbol_exclusions")] == [THURSDAY]


def test_what_was_published_is_seen_in_either_layer(database: Database) -> None:
    publish(database, THURSDAY, products=["market_beta"])
    consume(database, 1, FRIDAY)
    with database.begin() as connection:
        assert [has_publications(connection, day) for day in (THURSDAY, FRIDAY, TUESDAY)] == [True, True, False]


def test_the_date_is_asked_for_of_every_symbol_that_was_asked_for_it(database: Database) -> None:
    enter_bars(database, {"AAA": [THURSDAY], "BBB": [TUESDAY]})
    execute(database, "UPDATE symbol_universe SET history_from = :day WHERE symbol = 'BBB'", day=TUESDAY)
    with database.begin() as connection:
        ask_for_session_again(connection, FRIDAY)
    rows = rows_of(database, "SELECT symbol, history_from FROM symbol_universe ORDER BY symbol")
    assert [row["history_from"] for row in rows] == [date(2025, 5, 24), TUESDAY]


def test_holders_of_options_that_expire_on_the_date_are_to_be_settled_anew(database: Database) -> None:
    def call(day: str, **changes: object) -> NewLot:
        lot = {"investment_class": "OPTIONS", **changes}
        return NewLot(f"AAA{day}C00010000", Decimal(1), Decimal(2), date(2025, 5, 1), **lot)  # type: ignore[arg-type]

    exited = {"exit_price": Decimal(3), "exit_date": THURSDAY}
    books = {
        "friday": [call("250523")],
        "weekend": [call("250524")],
        "after": [call("250527")],
        "before": [call("250522")],
        "sold": [call("250523", **exited)],
        "share": [NewLot("AAA", Decimal(1), Decimal(2), date(2025, 5, 1))],
        "unreadable": [NewLot("AAA", Decimal(1), Decimal(2), date(2025, 5, 1), investment_class="OPTIONS")],
    }
    with database.begin() as connection:
        for name, lots in books.items():
            create_portfolio(connection, user="ann", name=name, equity=Decimal(100), as_of=date(2025, 5, 1), lots=lots)
        connection.execute(sa.text("UPDATE portfolios SET stale_from = NULL"))

    def mark() -> int:
        with database.begin() as connection:
            return mark_settlements(connection, first=FRIDAY, before=TUESDAY, since=THURSDAY)

    assert mark() == 0
    consume(database, 1, THURSDAY)
    assert mark() == 2
    rows = rows_of(database, "SELECT name, stale_from FROM portfolios WHERE stale_from IS NOT NULL ORDER BY name")
    assert [(row["name"], row["stale_from"]) for row in rows] == [("friday", THURSDAY), ("weekend", THURSDAY)]


def test_a_run_at_work_is_waited_for_and_then_named(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closures, "LOCK_TIMEOUT", "50ms")
    with database.bulk() as transaction:
        lock_layer(transaction, "prices")
        with pytest.raises(TransientStorageError), database.begin() as connection:
            lock_layers(connection)
    with database.begin() as connection:
        lock_layers(connection)
