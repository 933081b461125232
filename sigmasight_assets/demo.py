"""Demo data for a fresh home: the market's own universe, portfolios of a demo owner, 60 sessions of figures.

The portfolios themselves are in ``demo_books``.
"""

import json
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from datetime import date
from pathlib import Path

import sqlalchemy as sa

from sigmasight_assets.commands.backfill_run import run_backfill
from sigmasight_assets.demo_books import OPTIONS, DemoBook, demo_books
from sigmasight_assets.demo_market import read_demo_market, valid_closes
from sigmasight_assets.errors import MarketDataError, PublicationError
from sigmasight_assets.market_data.protocol import BarRequest, MarketSource
from sigmasight_assets.market_data.source import build_source
from sigmasight_assets.services.home import read_text, write_atomically
from sigmasight_assets.services.run import Credentials, RunningStack, say
from sigmasight_assets.sessions import SessionCalendar, exchange_calendar
from sigmasight_assets.settings import Settings
from sigmasight_assets.storage.calendar import read_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.lots import add_valuation
from sigmasight_assets.storage.portfolios import add_capital_flow, create_portfolio, read_lots, read_portfolios
from sigmasight_assets.storage.publications import read_symbol_generations
from sigmasight_assets.storage.tokens import create_token, find_holder
from sigmasight_assets.storage.universe import import_listings, read_universe

OWNER, ADMINISTRATOR = "demo", "admin"
SESSIONS = 60
TOKENS_FILE = "demo-tokens.json"
NO_DEMO = (
    "Prices come from Yahoo, so there is no demo: name symbols with `sigmasight universe import FILE` and portfolios "
    "with `sigmasight portfolio import`; the next night fetches them, `sigmasight backfill` does at once"
)
# Where the newest bar of a market whose data has ended is looked for.
LONGEST_HISTORY_SESSIONS = 1_700

Report = Callable[[str], None]


def prepare_demo(settings: Settings, running: RunningStack, *, report: Report = say) -> Credentials:
    """Make demo data where the database has none, bring the newest sessions up to date, and return the tokens.

    A universe or portfolios that are there stay as they are. A real market gets neither: it lists no symbols, and is
    asked at night.
    """
    started = time.monotonic()
    if settings.market == "yahoo":
        report(NO_DEMO)
        with closing(Database(running.database_url)) as database:
            return _tokens(database, settings)
    calendar = exchange_calendar()
    source = build_source(settings, calendar)
    database = Database(running.database_url)
    try:
        with database.begin() as connection:
            if not read_universe(connection):
                counts = import_listings(connection, source.listings())
                report(f"Universe: {counts.added} symbols of the {source.name} market")
        with database.begin() as connection:
            calendar = read_calendar(connection)
        sessions = demo_sessions(source, calendar, settings)
        with database.begin() as connection:
            if not read_portfolios(connection):
                books = demo_books(source, calendar, read_demo_market(source, calendar, sessions))
                store_books(connection, books)
                report(f"Portfolios: {', '.join(book.name for book in books)} of user {OWNER}")
                if OPTIONS not in [book.name for book in books]:
                    report(f"The {source.name} market has no option contracts, so there is no portfolio {OPTIONS}")
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
        requests = [BarRequest("SPY", first=first, last=newest)]
        days = sorted(day for _, day in valid_closes(source.fetch_bars(requests), requests, calendar))
    if len(days) < SESSIONS:
        raise MarketDataError(
            f"The {source.name} market has {len(days)} sessions of SPY from {first} to {newest}; the demo needs "
            f"{SESSIONS}: check SIGMASIGHT_MARKET_FILES and SIGMASIGHT_HISTORY_START"
        )
    return calendar.between(days[-SESSIONS], days[-1])


def store_books(connection: sa.Connection, books: list[DemoBook]) -> None:
    """Store the portfolios of the demo owner."""
    for book in books:
        stored = create_portfolio(
            connection, user=OWNER, name=book.name, equity=book.equity, as_of=book.as_of, lots=book.lots
        )
        for flow_date, amount in book.flows:
            add_capital_flow(connection, stored.portfolio_id, flow_date=flow_date, amount=amount)
        positions = {lot.symbol: lot.position_id for lot in read_lots(connection, stored.portfolio_id)}
        for name, valued_on, value in book.valuations:
            add_valuation(connection, positions[name], valued_on=valued_on, market_value=value)


def _bring_up_to_date(
    database: Database, settings: Settings, running: RunningStack, sessions: list[date], report: Report
) -> None:
    """Run the symbol layer over the sessions that are not published, and wait for their snapshots."""
    with database.begin() as connection:
        published, calendar = read_symbol_generations(connection), read_calendar(connection)
    # After a long absence from the first session that is missing, or it would hold back the snapshots for good.
    due = calendar.between(min([*published, sessions[0]]), sessions[-1])
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
