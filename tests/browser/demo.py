"""One demo of the real services for all tests, started and ended by the commands that people use.

Its universe lacks some symbols of its market, so that tests can bring new ones in.
"""

import csv
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import httpx
import psutil

from sigmasight_assets.market_data.protocol import Listing
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.services.ports import free_port
from sigmasight_assets.services.postgres import EmbeddedPostgres
from sigmasight_assets.services.processes import ProcessRecord, find_processes
from sigmasight_assets.services.stack import CHECKOUT, SERVICE_NAMES
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.tokens import create_token, read_tokens, revoke_token

# The clock of docs/demo.md.
NOW = "2026-06-30T22:00:00-04:00"
STOCKS = 500
# How many stocks the universe lacks, and how many sessions they have traded by then.
UNTRACKED, TRADED_SINCE = 6, 2020
READY = re.compile(r"^READY ui=(\S+) api=(\S+) token=(\S+) admin=(\S+)$", re.MULTILINE)
START_SECONDS, COMMAND_SECONDS = 300.0, 200.0


@dataclass(frozen=True)
class Demo:
    """Where it answers and who may ask; ``seconds`` is how long its start took."""

    api_url: str
    ui_url: str
    token: str = field(repr=False)
    admin: str = field(repr=False)
    home: Path
    untracked: tuple[str, ...]
    seconds: float

    def client(self, token: str | None = None) -> httpx.Client:
        """The API as another program asks it, by default with the token of the demo's owner."""
        headers = {"Authorization": f"Bearer {token or self.token}"}
        return httpx.Client(base_url=f"{self.api_url}/api/v1/", headers=headers, timeout=30, trust_env=False)

    def new_token(self, user: str, *, is_admin: bool = False) -> str:
        """A token of a user, who is made when there is no such one yet."""
        with closing(Database(EmbeddedPostgres(self.home).url())) as database, database.begin() as connection:
            return create_token(connection, user, is_admin=is_admin)

    def new_owner(self) -> str:
        """A token of somebody who has nothing yet."""
        return self.new_token(f"owner-{secrets.token_hex(4)}")

    def unknown_symbol(self) -> str:
        """A symbol of the market that nobody has asked for yet."""
        with self.client() as api:
            return next(
                item for item in self.untracked if api.get(f"symbols/{item}/status").json()["status"] == "unknown"
            )

    def revoke_newest(self, user: str) -> None:
        """Have the newest token of a user refused from now on."""
        with closing(Database(EmbeddedPostgres(self.home).url())) as database, database.begin() as connection:
            newest = max(item.token_id for item in read_tokens(connection) if item.user_name == user)
            revoke_token(connection, newest)

    def process(self, service: str) -> psutil.Process:
        """The main process of a service, by what the home has on record."""
        record = ProcessRecord.load(self.home / "run" / f"{service}.json")
        assert record is not None, f"{service} is not on record"
        return psutil.Process(record.pid)


@contextmanager
def running_demo(directory: Path) -> Iterator[Demo]:
    """A demo in an empty directory, through which every user may pass; nothing of it runs afterwards."""
    home = directory / "demo-home"
    environment = _environment(home)
    began = time.monotonic()
    try:
        _command(["db", "up"], environment, directory)
        _command(["db", "migrate"], environment, directory)
        untracked = _import_universe(environment, directory)
        said = _command(["up", "--detach"], environment, directory, seconds=START_SECONDS)
        found = READY.search(said)
        assert found is not None, f"no READY line in:\n{said}"
        ui_url, api_url, token, admin = found.groups()
        yield Demo(api_url, ui_url, token, admin, home, untracked, time.monotonic() - began)
    finally:
        records = [ProcessRecord.load(home / "run" / f"{name}.json") for name in SERVICE_NAMES]
        _command(["down"], environment, directory)
        left = [process.pid for record in records if record is not None for process in find_processes(record.owns)]
        assert not left, f"still running after `sigmasight down`: {left}"


def _environment(home: Path) -> dict[str, str]:
    """That of this process with the settings of the demo in place of its own."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SIGMASIGHT_")}
    return inherited | {
        "SIGMASIGHT_HOME": str(home),
        "SIGMASIGHT_NOW": NOW,
        "SIGMASIGHT_DEMO_SYMBOLS": str(STOCKS),
        "SIGMASIGHT_API_PORT": str(free_port()),
        "SIGMASIGHT_UI_PORT": str(free_port()),
        "PYTHONPATH": str(CHECKOUT),
        "OPENBLAS_NUM_THREADS": "1",
    }


def _command(
    arguments: Sequence[str], environment: Mapping[str, str], directory: Path, *, seconds: float = COMMAND_SECONDS
) -> str:
    """What a command of ``sigmasight`` prints; a failure shows all of it."""
    done = subprocess.run(
        [sys.executable, "-m", "sigmasight_assets", *arguments],
        env=dict(environment),
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, f"sigmasight {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def _import_universe(environment: Mapping[str, str], directory: Path) -> tuple[str, ...]:
    """Track what the market lists but for a few living stocks at the end of the list; these."""
    calendar = exchange_calendar()
    market = SimulatedMarket(calendar, stocks=STOCKS, as_of=calendar.last_complete(datetime.fromisoformat(NOW)))
    listings = market.listings()
    untracked = [item.symbol for item in listings if _trades(market, item)][-UNTRACKED:]
    file = directory / "universe.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["symbol", "name", "sector", "sub_industry"])
        rows.writerows(
            [item.symbol, item.name, item.sector or "", item.industry or ""]
            for item in listings
            if item.symbol not in untracked
        )
    _command(["universe", "import", str(file)], environment, directory)
    return tuple(untracked)


def _trades(market: SimulatedMarket, item: Listing) -> bool:
    """Whether it has years of bars and gets more."""
    is_old = market.listed_on(item.symbol).year < TRADED_SINCE
    return item.asset_type == "equity" and is_old and market.delisted_on(item.symbol) is None
