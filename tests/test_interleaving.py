"""Runs of one layer side by side: they never interleave, never wait for each other in a circle, and nobody is late.

A backfill of sixty sessions in slices of five, a night, a run by hand of one of the sixty and portfolio runs, in
threads with databases of their own as in workers. In the end the tables are those of one run after the other.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.orchestration import symbol_slices
from sigmasight_assets.orchestration.portfolio_publication import publish_portfolio_products
from sigmasight_assets.orchestration.profile_update import update_profiles
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import NewLot, create_portfolio
from sigmasight_assets.storage.precedence import precedence
from sigmasight_assets.storage.publications import read_symbol_generations
from sigmasight_assets.storage.universe import import_listings
from tests.conftest import NewDatabase
from tests.night_contents import copy_books, differences, results
from tests.nights import run_layer, run_portfolio_layer
from tests.orchestration.contents import rows_of, wait_for_waiters

DAYS = exchange_calendar().between(date(2025, 4, 7), date(2025, 7, 31))[:61]
PAST, TONIGHT, BY_HAND = DAYS[:60], DAYS[60], DAYS[30]
HISTORY_START = date(2024, 3, 1)
MARKET = SimulatedMarket(exchange_calendar(), stocks=16, as_of=TONIGHT)
SLICE = 5


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symbol_slices, "SLICE_SESSIONS", SLICE)


@pytest.fixture(scope="module")
def undisturbed(new_database: NewDatabase, schema_template: str) -> Iterator[Database]:
    """The tables when one run follows the other."""
    with opened(new_database, schema_template) as database:
        enter_market(database)
        run(database, PAST)
        run(database, [BY_HAND])
        run(database, [TONIGHT])
        run_portfolio_layer(database, TONIGHT)
        yield database


@pytest.fixture
def world(undisturbed: Database, new_database: NewDatabase, schema_template: str) -> Iterator[Database]:
    """The same books, and nothing else yet."""
    with opened(new_database, schema_template) as database:
        copy_books(undisturbed, database)
        yield database


@contextmanager
def opened(new_database: NewDatabase, schema_template: str) -> Iterator[Database]:
    with new_database(schema_template) as url, closing(Database(url)) as database:
        yield database


def enter_market(database: Database) -> None:
    """A portfolio of six stocks."""
    stocks = [item.symbol for item in MARKET.listings() if item.asset_type == "equity"]
    lots = [
        NewLot(symbol=symbol, quantity=Decimal(10), entry_price=Decimal(50), entry_date=DAYS[0])
        for symbol in stocks[:6]
    ]
    with database.begin() as connection:
        create_portfolio(connection, user="owner", name="Book", equity=Decimal(50_000), as_of=DAYS[0], lots=lots)


def run(database: Database, sessions: Sequence[date]) -> None:
    """The whole symbol layer; the run's id names its last session."""
    with database.begin() as connection:
        import_listings(connection, MARKET.listings())
    run_layer(database, MARKET, sessions, history_start=HISTORY_START)


class Crew:
    """Threads, each with a database of its own; an error of any is raised at the end."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.threads: list[threading.Thread] = []
        self.errors: list[BaseException] = []

    def start(self, work: Callable[[Database], object], *, gives_way: bool = False, goes_first: bool = False) -> None:
        def act() -> None:
            try:
                with closing(Database(self.url, gives_way=gives_way)) as database:
                    if goes_first:
                        with precedence(self.url):
                            work(database)
                    else:
                        work(database)
            except BaseException as error:  # noqa: BLE001
                self.errors.append(error)

        thread = threading.Thread(target=act, daemon=True)
        self.threads.append(thread)
        thread.start()

    def join(self) -> None:
        for thread in self.threads:
            thread.join(120)
            assert not thread.is_alive(), "a run waits for ever"
        if self.errors:
            raise self.errors[0]


def assert_as_undisturbed(database: Database, undisturbed: Database) -> None:
    run_portfolio_layer(database, TONIGHT)
    assert differences(results(database), results(undisturbed)) == []


def publications(database: Database) -> list[tuple[str, list[date]]]:
    """Run and sessions of each symbol publication, in the order of their generations."""
    sql = (
        "SELECT run_id, array_agg(session ORDER BY session) AS sessions FROM publications WHERE layer = 'symbol' "
        "GROUP BY generation, run_id ORDER BY generation"
    )
    return [(row["run_id"], row["sessions"]) for row in rows_of(database, sql)]


@pytest.mark.fault(16)
def test_the_night_waits_for_the_slice_in_flight_and_no_other(
    world: Database, undisturbed: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has four transactions to wait with: prices, profiles, the marks of others, and its products."""
    crew = Crew(world.url)
    judge = symbol_slices._judged_slice
    in_flight = PAST[3 * SLICE]

    def others_come(transaction: Any, run_: symbol_slices.PublicationRun, sessions: Sequence[date], **rest: Any) -> Any:
        if sessions[0] == in_flight:
            crew.start(lambda database: run(database, [BY_HAND]), gives_way=True)
            wait_for_waiters(world, 1)
            crew.start(lambda database: run(database, [TONIGHT]), goes_first=True)
            wait_for_waiters(world, 2)
        return judge(transaction, run_, sessions, **rest)

    monkeypatch.setattr(symbol_slices, "_judged_slice", others_come)
    crew.start(lambda database: run(database, PAST), gives_way=True)
    crew.join()
    order = publications(world)
    slices = [list(PAST[first : first + SLICE]) for first in range(0, len(PAST), SLICE)]
    backfill = f"symbols of {PAST[-1]}"
    assert order[:5] == [*((backfill, part) for part in slices[:4]), (f"symbols of {TONIGHT}", [TONIGHT])]
    # Then the others go on, in whichever order: each session of theirs is published once, slice by slice.
    others = [[day for day in sessions if day != BY_HAND] for run_id, sessions in order if run_id == backfill]
    assert others == [[day for day in part if day != BY_HAND] for part in slices]
    assert sum(BY_HAND in sessions for _, sessions in order) == 1
    assert_as_undisturbed(world, undisturbed)


@pytest.mark.fault(16)
def test_many_runs_at_once_come_to_the_same(world: Database, undisturbed: Database) -> None:
    """Nobody takes precedence: transactions of all kinds meet as they come.

    Profiles are there: on which days they are captured depends on which run comes first.
    """
    with world.begin() as connection:
        import_listings(connection, MARKET.listings())
    update_profiles(world, MARKET, exchange_calendar(), sessions=DAYS, newest_session=TONIGHT)
    crew = Crew(world.url)
    for sessions in (PAST, PAST, DAYS[40:], DAYS[20:45], [BY_HAND], [TONIGHT]):
        crew.start(partial(run, sessions=sessions))
    crew.start(lambda database: describe_otherwise(database, times=30))
    crew.start(lambda database: publish_portfolios(database, times=15))
    crew.join()
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert rows_of(world, deadlocks) == [{"deadlocks": 0}]
    order = publications(world)
    assert len({day for _, sessions in order for day in sessions}) == len(DAYS)
    assert_as_undisturbed(world, undisturbed)


def describe_otherwise(database: Database, *, times: int) -> None:
    """Change every description and back, from the last symbol to the first."""
    listings = MARKET.listings()[::-1]
    for _ in range(times):
        for described in ([replace(item, name=item.name + " Holding") for item in listings], listings):
            with database.begin() as connection:
                import_listings(connection, described)


def publish_portfolios(database: Database, *, times: int) -> None:
    """Snapshots of whatever is published from the first session on."""
    for number in range(times):
        with database.begin() as connection:
            published = read_symbol_generations(connection)
        ready = [day for day in DAYS if all(earlier in published for earlier in DAYS if earlier <= day)]
        if ready:
            publish_portfolio_products(database, exchange_calendar(), sessions=ready, run_id=f"books {number}")
