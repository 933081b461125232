"""Demo data for a fresh home: the market's own universe, three portfolios of a demo owner, 60 sessions of figures."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

import sqlalchemy as sa

from sigmasight_assets.commands.backfill import run_backfill
from sigmasight_assets.errors import MarketDataError, PublicationError
from sigmasight_assets.market_data.protocol import BarRequest, MarketSource
from sigmasight_assets.market_data.source import build_source
from sigmasight_assets.market_data.validation import validate_bars
from sigmasight_assets.quant.money import PRICE_DIGITS, from_units
from sigmasight_assets.services.home import read_text, write_atomically
from sigmasight_assets.services.run import Credentials, RunningStack, say
from sigmasight_assets.sessions import SessionCalendar, exchange_calendar
from sigmasight_assets.settings import Settings
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import NewLot, add_capital_flow, create_portfolio, read_portfolios
from sigmasight_assets.storage.publications import read_symbol_generations
from sigmasight_assets.storage.tokens import create_token, find_holder
from sigmasight_assets.storage.universe import import_listings, read_universe

OWNER, ADMINISTRATOR = "demo", "admin"
SESSIONS = 60
TOKENS_FILE = "demo-tokens.json"
FUNDS = ("SPY", "TLT")
FUND_DOLLARS = (Decimal(30_000), Decimal(15_000))
# How many stocks the books are made of.
STOCKS = 38
# Where the newest bar of a market whose data has ended is looked for.
LONGEST_HISTORY_SESSIONS = 1_700

Closes = dict[tuple[str, date], Decimal]
Report = Callable[[str], None]


@dataclass(frozen=True)
class DemoBook:
    """A demo portfolio before it is stored."""

    name: str
    equity: Decimal
    lots: list[NewLot]
    flow: tuple[date, Decimal] | None = None


def prepare_demo(settings: Settings, running: RunningStack, *, report: Report = say) -> Credentials:
    """Make demo data where the database has none, bring the newest sessions up to date, and return the tokens.

    A universe or portfolios that are there stay as they are.
    """
    started = time.monotonic()
    calendar = exchange_calendar()
    source = build_source(settings, calendar)
    database = Database(running.database_url)
    try:
        with database.begin() as connection:
            if not read_universe(connection):
                counts = import_listings(connection, source.listings())
                report(f"Universe: {counts.added} symbols of the {source.name} market")
        sessions = demo_sessions(source, calendar, settings)
        with database.begin() as connection:
            if not read_portfolios(connection):
                books = demo_books(source, sessions)
                _store(connection, books, as_of=sessions[0])
                report(f"Portfolios: {', '.join(book.name for book in books)} of user {OWNER}")
        _bring_up_to_date(database, settings, running, sessions, report)
        tokens = _tokens(database, settings)
    finally:
        database.close()
    report(f"Data is ready ({time.monotonic() - started:.0f} s)")
    return tokens


def demo_sessions(source: MarketSource, calendar: SessionCalendar, settings: Settings) -> list[date]:
    """The newest 60 complete sessions that the market has data of."""
    newest = calendar.last_complete(settings.clock())
    first = max(settings.history_start, calendar.offset(newest, -LONGEST_HISTORY_SESSIONS))
    days: list[date] = []
    if first <= newest:
        days = sorted(day for _, day in _closes(source, calendar, [BarRequest("SPY", first=first, last=newest)]))
    if len(days) < SESSIONS:
        raise MarketDataError(
            f"The {source.name} market has {len(days)} sessions of SPY from {first} to {newest}; the demo needs "
            f"{SESSIONS}: check SIGMASIGHT_MARKET_FILES and SIGMASIGHT_HISTORY_START"
        )
    return calendar.between(days[-SESSIONS], days[-1])


def demo_books(source: MarketSource, sessions: list[date]) -> list[DemoBook]:
    """Three books of the market's own symbols: diversified, long-short with trades and a flow, and funds."""
    listed = [item.symbol for item in source.listings() if item.asset_type == "equity"]
    chosen = _complete_closes(source, [*listed[:60], *FUNDS], sessions)
    priced = list(dict.fromkeys(symbol for symbol, _ in chosen))
    stocks = [symbol for symbol in priced if symbol not in FUNDS]
    if len(stocks) < STOCKS or len(priced) < len(stocks) + len(FUNDS):
        raise MarketDataError(
            f"The {source.name} market has {len(stocks)} stocks with a bar at every session from {sessions[0]} to "
            f"{sessions[-1]}; the demo needs {STOCKS} of them, SPY and TLT: check SIGMASIGHT_MARKET_FILES"
        )
    start, middle, late = sessions[0], sessions[20], sessions[40]
    diversified = [_lot(chosen, symbol, start, Decimal(11_000)) for symbol in stocks[:20]]
    long_short = [_lot(chosen, symbol, start, Decimal(9_000)) for symbol in stocks[20:28]]
    long_short += [_lot(chosen, symbol, start, Decimal(-7_000)) for symbol in stocks[28:36]]
    long_short += [
        _lot(chosen, stocks[36], middle, Decimal(8_000)),
        _lot(chosen, stocks[37], start, Decimal(8_000), closed=late),
    ]
    funds = [_lot(chosen, symbol, start, dollars) for symbol, dollars in zip(FUNDS, FUND_DOLLARS, strict=True)]
    return [
        DemoBook("Diversified", Decimal(250_000), diversified),
        DemoBook("Long-short", Decimal(100_000), long_short, flow=(middle, Decimal(10_000))),
        DemoBook("Funds", Decimal(50_000), funds),
    ]


def _complete_closes(source: MarketSource, symbols: list[str], sessions: list[date]) -> Closes:
    """Closes of the symbols that have a bar at every session."""
    requests = [BarRequest(symbol, first=sessions[0], last=sessions[-1]) for symbol in symbols]
    closes = _closes(source, exchange_calendar(), requests)
    complete = [symbol for symbol in symbols if all((symbol, day) in closes for day in sessions)]
    return {(symbol, day): closes[symbol, day] for symbol in complete for day in sessions}


def _closes(source: MarketSource, calendar: SessionCalendar, requests: list[BarRequest]) -> Closes:
    """Closes of the bars that would be stored."""
    bars = validate_bars(source.fetch_bars(requests).bars, requests, calendar).valid
    columns = (bars.column(name).to_pylist() for name in ("symbol", "price_date", "close_price"))
    return {(symbol, day): from_units(close, PRICE_DIGITS) for symbol, day, close in zip(*columns, strict=True)}


def _lot(closes: Closes, symbol: str, opened: date, dollars: Decimal, *, closed: date | None = None) -> NewLot:
    """Whole shares worth about ``dollars`` (negative: short), traded at the close."""
    entry_price = closes[symbol, opened]
    quantity = round(dollars / entry_price) or (1 if dollars > 0 else -1)
    return NewLot(
        symbol=symbol,
        quantity=Decimal(quantity),
        entry_price=entry_price,
        entry_date=opened,
        exit_price=closes[symbol, closed] if closed else None,
        exit_date=closed,
    )


def _store(connection: sa.Connection, books: list[DemoBook], *, as_of: date) -> None:
    for book in books:
        stored = create_portfolio(
            connection, user=OWNER, name=book.name, equity=book.equity, as_of=as_of, lots=book.lots
        )
        if book.flow is not None:
            add_capital_flow(connection, stored.portfolio_id, flow_date=book.flow[0], amount=book.flow[1])


def _bring_up_to_date(
    database: Database, settings: Settings, running: RunningStack, sessions: list[date], report: Report
) -> None:
    """Run the symbol layer over the sessions that are not published, and wait for their snapshots."""
    with database.begin() as connection:
        published = read_symbol_generations(connection)
    # After a long absence from the first session that is missing, or it would hold back the snapshots for good.
    due = exchange_calendar().between(min([*published, sessions[0]]), sessions[-1])
    missing = [day for day in due if day not in published]
    if not missing:
        return
    wanted = [day for day in due if day >= missing[0]]
    outcome = run_backfill(database, settings, running.graphql_url, wanted, report=report)
    if not outcome.sessions_published:
        raise PublicationError(f"No session could be published:\n{outcome.failure}")
    if outcome.exit_code:
        # The figures that are there serve, and mending the rest needs the UI that is being started.
        report(f"Not everything is up to date: {outcome.failure or outcome.portfolio_layer}")
        report("`sigmasight status` tells what is missing")
    report(
        f"{outcome.sessions_published} sessions and {outcome.snapshots} portfolio snapshots in {outcome.seconds:.0f} s"
    )


def _tokens(database: Database, settings: Settings) -> Credentials:
    """The tokens of an earlier start as long as they are valid, else new ones, kept readable by this user alone."""
    path = Path(settings.home) / TOKENS_FILE
    kept = json.loads(read_text(path) or "{}")
    with database.begin() as connection:
        valid = {
            name: token
            for name, token in kept.items()
            if find_holder(connection, token, now=settings.clock()) is not None
        }
        credentials = Credentials(
            token=valid.get("token") or create_token(connection, OWNER),
            admin=valid.get("admin") or create_token(connection, ADMINISTRATOR, is_admin=True),
        )
    write_atomically(path, json.dumps(asdict(credentials)))
    return credentials
