"""The whole nightly job of the demo market with its steps in one process, as we choose, and in one process each.

The first session brings a year of history along and is not timed; each timed run is the night after the one before.
"""

import os
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from benchmarks.dagster_run import EXECUTOR_VARIABLE, RunTimes, dagster
from benchmarks.harness import Options, Report
from benchmarks.world import LAST, server, sessions_before
from sigmasight_assets.market_data.simulated import SimulatedMarket
from sigmasight_assets.operations.check_assets import CHECK_ASSETS
from sigmasight_assets.orchestration.jobs import SYMBOL_LAYER
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from sigmasight_assets.storage.universe import import_listings

ASSETS = ("symbol_universe", "company_profiles", "symbol_prices", *SYMBOL_PRODUCTS)


def measure(options: Options) -> list[Report]:
    """A line for each executor."""
    report = Report(
        "executors: the whole nightly job of the demo market",
        ("executor", "launch to success s", "minimum s", "of it in the steps s", "runs"),
    )
    for executor in ("in-process", "multiprocess"):
        with _chosen(executor), server() as running, running.database("executors") as database:
            runs = _nights(database, options)
        totals = [run.total for run in runs]
        steps = statistics.median(run.steps for run in runs)
        report.add(executor, statistics.median(totals), min(totals), steps, len(runs))
    return [report]


@contextmanager
def _chosen(executor: str) -> Iterator[None]:
    """The executor for services that are started in the block."""
    os.environ[EXECUTOR_VARIABLE] = executor
    try:
        yield
    finally:
        del os.environ[EXECUTOR_VARIABLE]


def _nights(database: Database, options: Options) -> Sequence[RunTimes]:
    days = sessions_before(LAST, options.repeats + 1)
    with database.begin() as connection:
        import_listings(connection, SimulatedMarket(exchange_calendar(), as_of=days[-1]).listings())
    with dagster(database, evening=days[-1], history_start=sessions_before(days[0], 262)[0]) as services:
        return [services.run(SYMBOL_LAYER, ASSETS, checks=CHECK_ASSETS, first=day, last=day) for day in days][1:]
