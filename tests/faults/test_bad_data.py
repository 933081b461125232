"""Nights with bad data through real runs into a real database: what is rejected, what is published, what is said."""

import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from sigmasight_assets.market_data.around import SourceAround
from sigmasight_assets.market_data.protocol import (
    BAR_SCHEMA,
    BAR_VALUES,
    BarRequest,
    FetchResult,
    Listing,
    MarketSource,
    ProfileResult,
)
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.operations.gate import GateDecision, plan
from sigmasight_assets.operations.gate_state import read_gate_state
from sigmasight_assets.orchestration.portfolio_publication import publish_portfolio_products
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.sessions import NEW_YORK, exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import NewLot, create_portfolio
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from sigmasight_assets.storage.universe import import_listings
from tests.e2e.market import Row
from tests.faults.campaign import Tally
from tests.faults.soak_invariants import broken
from tests.orchestration.contents import execute, rows_of
from tests.orchestration.deployments import Deployment, Run, load_definitions

TONIGHT = date(2024, 6, 7)
CALENDAR = exchange_calendar()
YESTERDAY = CALENDAR.offset(TONIGHT, -1)
HISTORY_START = CALENDAR.offset(TONIGHT, -100)
# With the funds two hundred symbols; of these the market has more, for not all of them trade all the time.
STOCKS, LISTED = 192, 300
FINITE_COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns JOIN information_schema.tables USING (table_name)
WHERE columns.table_schema = 'public' AND table_type = 'BASE TABLE'
  AND columns.data_type IN ('double precision', 'numeric') AND table_name NOT LIKE '%%quarantine%%'
"""

Spoil = Callable[[Row], list[Row]]


@dataclass
class SpoiltMarket(SourceAround):
    """The simulated market of an evening; the newest bars of some symbols are spoilt."""

    source: MarketSource
    spoilt: dict[str, Spoil] = field(default_factory=dict)

    @property
    def inner(self) -> MarketSource:
        """The source that is spoilt."""
        return self.source

    def listings(self) -> list[Listing]:
        """The source's."""
        return self.source.listings()

    def fetch_profiles(self, symbols: Sequence[str], *, as_of: date) -> ProfileResult:
        """The source's."""
        return self.source.fetch_profiles(symbols, as_of=as_of)

    def fetch_bars(self, requests: Sequence[BarRequest]) -> FetchResult:
        """The source's answer with other rows for tonight."""
        answer = self.source.fetch_bars(requests)
        rows = [new for row in answer.bars.to_pylist() for new in self._spoil(row)]
        return replace(answer, bars=pa.Table.from_pylist(rows, schema=BAR_SCHEMA))

    def _spoil(self, row: Row) -> list[Row]:
        spoil = self.spoilt.get(row["symbol"])
        return [row] if spoil is None or row["price_date"] != TONIGHT else spoil(row)


@dataclass
class Night:
    """A database published up to yesterday, and tonight's market."""

    database: Database
    market: SpoiltMarket
    instance: dg.DagsterInstance
    stocks: list[str]

    def run(self, *, assets: Sequence[str] = ("symbol_prices", *SYMBOL_PRODUCTS)) -> Run:
        deployment = Deployment(load_definitions(self.database, market=self.market), self.instance)
        return deployment.run("symbol_layer", TONIGHT, assets=assets)

    def gate(self) -> GateDecision:
        return plan(read_gate_state(self.database, now=datetime.combine(TONIGHT, time(22), NEW_YORK)))

    def rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        return rows_of(self.database, sql, day=TONIGHT, **parameters)


@pytest.fixture
def night(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Night]:
    for name in [name for name in os.environ if name.startswith("SIGMASIGHT_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIGMASIGHT_HISTORY_START", str(HISTORY_START))
    market = SpoiltMarket(SimulatedMarket(CALENDAR, stocks=LISTED, as_of=TONIGHT))
    stocks = always_traded(market.source)
    with database.begin() as connection:
        import_listings(connection, [item for item in market.listings() if item.symbol in {*stocks, *FACTOR_ETFS}])
        lots = [NewLot(symbol, Decimal(10), Decimal(50), YESTERDAY) for symbol in [*stocks[::7], *FACTOR_ETFS]]
        create_portfolio(connection, user="ann", name="A", equity=Decimal(100_000), as_of=YESTERDAY, lots=lots)
    with dg.DagsterInstance.ephemeral(tempdir=str(tmp_path)) as instance:
        begun = Night(database, market, instance, stocks)
        deployment = Deployment(load_definitions(database, market=market), instance)
        monkeypatch.setenv("SIGMASIGHT_NOW", f"{YESTERDAY}T22:00:00-04:00")
        assert deployment.run("symbol_layer", YESTERDAY, assets=["symbol_prices", *SYMBOL_PRODUCTS]).success
        assert publish_portfolio_products(database, CALENDAR, sessions=[YESTERDAY], run_id="first").failed == []
        monkeypatch.setenv("SIGMASIGHT_NOW", f"{TONIGHT}T22:00:00-04:00")
        yield begun


def always_traded(market: MarketSource) -> list[str]:
    """Stocks that have a bar of every session, as many as are tracked."""
    names = [item.symbol for item in market.listings() if item.symbol not in FACTOR_ETFS]
    answer = market.fetch_bars([BarRequest(name, HISTORY_START, TONIGHT) for name in names])
    bars = Counter(answer.bars.column("symbol").to_pylist())
    found = sorted(name for name, count in bars.items() if count == len(CALENDAR.between(HISTORY_START, TONIGHT)))
    return found[:STOCKS]


def without(_row: Row) -> list[Row]:
    """No bar."""
    return []


def value(column: str, wrong: float | None) -> Spoil:
    """The bar with a value that is none."""
    return lambda row: [{**row, column: wrong}]


BAD_PRICES = (math.nan, math.inf, -math.inf, 0.0, -12.5, 1e-12, 9e11, 1e300, None)
PRICES = BAR_VALUES[:5]
BAD_VALUES: dict[str, Spoil] = {
    **{f"{column} {wrong}": value(column, wrong) for column in PRICES for wrong in BAD_PRICES},
    **{f"volume {wrong}": value("volume", wrong) for wrong in (math.nan, -1.0, 1e20, math.inf, None)},
    "high below low": lambda row: [{**row, "high_price": row["low_price"] / 2}],
    "low above high": lambda row: [{**row, "low_price": row["high_price"] * 2}],
}


@pytest.mark.fault(10)
@pytest.mark.campaign
def test_values_that_are_none_stay_out_of_everything_that_is_published(
    night: Night, tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGMASIGHT_MIN_COVERAGE", "0.5")
    night.market.spoilt = dict(zip(night.stocks, BAD_VALUES.values(), strict=False))
    spoilt = set(night.market.spoilt)
    assert len(spoilt) == len(BAD_VALUES)
    run = night.run()
    assert run.success, run.failure
    stored = {row["symbol"] for row in night.rows("SELECT symbol FROM symbol_prices_daily WHERE price_date = :day")}
    assert stored & spoilt == set()
    quarantined = night.rows("SELECT symbol, reason FROM price_quarantine WHERE price_date = :day")
    assert {row["symbol"] for row in quarantined} == spoilt
    assert run.metadata("symbol_prices")["bars_rejected"] == len(spoilt)
    published = night.rows("SELECT symbol FROM symbol_daily_metrics WHERE metrics_date = :day")
    assert {row["symbol"] for row in published} & spoilt == set()
    reasons = night.rows("SELECT symbol, reason FROM symbol_exclusions WHERE session = :day AND reason = 'no_price'")
    assert {row["symbol"] for row in reasons} >= spoilt
    assert publish_portfolio_products(night.database, CALENDAR, sessions=[TONIGHT], run_id="books").failed == []
    assert not_finite(night.database) == []
    assert broken(night.database) == []
    tally.survive(len(spoilt))


def not_finite(database: Database) -> list[tuple[str, str]]:
    """Tables and columns of all that is stored, quarantine apart, that hold a NaN or an infinity."""
    columns = [(row["table_name"], row["column_name"]) for row in rows_of(database, FINITE_COLUMNS)]
    assert ("symbol_daily_metrics", "close_price") in columns
    assert ("portfolio_snapshots", "equity") in columns
    query = "SELECT 1 FROM {0} WHERE {1} IN ('NaN', 'Infinity', '-Infinity') LIMIT 1"
    return [names for names in columns if rows_of(database, query.format(*names))]


def moved(row: Row, factor: float) -> Row:
    return {**row, **{name: row[name] * factor for name in PRICES}}


def redated(days: int) -> Spoil:
    return lambda row: [row, {**row, "price_date": row["price_date"] + timedelta(days)}]


def renamed(name: str) -> Spoil:
    return lambda row: [row, {**row, "symbol": name}]


STRANGE_ROWS: dict[str, tuple[Spoil, int]] = {
    "twice the same": (lambda row: [row, dict(row)], 0),
    "twice and different": (lambda row: [row, moved(row, 1.01)], 2),
    "of Saturday": (redated(1), 1),
    # Juneteenth.
    "of a holiday": (redated(12), 1),
    "of the future": (redated(40), 1),
    "of 30 days ago": (lambda row: [row, {**moved(row, 2.0), "price_date": date(2024, 5, 8)}], 1),
    "of an unknown symbol": (renamed("NOBODY"), 1),
    "of a symbol of bytes": (renamed("\x00\x01\x7f\N{GREEK CAPITAL LETTER OMEGA}'; --"), 1),
}


@pytest.mark.fault(9)
@pytest.mark.campaign
def test_rows_that_nobody_asked_for_are_quarantined_and_counted(
    night: Night, tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGMASIGHT_MIN_COVERAGE", "0.98")
    by_symbol = dict(zip(night.stocks, STRANGE_ROWS, strict=False))
    night.market.spoilt = {symbol: STRANGE_ROWS[name][0] for symbol, name in by_symbol.items()}
    before = night.rows("SELECT symbol, price_date, close_price FROM symbol_prices_daily ORDER BY 1, 2")
    run = night.run()
    assert run.success, run.failure
    conflicting = {symbol for symbol, name in by_symbol.items() if name == "twice and different"}
    tonight = night.rows("SELECT symbol, count(*) AS rows FROM symbol_prices_daily WHERE price_date = :day GROUP BY 1")
    assert {row["symbol"]: row["rows"] for row in tonight} == {
        symbol: 1 for symbol in [*night.stocks, *FACTOR_ETFS] if symbol not in conflicting
    }
    kept = "SELECT symbol, price_date, close_price FROM symbol_prices_daily WHERE price_date < :day ORDER BY 1, 2"
    assert night.rows(kept) == before
    quarantined = night.rows("SELECT symbol, reason FROM price_quarantine ORDER BY quarantine_id")
    assert len(quarantined) == sum(count for _, count in STRANGE_ROWS.values())
    reasons = sorted({row["reason"] for row in quarantined})
    assert reasons == ["conflicting_duplicate", "not_a_session", "not_asked", "outside_window"]
    metadata = run.metadata("symbol_prices")
    told = {
        line.split("|")[1].strip(): int(line.split("|")[2]) for line in metadata["rejected_by_reason"].splitlines()[2:]
    }
    counted = {reason: sum(row["reason"] == reason for row in quarantined) for reason in reasons}
    assert told == counted | {"duplicate": 1}
    assert broken(night.database) == []
    tally.survive(len(STRANGE_ROWS))


def the_first(count: int) -> Callable[[Night], list[str]]:
    return lambda night: night.stocks[:count]


def the_fund(symbol: str) -> Callable[[Night], list[str]]:
    return lambda _: [symbol]


NOT_ENOUGH: dict[str, Callable[[Night], list[str]]] = {
    "40 %": the_first(80),
    "5 %": the_first(10),
    "one symbol more than 2 %": the_first(5),
    **{fund: the_fund(fund) for fund in FACTOR_ETFS},
}


@pytest.mark.fault(8)
@pytest.mark.campaign
def test_a_session_is_published_from_98_percent_and_all_funds_on(night: Night, tally: Tally) -> None:
    assert len(night.stocks) + len(FACTOR_ETFS) == 200
    for chosen in NOT_ENOUGH.values():
        missing = chosen(night)
        night.market.spoilt = dict.fromkeys(missing, without)
        execute(night.database, "DELETE FROM symbol_prices_daily WHERE price_date = :day", day=TONIGHT)
        run = night.run()
        assert not run.success
        named = [symbol for symbol in missing if symbol in run.failure]
        # At most twenty by name, the rest by number.
        assert named == sorted(missing)[: len(named)]
        assert len(named) >= min(len(missing), 5)
        assert night.rows("SELECT 1 FROM publications WHERE session = :day") == []
        decision = night.gate()
        assert decision.range is None
        assert sorted(missing)[0] in decision.blocked[TONIGHT]
        assert broken(night.database) == []
        tally.survive()
    missing = night.stocks[:4]
    night.market.spoilt = dict.fromkeys(missing, without)
    execute(night.database, "DELETE FROM symbol_prices_daily WHERE price_date = :day", day=TONIGHT)
    assert night.run().success
    for table, column in (("symbol_daily_metrics", "metrics_date"), ("symbol_market_beta", "session")):
        found = night.rows(f"SELECT symbol FROM {table} WHERE {column} = :day")
        assert {row["symbol"] for row in found} == {*night.stocks, *FACTOR_ETFS} - set(missing)
    reasons = night.rows("SELECT DISTINCT symbol, reason FROM symbol_exclusions WHERE session = :day ORDER BY 1")
    assert [(row["symbol"], row["reason"]) for row in reasons] == [(symbol, "no_price") for symbol in sorted(missing)]
    started = night.gate().range
    assert started is not None
    assert (started.first, started.last) == (TONIGHT, TONIGHT)
    assert broken(night.database) == []
    tally.survive()
