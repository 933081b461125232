"""Contracts priced by Polygon, night after night: what is asked, what is stored, and what the books make of it."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from sigmasight_assets.market_data.combined import NO_OPTION_PRICES, WithOptions
from sigmasight_assets.market_data.polygon import PolygonOptions
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.market_data.vendor_calls import CallRules
from sigmasight_assets.orchestration.price_counts import PriceUpdate
from sigmasight_assets.orchestration.price_requests import ADJUSTED_CONTRACT
from sigmasight_assets.orchestration.price_update import update_prices
from sigmasight_assets.sessions import SessionCalendar, exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.universe import import_listings, read_universe
from tests.orchestration.books import HISTORY_START, publish_symbols
from tests.orchestration.contents import rows_of
from tests.orchestration.markets import ScriptedMarket, bar, copied, option, stock
from tests.orchestration.published_market import BOUGHT, DAYS, lot, own, snapshots
from tests.vendors import server
from tests.vendors.polygon import Day, PolygonMarketplace
from tests.vendors.server import StandIn, stand_in

# A Friday; the share closes at 112.50 on it, and at 120 ever after.
EXPIRY = DAYS[4]
UND = dict(zip(DAYS, (95.0, 101.0, 99.0, 98.0, 112.5, *[120.0] * 7), strict=True))
# Bars until the day before expiry; one bar and then none until the expiry after seven sessions; one bar and no more;
# no bar ever; a contract that delivers something else.
CALL, FADING, RARE = "UND250523C00100000", "UND250529P00130000", "UND250620C00090000"
QUIET, ADJUSTED = "UND250620C00200000", "UND1250620C00100000"
CONTRACTS = (CALL, FADING, RARE, QUIET, ADJUSTED)
NIGHTS = DAYS[:9]


def day(close: float) -> Day:
    return (close, close + 0.5, close - 0.5, close, 10.0)


@pytest.fixture
def polygon() -> PolygonMarketplace:
    calls = zip(DAYS[:4], (3.0, 4.0, 3.5, 3.0), strict=True)
    return PolygonMarketplace(
        days={
            CALL: {each: day(close) for each, close in calls},
            FADING: {DAYS[0]: day(20.0)},
            RARE: {DAYS[0]: day(12.0), DAYS[7]: day(31.0)},
            ADJUSTED: {DAYS[0]: day(7.0)},
        }
    )


@pytest.fixture
def vendor(polygon: PolygonMarketplace) -> Iterator[StandIn]:
    with stand_in(polygon.routes) as running:
        yield running


@pytest.fixture
def options(vendor: StandIn) -> PolygonOptions:
    return PolygonOptions("a-key", CallRules(base_url=vendor.url, timeout=5.0))


@pytest.fixture
def shares(calendar: SessionCalendar) -> ScriptedMarket:
    """The funds and few stocks, among them the one that the contracts are on."""
    market = copied(SimulatedMarket(calendar, stocks=4), first=HISTORY_START, last=DAYS[-1])
    market.bars |= {("UND", each): bar(close) for each, close in UND.items()}
    market.descriptions.append(stock("UND"))
    return market


@pytest.fixture
def held(database: Database, shares: ScriptedMarket) -> Database:
    """One portfolio for each contract, which holds one of it and nothing else; tracked, and nothing stored."""
    with database.begin() as connection:
        import_listings(connection, [*shares.descriptions, *(option(symbol) for symbol in CONTRACTS)])
    for symbol in CONTRACTS:
        own(database, symbol, lot(symbol, "1", "10", BOUGHT, investment_class="OPTIONS"))
    return database


def night(database: Database, market: WithOptions, session: date) -> PriceUpdate:
    """Prices, symbol products and snapshots of one session."""
    update = update_prices(
        database, market, exchange_calendar(), sessions=[session], history_start=HISTORY_START, run_id="prices"
    )
    publish_symbols(database, [session])
    snapshots(database, until=session)
    return update


def statuses(database: Database, symbol: str) -> list[str]:
    sql = (
        "SELECT status FROM position_values JOIN positions USING (portfolio_id, position_id) "
        "WHERE symbol = :symbol ORDER BY session"
    )
    return [row["status"] for row in rows_of(database, sql, symbol=symbol)]


def known(database: Database) -> dict[str, Any]:
    with database.begin() as connection:
        return {item.symbol: item for item in read_universe(connection) if item.asset_type == "option"}


def column(database: Database, name: str, owner: str) -> list[Any]:
    sql = (
        f"SELECT {name} FROM portfolio_snapshots JOIN portfolios USING (portfolio_id) "
        "WHERE name = :owner ORDER BY session"
    )
    return [row[name] for row in rows_of(database, sql, owner=owner)]


def test_contracts_from_the_vendor_to_the_books(
    held: Database, shares: ScriptedMarket, options: PolygonOptions, vendor: StandIn
) -> None:
    asked: dict[date, list[str]] = {}
    for session in NIGHTS:
        before = len(vendor.requests)
        update = night(held, WithOptions(shares, options), session)
        asked[session] = [request.key for request in vendor.requests[before:]]
        assert update.problems[ADJUSTED] == ADJUSTED_CONTRACT
        assert update.problems[QUIET].startswith("empty: no trades from ")
    # One call a night for each contract, the adjusted one excepted, and after its expiry while its bars are read again.
    assert set(map(tuple, asked.values())) == {tuple(sorted([CALL, FADING, RARE, QUIET]))}

    # No bar at the expiry: what counts is the close of the share.
    assert statuses(held, CALL) == ["priced"] * 4
    assert column(held, "daily_pnl", CALL) == [0, 100, -50, -50, 950, *[0] * 4]
    # Carried for five sessions, then held at its last value, and settled at 130 - 120.
    assert statuses(held, FADING) == ["priced", *["stale"] * 5, "unpriced"]
    assert column(held, "daily_pnl", FADING) == [*[0] * 7, -1000, 0]
    # Its price returns after six sessions, and is carried again.
    assert statuses(held, RARE) == ["priced", *["stale"] * 5, "unpriced", "priced", "stale"]
    assert column(held, "daily_pnl", RARE) == [*[0] * 7, 1900, 0]
    assert column(held, "missing_symbols", RARE)[6:8] == [[RARE], []]
    for symbol in (QUIET, ADJUSTED):
        assert statuses(held, symbol) == ["unpriced"] * len(NIGHTS)
        assert column(held, "missing_symbols", symbol) == [[symbol]] * len(NIGHTS)
        assert column(held, "unpriced_value", symbol) == [Decimal(1000)] * len(NIGHTS)
    expiries = rows_of(held, "SELECT symbol, settlement_price FROM option_expiries")
    assert {row["symbol"]: row["settlement_price"] for row in expiries} == {CALL: Decimal("12.5"), FADING: 10}
    found = known(held)
    assert {symbol: item.status for symbol, item in found.items()} == {
        CALL: "delisted",
        FADING: "delisted",
        RARE: "active",
        QUIET: "error",
        ADJUSTED: "error",
    }
    assert found[CALL].status_reason == "expired on 2025-05-23"


def closes(database: Database, symbol: str) -> list[Decimal]:
    sql = "SELECT close_price FROM symbol_prices_daily WHERE symbol = :symbol ORDER BY price_date"
    return [row["close_price"] for row in rows_of(database, sql, symbol=symbol)]


def test_without_a_key_contracts_are_listed_and_everything_else_works(
    held: Database, shares: ScriptedMarket, options: PolygonOptions
) -> None:
    for session in NIGHTS[:2]:
        update = night(held, WithOptions(shares, None), session)
        for symbol in (CALL, FADING, RARE, QUIET):
            assert update.problems[symbol] == f"empty: {NO_OPTION_PRICES}"
    assert {item.status_reason for item in known(held).values()} == {f"empty: {NO_OPTION_PRICES}", ADJUSTED_CONTRACT}
    assert {item.status for item in known(held).values()} == {"error"}
    assert statuses(held, CALL) == ["unpriced"] * 2
    assert column(held, "missing_symbols", CALL) == [[CALL]] * 2
    assert column(held, "equity", CALL) == [10_000] * 2
    # With a key, the first night brings all that was missed.
    night(held, WithOptions(shares, options), NIGHTS[2])
    assert closes(held, CALL) == [3, 4, Decimal("3.5")]
    assert statuses(held, CALL)[-1] == "priced"
    assert known(held)[CALL].status == "active"


@pytest.mark.fault(7)
def test_a_vendor_of_options_that_fails_keeps_no_night(
    held: Database, shares: ScriptedMarket, options: PolygonOptions, vendor: StandIn
) -> None:
    market = WithOptions(shares, options)
    night(held, market, NIGHTS[0])
    vendor.default = server.html
    update = night(held, market, NIGHTS[1])
    assert update.problems[CALL] == "failed: garbage: the answer is not JSON"
    assert statuses(held, CALL) == ["priced", "stale"]
    assert known(held)[CALL].status == "active"
    vendor.default = server.good
    night(held, market, NIGHTS[2])
    assert closes(held, CALL) == [3, 4, Decimal("3.5")]
