"""A real API process on a database, asked by the owner of the night's portfolios."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import httpx

from sigmasight_assets.services.home import Home
from sigmasight_assets.services.ports import free_port
from sigmasight_assets.services.processes import ProcessRecord
from sigmasight_assets.services.stack import api_service
from sigmasight_assets.services.supervisor import Supervisor
from sigmasight_assets.settings import Settings
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.tokens import create_token
from tests.faults.load import GENERATION, TIMEOUT_SECONDS
from tests.faults.night_world import OWNER, TONIGHT
from tests.faults.nights import wait_for

OF_PORTFOLIO = ("overview", "factor-exposures", "volatility", "correlation-matrix", "stress-test", "concentration")


@dataclass(frozen=True)
class ApiProcess:
    """The process, and how it is asked."""

    home: Home
    supervisor: Supervisor
    http: httpx.Client
    url: str

    def asker(self) -> httpx.AsyncClient:
        """A client of its own, for many requests at once."""
        return httpx.AsyncClient(base_url=self.url, headers=self.http.headers, timeout=TIMEOUT_SECONDS, trust_env=False)

    @property
    def pid(self) -> int:
        """The process that serves now."""
        record = ProcessRecord.load(self.home.run / "api.json")
        assert record is not None
        return record.pid

    def paths(self) -> list[str]:
        """Answers about portfolios and about a symbol, all with numbers of the market."""
        items = self.http.get("/api/v1/portfolios").raise_for_status().json()["items"]
        keys = [item["portfolio_id"] for item in items]
        return [f"/api/v1/analytics/portfolio/{key}/{kind}" for key in keys for kind in OF_PORTFOLIO]

    def bodies(self, paths: list[str]) -> dict[tuple[str, int], bytes]:
        """What is answered now, by path and generation."""
        found = {}
        for path in paths:
            got = self.http.get(path).raise_for_status()
            found[path, int(got.headers[GENERATION])] = got.content
        return found

    def generation(self) -> int:
        """The generation that answers are of; 0 while there is none."""
        got = self.http.get(self.paths()[0])
        return int(got.headers.get(GENERATION, 0))


@contextmanager
def api_process(database: Database, home: Path) -> Iterator[ApiProcess]:
    """The process for the block, ready to answer from its view."""
    now = datetime.fromisoformat(f"{TONIGHT}T22:00:00-04:00")
    settings = Settings(home=home, database_url=database.url, api_port=free_port(), now=now)
    Home.at(home).create()
    supervisor = Supervisor(Home.at(home), report=lambda _: None)
    with database.begin() as connection:
        token = create_token(connection, OWNER)
    url = f"http://127.0.0.1:{settings.api_port}"
    headers = {"Authorization": f"Bearer {token}"}
    try:
        supervisor.start(api_service(settings, database.url))
        with httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            wait_for(lambda: client.get("/health/ready").json().get("mode") == "cache", "the view")
            yield ApiProcess(Home.at(home), supervisor, client, url)
    finally:
        supervisor.stop()
