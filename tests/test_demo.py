"""What the demo chooses: its sessions and its books, from any market."""

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from sigmasight_assets.demo import SESSIONS, demo_books, demo_sessions
from sigmasight_assets.errors import MarketDataError
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.sessions import NEW_YORK, exchange_calendar
from sigmasight_assets.settings import Settings
from sigmasight_assets.storage.portfolios import NewLot
from tests.orchestration.markets import ScriptedMarket, bar, copied, stock

CALENDAR = exchange_calendar()
LAST = date(2025, 7, 31)
DAYS = CALENDAR.between(date(2025, 4, 28), LAST)
FUNDS = ("SPY", "TLT")
NOTHING = (None, None, None, None, None, None)


@pytest.fixture(scope="module")
def simulated() -> SimulatedMarket:
    return SimulatedMarket(CALENDAR, stocks=50)


@pytest.fixture
def market(simulated: SimulatedMarket) -> ScriptedMarket:
    """A market whose data has ended on the last of ``DAYS``."""
    return copied(simulated, first=DAYS[0], last=LAST)


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


def closes(market: ScriptedMarket) -> dict[tuple[str, date], Decimal]:
    return {key: round(Decimal(str(values[3])), 4) for key, values in market.bars.items() if values[3] is not None}


def test_books_are_bought_at_the_closes_of_their_days(market: ScriptedMarket) -> None:
    days = DAYS[-60:]
    known = closes(market)
    books = {book.name: book for book in demo_books(market, days)}
    assert set(books) == {"Diversified", "Long-short", "Funds"}
    for book in books.values():
        for lot in book.lots:
            assert lot.entry_price == known[lot.symbol, lot.entry_date]
            if lot.exit_date is not None:
                assert lot.exit_price == known[lot.symbol, lot.exit_date]
        assert len({lot.symbol for lot in book.lots}) == len(book.lots)
    assert {lot.entry_date for lot in books["Diversified"].lots} == {days[0]}
    assert {lot.symbol for lot in books["Funds"].lots} == set(FUNDS)
    assert books["Long-short"].flow == (days[20], Decimal(10_000))
    assert [(lot.entry_date, lot.exit_date) for lot in books["Long-short"].lots[-2:]] == [
        (days[20], None),
        (days[0], days[40]),
    ]


def test_books_fit_their_equity(market: ScriptedMarket) -> None:
    values = {
        book.name: [lot.quantity * lot.entry_price for lot in book.lots] for book in demo_books(market, DAYS[-60:])
    }
    assert all(abs(value - 11_000) < 600 for value in values["Diversified"])
    assert [len(values[name]) for name in ("Diversified", "Long-short", "Funds")] == [20, 18, 2]
    assert sum(value < 0 for value in values["Long-short"]) == 8
    assert all(quantity == quantity.to_integral_value() for quantity in quantities(market))
    equity = {book.name: book.equity for book in demo_books(market, DAYS[-60:])}
    for name, each in values.items():
        assert sum(abs(value) for value in each) < 2 * equity[name]


def quantities(market: ScriptedMarket) -> list[Decimal]:
    return [lot.quantity for book in demo_books(market, DAYS[-60:]) for lot in book.lots]


def test_symbols_without_a_bar_at_every_session_are_not_chosen(market: ScriptedMarket) -> None:
    stocks = [item.symbol for item in market.listings() if item.asset_type == "equity"]
    del market.bars[stocks[0], DAYS[-5]]
    market.bars[stocks[1], DAYS[-5]] = (10.0, 9.0, 8.0, 9.5, 9.5, 100.0)
    market.bars[stocks[2], DAYS[-5]] = NOTHING
    chosen = {lot.symbol for lot in lots(market)}
    assert not chosen & set(stocks[:3])
    assert stocks[3] in chosen


def lots(market: ScriptedMarket) -> list[NewLot]:
    return [lot for book in demo_books(market, DAYS[-60:]) for lot in book.lots]


def test_a_share_dearer_than_the_position_is_held_once(market: ScriptedMarket) -> None:
    stocks = [item.symbol for item in market.listings() if item.asset_type == "equity"]
    for day in DAYS:
        market.bars[stocks[0], day] = bar(700_000.0)
    assert next(lot for lot in lots(market) if lot.symbol == stocks[0]).quantity == 1


@pytest.mark.parametrize("left_out", ["SPY", "TLT", "stocks"])
def test_too_small_a_market_is_an_error_with_the_way_out(market: ScriptedMarket, left_out: str) -> None:
    stocks = [item.symbol for item in market.listings() if item.asset_type == "equity"]
    gone = set(stocks[37:]) if left_out == "stocks" else {left_out}
    market.bars = {key: values for key, values in market.bars.items() if key[0] not in gone}
    message = rf"The scripted market has {37 if left_out == 'stocks' else 50} stocks .* needs 38 of them, SPY and TLT"
    with pytest.raises(MarketDataError, match=message):
        demo_books(market, DAYS[-60:])


def test_books_are_the_same_every_time(market: ScriptedMarket, simulated: SimulatedMarket) -> None:
    assert demo_books(market, DAYS[-60:]) == demo_books(simulated, DAYS[-60:])


def test_entry_prices_are_what_a_store_of_four_decimals_holds(market: ScriptedMarket) -> None:
    """Vendors' floats carry noise in single precision."""
    stocks = [item.symbol for item in market.listings() if item.asset_type == "equity"]
    for day in DAYS:
        market.bars[stocks[0], day] = (87.93000030517578, 90.0, 80.0, 87.93000030517578, 87.93000030517578, 1.0)
    lot = next(lot for lot in lots(market) if lot.symbol == stocks[0])
    assert lot.entry_price == Decimal("87.9300")
