"""The API over HTTP: one process as ``make run`` starts it, asked by wrk on the same machine.

Answers that are remembered, answers that are computed, answers while there is no market view, the view itself, and
five minutes of everything at once; what an answer costs in process is in ``api_compute``.
"""

import statistics
import time
from collections.abc import Sequence

import httpx
import sqlalchemy as sa

from benchmarks.api_compute import measure_compute
from benchmarks.api_mixed import measure_mixed
from benchmarks.api_view import measure_view
from benchmarks.api_world import ApiProcess, ApiWorld, api_process, api_world
from benchmarks.harness import Options, Report, say
from benchmarks.load import Load, load, require_wrk

CONNECTIONS = 16
# Portfolios that take turns where everything is remembered.
WARM = 100
FACTOR_EXPOSURES = "factor-exposures"
# The analytics that have a target, and whether their answers are shared with other processes.
KINDS = {FACTOR_EXPOSURES: False, "stress-test": False, "volatility": True, "correlation-matrix": True}
WARM_TARGETS = {FACTOR_EXPOSURES: "p50 < 3, p99 < 15 ms"} | dict.fromkeys(list(KINDS)[1:], "p50 < 5 ms")
COLD_TARGETS = {FACTOR_EXPOSURES: "-"} | dict.fromkeys(list(KINDS)[1:], "p50 < 25 ms")
FALLBACK_TARGET = "p50 < 60 ms"
EMPTY, EMPTY_MODEL = "empty route", "empty route with a response model"
EMPTY_APPLICATION = "benchmarks.api_applications:empty"
WITHOUT_VIEW = "benchmarks.api_applications:without_view"


def measure(options: Options) -> list[Report]:
    """All tables of the subject."""
    require_wrk()
    symbols, portfolios = (5000, 10_000) if not options.quick else (300, 600)
    say(f"api: {symbols:,} symbols, {portfolios:,} portfolios ...")
    with api_world(symbols=symbols, portfolios=portfolios) as world:
        reports = [*measure_compute(world, options), measure_view(world, options)]
        warm, *parts = _parts(world.portfolios, 2 * len(KINDS) + sum(KINDS.values()))
        cold, fallback = (dict(zip(KINDS, parts[first:], strict=False)) for first in (0, len(KINDS)))
        shared = dict(zip([kind for kind in KINDS if KINDS[kind]], parts[2 * len(KINDS) :], strict=True))
        with api_process(world) as api:
            api.wait_for("cache")
            with api_process(world, EMPTY_APPLICATION) as empty:
                reports.append(_warm(api, empty, world, warm, options))
            reports.append(_cold(api, world, cold, options))
            _share(api, world, shared)
        with api_process(world, WITHOUT_VIEW) as api:
            api.wait_for("db_fallback")
            reports.append(_fallback(api, world, fallback, shared, options))
        reports.append(measure_mixed(world, options))
    return reports


def _parts(portfolios: Sequence[str], count: int) -> list[Sequence[str]]:
    """Some portfolios to be asked again and again, and ``count`` parts of the others, to be asked once."""
    others = portfolios[WARM:]
    size = len(others) // count
    return [portfolios[:WARM], *(others[number * size : (number + 1) * size] for number in range(count))]


def _warm(api: ApiProcess, empty: ApiProcess, world: ApiWorld, portfolios: Sequence[str], options: Options) -> Report:
    """Every answer is remembered: what is left is HTTP, the caller's token, and whose portfolio it is."""
    say("api: remembered answers ...")
    report = Report(
        f"api: remembered answers, {WARM} portfolios in turn, {CONNECTIONS} connections",
        ("answer", "target", "p50 ms", "p99 ms", "requests/s", f"share of {EMPTY}", "CPU us a request", "bytes"),
    )
    asked = {EMPTY: (empty, ["/empty"]), EMPTY_MODEL: (empty, ["/empty-model"])}
    asked |= {kind: (api, world.paths(kind, portfolios)) for kind in KINDS}
    document = api.get(asked[FACTOR_EXPOSURES][1][0], world.token).content
    httpx.put(f"{empty.address}/empty", content=document, trust_env=False).raise_for_status()
    sizes = {
        name: statistics.mean(len(process.get(path, world.token).content) for path in paths)
        for name, (process, paths) in asked.items()
    }
    found: dict[str, list[tuple[Load, float]]] = {name: [] for name in asked}
    for _ in range(options.repeats):
        for name, (process, paths) in asked.items():
            before = process.cpu_seconds
            done = _asked(process, world, paths, connections=CONNECTIONS, seconds=_seconds(options))
            found[name].append((done, (process.cpu_seconds - before) / done.requests * 1e6))
    for name, runs in found.items():
        shares = [done.rate / bare.rate for (done, _), (bare, _) in zip(runs, found[EMPTY], strict=True)]
        report.add(
            name,
            WARM_TARGETS.get(name, "-"),
            statistics.median(done.p50_ms for done, _ in runs),
            statistics.median(done.p99_ms for done, _ in runs),
            statistics.median(done.rate for done, _ in runs),
            statistics.median(shares),
            statistics.median(cpu for _, cpu in runs),
            sizes[name],
        )
    report.notes.append(
        f"medians of {options.repeats} runs of {_seconds(options)} s, in turns; wrk takes part of a core"
    )
    report.notes.append(
        "the empty routes are an application of their own, and send the document of a portfolio's factor exposures; "
        f"those of {FACTOR_EXPOSURES} are to have half their requests a second"
    )
    return report


def _cold(api: ApiProcess, world: ApiWorld, parts: dict[str, Sequence[str]], options: Options) -> Report:
    """Every request is the first of its portfolio: its lots are read, and the answer is computed."""
    say("api: computed answers ...")
    report = Report(
        "api: first answer of a portfolio, another one each time, 1 connection",
        ("answer", "target", "p50 ms", "p99 ms", "requests"),
    )
    for kind, part in parts.items():
        done = _asked(api, world, world.paths(kind, part), seconds=_seconds(options), once=True)
        report.add(kind, COLD_TARGETS[kind], done.p50_ms, done.p99_ms, done.requests)
    return report


def _share(api: ApiProcess, world: ApiWorld, parts: dict[str, Sequence[str]]) -> None:
    """Have answers computed that another process will look for, and wait until they are in the database."""
    for kind, part in parts.items():
        for path in world.paths(kind, part):
            api.get(path, world.token)
    query = sa.text(
        "SELECT count(*) FROM portfolio_analytics_cache JOIN portfolios USING (portfolio_id) "
        "WHERE public_id = ANY(CAST(:wanted AS uuid[]))"
    )
    deadline = time.monotonic() + 60
    wanted = [portfolio for part in parts.values() for portfolio in part]
    while time.monotonic() < deadline:
        with world.database.begin() as connection:
            if connection.execute(query, {"wanted": wanted}).scalar_one() == len(wanted):
                return
        time.sleep(0.2)
    raise RuntimeError("Not every answer was shared within a minute")


def _fallback(
    api: ApiProcess,
    world: ApiWorld,
    parts: dict[str, Sequence[str]],
    shared: dict[str, Sequence[str]],
    options: Options,
) -> Report:
    """A process that has no market view asks the database, for figures or for what another process has computed."""
    say("api: answers without a market view ...")
    began = time.perf_counter()
    api.get(world.paths(FACTOR_EXPOSURES, world.portfolios)[0], world.token)
    first = (time.perf_counter() - began) * 1e3
    report = Report(
        "api: while no market view is loaded, another portfolio each time, 1 connection",
        ("answer", "target", "p50 ms", "p99 ms", "requests"),
    )
    for title, of_kind in (("", parts), (", shared by another process", shared)):
        for kind, part in of_kind.items():
            done = _asked(api, world, world.paths(kind, part), seconds=_seconds(options), once=True)
            report.add(kind + title, FALLBACK_TARGET, done.p50_ms, done.p99_ms, done.requests)
    report.notes.append(f"the very first answer of the process took {first:.0f} ms and is not counted")
    return report


def _asked(
    api: ApiProcess,
    world: ApiWorld,
    paths: Sequence[str],
    *,
    seconds: int,
    connections: int = 1,
    once: bool = False,
) -> Load:
    """A load of which every request was answered."""
    done = load(api.address, paths, token=world.token, connections=connections, seconds=seconds, once=once)
    if not done.is_clean:
        raise RuntimeError(f"Not every answer was right: {done}")
    return done


def _seconds(options: Options) -> int:
    return 1 if options.quick else 4
