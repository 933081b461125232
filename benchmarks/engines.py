"""The same runs by processes of one machine's code server, and by two and four workers of Celery on the same machine.

A night is one run, so workers cannot make it faster: what it shows is what handing it over costs. A backfill is one
run that reads its window once, or several runs of its ranges, which can be done at once and each read a window of their
own. Lanes allow two runs of a backfill at a time; for four workers the limit is raised to four, for which there is a
row with processes too. Every engine has to leave the same tables, to the byte.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.dagster_run import Dagster, dagster
from benchmarks.harness import Options, Report, say
from benchmarks.nightly import FIGURES, forget
from benchmarks.world import digest_of_rows, fill_market, server, sessions_before
from sigmasight_assets.operations.check_assets import CHECK_ASSETS
from sigmasight_assets.orchestration.jobs import SYMBOL_LAYER
from sigmasight_assets.services.stack import CHECKOUT
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.publications import SYMBOL_PRODUCTS
from tests.celery.broker import SHIPPED, broker
from tests.celery.workers import Worker, running_workers, worker_settings

LANE_LIMIT = "limit: 2"
Digests = Mapping[str, str]
Range = tuple[date, date]


@dataclass(frozen=True)
class Engine:
    """So many workers, none for processes of the code server, and how many runs of a lane at once."""

    name: str
    workers: int
    at_once: int


ENGINES = (
    Engine("processes, two at once", 0, 2),
    Engine("two workers", 2, 2),
    Engine("processes, four at once", 0, 4),
    Engine("four workers", 4, 4),
)


def measure(options: Options) -> list[Report]:
    """A table of nights and backfills."""
    symbols, sessions, ranges = (200, 8, 4) if options.quick else (2000, 120, 8)
    repeats = 1 if options.quick else options.repeats
    report = Report(
        f"engines: {symbols:,} symbols; a night, and {sessions} sessions as one run and as {ranges} ranges; seconds",
        ("work", "engine", "median s", "minimum s", "times as fast as the first", "runs"),
    )
    with server() as running, running.database("engines") as database:
        days = fill_market(database, symbols=symbols, sessions=sessions)
        found: dict[str, dict[str, list[float]]] = {"night": {}, "backfill, one run": {}, "backfill, ranges": {}}
        expected: dict[str, Digests] = {}
        for engine in ENGINES:
            say(f"  {engine.name}")
            with _running(engine, database, days) as services:
                for work, chosen in _work(days, ranges).items():
                    if work == "backfill, one run" and engine is not ENGINES[0]:
                        continue
                    # The first one warms up: workers import, and the database reads its files.
                    times = [_timed(services, database, chosen) for _ in range(repeats + 1)][1:]
                    say(f"    {work}: {', '.join(f'{seconds:.1f} s' for seconds in times)}")
                    found[work][engine.name] = times
                    digests = _digests(database)
                    _compare(engine.name, digests, expected.setdefault(work.split(",")[0], digests))
    base = {"night": found["night"], "backfill, one run": found["backfill, one run"]}
    base["backfill, ranges"] = base["backfill, one run"]
    for work, engines in found.items():
        reference = statistics.median(next(iter(base[work].values())))
        for name, times in engines.items():
            report.add(
                work, name, statistics.median(times), min(times), reference / statistics.median(times), len(times)
            )
    report.notes.append("backfills as ranges are compared in time with the backfill as one run")
    report.notes.append("the same tables by every engine, to the byte but for generations; ranges as the one run")
    return [report]


def _work(days: Sequence[date], count: int) -> dict[str, list[Range]]:
    """The sessions of each run, by kind of work."""
    size = len(days) // count
    ranges = [(days[begin], days[begin + size - 1]) for begin in range(0, size * count, size)]
    return {
        "night": [(days[-1], days[-1])],
        "backfill, one run": [(days[0], ranges[-1][1])],
        "backfill, ranges": ranges,
    }


@contextmanager
def _running(engine: Engine, database: Database, days: Sequence[date]) -> Iterator[Dagster]:
    """The services, with workers if the engine has them."""
    start = sessions_before(days[0], 2)[0]
    with tempfile.TemporaryDirectory(prefix="sigmasight-bench-") as name:
        directory = Path(name)
        source = SHIPPED / "dagster.yaml" if engine.workers else CHECKOUT / "dagster.yaml"
        instance = directory / "instance.yaml"
        text = source.read_text(encoding="utf-8")
        if text.count(LANE_LIMIT) != 1:
            raise RuntimeError(f"{source} has no {LANE_LIMIT!r} to change")
        instance.write_text(text.replace(LANE_LIMIT, f"limit: {engine.at_once}"), encoding="utf-8")
        settings: dict[str, Any] = {"dagster_config": instance}
        if not engine.workers:
            with dagster(database, evening=days[-1], history_start=start, settings=settings) as services:
                yield services
            return
        with broker(directory / "redis") as redis:
            settings["broker_url"] = redis.url
            with dagster(database, evening=days[-1], history_start=start, settings=settings) as services:
                own = worker_settings(
                    database.url,
                    redis.url,
                    dagster_config=str(instance),
                    history_start=str(start),
                    now=f"{days[-1]}T22:00:00-04:00",
                    min_coverage="0.5",
                )
                names = [f"w{number}" for number in range(engine.workers)]
                with running_workers([Worker(name, directory / name, own, directory) for name in names]):
                    yield services


def _timed(services: Dagster, database: Database, ranges: Sequence[Range]) -> float:
    """Seconds from the first launch to the end of the last run."""
    forget(database)
    began = time.time()
    launched = [
        services.launch(SYMBOL_LAYER, SYMBOL_PRODUCTS, checks=CHECK_ASSETS, first=first, last=last)
        for first, last in ranges
    ]
    return services.last_end(launched) - began


def _digests(database: Database) -> Digests:
    """Of each table of figures the digest of all rows."""
    with database.begin() as connection:
        return {name: digest_of_rows(connection, name) for name in FIGURES}


def _compare(engine: str, found: Digests, expected: Digests) -> None:
    apart = [name for name, digest in expected.items() if found[name] != digest]
    if apart:
        raise RuntimeError(f"{engine}: other figures in {', '.join(apart)}")
