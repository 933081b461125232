"""120 sessions as one real Dagster run: all symbol products of 5,000 symbols, and snapshots of 1,000 portfolios."""

import statistics
from collections.abc import Callable, Sequence

import sqlalchemy as sa

from benchmarks.dagster_run import RunTimes, dagster
from benchmarks.harness import MIB, Options, Report
from benchmarks.nightly import FIGURES, forget
from benchmarks.world import fill_books, fill_market, server, symbol_names
from sigmasight_assets.operations.check_assets import CHECK_ASSETS
from sigmasight_assets.orchestration.assets.portfolio_products import CHECK_ASSETS as LEDGER_CHECKS
from sigmasight_assets.orchestration.jobs import PORTFOLIO_LAYER, SYMBOL_LAYER
from sigmasight_assets.orchestration.portfolio_slices import PRODUCTS
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS

SNAPSHOTS = ("portfolio_snapshots", "portfolio_lot_values", "portfolio_exposures")
LOTS = 15


def measure(options: Options) -> list[Report]:
    """A table of both backfills."""
    sessions, symbols, portfolios = (120, 5000, 1000) if not options.quick else (10, 200, 20)
    report = Report(
        f"backfill of {sessions} sessions as one Dagster run: {symbols:,} symbols; {portfolios:,} portfolios x {LOTS}",
        (
            "what",
            "launch to success s",
            "in the step s",
            "rows",
            "MiB on disk",
            "rows/s in the step",
            "peak memory MiB",
        ),
    )
    with server() as running, running.database("backfill") as database:
        days = fill_market(database, symbols=symbols, sessions=sessions)
        fill_books(database, symbol_names(symbols), portfolios=portfolios, lots=LOTS, as_of=days[0])
        with dagster(database, evening=days[-1], history_start=days[0]) as services:

            def run_symbols() -> RunTimes:
                return services.run(SYMBOL_LAYER, SYMBOL_PRODUCTS, checks=CHECK_ASSETS, first=days[0], last=days[-1])

            def run_portfolios() -> RunTimes:
                return services.run(PORTFOLIO_LAYER, PRODUCTS, checks=LEDGER_CHECKS, first=days[0], last=days[-1])

            runs = _repeated(run_symbols, lambda: forget(database), options)
            _report(report, database, "symbol products", runs, FIGURES)
            runs = _repeated(run_portfolios, lambda: forget_snapshots(database), options)
            _report(report, database, "snapshots", runs, SNAPSHOTS)
    return [report]


def forget_snapshots(database: Database) -> None:
    """Take back every publication of the portfolio layer."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text(f"TRUNCATE {', '.join(SNAPSHOTS)}, snapshot_inputs, option_expiries"))
        connection.execute(sa.text("DELETE FROM publications WHERE layer = 'portfolio'"))
        connection.execute(sa.text("UPDATE portfolios SET stale_from = NULL"))
        connection.execute(sa.text("VACUUM ANALYZE portfolios"))
        connection.execute(sa.text("CHECKPOINT"))


def _repeated(run: Callable[[], RunTimes], prepare: Callable[[], None], options: Options) -> list[RunTimes]:
    runs = []
    for _ in range(options.repeats):
        prepare()
        runs.append(run())
    return runs


def _report(report: Report, database: Database, name: str, runs: Sequence[RunTimes], tables: Sequence[str]) -> None:
    rows, size = stored(database, tables)
    steps = statistics.median(run.steps for run in runs)
    total, peak = (statistics.median(getattr(run, field) for run in runs) for field in ("total", "peak_mib"))
    report.add(name, total, steps, rows, size / MIB, rows / steps, peak)
    parts = runs[-1].counts.get("seconds", {})
    report.notes.append(f"{name}, last run: " + ", ".join(f"{part} {seconds:.2f} s" for part, seconds in parts.items()))


def stored(database: Database, tables: Sequence[str]) -> tuple[int, int]:
    """Rows and bytes of tables with their indexes."""
    # The tree of a table without partitions is the table itself.
    size = "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree(CAST(:name AS regclass))"
    with database.begin() as connection:
        rows = sum(connection.execute(sa.text(f"SELECT count(*) FROM {name}")).scalar_one() for name in tables)
        sizes = [connection.execute(sa.text(size), {"name": name}).scalar_one() for name in tables]
    return int(rows), int(sum(item or 0 for item in sizes))
