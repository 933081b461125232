"""Whether the cost of a symbol and of a session stays the same as there are more of them.

The symbol layer from stored prices to publication, without an orchestrator around it, each size in a process of its
own. What every publication costs however small it is (connections, locks, the ledger) is seen in the smallest sizes.
Portfolios are in ``portfolios``.
"""

import resource
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from benchmarks.harness import Options, Report, say
from benchmarks.nightly import forget
from benchmarks.world import fill_market, server
from sigmasight_assets.orchestration.symbol_publication import publish_symbol_products
from sigmasight_assets.sessions import exchange_calendar

SYMBOLS = (500, 1000, 2000, 5000, 10_000)
SESSIONS = (1, 20, 60, 120)


def measure(options: Options) -> list[Report]:
    """A table by symbols of one session, and one by sessions of 1,000 symbols."""
    columns = ("symbols", "sessions", "median s", "us a symbol and session", "peak memory MiB", "runs")
    by_symbols = Report("growth: one session of ever more symbols", columns)
    by_sessions = Report("growth: ever more sessions of 1,000 symbols", columns)
    sizes = ((by_symbols, [(size, 1) for size in SYMBOLS]), (by_sessions, [(1000, count) for count in SESSIONS]))
    if options.quick:
        sizes = ((by_symbols, [(100, 1)]), (by_sessions, [(100, 5)]))
    for report, pairs in sizes:
        for symbols, sessions in pairs:
            say(f"growth: {symbols:,} symbols x {sessions} sessions ...")
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                seconds, peak = pool.submit(_run, symbols, sessions, options).result()
            median = statistics.median(seconds)
            report.add(symbols, sessions, median, median / symbols / sessions * 1e6, peak, len(seconds))
    return [by_symbols, by_sessions]


def _run(symbols: int, sessions: int, options: Options) -> tuple[list[float], float]:
    """Seconds of each run, and the most memory in MiB that the process ever had."""
    calendar, seconds = exchange_calendar(), []
    with server() as running, running.database("growth") as database:
        days = fill_market(database, symbols=symbols, sessions=sessions)
        for number in range(options.repeats + 1):
            forget(database)
            began = time.perf_counter()
            outcome = publish_symbol_products(
                database, calendar, sessions=days, min_coverage=0.5, run_id=f"run {number}"
            )
            seconds.append(time.perf_counter() - began)
            if outcome.published != days:
                raise RuntimeError(f"not published: {outcome.failed[:3]}")
    # The first run opens connections and reads the driver's types.
    return seconds[1:], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
