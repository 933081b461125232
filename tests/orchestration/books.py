"""Portfolios that meet every case of the ledger, over a small market with holes in its prices."""

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from sigmasight_assets.market_data.protocol import SPLIT, Listing
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.orchestration.price_update import update_prices
from sigmasight_assets.orchestration.symbol_publication import publish_symbol_products
from sigmasight_assets.sessions import SessionCalendar, exchange_calendar
from sigmasight_assets.storage.book_tables import positions
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.lots import add_valuation
from sigmasight_assets.storage.operations_tables import symbol_onboarding_queue
from sigmasight_assets.storage.portfolios import NewLot, add_capital_flow, create_portfolio
from sigmasight_assets.storage.tables import company_profiles
from sigmasight_assets.storage.universe import import_listings
from tests.orchestration.markets import UNKNOWN, Bar, ScriptedMarket, copied, stock
from tests.orchestration.states import States

DAYS = exchange_calendar().between(date(2025, 5, 19), date(2025, 6, 4))
HISTORY_START = date(2025, 1, 2)
# Without a bar at two sessions: its price is carried. Without one at eight: after five its price is too old.
HALTING, FADING = "HALTX", "FADEX"
# Has a bar at every session; and a short seller's stock.
SOLID, SHORTED = "SOLID", "SHORT"
# Split 4:1 at the fourth session and 2:3 at the ninth, and pays dividends before, on and after these days.
MOVING = "MOVEX"
SATURDAY = date(2025, 5, 24)
EXPECTED_PORTFOLIOS = ("mixed", "late", "empty", "broke", "unpriced", "moving", "options", "private")

# Contracts that expire in the range, on a Friday and on the Saturday after it, that run on, and that no rule settles.
CALL, PUT = f"{SOLID}250523C00020000", f"{SHORTED}250524P00030000"
SPLIT_CALL, RUNNING, ADJUSTED = f"{MOVING}250530C00100000", f"{SOLID}250620C00040000", f"{SOLID[:4]}1250523C00040000"
# Their underlyings have no close at the settlement session: one for some sessions, one for ever.
WAITING, LOST = f"{FADING}250530C00020000", f"{UNKNOWN}250523P00010000"
# Nobody in these books holds the fund itself; and a contract that ended before anything was published.
UNHELD, ENDED = "IWM250523P00600000", f"{SOLID}250509C00040000"
CONTRACTS = (CALL, PUT, SPLIT_CALL, RUNNING, ADJUSTED, WAITING, LOST, UNHELD)


def publish_symbols(database: Database, sessions: Sequence[date]) -> None:
    """Bring the symbol products up to date; half of this market may be missing."""
    publish_symbol_products(database, exchange_calendar(), sessions=sessions, min_coverage=0.5, run_id="symbols")


def enter_books(
    states: States, calendar: SessionCalendar, *, name: str = "books", then: Callable[[Database], None] | None = None
) -> Database:
    """Symbols of every session published, portfolios stored, and what ``then`` adds to it."""

    def fill(database: Database) -> None:
        _store_market(database, calendar)
        publish_symbols(database, DAYS)
        _store_portfolios(database)
        answer_requests(database)
        if then is not None:
            then(database)

    return states.enter(name, fill)


def answer_requests(database: Database) -> None:
    """Let what is held and not tracked have been looked for in vain: the gate would wait for it."""
    with database.begin() as connection:
        connection.execute(
            sa.update(symbol_onboarding_queue)
            .where(symbol_onboarding_queue.c.status == "pending")
            .values(status="failed", finished_at=sa.func.now(), error="not known")
        )


def books_market(calendar: SessionCalendar) -> ScriptedMarket:
    """The market of these books, to be changed at will."""
    market = copied(SimulatedMarket(calendar, stocks=4), first=HISTORY_START, last=DAYS[-1])
    shares = (HALTING, FADING, SOLID, SHORTED)
    for symbol, model in zip((*shares, MOVING), (*market.descriptions[8:], market.descriptions[8]), strict=True):
        market.bars |= {(symbol, day): bar for (each, day), bar in market.bars.items() if each == model.symbol}
    for place, contract in enumerate(CONTRACTS):
        for position, day in enumerate(DAYS):
            market.bars[contract, day] = _option_bar(3 + place + position % 4)
    missing = {(HALTING, day) for day in DAYS[3:5]} | {(FADING, day) for day in DAYS[2:10]}
    # One contract trades only now and then, one not at all.
    missing |= {(RUNNING, day) for day in DAYS[3:]} | {(LOST, day) for day in DAYS}
    market.bars = {key: bar for key, bar in market.bars.items() if key not in missing}
    market.descriptions += [stock(symbol) for symbol in (*shares, MOVING, UNKNOWN)]
    market.descriptions += [Listing(symbol, symbol, "option", None, None) for symbol in CONTRACTS]
    _announce_actions(market)
    return market


def _store_market(database: Database, calendar: SessionCalendar) -> None:
    market = books_market(calendar)
    with database.begin() as connection:
        import_listings(connection, market.listings())
        _store_profiles(connection)
    update_prices(database, market, calendar, sessions=DAYS, history_start=HISTORY_START, run_id="prices")


def _option_bar(close: float) -> Bar:
    return (close, close + 0.5, close - 0.5, close, close, 10.0)


def _announce_actions(market: ScriptedMarket) -> None:
    """The bars are those after the splits, and dividends are stated in their units."""
    market.supplies_corporate_actions = True
    market.actions |= {(MOVING, DAYS[3], SPLIT): (4, 1, None), (MOVING, DAYS[8], SPLIT): (2, 3, None)}
    for position, amount in ((1, 0.75), (3, 0.5), (6, 0.1), (10, 0.123457)):
        market.pay(MOVING, DAYS[position], amount)
    for position in (5, 8):
        market.pay(SHORTED, DAYS[position], 0.31)


def _store_profiles(connection: sa.Connection) -> None:
    """The vendor knows a beta of three symbols; that of one comes late and that of another changes."""
    for symbol, day, beta in (
        (SOLID, HISTORY_START, 1.25),
        (MOVING, HISTORY_START, 0.5),
        (MOVING, DAYS[5], 0.75),
        (HALTING, DAYS[3], -0.5),
    ):
        row = {"symbol": symbol, "captured_on": day, "provider_beta": beta, "source": "test"}
        connection.execute(sa.insert(company_profiles).values(row))


def _lot(
    symbol: str,
    quantity: str,
    price: str | None,
    opened: date,
    exited: tuple[str, date] | None = None,
    **columns: Any,
) -> NewLot:
    exit_price, exit_date = (Decimal(exited[0]), exited[1]) if exited else (None, None)
    entry_price = None if price is None else Decimal(price)
    return NewLot(symbol, Decimal(quantity), entry_price, opened, exit_price, exit_date, **columns)


def _option(symbol: str, quantity: str, price: str, opened: date, exited: tuple[str, date] | None = None) -> NewLot:
    return _lot(symbol, quantity, price, opened, exited, investment_class="OPTIONS")


def _private(name: str, opened: date, value: str, valued_on: date, price: str | None = None, **columns: Any) -> NewLot:
    columns |= {"market_value": Decimal(value), "valued_on": valued_on}
    return _lot(name, "3", price, opened, investment_class="PRIVATE", **columns)


def _store_portfolios(database: Database) -> None:
    before = date(2025, 4, 30)
    books = {
        "mixed": (
            "250000.12345678",
            DAYS[0],
            [
                _lot(SOLID, "100", "50", before),
                _lot(SOLID, "12.3456", "48.0001", DAYS[0]),
                _lot(SOLID, "-30", "55.5", DAYS[3]),
                _lot(HALTING, "40", "70", before),
                _lot(FADING, "30.5", "33.3333", before),
                _lot(SHORTED, "-75", "60", DAYS[1]),
                # Opened, closed, and both inside one interval or inside a gap of the prices.
                _lot(SOLID, "20", "51", DAYS[2], ("53.75", DAYS[6])),
                _lot(SHORTED, "-20", "51", DAYS[2], ("53.75", DAYS[6])),
                _lot(FADING, "10", "30", before, ("25.25", DAYS[8])),
                _lot(FADING, "7", "31", DAYS[5], ("29", DAYS[7])),
                _lot(HALTING, "5", "71", DAYS[3], ("72.5", DAYS[4])),
                _lot(SOLID, "9", "50", DAYS[7], ("49.5", DAYS[7])),
                # Traded on a day without session, and before the first snapshot.
                _lot(SHORTED, "15", "58", SATURDAY),
                _lot(SOLID, "11", "40", before, ("41", DAYS[0])),
                _lot(SOLID, "13", "40", before, ("41", date(2025, 5, 10))),
                # Opened after the last session.
                _lot(SOLID, "17", "40", date(2025, 6, 20)),
            ],
        ),
        "late": (
            "10000",
            SATURDAY,
            [
                _lot(SOLID, "10", "50", before),
                _lot(HALTING, "4", "70", DAYS[6]),
                # Ended before the portfolio began.
                _option(CALL, "6", "3", before),
            ],
        ),
        "empty": ("5000", DAYS[0], []),
        "broke": ("100", DAYS[0], [_lot(SHORTED, "-400", "60", before), _lot("SPY", "1", "500", before)]),
        "unpriced": ("2000", DAYS[0], [_lot(UNKNOWN, "25", "12.5", before), _lot(FADING, "20", "33", DAYS[8])]),
        "moving": ("50000", DAYS[0], _moving_lots(before)),
        "options": ("80000", DAYS[0], _option_lots(before)),
        "private": ("90000", DAYS[0], _private_lots(before)),
    }
    flows = {
        "mixed": [(DAYS[4], "10000"), (SATURDAY, "-2500.5"), (DAYS[0], "777"), (before, "888")],
        "empty": [(DAYS[2], "-6000"), (DAYS[9], "1500")],
        "broke": [(DAYS[1], "-25000")],
    }
    with database.begin() as connection:
        for name, (equity, as_of, lots) in books.items():
            stored = create_portfolio(connection, user="ann", name=name, equity=Decimal(equity), as_of=as_of, lots=lots)
            if name == "private":
                _value_again(connection, stored.portfolio_id)
            for day, amount in flows.get(name, []):
                add_capital_flow(connection, stored.portfolio_id, flow_date=day, amount=Decimal(amount))


def _moving_lots(before: date) -> list[NewLot]:
    """Lots of a share that is split twice, in the units of many days."""
    closed = ("12.3456", DAYS[10])
    return [
        _lot(MOVING, "10", "101.5", before),
        _lot(MOVING, "-7.0001", "99.9999", before),
        _lot(MOVING, "3", "100", DAYS[1]),
        _lot(MOVING, "3", "100", DAYS[3]),
        _lot(MOVING, "-3", "25", DAYS[6]),
        _lot(MOVING, "8", "38", DAYS[8]),
        # Closed before the first split, on its day, between the two, and after them.
        _lot(MOVING, "10", "101", before, ("102", DAYS[2])),
        _lot(MOVING, "10", "101", before, ("26", DAYS[3])),
        _lot(MOVING, "-10", "101", before, ("25.5", DAYS[6])),
        _lot(MOVING, "10", "101", before, closed),
        _lot(MOVING, "9", "26", DAYS[5], closed),
        # Ten shares, of which a part was sold after the first split: both stated in the units of that day.
        _lot(MOVING, "15", "101", before, ("25.75", DAYS[5]), units_date=DAYS[5]),
        _lot(MOVING, "25", "101", before, units_date=DAYS[5]),
        # A part of a share, once more divided.
        _lot(MOVING, "0.0001", "0.0001", before, units_date=DAYS[8]),
        _lot(MOVING, "0.0003", "101.0101", before),
        _lot(SHORTED, "50", "60", before),
    ]


def _option_lots(before: date) -> list[NewLot]:
    return [
        _option(CALL, "2", "5", before),
        _option(CALL, "-1.5", "5.25", DAYS[2]),
        _option(PUT, "-3", "2.5", before),
        _option(PUT, "4", "2.75", before),
        _option(SPLIT_CALL, "1", "12", before),
        _option(SPLIT_CALL, "-2", "3", DAYS[6]),
        _option(RUNNING, "5", "4.4", before),
        _option(ADJUSTED, "1", "7", before),
        _option(WAITING, "2", "9", before),
        _option(LOST, "1", "1.5", before),
        _option(UNHELD, "1", "20", DAYS[1]),
        # Closed before its expiry, on it, and too late to count.
        _option(CALL, "1", "5", before, ("6.5", DAYS[2])),
        _option(CALL, "1", "5", before, ("6", DAYS[4])),
        _option(CALL, "1", "5", before, ("999", DAYS[7])),
        # Ended before anything was published.
        _option(ENDED, "6", "3", before),
        _lot(SOLID, "10", "50", before),
    ]


def _private_lots(before: date) -> list[NewLot]:
    """One valued before the portfolio began and twice again, one late, one sold, and one never bought at a price."""
    return [
        _private("Vineyard", before, "30000.12345678", before, "9000"),
        _private("Boat", before, "5000", DAYS[5]),
        _private("Boat", DAYS[2], "4000", DAYS[6], "1500.5"),
        _private("Painting", before, "7000", before, exited=("2500", DAYS[7])),
        _lot(SOLID, "10", "50", before),
    ]


def _value_again(connection: sa.Connection, portfolio_id: int) -> None:
    lots = connection.execute(sa.select(positions.c.position_id).where(positions.c.portfolio_id == portfolio_id))
    vineyard, boat, *_ = lots.scalars()
    values = [(vineyard, SATURDAY, "31000"), (vineyard, DAYS[8], "29999.99999999"), (boat, DAYS[9], "0")]
    for position_id, day, value in values:
        add_valuation(connection, position_id, valued_on=day, market_value=Decimal(value))
