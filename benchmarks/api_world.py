"""What the API's benchmark asks: a database with one published session, and processes that `make run` starts alike."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from datetime import time as time_of_day
from pathlib import Path

import httpx
import psutil
import sqlalchemy as sa

from benchmarks.world import LAST, fill_books, fill_market, server, symbol_names
from sigmasight_api.server import SETTLED_TICKS
from sigmasight_assets.orchestration.portfolio_publication import publish_portfolio_products
from sigmasight_assets.orchestration.symbol_publication import publish_symbol_products
from sigmasight_assets.services.home import Home
from sigmasight_assets.services.ports import LOOPBACK, free_port
from sigmasight_assets.services.processes import ProcessRecord
from sigmasight_assets.services.stack import API_APPLICATION, api_service
from sigmasight_assets.services.supervisor import Supervisor
from sigmasight_assets.sessions import NEW_YORK, exchange_calendar
from sigmasight_assets.settings import Settings
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.tokens import create_token

# With the year before them, more than the 294 closes that 293 returns need.
SESSIONS = 40
LOTS = 50


@dataclass(frozen=True)
class ApiWorld:
    """A database with portfolios of one owner, whose token it is, each with its newest snapshot."""

    database: Database
    day: date
    token: str
    portfolios: Sequence[str]

    def paths(self, analytic: str, portfolios: Sequence[str]) -> list[str]:
        """Of an analytic of each portfolio."""
        return [f"/api/v1/analytics/portfolio/{portfolio}/{analytic}" for portfolio in portfolios]


@dataclass(frozen=True)
class ApiProcess:
    """The API as it answers at ``address``: a process, or the parent of several."""

    address: str
    process: psutil.Process

    def get(self, path: str, token: str) -> httpx.Response:
        """One answer; raises ``httpx.HTTPStatusError`` when it is none."""
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.get(self.address + path, headers=headers, timeout=30.0, trust_env=False).raise_for_status()

    @property
    def mode(self) -> str | None:
        """How it says that it answers; None while it is not ready."""
        found = httpx.get(f"{self.address}/health/ready", timeout=30.0, trust_env=False)
        mode: str | None = found.json()["mode"] if found.status_code == httpx.codes.OK else None
        return mode

    def wait_for(self, mode: str, *, seconds: float = 60.0) -> None:
        """Return when it answers in this mode and has settled; ``TimeoutError`` when it does not get there."""
        deadline = time.monotonic() + seconds
        while self.mode != mode:
            if time.monotonic() > deadline:
                raise TimeoutError(f"The API is not in mode {mode} after {seconds:g} s")
            time.sleep(0.1)
        time.sleep(SETTLED_TICKS * 0.1)

    @property
    def memory_mib(self) -> float:
        """Memory that it has now."""
        rss: int = self.process.memory_info().rss
        return rss / 2**20

    @property
    def cpu_seconds(self) -> float:
        """Processor time that it has taken, with its children."""
        return sum(sum(one.cpu_times()[:2]) for one in self.members)

    @property
    def members(self) -> list[psutil.Process]:
        """The process and its children."""
        return [self.process, *self.process.children()]


@contextmanager
def api_world(*, symbols: int, portfolios: int) -> Iterator[ApiWorld]:
    """A new database, published as of the last of ``SESSIONS`` sessions."""
    calendar = exchange_calendar()
    with server() as running, running.database("api") as database:
        day = fill_market(database, symbols=symbols, sessions=SESSIONS)[-1]
        publish_symbol_products(database, calendar, sessions=[day], min_coverage=0.5, run_id="symbols")
        fill_books(database, symbol_names(symbols), portfolios=portfolios, lots=LOTS, as_of=day)
        publish_portfolio_products(database, calendar, sessions=[day], run_id="portfolios")
        with database.begin() as connection:
            token = create_token(connection, "owner")
            ids = connection.execute(sa.text("SELECT public_id FROM portfolios ORDER BY portfolio_id")).scalars()
            found = [str(portfolio) for portfolio in ids]
        yield ApiWorld(database, day, token, found)


@contextmanager
def api_process(world: ApiWorld, application: str = API_APPLICATION, *, processes: int = 1) -> Iterator[ApiProcess]:
    """So many processes that serve the application on loopback, started as `make run` starts them, for the block."""
    with tempfile.TemporaryDirectory(prefix="sigmasight-bench-api-") as directory:
        home = Home.at(Path(directory))
        home.create()
        evening = datetime.combine(LAST, time_of_day(22), tzinfo=NEW_YORK)
        settings = Settings(home=home.root, api_port=free_port(), api_processes=processes, now=evening, _env_file=None)
        supervisor = Supervisor(home, report=print)
        supervisor.start(api_service(settings, world.database.url, application))
        try:
            record = ProcessRecord.load(home.run / "api.json")
            if record is None:
                raise RuntimeError("The API has left no record of its process")
            yield ApiProcess(f"http://{LOOPBACK}:{settings.api_port}", psutil.Process(record.pid))
        finally:
            supervisor.stop()
