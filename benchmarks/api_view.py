"""The market view: seconds to read it, its memory, and how one symbol that was published alone comes into it."""

import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import psutil
import pyarrow as pa
import sqlalchemy as sa

from benchmarks.api_world import ApiWorld
from benchmarks.harness import Options, Report, say
from sigmasight_api.loader import ViewLoader
from sigmasight_assets.orchestration.symbol_invalidations import settle_invalidations
from sigmasight_assets.orchestration.symbol_outcome import SymbolPublication
from sigmasight_assets.orchestration.symbol_publication import publish_symbol_products
from sigmasight_assets.orchestration.symbol_slices import PublicationRun
from sigmasight_assets.quant.factors import FACTOR_ETFS
from sigmasight_assets.sessions import exchange_calendar
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.invalidations import MARK_SCHEMA, mark_invalid
from sigmasight_assets.storage.publications import lock_layer

MOVE_PRICES = sa.text(
    "UPDATE symbol_prices_daily SET adj_close_price = adj_close_price * :factor "
    "WHERE price_date = :day AND (CAST(:symbol AS text) IS NULL OR symbol = :symbol)"
)
MIN_COVERAGE = 0.5


def measure_view(world: ApiWorld, options: Options) -> Report:
    """A table with a line for each number."""
    say("api: the market view ...")
    report = Report("api: the market view", ("what", "target", "median", "minimum", "unit", "runs"))
    seconds, columns, grown = [], 0.0, []
    for _ in range(options.repeats):
        # A process of its own for each: what it takes includes its first connection, as at a start.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            took, columns, memory = pool.submit(_loaded, world.database.url).result()
        seconds.append(took)
        grown.append(memory)
    runs = options.repeats
    report.add("load of all symbols", "< 1.5", statistics.median(seconds), min(seconds), "s", runs)
    report.add("its columns", "<= 65", columns, columns, "MiB", 1)
    report.add("growth of the process by a load", "-", statistics.median(grown), min(grown), "MiB", runs)
    added = _added(world, options)
    report.add("one symbol that was published alone", "-", statistics.median(added), min(added), "s", len(added))
    return report


def _loaded(url: str) -> tuple[float, float, float]:
    """Seconds, MiB of the columns, MiB by which the process has grown."""
    process = psutil.Process()
    before, began = process.memory_info().rss, time.perf_counter()
    view = ViewLoader(Database(url)).load()
    return time.perf_counter() - began, view.nbytes / 2**20, (process.memory_info().rss - before) / 2**20


def _added(world: ApiWorld, options: Options) -> list[float]:
    """Seconds from a view to the next one, when a single symbol was published in between, as onboarding does."""
    loader, seconds = ViewLoader(world.database), []
    view = loader.load()
    row, symbol = next((row, name) for row, name in enumerate(view.symbols) if name not in FACTOR_ETFS)
    for number in range(options.repeats):
        publish_one(world, symbol, run_id=f"symbol {number}")
        began = time.perf_counter()
        newer = loader.load(previous=view)
        seconds.append(time.perf_counter() - began)
        if newer.generation <= view.generation or np.array_equal(newer.betas[row], view.betas[row]):
            raise RuntimeError("The new figures are not in the view")
        view = newer
    return seconds


def publish_one(world: ApiWorld, symbol: str, *, run_id: str) -> None:
    """Move the newest adjusted close of a symbol and publish it alone, by the steps that onboarding takes."""
    _move_prices(world, factor=1.01, symbol=symbol)
    mark = {"symbol": symbol, "first_session": world.day, "last_session": world.day, "has_new_returns": False}
    with world.database.bulk() as transaction:
        lock_layer(transaction, "prices")
        mark_invalid(transaction, pa.Table.from_pylist([mark], schema=MARK_SCHEMA), run_id=run_id)
    outcome = SymbolPublication()
    run = PublicationRun(world.database, exchange_calendar(), MIN_COVERAGE, run_id)
    settle_invalidations(run, outcome, only=frozenset([symbol]))
    if outcome.generation is None:
        raise RuntimeError(f"{symbol} was not published: {outcome.failures}")


def republish(world: ApiWorld, *, run_id: str, factor: float) -> None:
    """Move the newest adjusted close of every symbol and publish the session anew."""
    _move_prices(world, factor=factor, symbol=None)
    outcome = publish_symbol_products(
        world.database, exchange_calendar(), sessions=[world.day], min_coverage=MIN_COVERAGE, run_id=run_id
    )
    if outcome.published != [world.day] or outcome.generation is None:
        raise RuntimeError(f"Nothing was published: {outcome.failed}")


def _move_prices(world: ApiWorld, *, factor: float, symbol: str | None) -> None:
    with world.database.begin() as connection:
        connection.execute(MOVE_PRICES, {"factor": factor, "day": world.day, "symbol": symbol})
