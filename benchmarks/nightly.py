"""One session of the symbol layer as a real Dagster run, from stored prices to publication, and where its time goes.

The prices of the session and of the year before it are stored; the run computes, checks and publishes the six products.
Every timed run follows one that has forgotten what it published, so all of it is computed and written.
"""

import statistics
from collections.abc import Sequence

import sqlalchemy as sa

from benchmarks.dagster_run import Dagster, RunTimes, dagster
from benchmarks.harness import Options, Report
from benchmarks.world import fill_market, server, sessions_before
from sigmasight_assets.operations.check_assets import CHECK_ASSETS
from sigmasight_assets.orchestration.jobs import SYMBOL_LAYER
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.figures import PRODUCT_TABLES
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS

FIGURES = (*(item.table.name for item in PRODUCT_TABLES.values()), "factor_covariances", "symbol_exclusions")
STAGES = ("launch to worker", "worker to first step", "steps", "steps to success")
PARTS = ("waiting", "reading", "computing", "checking", "writing", "committing")


def measure(options: Options) -> list[Report]:
    """A table of stages and parts for 5,000 and 10,000 symbols."""
    sizes = (5000, 10_000) if not options.quick else (200,)
    report = Report(
        "nightly: one session as a Dagster run, seconds", ("what", *(f"{size:,} symbols" for size in sizes))
    )
    columns = [_medians(_runs(size, options)) for size in sizes]
    for name in columns[0]:
        report.add(name, *(column[name] for column in columns))
    return [report]


def forget(database: Database) -> None:
    """Take back every publication of the symbol layer."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text(f"TRUNCATE {', '.join(FIGURES)}, publications"))
        connection.execute(sa.text("CHECKPOINT"))


def _runs(symbols: int, options: Options) -> list[RunTimes]:
    with server() as running, running.database("nightly") as database:
        (day,) = fill_market(database, symbols=symbols, sessions=1)
        with dagster(database, evening=day, history_start=sessions_before(day, 2)[0]) as services:
            return [_run(services, database) for _ in range(options.repeats + 1)][1:]


def _run(services: Dagster, database: Database) -> RunTimes:
    forget(database)
    (day,) = sessions_before(services.evening, 1)
    return services.run(SYMBOL_LAYER, SYMBOL_PRODUCTS, checks=CHECK_ASSETS, first=day, last=day)


def _medians(runs: Sequence[RunTimes]) -> dict[str, float]:
    """Medians of the whole, of Dagster's stages and of the parts of the step."""
    stages = [(run.worker, run.before, run.steps, run.after) for run in runs]
    found = {"launch to success": statistics.median(run.total for run in runs)}
    found |= {name: statistics.median(times[number] for times in stages) for number, name in enumerate(STAGES)}
    found |= {
        f"  {part}": statistics.median(run.counts.get("seconds", {}).get(part, 0.0) for run in runs) for part in PARTS
    }
    found["outside of the step"] = statistics.median(run.total - run.steps for run in runs)
    found["peak memory, MiB"] = statistics.median(run.peak_mib for run in runs)
    return found
