"""What the demo chooses and stores: its sessions, from any market, and its portfolios."""

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from sigmasight_assets.demo import SESSIONS, demo_sessions, store_books
from sigmasight_assets.demo_books import DemoBook
from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.sessions import NEW_YORK, exchange_calendar
from sigmasight_assets.settings import Settings
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import NewLot, read_lots, read_portfolios
from tests.orchestration.markets import ScriptedMarket, bar, stock

CALENDAR = exchange_calendar()
LAST = date(2025, 7, 31)
DAYS = CALENDAR.between(date(2025, 4, 28), LAST)
NOTHING = (None, None, None, None, None, None)


@pytest.fixture(scope="module")
def simulated() -> SimulatedMarket:
    return SimulatedMarket(CALENDAR, stocks=50)


def settings(directory: Path, *, history_start: date = date(2020, 1, 2), now: str = "2025-09-02T12:00") -> Settings:
    instant = datetime.fromisoformat(now).replace(tzinfo=NEW_YORK)
    return Settings(home=directory, history_start=history_start, now=instant)


def spy(days: Iterable[date]) -> ScriptedMarket:
    return ScriptedMarket({("SPY", day): bar(500.0) for day in days}, [stock("SPY")])


def test_demo_is_the_newest_sixty_complete_sessions(simulated: SimulatedMarket, tmp_path: Path) -> None:
    noon = demo_sessions(simulated, CALENDAR, settings(tmp_path))
    assert noon == CALENDAR.between(CALENDAR.offset(date(2025, 8, 29), -59), date(2025, 8, 29))
    night = demo_sessions(simulated, CALENDAR, settings(tmp_path, now="2025-09-02T21:00"))
    assert (len(night), night[-1]) == (SESSIONS, date(2025, 9, 2))


def test_market_whose_data_has_ended_is_shown_as_of_its_end(tmp_path: Path) -> None:
    found = demo_sessions(spy(DAYS), CALENDAR, settings(tmp_path, now="2026-11-20T12:00"))
    assert (found, len(found)) == (DAYS[-60:], 60)


def test_rows_without_a_usable_bar_are_no_data(tmp_path: Path) -> None:
    market = spy(DAYS[:-2])
    market.bars["SPY", DAYS[-2]] = NOTHING
    market.bars["SPY", DAYS[-1]] = (1.0, 1.0, 1.0, float("nan"), 1.0, 1.0)
    market.bars["SPY", date(2025, 7, 4)] = bar(1.0)
    found = demo_sessions(market, CALENDAR, settings(tmp_path))
    assert found[-1] == DAYS[-3]


@pytest.mark.parametrize("history_start", [DAYS[0], DAYS[-59], date(2025, 9, 1)])
def test_too_little_data_is_an_error_with_the_way_out(tmp_path: Path, history_start: date) -> None:
    days = [day for day in DAYS[:59] if day >= history_start]
    message = rf"The scripted market has {len(days)} sessions of SPY .* the demo needs 60: check SIGMASIGHT_"
    with pytest.raises(MarketDataError, match=message):
        demo_sessions(spy(days), CALENDAR, settings(tmp_path, history_start=history_start))


def test_market_without_spy_is_an_error(tmp_path: Path) -> None:
    market = ScriptedMarket({("AAA", day): bar(10.0) for day in DAYS}, [stock("AAA")])
    with pytest.raises(MarketDataError, match="has 0 sessions of SPY"):
        demo_sessions(market, CALENDAR, settings(tmp_path))


def test_books_are_stored_with_their_flows_and_valuations(database: Database) -> None:
    day = DAYS[0]
    house = NewLot("House", Decimal(1), None, day, investment_class="PRIVATE", market_value=Decimal(100), valued_on=day)
    books = [
        DemoBook("Empty", Decimal(-5), LAST, []),
        DemoBook(
            "Full",
            Decimal(1_000),
            day,
            [NewLot("SPY", Decimal(2), Decimal(500), day), house],
            flows=((DAYS[3], Decimal(50)), (DAYS[4], Decimal(-20))),
            valuations=(("House", DAYS[7], Decimal(120)), ("House", DAYS[5], Decimal(110))),
        ),
    ]
    with database.begin() as connection:
        store_books(connection, books)
        empty, full = read_portfolios(connection)
        lots = read_lots(connection, full.portfolio_id)
        before = read_lots(connection, full.portfolio_id, open_at=DAYS[6])
        flows = [tuple(row) for row in connection.execute(sa.text("SELECT flow_date, amount FROM capital_flows"))]
    assert [(each.owner, each.name, each.stated_equity, each.as_of) for each in (empty, full)] == [
        ("demo", "Empty", Decimal(-5), LAST),
        ("demo", "Full", Decimal(1_000), day),
    ]
    assert [(lot.symbol, lot.market_value, lot.valued_on) for lot in lots] == [
        ("SPY", None, None),
        ("House", Decimal(120), DAYS[7]),
    ]
    assert (before[1].market_value, before[1].valued_on) == (Decimal(110), DAYS[5])
    assert flows == [(DAYS[3], Decimal(50)), (DAYS[4], Decimal(-20))]
