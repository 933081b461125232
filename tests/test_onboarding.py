"""An owner buys what nobody tracks yet: with the real daemon and API from an unknown symbol to figures of it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import httpx
import pytest

from sigmasight_assets.market_data.protocol import BarRequest
from sigmasight_assets.market_data.source import build_source
from sigmasight_assets.orchestration.price_update import update_prices
from sigmasight_assets.orchestration.profile_update import update_profiles
from sigmasight_assets.orchestration.symbol_publication import publish_symbol_products
from sigmasight_assets.services.home import Home
from sigmasight_assets.services.ports import free_port
from sigmasight_assets.services.stack import DagsterServices, api_service
from sigmasight_assets.services.supervisor import Supervisor
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.settings import Settings
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.tokens import create_token
from sigmasight_assets.storage.universe import import_listings
from tests.conftest import NewDatabase
from tests.orchestration.contents import rows_of

DAYS = exchange_calendar().between(date(2025, 7, 18), date(2025, 7, 31))
HISTORY = date(2024, 3, 1)
WAIT_SECONDS = 120
NONE_SUCH = "NIXX"
# Of the stocks of the simulated market that were listed before the history begins.
KNOWN, NEW = 40, slice(40, 43)


@dataclass
class System:
    """The running services, and a way to see them as an owner does."""

    database: Database
    http: httpx.Client
    known: list[str]
    new: list[str]

    def get(self, path: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.http.get(path).raise_for_status().json()
        return answer

    def status(self, symbol: str) -> str:
        return str(self.get(f"/api/v1/symbols/{symbol}/status")["status"])

    def buy(self, name: str, symbols: list[str]) -> dict[str, Any]:
        """Open a portfolio of these symbols, as an owner does; the answer."""
        lots = [{"symbol": symbol, "quantity": 10, "entry_price": 50, "entry_date": str(DAYS[0])} for symbol in symbols]
        terms = {"name": name, "stated_equity": 100_000, "as_of": str(DAYS[0]), "positions": lots}
        answer: dict[str, Any] = self.http.post("/api/v1/portfolios", json=terms).raise_for_status().json()
        return answer

    def positions(self, name: str) -> dict[str, dict[str, Any]]:
        """The positions of a portfolio by symbol."""
        listed = self.get("/api/v1/portfolios")["items"]
        (portfolio,) = (item["portfolio_id"] for item in listed if item["name"] == name)
        return {item["symbol"]: item for item in self.get(f"/api/v1/portfolios/{portfolio}/positions")["items"]}

    def snapshots(self) -> dict[str, dict[date, int]]:
        """The generation of each snapshot, by portfolio and session."""
        sql = "SELECT name, session, generation FROM portfolio_snapshots JOIN portfolios USING (portfolio_id)"
        found: dict[str, dict[date, int]] = {}
        for row in rows_of(self.database, sql):
            found.setdefault(row["name"], {})[row["session"]] = row["generation"]
        return found


@pytest.fixture(scope="module")
def system(
    new_database: NewDatabase, schema_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[System]:
    directory = tmp_path_factory.mktemp("onboarding")
    with new_database(schema_template) as url, pytest.MonkeyPatch.context() as patch:
        environment = {
            "SIGMASIGHT_HOME": str(directory / "home"),
            "SIGMASIGHT_DATABASE_URL": url,
            "SIGMASIGHT_HISTORY_START": str(HISTORY),
            "SIGMASIGHT_DEMO_SYMBOLS": "60",
            "SIGMASIGHT_NOW": f"{DAYS[-1]}T22:00:00-04:00",
        }
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.chdir(directory)
        settings = Settings(ui_port=free_port(), api_port=free_port())
        yield from _running(settings)


def _running(settings: Settings) -> Iterator[System]:
    database = Database(settings.database_url)
    stocks = publish(database, settings)
    with database.begin() as connection:
        token = create_token(connection, "ann")
    services = DagsterServices(settings, settings.database_url, ui_port=settings.ui_port, report=lambda _: None)
    api = Supervisor(Home.at(settings.home), report=lambda _: None)
    url, headers = f"http://127.0.0.1:{settings.api_port}", {"Authorization": f"Bearer {token}"}
    try:
        services.start()
        api.start(api_service(settings, settings.database_url))
        with httpx.Client(base_url=url, headers=headers, timeout=30, trust_env=False) as http:
            until(lambda: http.get("/health/ready").status_code == 200, "the API")
            yield System(database, http, stocks[:KNOWN], stocks[NEW])
    finally:
        api.stop()
        services.stop()
        database.close()


def publish(database: Database, settings: Settings) -> list[str]:
    """Publish all days of the funds and of the first stocks; all stocks that have a history."""
    calendar = exchange_calendar()
    market = build_source(settings, calendar)
    listings = market.listings()
    funds = [item for item in listings if item.asset_type == "etf"]
    begun = {
        *market.fetch_bars([BarRequest(item.symbol, HISTORY, HISTORY) for item in listings]).bars["symbol"].to_pylist()
    }
    stocks = [item for item in listings if item.asset_type == "equity" and item.symbol in begun]
    with database.begin() as connection:
        import_listings(connection, [*funds, *stocks[:KNOWN]])
    update_prices(database, market, calendar, sessions=DAYS, history_start=settings.history_start, run_id="first")
    update_profiles(database, market, exchange_calendar(), sessions=DAYS, newest_session=DAYS[-1])
    outcome = publish_symbol_products(database, calendar, sessions=DAYS, min_coverage=0.98, run_id="first")
    assert outcome.published == DAYS
    return [item.symbol for item in stocks]


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited {WAIT_SECONDS} s for {what}"
        time.sleep(0.1)


@pytest.mark.fault(21)
@pytest.mark.campaign
def test_what_an_owner_buys_is_unknown_then_pending_then_ready(system: System) -> None:
    first, second, third = system.new
    opened = system.buy("Known", system.known[:3])
    assert opened["pending_symbols"] == []
    # Figures of it are there before any snapshot is.
    told = system.get(f"/api/v1/analytics/portfolio/{opened['portfolio_id']}/concentration")
    assert {item["symbol"] for item in told["data"]["largest"]} == set(system.known[:3])
    until(lambda: system.snapshots().keys() == {"Known"}, "the snapshots of known symbols")
    before = system.snapshots()["Known"]
    assert list(before) == DAYS
    assert {symbol: system.status(symbol) for symbol in (first, second, NONE_SUCH)} == dict.fromkeys(
        (first, second, NONE_SUCH), "unknown"
    )

    opened = system.buy("New", [first, second, NONE_SUCH, system.known[0]])
    assert opened["pending_symbols"] == sorted([first, second, NONE_SUCH])
    seen = [system.status(first)]
    told = system.positions("New")
    assert told[first]["status"] == "unpriced"
    assert told[first]["status_reason"].startswith(("pending: waiting to be onboarded", "processing: being onboarded"))
    assert told[system.known[0]]["status"] == "priced"

    def is_ready() -> bool:
        seen.append(system.status(first))
        return seen[-1] == "ready"

    until(is_ready, f"{first} to be ready")
    assert list(dict.fromkeys(seen)) in (["pending", "processing", "ready"], ["processing", "ready"])
    assert system.status(second) == "ready"
    # The API sees what was published before the run has recorded what it could not bring in.
    until(lambda: system.status(NONE_SUCH) == "error", f"{NONE_SUCH} to be refused")
    found = system.positions("New")
    assert {found[symbol]["status"] for symbol in (first, second)} == {"priced"}
    assert found[NONE_SUCH]["status_reason"] == "error: unknown: the simulated market has no such symbol"

    # One run brought both in under one generation, and only their holder's snapshots are made of it.
    until(lambda: "New" in system.snapshots(), "the snapshots of the new symbols' holder")
    runs = rows_of(system.database, "SELECT counts FROM batch_runs WHERE kind = 'onboarded_symbols'")
    assert [(row["counts"]["requests"], row["counts"]["completed"]) for row in runs] == [(3, 2)]
    assert system.snapshots()["Known"] == before
    values = "SELECT DISTINCT status FROM position_values JOIN positions USING (position_id) WHERE symbol = :symbol"
    assert rows_of(system.database, values, symbol=first) == [{"status": "priced"}]
    assert system.status(third) == "unknown"
