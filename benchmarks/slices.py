"""One session of snapshots by one, two and four runs that share its slices, each a process; the tables are the same.

The runs are those of ``portfolios``, without an orchestrator: what it adds to a run is in ``engines``.
"""

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from multiprocessing import get_context
from multiprocessing.synchronize import Event

from benchmarks.backfill import LOTS, SNAPSHOTS
from benchmarks.harness import Options, Report, say
from benchmarks.portfolios import SYMBOLS, forget
from benchmarks.world import digest_of_rows, fill_books, fill_market, server, symbol_names
from sigmasight_assets.orchestration.portfolio_publication import help_with_snapshots, publish_portfolio_products
from sigmasight_assets.orchestration.symbol_publication import publish_symbol_products
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.database import Database

WORKERS = (1, 2, 4)
PORTFOLIOS = 200_000


def measure(options: Options) -> list[Report]:
    """A table with a line for each number of runs."""
    size = PORTFOLIOS if not options.quick else 25_000
    symbols = SYMBOLS if not options.quick else 200
    report = Report(
        f"slices: one session of snapshots of {size:,} portfolios, {LOTS} lots each, by several runs at once",
        ("runs", "median s", "minimum s", "times as fast"),
    )
    calendar = exchange_calendar()
    with server() as running, running.database("slices") as database:
        before, day = fill_market(database, symbols=symbols, sessions=2)
        fill_books(database, symbol_names(symbols), portfolios=size, lots=LOTS, as_of=before)
        publish_symbol_products(database, calendar, sessions=[before, day], min_coverage=0.5, run_id="symbols")
        publish_portfolio_products(database, calendar, sessions=[before], run_id="before")
        first, known = 0.0, None
        for workers in WORKERS:
            say(f"slices: {workers} runs ...")
            seconds, digest = _run(database, day, workers=workers, repeats=options.repeats)
            if known not in (None, digest):
                raise RuntimeError(f"{workers} runs come to other tables than one: {digest}, not {known}")
            first, known = first or statistics.median(seconds), digest
            median = statistics.median(seconds)
            report.add(workers, median, min(seconds), first / median)
    return [report]


def _run(database: Database, day: date, *, workers: int, repeats: int) -> tuple[list[float], tuple[str, ...]]:
    """Seconds of each time, and what the tables hold."""
    seconds: list[float] = []
    with _helpers(database.url, workers - 1):
        for number in range(repeats):
            forget(database, day)
            began = time.perf_counter()
            publish_portfolio_products(
                database, exchange_calendar(), sessions=[day], run_id=f"{workers} runs, {number}", workers=workers
            )
            seconds.append(time.perf_counter() - began)
    with database.begin() as connection:
        tables = [name for name in SNAPSHOTS if name != "option_expiries"]
        digest = tuple(digest_of_rows(connection, name, session=day) for name in tables)
    return seconds, digest


@contextmanager
def _helpers(url: str, count: int) -> Iterator[None]:
    """So many helpers, each a process, from before the block to its end."""
    context = get_context("spawn")
    over, ready = context.Event(), [context.Event() for _ in range(count)]
    processes = [
        context.Process(target=_help, args=(url, f"helper {number}", is_ready, over))
        for number, is_ready in enumerate(ready)
    ]
    for process in processes:
        process.start()
    try:
        for is_ready in ready:
            is_ready.wait(60)
        yield
    finally:
        over.set()
        for process in processes:
            process.join(60)


def _help(url: str, run_id: str, ready: Event, over: Event) -> None:
    database = Database(url)
    ready.set()
    help_with_snapshots(database, exchange_calendar(), run_id=run_id, is_over=lambda _: over.is_set())
    database.close()
