"""Three months of a small market with three portfolios, computed without any orchestrator in between."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

from sigmasight_assets.market_data.protocol import Listing
from sigmasight_assets.orchestration.symbol_tracking import track_symbols
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.lots import add_lot
from sigmasight_assets.storage.portfolios import NewLot, create_portfolio, read_held_symbols, read_portfolios
from sigmasight_assets.storage.universe import import_listings
from tests.e2e.market import market_as_of
from tests.night_contents import copy_books
from tests.nights import run_layer, run_portfolio_layer

DAYS = exchange_calendar().between(date(2024, 3, 7), date(2024, 6, 14))
# What is published when a scenario begins, and the evening on which it does.
PUBLISHED, TONIGHT = DAYS[:60], DAYS[60]
HISTORY_START = date(2023, 3, 1)

# In the universe from the beginning, beside the funds; the market lists more.
STOCKS = (
    *("HIFO", "RUXI", "BIPE", "LAHA", "VIYU", "FARO", "NOJI", "YEBE", "HOTA", "SEKU", "BUCO", "LEVI", "VUME", "FIFA"),
    *("NUWU", "YINO", "JAGI", "SIYE", "CARA", "LOHU", "WAZO", "FOSI", "PEKE", "YUCA", "JETU", "SULO", "CIDI", "LUWE"),
)
UNTRACKED = ("CORU", "MEJO", "WUBI", "GETE", "PULA", "ZICU", "WINA", "GAFU", "PIXO", "ZAPI")
CALL, PUT, ENDED = "HIFO240719C00240000", "FARO240719P00330000", "HIFO240419C00200000"
CONTRACTS = (CALL, PUT, ENDED)
OWNER = "owner"
# Shares by portfolio; contracts are those with more than five characters.
BOOKS: dict[str, dict[str, int]] = {
    "Core": {"SPY": 40, "HIFO": 100, "RUXI": 50, "BIPE": 80, "LAHA": 30, "BUCO": 60, "FARO": 25},
    "Hedged": {"HIFO": 200, "LAHA": 75, "NOJI": -40, "YEBE": -120, "SEKU": 90, "TLT": 55},
    "Contracts": {"VIYU": 45, "BUCO": 20, CALL: 2, PUT: -3, ENDED: 1},
}


def enter_books(database: Database, script: Path) -> None:
    """The universe and the three portfolios; nothing is published."""
    enter_universe(database, script)
    with database.begin() as connection:
        for name, quantities in BOOKS.items():
            lots = [lot(symbol, quantity) for symbol, quantity in quantities.items()]
            create_portfolio(connection, user=OWNER, name=name, equity=Decimal(100_000), as_of=DAYS[0], lots=lots)


def enter_universe(database: Database, script: Path) -> None:
    """What is tracked from the beginning."""
    tracked = {*FACTOR_ETFS, *STOCKS}
    listings = [item for item in market_as_of(DAYS[0], script).listings() if item.symbol in tracked]
    with database.begin() as connection:
        import_listings(connection, [*listings, *map(_contract, CONTRACTS)])


def publish(database: Database, script: Path, sessions: Sequence[date]) -> None:
    """Everything of the sessions, on the evening of the last one, in one go and in this process."""
    publish_symbols(database, script, sessions)
    run_portfolio_layer(database, sessions[-1])


def publish_symbols(database: Database, script: Path, sessions: Sequence[date]) -> None:
    """The symbol layer of the sessions on the evening of the last one, of all that is tracked or held by then."""
    market = market_as_of(sessions[-1], script)
    with database.begin() as connection:
        held = read_held_symbols(connection)
        contracts = {symbol for symbol, held_as in held.items() if held_as == "OPTIONS"}
        track_symbols(connection, market.listings(), held, contracts=contracts)
    run_layer(database, market, sessions, history_start=HISTORY_START)


def undisturbed(database: Database, books: Database, script: Path, sessions: Sequence[date]) -> None:
    """What one backfill comes to that knows from the first session on all that is known in the end."""
    enter_universe(database, script)
    copy_books(books, database)
    publish(database, script, sessions)


def buy(database: Database, *symbols: str) -> None:
    """The owner of the first portfolio enters lots that were bought in the middle of the history."""
    with database.begin() as connection:
        (core,) = (item.portfolio_id for item in read_portfolios(connection) if item.name == "Core")
        for symbol in symbols:
            add_lot(connection, core, lot(symbol, 10, entered=DAYS[40]))


def lot(symbol: str, quantity: int, *, entered: date = DAYS[0]) -> NewLot:
    """A lot of a share or a contract."""
    is_contract = symbol in CONTRACTS
    price = Decimal("3.25") if is_contract else Decimal(50)
    return NewLot(symbol, Decimal(quantity), price, entered, investment_class="OPTIONS" if is_contract else "PUBLIC")


def _contract(symbol: str) -> Listing:
    return Listing(symbol, symbol, "option", None, None)
