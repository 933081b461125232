"""Portfolios that meet every case of the ledger, over a small market with holes in its prices."""

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal

from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.orchestration.price_update import update_prices
from sigmasight_assets.orchestration.symbol_publication import publish_symbol_products
from sigmasight_assets.sessions import SessionCalendar, exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import NewLot, add_capital_flow, create_portfolio
from sigmasight_assets.storage.universe import import_listings
from tests.orchestration.markets import UNKNOWN, copied, stock
from tests.orchestration.states import States

DAYS = exchange_calendar().between(date(2025, 5, 19), date(2025, 6, 4))
HISTORY_START = date(2025, 1, 2)
# Without a bar at two sessions: its price is carried. Without one at eight: after five its price is too old.
HALTING, FADING = "HALTX", "FADEX"
# Has a bar at every session; and a short seller's stock.
SOLID, SHORTED = "SOLID", "SHORT"
SATURDAY = date(2025, 5, 24)
EXPECTED_PORTFOLIOS = ("mixed", "late", "empty", "broke", "unpriced")


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
        if then is not None:
            then(database)

    return states.enter(name, fill)


def _store_market(database: Database, calendar: SessionCalendar) -> None:
    market = copied(SimulatedMarket(calendar, stocks=4), first=HISTORY_START, last=DAYS[-1])
    for symbol, model in zip((HALTING, FADING, SOLID, SHORTED), market.descriptions[8:], strict=True):
        market.bars |= {(symbol, day): bar for (each, day), bar in market.bars.items() if each == model.symbol}
    missing = {(HALTING, day) for day in DAYS[3:5]} | {(FADING, day) for day in DAYS[2:10]}
    market.bars = {key: bar for key, bar in market.bars.items() if key not in missing}
    market.descriptions += [stock(symbol) for symbol in (HALTING, FADING, SOLID, SHORTED, UNKNOWN)]
    with database.begin() as connection:
        import_listings(connection, market.listings())
    update_prices(database, market, calendar, sessions=DAYS, history_start=HISTORY_START, run_id="prices")


def _lot(symbol: str, quantity: str, price: str, opened: date, exited: tuple[str, date] | None = None) -> NewLot:
    exit_price, exit_date = (Decimal(exited[0]), exited[1]) if exited else (None, None)
    return NewLot(symbol, Decimal(quantity), Decimal(price), opened, exit_price, exit_date)


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
        "late": ("10000", SATURDAY, [_lot(SOLID, "10", "50", before), _lot(HALTING, "4", "70", DAYS[6])]),
        "empty": ("5000", DAYS[0], []),
        "broke": ("100", DAYS[0], [_lot(SHORTED, "-400", "60", before), _lot("SPY", "1", "500", before)]),
        "unpriced": ("2000", DAYS[0], [_lot(UNKNOWN, "25", "12.5", before), _lot(FADING, "20", "33", DAYS[8])]),
    }
    flows = {
        "mixed": [(DAYS[4], "10000"), (SATURDAY, "-2500.5"), (DAYS[0], "777"), (before, "888")],
        "empty": [(DAYS[2], "-6000"), (DAYS[9], "1500")],
        "broke": [(DAYS[1], "-25000")],
    }
    with database.begin() as connection:
        for name, (equity, as_of, lots) in books.items():
            stored = create_portfolio(connection, user="ann", name=name, equity=Decimal(equity), as_of=as_of, lots=lots)
            for day, amount in flows.get(name, []):
                add_capital_flow(connection, stored.portfolio_id, flow_date=day, amount=Decimal(amount))
