"""Two hundred symbols from a stand-in for Yahoo that refuses: the rate, what is kept, what is asked again, the gate.

The real client, real Dagster runs, a real database. Vendors that fail in other ways are in
``tests/orchestration/test_vendor_night.py``.
"""

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest

from sigmasight_assets.operations.gate import GateDecision, plan
from sigmasight_assets.operations.gate_state import read_gate_state
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.sessions import NEW_YORK, exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import NewLot, create_portfolio
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from sigmasight_assets.storage.universe import import_listings
from sigmasight_assets.storage.vendor_turns import VendorTurns
from tests.faults.campaign import Tally
from tests.orchestration.contents import rows_of
from tests.orchestration.deployments import Deployment, Run, load_definitions
from tests.orchestration.markets import stock
from tests.vendors import server
from tests.vendors.server import StandIn, good, stand_in
from tests.vendors.yahoo import Company, YahooMarketplace, bar_of

TONIGHT = date(2025, 6, 30)
DAYS = exchange_calendar().between(date(2025, 2, 3), TONIGHT)
YESTERDAY = DAYS[-2]
STOCKS = [f"S{number:03d}" for number in range(192)]
SYMBOLS = sorted([*FACTOR_ETFS, *STOCKS])
# The low one is less than a busy machine can do, so that it is the limit that holds.
RATE, LOW_RATE = 40.0, 10.0
# As many of them come before the vendor refuses.
SERVED = 120


@dataclass
class Evenings:
    """Evenings of one market: runs of prices and symbol products, and what the gate says after them."""

    vendor: StandIn
    database: Database
    instance: dg.DagsterInstance
    patch: pytest.MonkeyPatch

    def run(self, evening: date) -> Run:
        self.vendor.requests.clear()
        self.patch.setenv("SIGMASIGHT_NOW", f"{evening}T22:00:00-04:00")
        deployment = Deployment(load_definitions(self.database), self.instance)
        return deployment.run("symbol_layer", evening, assets=["symbol_prices", *SYMBOL_PRODUCTS])

    def asked(self) -> list[str]:
        return sorted({request.key for request in self.vendor.requests})

    def stored(self, day: date) -> list[str]:
        sql = "SELECT symbol FROM symbol_prices_daily WHERE price_date = :day ORDER BY symbol"
        return [row["symbol"] for row in rows_of(self.database, sql, day=day)]

    def gate(self) -> GateDecision:
        return plan(read_gate_state(self.database, now=datetime.combine(TONIGHT, time(22), NEW_YORK)))


@pytest.fixture
def evenings(
    database: Database, chance: random.Random, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Evenings]:
    for name in [name for name in os.environ if name.startswith("SIGMASIGHT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    # The pauses between the attempts of a step are minutes, those between calls seconds.
    monkeypatch.setattr("sigmasight_assets.orchestration.step_retries.RATE_LIMIT_PAUSES", ())
    slow_down = VendorTurns.slow_down
    monkeypatch.setattr(VendorTurns, "slow_down", lambda turns, seconds: slow_down(turns, seconds / 100))
    with database.begin() as connection:
        import_listings(connection, [stock(symbol) for symbol in SYMBOLS])
        lot = NewLot(STOCKS[0], Decimal(10), Decimal(50), YESTERDAY)
        create_portfolio(connection, user="ann", name="A", equity=Decimal(1000), as_of=YESTERDAY, lots=[lot])
    marketplace = YahooMarketplace({symbol: _company(chance) for symbol in SYMBOLS})
    with (
        stand_in(marketplace.routes) as vendor,
        dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance,
    ):
        environment = {
            "HOME": str(tmp_path / "home"),
            "MARKET": "yahoo",
            "YAHOO_URL": vendor.url,
            "YAHOO_RATE": str(RATE),
            "VENDOR_TIMEOUT": "5",
            "HISTORY_START": str(DAYS[0]),
        }
        for name, value in environment.items():
            monkeypatch.setenv(f"SIGMASIGHT_{name}", value)
        yield Evenings(vendor, database, instance, monkeypatch)


def _company(chance: random.Random) -> Company:
    """Prices that go up and down by some percent."""
    close, bars = chance.uniform(20, 200), {}
    for day in DAYS:
        close *= 1 + chance.gauss(0, 0.02)
        bars[day] = bar_of(close)
    return Company(bars)


@pytest.mark.fault(6)
@pytest.mark.campaign
def test_a_vendor_that_refuses_costs_only_what_it_refused_and_keeps_the_gate_closed(
    evenings: Evenings, tally: Tally
) -> None:
    vendor = evenings.vendor

    # Refused at first: fewer times than a call is repeated.
    evenings.patch.setenv("SIGMASIGHT_YAHOO_RATE", str(LOW_RATE))
    vendor.script(SYMBOLS[0], *[server.status(429)] * 3, good)
    assert evenings.run(YESTERDAY).success
    assert len(vendor.asked(SYMBOLS[0])) == 4
    assert evenings.stored(YESTERDAY) == SYMBOLS
    # The limit held the rate, with the refused calls: never above it, and over all not faster.
    assert vendor.most_within(1.0) <= LOW_RATE + 1
    times = [request.when for request in vendor.requests]
    assert max(times) - min(times) >= (len(times) - 2) / LOW_RATE
    evenings.patch.setenv("SIGMASIGHT_YAHOO_RATE", str(RATE))
    ready = evenings.gate().range
    assert ready is not None
    assert (ready.first, ready.last) == (YESTERDAY, YESTERDAY)
    tally.survive()

    # Refused from the first call on, and after some.
    vendor.default = server.status(429)
    vendor.script(SYMBOLS[0], vendor.default)
    for served in (0, SERVED):
        for symbol in SYMBOLS[:served]:
            vendor.script(symbol, good)
        run = evenings.run(TONIGHT)
        assert not run.success
        assert "rate_limited" in run.failure
        assert vendor.most_within(1.0) <= RATE + 1
        assert evenings.stored(TONIGHT) == SYMBOLS[:served]
        assert [request.key for request in vendor.requests] == [*SYMBOLS[:served], *[SYMBOLS[served]] * 4]
        decision = evenings.gate()
        assert decision.range == ready
        assert "rate_limited" in decision.blocked[TONIGHT]
        assert rows_of(evenings.database, "SELECT 1 FROM publications WHERE session = :day", day=TONIGHT) == []

    vendor.default = good
    assert evenings.run(TONIGHT).success
    assert vendor.most_within(1.0) <= RATE + 1
    assert evenings.asked() == SYMBOLS[SERVED:]
    assert len(vendor.requests) == len(SYMBOLS) - SERVED
    chosen = evenings.gate().range
    assert chosen is not None
    assert (chosen.first, chosen.last) == (YESTERDAY, TONIGHT)
    tally.survive(2)
