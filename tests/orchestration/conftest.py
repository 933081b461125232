"""One database for the tests of this layer, put into a known state before each: empty, priced or published."""

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from sigmasight_assets.market_data.protocol import MarketSource
from sigmasight_assets.orchestration.price_update import update_prices
from sigmasight_assets.orchestration.symbol_publication import publish_symbol_products
from sigmasight_assets.sessions import SessionCalendar, exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.universe import import_listings
from tests.conftest import NewDatabase
from tests.orchestration.books import enter_books
from tests.orchestration.deployments import Deploy, Deployment, load_definitions
from tests.orchestration.markets import ScriptedMarket, awkward_market
from tests.orchestration.portfolio_runs import run
from tests.orchestration.price_runs import three_symbols, track
from tests.orchestration.states import States

HISTORY_START = date(2024, 3, 1)
TARGETS = exchange_calendar().between(date(2025, 5, 19), date(2025, 6, 4))


@pytest.fixture(scope="session")
def calendar() -> SessionCalendar:
    return exchange_calendar()


@pytest.fixture(scope="session")
def awkward(calendar: SessionCalendar) -> ScriptedMarket:
    """The market whose bars the states hold; tests that change it work on a copy."""
    return awkward_market(calendar, first=HISTORY_START, targets=TARGETS)


@pytest.fixture(scope="session")
def states(new_database: NewDatabase, schema_template: str) -> Iterator[States]:
    """The database and the states it can be put into."""
    with new_database(schema_template) as url:
        database = Database(url)
        yield States(database)
        database.close()


@pytest.fixture
def database(states: States) -> Database:
    """Current schema, no rows."""
    states.clear()
    return states.database


@pytest.fixture
def priced(states: States, calendar: SessionCalendar, awkward: ScriptedMarket) -> Database:
    """Universe and prices of the awkward market, nothing published."""
    return states.enter("priced", lambda database: store_prices(database, calendar, awkward))


@pytest.fixture
def market() -> ScriptedMarket:
    """Three symbols, to be changed at will."""
    return three_symbols()


@pytest.fixture
def tracked(database: Database, market: ScriptedMarket) -> Database:
    """Those three tracked, no bar stored."""
    track(database, market)
    return database


@pytest.fixture
def books(states: States, calendar: SessionCalendar) -> Database:
    """Symbols published and portfolios stored, no snapshots."""
    return enter_books(states, calendar)


@pytest.fixture
def done(states: States, calendar: SessionCalendar) -> Database:
    """The same with the snapshots of every session, by the run ``first``."""

    def fill(database: Database) -> None:
        run(database, run_id="first")

    return enter_books(states, calendar, name="done", then=fill)


@pytest.fixture
def evening(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment of a process on the evening of the last target session, with 50 simulated stocks."""
    for name in [name for name in os.environ if name.startswith("SIGMASIGHT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIGMASIGHT_NOW", f"{TARGETS[-1]}T22:00:00-04:00")
    monkeypatch.setenv("SIGMASIGHT_HISTORY_START", str(HISTORY_START))
    monkeypatch.setenv("SIGMASIGHT_DEMO_SYMBOLS", "50")


@pytest.fixture
def deploy(evening: None, tmp_path: Path) -> Iterator[Deploy]:  # noqa: ARG001
    """A function that puts the code location on a database, with an orchestrator that keeps nothing."""
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:

        def deployed(database: Database, *, market: MarketSource | None = None) -> Deployment:
            return Deployment(load_definitions(database, market=market), instance)

        yield deployed


@pytest.fixture
def published(states: States, calendar: SessionCalendar, awkward: ScriptedMarket) -> Database:
    """Every target session of the awkward market published, by the run ``first``."""
    return enter_published(states, calendar, awkward)


def enter_published(states: States, calendar: SessionCalendar, market: ScriptedMarket) -> Database:
    """Put the database into the state of the fixture ``published``."""

    def fill(database: Database) -> None:
        store_prices(database, calendar, market)
        publish_symbol_products(database, calendar, sessions=TARGETS, min_coverage=0.98, run_id="first")

    return states.enter("published", fill)


def store_prices(database: Database, calendar: SessionCalendar, market: ScriptedMarket) -> None:
    """Track the market's symbols and store their bars up to the last target session."""
    with database.begin() as connection:
        import_listings(connection, market.listings())
    update_prices(database, market, calendar, sessions=TARGETS, history_start=HISTORY_START, run_id="prices")
