"""One session of snapshots for ever more portfolios of 15 lots: seconds, rows and memory, and whether both grow evenly.

The session before has its snapshots, as on any evening; the timed one is computed, checked and written whole. Each size
runs in a process of its own, so that its peak memory is its own.
"""

import resource
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from multiprocessing import get_context

import sqlalchemy as sa

from benchmarks.backfill import LOTS, SNAPSHOTS
from benchmarks.harness import Options, Report, say
from benchmarks.world import fill_books, fill_market, server, symbol_names
from sigmasight_assets.orchestration.portfolio_publication import publish_portfolio_products
from sigmasight_assets.orchestration.symbol_publication import publish_symbol_products
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.database import Database

SYMBOLS = 5000
ROWS = "SELECT (SELECT count(*) FROM portfolio_snapshots WHERE session = :day) + " + " + ".join(
    f"(SELECT count(*) FROM {name} WHERE session = :day)" for name in SNAPSHOTS[1:]
)


def measure(options: Options) -> list[Report]:
    """A table with a line for each number of portfolios."""
    sizes = (1000, 10_000, 100_000, 1_000_000) if not options.quick else (50, 500)
    report = Report(
        f"portfolios: one session of snapshots, {LOTS} lots each",
        ("portfolios", "median s", "minimum s", "us a portfolio", "rows", "rows/s", "peak memory MiB", "runs"),
    )
    for size in sizes:
        say(f"portfolios: {size:,} ...")
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            seconds, rows, peak = pool.submit(_run, size, options).result()
        median = statistics.median(seconds)
        report.add(size, median, min(seconds), median / size * 1e6, rows, rows / median, peak, len(seconds))
    return [report]


def _run(size: int, options: Options) -> tuple[list[float], int, float]:
    """Seconds of each run, rows of the session, and the most memory that the process ever had."""
    calendar, seconds = exchange_calendar(), []
    symbols = SYMBOLS if not options.quick else 200
    with server() as running, running.database("portfolios") as database:
        before, day = fill_market(database, symbols=symbols, sessions=2)
        fill_books(database, symbol_names(symbols), portfolios=size, lots=LOTS, as_of=before)
        publish_symbol_products(database, calendar, sessions=[before, day], min_coverage=0.5, run_id="symbols")
        publish_portfolio_products(database, calendar, sessions=[before], run_id="before")
        for number in range(options.repeats):
            forget(database, day)
            began = time.perf_counter()
            outcome = publish_portfolio_products(database, calendar, sessions=[day], run_id=f"run {number}")
            seconds.append(time.perf_counter() - began)
            if outcome.changed != size:
                raise RuntimeError(f"{outcome.changed} of {size} snapshots were written: {outcome.verdicts}")
        with database.begin() as connection:
            rows = connection.execute(sa.text(ROWS), {"day": day}).scalar_one()
    return seconds, int(rows), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def forget(database: Database, day: date) -> None:
    """Take back the snapshots of the session."""
    with database.begin() as connection:
        for name in (*SNAPSHOTS, "snapshot_inputs"):
            connection.execute(sa.text(f"DELETE FROM {name} WHERE session = :day"), {"day": day})
        connection.execute(
            sa.text("DELETE FROM publications WHERE layer = 'portfolio' AND session = :day"), {"day": day}
        )
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # What a night finds: no dead rows of a run that never was.
        connection.execute(sa.text(f"VACUUM ANALYZE {', '.join(SNAPSHOTS)}"))
        connection.execute(sa.text("CHECKPOINT"))
