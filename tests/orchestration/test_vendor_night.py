"""A night of 500 symbols from a stand-in for Yahoo, a tenth of whose calls fail in every way that a vendor can fail.

The real client, a real Dagster run, a real database. What it shows: whatever fails is either there in the end or named
with its cause, nothing of what was garbage is stored, the rate holds, and a second run asks only for what is missing.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import NewLot, create_portfolio
from sigmasight_assets.storage.universe import import_listings
from sigmasight_assets.storage.vendor_turns import VendorTurns
from tests.orchestration.contents import rows_of
from tests.orchestration.deployments import PARTITION, Deploy, Run, load_definitions
from tests.orchestration.markets import option, stock
from tests.vendors import server, yahoo
from tests.vendors.polygon import PolygonMarketplace
from tests.vendors.server import Behaviour, StandIn, good, stand_in
from tests.vendors.yahoo import Company, YahooMarketplace, bar_of

FIRST, TONIGHT = date(2025, 6, 2), date(2025, 6, 30)
DAYS = exchange_calendar().between(FIRST, TONIGHT)
SYMBOLS = [f"S{number:03d}" for number in range(500)]
# Every tenth symbol is troubled.
TROUBLED = SYMBOLS[::10]
# Less than the machine can do, so that it is the limit that holds.
RATE = 12.0
KEY = "s3cret-of-polygon"
# One call fails so, and is made again at once.
PASSING: list[Behaviour] = [
    server.status(429, retry_after="0"),
    server.status(500),
    server.silence,
    server.reset,
    server.slow_body(),
    server.slow_headers(),
    server.html,
    server.truncated_json,
    server.truncated_transfer,
    server.sends({"chart": "busy"}),
]
# All calls of the night fail so; the word is what the run names the symbol with.
LASTING = {
    "server_error": server.status(503),
    "timeout": server.silence,
    "unreachable": server.reset,
    "garbage": server.html,
}
# The answer is good but for the newest session.
NEWEST = {
    "nan": (yahoo.nan_last_session, "empty_row"),
    "conflict": (yahoo.conflicting_duplicate, "conflicting_duplicate"),
    "sunday": (yahoo.redated(-1), "not_a_session"),
}


@dataclass
class Night:
    """The stand-in, what its companies are, and runs of the prices of one evening."""

    vendor: StandIn
    elsewhere: StandIn
    database: Database
    deploy: Deploy
    symbols: list[str] = field(default_factory=list)

    def track(self, symbols: list[str]) -> None:
        self.symbols = symbols
        with self.database.begin() as connection:
            import_listings(connection, [stock(symbol) for symbol in symbols])

    def run(self) -> Run:
        self.vendor.requests.clear()
        return self.deploy(self.database).run("symbol_layer", TONIGHT, assets=["symbol_prices"])

    def asked(self) -> list[str]:
        return sorted({request.key for request in self.vendor.requests})

    def stored(self) -> dict[str, dict[date, Decimal]]:
        found: dict[str, dict[date, Decimal]] = {symbol: {} for symbol in self.symbols}
        for row in rows_of(self.database, "SELECT symbol, price_date, close_price FROM symbol_prices_daily"):
            found[row["symbol"]][row["price_date"]] = row["close_price"]
        return found


def truth(number: int, days: list[date]) -> dict[date, Decimal]:
    return {day: Decimal(50 + number + place) for place, day in enumerate(days)}


@pytest.fixture
def night(database: Database, deploy: Deploy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Night]:
    companies = {
        symbol: Company({day: bar_of(50.0 + number + place) for place, day in enumerate(DAYS)})
        for number, symbol in enumerate(SYMBOLS)
    }
    with stand_in(YahooMarketplace(companies).routes) as vendor, stand_in(YahooMarketplace().routes) as elsewhere:
        environment = {
            "HOME": str(tmp_path),
            "MARKET": "yahoo",
            "YAHOO_URL": vendor.url,
            "YAHOO_RATE": str(RATE),
            "VENDOR_TIMEOUT": "1",
            "HISTORY_START": str(FIRST),
            "NOW": f"{TONIGHT}T22:00:00-04:00",
        }
        for name, value in environment.items():
            monkeypatch.setenv(f"SIGMASIGHT_{name}", value)
        yield Night(vendor, elsewhere, database, deploy)


@pytest.mark.fault(7)
@pytest.mark.campaign
def test_whatever_fails_is_there_in_the_end_or_named(night: Night) -> None:
    night.track(SYMBOLS)
    troubled = iter(TROUBLED)
    lasting = _take(troubled, LASTING)
    newest = _take(troubled, NEWEST)
    redirected, unknown = next(troubled), next(troubled)
    for symbol, (_, behaviour) in lasting.items():
        night.vendor.script(symbol, behaviour)
    for symbol, (_, (behaviour, _)) in newest.items():
        night.vendor.script(symbol, behaviour)
    night.vendor.script(redirected, server.redirect(night.elsewhere.url))
    night.vendor.script(unknown, yahoo.refuses(yahoo.NO_DATA))
    for place, symbol in enumerate(troubled):
        night.vendor.script(symbol, PASSING[place % len(PASSING)], good)

    run = night.run()
    assert run.success
    metadata = run.metadata("symbol_prices")
    _check_problems(metadata, lasting, redirected, unknown)
    assert night.elsewhere.requests == []
    assert night.vendor.most_within(1.0) <= RATE + 1
    without = {*lasting, redirected, unknown}
    stored = night.stored()
    for number, symbol in enumerate(SYMBOLS):
        days = [] if symbol in without else DAYS[:-1] if symbol in newest else DAYS
        assert stored[symbol] == truth(number, days), symbol
    rejected = {line.split("|")[1].strip() for line in metadata["rejected_by_reason"].splitlines()[2:]}
    assert rejected == {reason for _, (_, reason) in newest.values()}

    for symbol in TROUBLED:
        night.vendor.script(symbol, good)
    again = night.run()
    assert night.asked() == sorted({*without, *newest})
    assert len(night.vendor.requests) == len({*without, *newest})
    assert again.metadata("symbol_prices")["symbols_requested"] == len({*without, *newest})
    assert night.stored() == {symbol: truth(number, DAYS) for number, symbol in enumerate(SYMBOLS)}


@pytest.mark.fault(6)
def test_a_vendor_that_refuses_everybody_ends_the_run_and_keeps_what_came(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The pauses between the attempts of a step are minutes, those between calls seconds.
    monkeypatch.setattr("sigmasight_assets.orchestration.step_retries.RATE_LIMIT_PAUSES", ())
    slow_down = VendorTurns.slow_down
    monkeypatch.setattr(VendorTurns, "slow_down", lambda turns, seconds: slow_down(turns, seconds / 100))
    served, refused = SYMBOLS[:25], SYMBOLS[25:50]
    night.track([*served, *refused])
    for symbol in refused:
        night.vendor.script(symbol, server.status(429))
    run = night.run()
    assert not run.success
    assert "rate_limited" in run.failure
    assert [symbol for symbol, bars in night.stored().items() if bars] == served
    assert [request.key for request in night.vendor.requests[25:]] == [refused[0]] * 4
    assert night.vendor.most_within(1.0) <= RATE + 1
    for symbol in refused:
        night.vendor.script(symbol, good)
    assert night.run().success
    assert night.asked() == refused


def fetch_prices(database_url: str) -> None:
    """The run of a worker of its own, by the settings of its environment."""
    load_definitions(Database(database_url)).resolve_job_def("symbol_layer").execute_in_process(
        tags={PARTITION: str(TONIGHT)}, asset_selection=[dg.AssetKey("symbol_prices")]
    )


def test_a_worker_that_is_killed_loses_nothing_that_it_has_fetched(night: Night) -> None:
    night.track(SYMBOLS[:60])
    worker = get_context("spawn").Process(target=fetch_prices, args=(night.database.url,))
    worker.start()
    while len(night.vendor.requests) < 25:
        assert worker.is_alive()
        time.sleep(0.01)
    worker.kill()
    worker.join()
    kept = [symbol for symbol, bars in night.stored().items() if bars]
    answered = [request.key for request in night.vendor.requests]
    # The newest answer may have been on its way into the database, and one more request on its way out.
    assert answered[:-2] == kept[: len(answered) - 2]
    assert night.run().success
    assert night.asked() == [symbol for symbol in night.symbols if symbol not in kept]
    assert night.stored() == {symbol: truth(number, DAYS) for number, symbol in enumerate(night.symbols)}


@pytest.mark.fault(33)
def test_the_key_of_a_vendor_is_seen_by_nobody(
    night: Night, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    contract = "ABC250718C00100000"
    night.track(SYMBOLS[:1])
    with night.database.begin() as connection:
        import_listings(connection, [option(contract)])
        lot = NewLot(
            symbol=contract,
            investment_class="OPTIONS",
            quantity=Decimal(1),
            entry_price=Decimal(1),
            entry_date=DAYS[3],
        )
        create_portfolio(connection, user="ann", name="A", equity=Decimal(1000), as_of=DAYS[2], lots=[lot])
    with stand_in(PolygonMarketplace().routes) as polygon:
        monkeypatch.setenv("POLYGON_API_KEY", KEY)
        monkeypatch.setenv("POLYGON_BASE_URL", polygon.url)
        polygon.script(contract, server.status(403, body={"error": f"Unknown API Key {KEY}"}))
        run = night.run()
        assert run.success
        # It is sent, and that is all.
        assert KEY in str(polygon.requests[0].headers)
    assert "refused" in run.metadata("symbol_prices")["problems"]
    told = [str(event) for event in run.result.all_events]
    told += [caplog.text, *capfd.readouterr(), str(run.result.dagster_run)]
    told += [str(rows_of(night.database, f"SELECT * FROM {table}")) for table in ("batch_runs", "symbol_universe")]
    assert [text for text in told if KEY in text] == []


def _take(symbols: Iterator[str], items: dict[str, Any]) -> dict[str, tuple[str, Any]]:
    """A symbol for each of the items."""
    return {next(symbols): item for item in items.items()}


def _check_problems(
    metadata: dict[str, Any], lasting: dict[str, tuple[str, Any]], redirected: str, unknown: str
) -> None:
    rows = [line.strip("| ").split(" | ", 1) for line in metadata["problems"].splitlines()[2:]]
    words = {symbol: f"failed: {word}: " for symbol, (word, _) in lasting.items()}
    words |= {redirected: "failed: redirected: ", unknown: "unknown: No data found"}
    assert {symbol: said[: len(words[symbol])] for symbol, said in rows} == words
    assert metadata["symbols_failed"] == len(lasting) + 1
    assert metadata["symbols_asked_again"] == len(lasting) + 1
