"""A process of a host in some time zone: what is offered, asked for and refused on awkward days, and what it computes.

Called with the URL of a database that is migrated and has no rows; prints a JSON object.
"""

import json
import os
import sys
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

import dagster as dg

from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.orchestration.jobs import PORTFOLIO_LAYER, SYMBOL_LAYER
from sigmasight_assets.orchestration.partitions import session_partitions
from sigmasight_assets.orchestration.resources import Pipeline
from sigmasight_assets.orchestration.schedules import nightly_symbols
from sigmasight_assets.sessions import NEW_YORK, exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.portfolios import NewLot, create_portfolio
from tests.night_contents import results
from tests.orchestration.deployments import Deployment, load_definitions

STOCKS = 50
# What is computed: over the leap day, the clocks' step forward and Good Friday.
FIRST, LAST = date(2024, 2, 26), date(2024, 4, 1)
# What is seen of each awkward time is that of these days: clocks forward and back, leap day, Good Friday, the eve of a
# holiday and Christmas Eve with early closes, and a closure that nobody had foreseen.
AWKWARD = {
    "clocks forward": date(2024, 3, 10),
    "clocks back": date(2024, 11, 3),
    "leap day": date(2024, 2, 29),
    "Good Friday": date(2024, 3, 29),
    "early close": date(2024, 7, 3),
    "Christmas Eve": date(2024, 12, 24),
    "day of mourning": date(2025, 1, 9),
}
ENVIRONMENT = {
    "SIGMASIGHT_HISTORY_START": "2023-04-03",
    "SIGMASIGHT_DEMO_SYMBOLS": str(STOCKS),
    "SIGMASIGHT_MIN_COVERAGE": "0.9",
}


def main(url: str) -> None:
    os.environ.update(ENVIRONMENT)
    set_clock(datetime(2025, 1, 10, 21, 0, tzinfo=NEW_YORK))
    database = Database(url)
    enter_book(database)
    with dg.DagsterInstance.ephemeral() as instance:
        deployment = Deployment(load_definitions(database), instance)
        found = {
            "offered": {name: list(offered(day)) for name, day in AWKWARD.items()},
            "requested": {name: list(requested(url, day)) for name, day in AWKWARD.items()},
            "refused": {name: list(refused(deployment, day)) for name, day in AWKWARD.items()},
            "results": computed(deployment, database),
        }
    database.close()
    sys.stdout.write(json.dumps(found))


def set_clock(instant: datetime) -> None:
    os.environ["SIGMASIGHT_NOW"] = instant.isoformat()


def evenings(day: date) -> Iterator[datetime]:
    """A second before and at 21:00 New York, from the evening before to that after."""
    for offset in (-1, 0, 1):
        evening = datetime(day.year, day.month, day.day, 21, tzinfo=NEW_YORK) + timedelta(days=offset)
        yield evening - timedelta(seconds=1)
        yield evening


def offered(day: date) -> Iterator[list[str]]:
    """The newest three partition keys at each of these instants."""
    for instant in evenings(day):
        yield list(session_partitions(date(2024, 1, 2)).get_partition_keys(current_time=instant)[-3:])


def requested(url: str, day: date) -> Iterator[Any]:
    """What the schedule asks for at 21:00, or why nothing."""
    for instant in list(evenings(day))[1::2]:
        resources = {"pipeline": Pipeline(database_url=url)}
        with dg.build_schedule_context(resources=resources, scheduled_execution_time=instant) as context:
            answer = nightly_symbols(context)
        assert isinstance(answer, list | dg.SkipReason)
        yield answer.skip_message if isinstance(answer, dg.SkipReason) else [item.partition_key for item in answer]


def refused(deployment: Deployment, day: date) -> Iterator[str]:
    """Why a run is refused on the evenings before the data of the day is due, and on days without a session."""
    calendar = exchange_calendar()
    early = datetime(day.year, day.month, day.day, 20, 59, tzinfo=NEW_YORK)
    for clock in (early, datetime(2025, 1, 10, 21, 0, tzinfo=NEW_YORK)):
        set_clock(clock)
        if clock == early or not calendar.is_session(day):
            run = deployment.run(SYMBOL_LAYER, day, assets=["symbol_prices"])
            yield "SUCCEEDED" if run.success else run.failure.splitlines()[0]


def enter_book(database: Database) -> None:
    """A portfolio from the first day on."""
    market = SimulatedMarket(exchange_calendar(), stocks=STOCKS, as_of=LAST)
    held = [item.symbol for item in market.listings() if item.asset_type == "equity"][:8]
    lots = [NewLot(symbol, Decimal(10), Decimal(50), FIRST) for symbol in held]
    with database.begin() as connection:
        create_portfolio(connection, user="owner", name="Book", equity=Decimal(50_000), as_of=FIRST, lots=lots)


def computed(deployment: Deployment, database: Database) -> dict[str, str]:
    """A digest of each table after all sessions from the first to the last."""
    for job in (SYMBOL_LAYER, PORTFOLIO_LAYER):
        assert deployment.run(job, FIRST, LAST).success, job
    return {
        table: f"{len(rows)} {sha256(repr(sorted(rows.items(), key=repr)).encode()).hexdigest()}"
        for table, rows in results(database).items()
    }


if __name__ == "__main__":
    main(sys.argv[1])
