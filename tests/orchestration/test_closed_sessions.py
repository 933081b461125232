"""A date that an operator has closed, in real runs: refused alone, skipped in a range, also if closed meanwhile."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import pytest

from sigmasight_assets.errors import TransientStorageError
from sigmasight_assets.market_data.protocol import BarRequest, FetchResult
from sigmasight_assets.operations.session_decisions import close_session
from sigmasight_assets.orchestration.portfolio_publication import publish_portfolio_products
from sigmasight_assets.orchestration.profile_update import update_profiles
from sigmasight_assets.orchestration.symbol_publication import publish_symbol_products
from sigmasight_assets.sessions import SessionCalendar, exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import NewLot, create_portfolio
from tests.orchestration.books import DAYS
from tests.orchestration.conftest import TARGETS
from tests.orchestration.contents import SYMBOL_TABLES, contents, published_generations, rows_of
from tests.orchestration.deployments import Deploy
from tests.orchestration.markets import ScriptedMarket

SHUT = TARGETS[5]
FIRST, LAST = TARGETS[3], TARGETS[7]
OPEN_DAYS = [day for day in TARGETS[3:8] if day != SHUT]
DATED_TABLES = {
    "symbol_prices_daily": "price_date",
    "company_profiles": "captured_on",
    "symbol_market_beta": "session",
    "symbol_ir_beta": "session",
    "symbol_ridge_factors": "session",
    "symbol_spread_factors": "session",
    "symbol_daily_metrics": "metrics_date",
    "factor_covariances": "session",
    "symbol_exclusions": "session",
    "publications": "session",
    "portfolio_snapshots": "session",
    "portfolio_lot_values": "session",
    "portfolio_exposures": "session",
    "snapshot_inputs": "session",
}


def close(database: Database) -> None:
    close_session(database, SHUT, actor="pat", reason="day of mourning")


def rows_dated(database: Database, day: date) -> dict[str, int]:
    """How many rows of each product carry a date, where there are any."""
    counts = {
        table: rows_of(database, f"SELECT count(*) AS count FROM {table} WHERE {column} = :day", day=day)[0]["count"]
        for table, column in DATED_TABLES.items()
    }
    return {table: count for table, count in counts.items() if count}


def test_its_bars_arrive_and_spoil_nothing(deploy: Deploy, priced: Database, awkward: ScriptedMarket) -> None:
    """The market goes on sending a bar of every symbol."""
    sent = sum(day == SHUT for _, day in awkward.bars)
    assert rows_dated(priced, SHUT) == {"symbol_prices_daily": sent}
    close(priced)
    assert rows_dated(priced, SHUT) == {}
    bought = NewLot("SPY", Decimal(10), Decimal(500), FIRST)
    with priced.begin() as connection:
        create_portfolio(connection, user="ann", name="Main", equity=Decimal(9000), as_of=SHUT, lots=[bought])
    deployment = deploy(priced, market=awkward)
    run = deployment.run("symbol_layer", FIRST, LAST)
    assert run.success
    assert list(published_generations(priced, "symbol")) == OPEN_DAYS
    coverage = rows_of(priced, "SELECT DISTINCT ON (session) session, coverage FROM publications")
    assert all(row["coverage"] > 0.98 for row in coverage)
    # What was stored, and what was sent again.
    rejected = rows_of(priced, "SELECT reason, count(*) AS count FROM price_quarantine GROUP BY reason ORDER BY reason")
    assert rejected == [
        {"reason": "no session: closed by an operator (day of mourning)", "count": sent},
        {"reason": "not_a_session", "count": sent},
    ]
    assert deployment.run("portfolio_layer", FIRST, LAST).success
    snapshots = rows_of(priced, "SELECT session FROM portfolio_snapshots ORDER BY session")
    assert [row["session"] for row in snapshots] == [day for day in OPEN_DAYS if day > SHUT]
    assert rows_dated(priced, SHUT) == {}


@pytest.mark.parametrize("job", ["symbol_layer", "portfolio_layer"])
def test_its_partition_is_refused_with_who_and_why(deploy: Deploy, priced: Database, job: str) -> None:
    close(priced)
    run = deploy(priced).run(job, SHUT)
    assert not run.success
    assert run.failure.startswith(f"{SHUT} is no session: closed by pat on ")
    assert run.failure.endswith("UTC (day of mourning)")
    assert (run.retries, rows_of(priced, "SELECT * FROM batch_runs")) == (0, [])


class ClosesMeanwhile(ScriptedMarket):
    """While it answers for the first time, an operator closes the date."""

    database: Database | None = None

    def fetch_bars(self, requests: Sequence[BarRequest]) -> FetchResult:
        if self.database is not None:
            close(self.database)
            self.database = None
        return super().fetch_bars(requests)


def test_a_run_that_it_is_closed_under_begins_again(deploy: Deploy, priced: Database, awkward: ScriptedMarket) -> None:
    market = ClosesMeanwhile(awkward.bars, awkward.descriptions)
    market.database = priced
    run = deploy(priced, market=market).run("symbol_layer", FIRST, LAST)
    assert (run.success, run.retries) == (True, 1)
    assert list(published_generations(priced, "symbol")) == OPEN_DAYS
    assert rows_dated(priced, SHUT) == {}


def test_figures_are_not_computed_on_a_calendar_of_before(
    published: Database, calendar: SessionCalendar, awkward: ScriptedMarket
) -> None:
    assert awkward.bars
    ahead = date(2026, 3, 3)
    close_session(published, ahead, actor="pat", reason="announced")
    before = contents(published, SYMBOL_TABLES)
    with pytest.raises(TransientStorageError, match=f"closed or reopened {ahead} while this ran"):
        publish_symbol_products(published, calendar, sessions=TARGETS, min_coverage=0.98, run_id="late", force=True)
    assert contents(published, SYMBOL_TABLES) == before


def test_snapshots_are_not_computed_on_a_calendar_of_before(books: Database, calendar: SessionCalendar) -> None:
    close_session(books, date(2026, 3, 3), actor="pat", reason="announced")
    with pytest.raises(TransientStorageError, match="closed or reopened 2026-03-03 while this ran"):
        publish_portfolio_products(books, calendar, sessions=DAYS, run_id="late")
    assert rows_of(books, "SELECT * FROM portfolio_snapshots") == []


def test_profiles_are_not_captured_on_it(priced: Database, awkward: ScriptedMarket) -> None:
    market = ScriptedMarket(awkward.bars, awkward.descriptions, profiles={"SPY": {"sector": "Funds"}})
    close(priced)
    with pytest.raises(TransientStorageError, match=f"closed or reopened {SHUT} while this ran"):
        update_profiles(priced, market, exchange_calendar(), sessions=[SHUT], newest_session=SHUT)
    assert rows_of(priced, "SELECT * FROM company_profiles") == []
