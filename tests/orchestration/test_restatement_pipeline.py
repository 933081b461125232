"""A restated price and a new portfolio through real runs of both layers: what they cost, to the row."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pytest

from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.orchestration.portfolio_publication import publish_portfolio_products
from sigmasight_assets.orchestration.price_update import update_prices
from sigmasight_assets.orchestration.symbol_publication import publish_symbol_products
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.sessions import NEW_YORK, SessionCalendar, exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import NewLot
from sigmasight_assets.storage.universe import import_listings
from tests.conftest import NewDatabase
from tests.night_contents import RESULT_TABLES, copy_books, differences, everything, results
from tests.orchestration.books import answer_requests
from tests.orchestration.conftest import HISTORY_START, TARGETS
from tests.orchestration.contents import Contents, changed_keys, contents, published_generations, rows_of
from tests.orchestration.deployments import Deploy, Deployment, Run
from tests.orchestration.markets import ScriptedMarket, bar, copied, option, traded_throughout
from tests.orchestration.portfolio_runs import next_range, portfolio_id
from tests.orchestration.published_market import lot, own
from tests.orchestration.states import States
from tests.orchestration.symbol_runs import FIGURE_TABLES

SYMBOLS, PORTFOLIOS = "symbol_layer", "portfolio_layer"
# What a publication writes anew with the same content.
RECORD = ("generation", "withdrawn_generation", "run_id", "fetched_at", "updated_at")
DAYS = exchange_calendar().between(date(2025, 4, 14), TARGETS[-1])
EVENING = datetime.combine(DAYS[-1], time(22), NEW_YORK)
LONG_AGO = date(2025, 3, 3)


@dataclass(frozen=True)
class World:
    """A database with its orchestrator and market, and the published sessions."""

    database: Database
    deployment: Deployment
    market: ScriptedMarket

    @property
    def restated_day(self) -> date:
        """Thirty sessions before the newest."""
        return DAYS[-31]

    def run(self, job: str, first: date, last: date | None = None) -> Run:
        """Run a job, which succeeds."""
        run = self.deployment.run(job, first, last)
        assert run.success, run.failure
        return run

    def run_gated(self) -> Run | None:
        """Run what the gate decides."""
        answer_requests(self.database)
        chosen = next_range(self.database, now=EVENING)
        return None if chosen is None else self.run(PORTFOLIOS, chosen.first, chosen.last)

    def rows(self) -> Contents:
        """Everything but generations, runs and instants."""
        return contents(self.database, RESULT_TABLES, ignoring=RECORD)

    def counts(self, run: Run, kind: str) -> dict[str, Any]:
        """What a step of a run has counted."""
        query = "SELECT counts FROM batch_runs WHERE run_id = :run_id AND kind = :kind"
        (row,) = rows_of(self.database, query, run_id=run.result.run_id, kind=kind)
        found: dict[str, Any] = row["counts"]
        return found

    def newest_generation(self) -> int:
        """Of both layers."""
        return max(published_generations(self.database, layer)[DAYS[-1]] for layer in ("symbol", "portfolio"))


def stocks(market: ScriptedMarket) -> list[str]:
    return [item.symbol for item in market.descriptions if item.asset_type == "equity"]


def contracts(market: ScriptedMarket) -> list[str]:
    """On the first stock: one that expires thirty sessions ago and one that runs on; both in the money."""
    return [f"{stocks(market)[0]}{expiry:%y%m%d}C00001000" for expiry in (DAYS[-31], date(2025, 6, 20))]


@pytest.fixture
def market(calendar: SessionCalendar) -> ScriptedMarket:
    """The factor funds, twenty stocks with a bar at every session, and contracts."""
    whole = copied(SimulatedMarket(calendar, stocks=60), first=HISTORY_START, last=DAYS[-1])
    market = traded_throughout(whole, calendar.between(HISTORY_START, DAYS[-1]), stocks=20)
    market.supplies_corporate_actions = True
    for contract in contracts(market):
        market.descriptions.append(option(contract))
        market.bars |= {(contract, day): bar(3.0) for day in DAYS}
    return market


def publish_all(database: Database, market: ScriptedMarket, calendar: SessionCalendar, symbols: Sequence[str]) -> None:
    """Both layers over all sessions, of these symbols and the factor funds."""
    known = {*FACTOR_ETFS, *symbols}
    with database.begin() as connection:
        import_listings(connection, [item for item in market.listings() if item.symbol in known])
    update_prices(database, market, calendar, sessions=DAYS, history_start=HISTORY_START, run_id="first")
    publish_symbol_products(database, calendar, sessions=DAYS, min_coverage=0.98, run_id="first")
    assert publish_portfolio_products(database, calendar, sessions=DAYS, run_id="first").published == DAYS


def changes(before: Contents, after: Contents) -> dict[str, set[tuple[Any, ...]]]:
    """The keys of the rows that came, went or differ, of the tables that have any."""
    found = {table: changed_keys(before, after, table) for table in before}
    return {table: keys for table, keys in found.items() if keys}


def own_portfolios(database: Database, market: ScriptedMarket) -> None:
    """Who holds the stock, held it, will hold it, or has contracts on it."""
    (restated, other), (expiring, running) = stocks(market)[:2], contracts(market)
    before, after = DAYS[-32], DAYS[-27]
    books: Mapping[str, list[NewLot]] = {
        "holds": [lot(restated, "5", "50", LONG_AGO), lot(other, "7", "30", LONG_AGO)],
        "holds another": [lot(other, "7", "30", LONG_AGO)],
        "sold before": [lot(restated, "5", "50", LONG_AGO, sold=("51", before))],
        "sold after": [lot(restated, "5", "50", LONG_AGO, sold=("51", after))],
        "bought after": [lot(restated, "-5", "50", after)],
        "settled": [lot(expiring, "1", "3", DAYS[0], investment_class="OPTIONS")],
        "has a contract": [lot(running, "1", "3", DAYS[0], investment_class="OPTIONS")],
    }
    for name, lots in books.items():
        own(database, name, *lots, as_of=DAYS[0])


class TestRestatedHistory:
    """Of a stock that some hold, some held, and on which there are contracts."""

    @pytest.fixture
    def world(self, states: States, deploy: Deploy, calendar: SessionCalendar, market: ScriptedMarket) -> World:
        def fill(database: Database) -> None:
            own_portfolios(database, market)
            publish_all(database, market, calendar, [*stocks(market), *contracts(market)])

        database = states.enter("restated_history", fill)
        return World(database, deploy(database, market=market), market)

    @pytest.fixture
    def known_all_along(
        self, world: World, calendar: SessionCalendar, new_database: NewDatabase, schema_template: str
    ) -> Callable[[], Contents]:
        """What a database holds that has never seen anything else."""

        def found() -> Contents:
            with new_database(schema_template) as url:
                other = Database(url)
                copy_books(world.database, other)
                publish_all(other, world.market, calendar, [*stocks(world.market), *contracts(world.market)])
                rows = results(other)
                other.close()
                return rows

        return found

    def assert_settled(self, world: World) -> None:
        """Another night changes nothing."""
        before = everything(world.database)
        for day in (DAYS[-1], world.restated_day):
            world.run(SYMBOLS, day)
        assert world.run_gated() is None
        by_hand = world.run(PORTFOLIOS, DAYS[0], DAYS[-1])
        assert world.counts(by_hand, "portfolio_products")["portfolios_computed"] == 0
        assert everything(world.database) == before

    @pytest.mark.fault(15)
    def test_a_close_of_thirty_sessions_ago(self, world: World, known_all_along: Callable[[], Contents]) -> None:
        database, symbol, day = world.database, stocks(world.market)[0], world.restated_day
        before, newest = world.rows(), world.newest_generation()
        old_close = world.market.bars[symbol, day][3]
        world.market.restate(symbol, day, 1.01)
        run = world.run(SYMBOLS, day)
        gated = world.run_gated()
        assert gated is not None

        since = DAYS[-31:]
        held = {"holds": since, "sold after": since[:4], "bought after": since[4:], "settled": since}
        snapshots = {(portfolio_id(database, name), each) for name, days in held.items() for each in days}
        changed = changes(before, world.rows())
        assert changed.pop("symbol_prices_daily") == {(symbol, day)}
        for table in FIGURE_TABLES:
            assert changed.pop(table) == {(each, symbol) for each in since}, table
        assert changed.pop("portfolio_snapshots") == snapshots
        for table in ("portfolio_lot_values", "portfolio_exposures"):
            assert {key[:2] for key in changed.pop(table)} <= snapshots, table
        assert {key[0] for key in changed.pop("option_expiries")} == {portfolio_id(database, "settled")}
        assert changed == {}

        products = world.counts(run, "symbol_products")
        assert (products["symbols_republished"], products["sessions_republished"]) == (1, 31)
        assert (products["rows_republished"], products["rows_computed"]) == (5 * 31, 0)
        computed = world.counts(gated, "portfolio_products")
        assert (computed["portfolios"], computed["portfolios_computed"]) == (7, 4)
        assert (computed["snapshots_computed"], computed["generation"]) == (len(snapshots), newest + 2)
        ledger = rows_of(
            database,
            "SELECT layer, session, symbols FROM publications WHERE generation > :newest ORDER BY session, layer",
            newest=newest,
        )
        symbols = {row["session"]: row["symbols"] for row in ledger if row["layer"] == "symbol"}
        assert symbols == {each: [symbol] for each in since}
        assert [row["session"] for row in ledger if row["layer"] == "portfolio"] == since
        (log,) = rows_of(database, "SELECT * FROM restatements")
        assert (log["symbol"], log["price_date"], log["run_id"]) == (symbol, day, run.result.run_id)
        closes = [Decimal(f"{close:.4f}") for close in (old_close, world.market.bars[symbol, day][3])]
        assert [log["old_close_price"], log["new_close_price"]] == closes
        assert log["reason"]

        self.assert_settled(world)
        assert differences(results(database), known_all_along()) == []

    def test_a_split_learnt_late(self, world: World, known_all_along: Callable[[], Contents]) -> None:
        """Every session states other closes, so whoever ever held the stock is computed."""
        database = world.database
        before, newest = world.rows(), world.newest_generation()
        world.market.split(stocks(world.market)[0], DAYS[-20], 2)
        world.run(SYMBOLS, DAYS[-20])
        gated = world.run_gated()
        assert gated is not None
        computed = world.counts(gated, "portfolio_products")
        assert (computed["portfolios_computed"], computed["generation"]) == (5, newest + 2)
        written = {key[0] for key in changes(before, world.rows())["portfolio_snapshots"]}
        holders = ("holds", "sold before", "sold after", "bought after", "settled")
        assert {portfolio_id(database, "holds")} <= written <= {portfolio_id(database, name) for name in holders}
        self.assert_settled(world)
        assert differences(results(database), known_all_along()) == []


def test_fifteen_positions_of_which_ten_are_tracked_cost_five(
    database: Database, deploy: Deploy, calendar: SessionCalendar, market: ScriptedMarket
) -> None:
    world = World(database, deploy(database, market=market), market)
    held, added = stocks(market)[:15], stocks(market)[15:]
    for number in range(3):
        own(database, f"old {number}", *(lot(symbol, "5", "50", LONG_AGO) for symbol in held), as_of=DAYS[0])
    publish_all(database, market, calendar, held)
    before, newest = world.rows(), world.newest_generation()
    market.asked()
    own(database, "new", *(lot(symbol, "3", "40", LONG_AGO) for symbol in (*held[:10], *added)), as_of=DAYS[-5])
    run = world.run(SYMBOLS, DAYS[-1])
    gated = world.run_gated()
    assert gated is not None

    # The others are asked for their newest sessions alone.
    histories = {symbol for symbol, (first, _) in market.asked().items() if first < DAYS[-5]}
    assert histories == set(added)
    changed = changes(before, world.rows())
    assert {key[0] for key in changed.pop("symbol_universe")} == set(added)
    assert {key[0] for key in changed.pop("symbol_prices_daily")} == set(added)
    for table in FIGURE_TABLES:
        assert changed.pop(table) == {(day, symbol) for day in DAYS for symbol in added}, table
    number = portfolio_id(database, "new")
    assert changed.pop("portfolio_snapshots") == {(number, day) for day in DAYS[-5:]}
    for table in ("portfolio_lot_values", "portfolio_exposures"):
        assert {key[0] for key in changed.pop(table)} == {number}
    assert changed == {}

    products = world.counts(run, "symbol_products")
    assert (products["symbols_republished"], products["rows_computed"]) == (5, 0)
    computed = world.counts(gated, "portfolio_products")
    assert (computed["portfolios"], computed["portfolios_computed"]) == (4, 1)
    assert (computed["snapshots_computed"], computed["generation"]) == (5, newest + 2)
