"""Nights of Yahoo's market through the price update: a split with its history restated, not restated, and twice so."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sigmasight_assets.market_data.vendor_calls import CallRules
from sigmasight_assets.market_data.yahoo import YahooMarket
from sigmasight_assets.orchestration.price_counts import PriceUpdate
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.universe import import_listings
from tests.orchestration.contents import contents, rows_of
from tests.orchestration.markets import stock
from tests.orchestration.price_runs import DAYS, FACT_TABLES, TODAY, TOMORROW, run, stated, stored_closes
from tests.vendors import yahoo
from tests.vendors.server import Behaviour, StandIn, good, stand_in
from tests.vendors.yahoo import Company, YahooMarketplace, bar_of


@dataclass
class Nights:
    """A database that is brought up to date from a stand-in for Yahoo, night by night."""

    database: Database
    vendor: StandIn
    companies: dict[str, Company]
    cache: Path
    today: date = TODAY

    def bring_up(self, today: date, hour: int = 0) -> PriceUpdate:
        self.today = today
        rules = CallRules(base_url=self.vendor.url, timeout=5.0)
        now = datetime(today.year, today.month, today.day, tzinfo=UTC) + timedelta(hours=26 + hour)
        return run(self.database, YahooMarket(rules, cache=self.cache, today=lambda: today), today, now=now)

    def stored(self, symbol: str) -> list[tuple[Any, ...]]:
        sql = "SELECT * FROM symbol_prices_daily WHERE symbol = :symbol ORDER BY price_date"
        kept = ("price_date", "open_price", "high_price", "low_price", "close_price", "adj_close_price", "volume")
        return [tuple(row[name] for name in kept) for row in rows_of(self.database, sql, symbol=symbol)]


@pytest.fixture
def nights(database: Database, tmp_path: Path) -> Iterator[Nights]:
    """ABC is as CONTROL in the units after its split of 4 for 1, tomorrow; until then it comes in those before."""
    bars = {day: bar_of(100.0 + place) for place, day in enumerate(DAYS)}
    companies = {"CONTROL": Company(bars=bars), "ABC": Company(bars=bars, splits={TOMORROW: (4, 1)})}
    with database.begin() as connection:
        import_listings(connection, [stock(symbol) for symbol in companies])
    with stand_in(YahooMarketplace(companies).routes) as vendor:
        yield Nights(database, vendor, companies, tmp_path)


BEFORE = yahoo.rescaled_before(TOMORROW, 4.0)


@pytest.mark.fault(12)
@pytest.mark.parametrize("sent", [good, BEFORE, yahoo.rescaled_before(TOMORROW, 0.25)], ids=["once", "never", "twice"])
def test_a_split_leaves_the_history_of_one_that_never_was(nights: Nights, sent: Behaviour) -> None:
    nights.vendor.script("ABC", BEFORE)
    assert nights.bring_up(TODAY).inserted == 2 * len(DAYS) - 2
    assert stored_closes(nights.database, "ABC")[DAYS[0]] == Decimal("400.0000")
    nights.vendor.script("ABC", sent)
    nights.vendor.requests.clear()
    update = nights.bring_up(TOMORROW)
    assert nights.stored("ABC") == nights.stored("CONTROL")
    assert stated(nights.database) == {("ABC", TOMORROW, "split"): "4:1"}
    assert (update.refetched, update.problems, update.rejected) == (1, {}, {})
    assert [request.key for request in nights.vendor.requests] == ["ABC", "ABC", "CONTROL"]
    # When Yahoo's history is right in the end, nothing of ours is to be restated.
    nights.vendor.script("ABC", good)
    facts = {name: key for name, key in FACT_TABLES.items() if name != "symbol_universe"}
    before = contents(nights.database, facts)
    nights.vendor.requests.clear()
    # An answer counts as fresh for six hours.
    assert nights.bring_up(TOMORROW, hour=7).restated == 0
    assert [request.key for request in nights.vendor.requests] == ["ABC", "CONTROL"]
    assert contents(nights.database, facts) == before
