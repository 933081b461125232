"""Several processes of the API at one address: what each adds and costs, and how soon a publication is in all of them.

The figures of a model for more machines: processor time a request, memory of a process, memory of a view.
"""

import statistics
import time
from contextlib import ExitStack
from itertools import count
from typing import Any

import httpx
import psutil

from benchmarks.api_view import republish
from benchmarks.api_world import ApiProcess, ApiWorld, api_process, api_world
from benchmarks.harness import MIB, Options, Report, say
from benchmarks.load import Load, load, require_wrk
from sigmasight_api.loader import ViewLoader
from sigmasight_assets.storage.database import Database
from sigmasight_assets.storage.tokens import create_token

PROCESSES = (1, 2, 4)
# The kernel shares connections out by chance: with so many no process is left without.
CONNECTIONS = 64
PORTFOLIOS = 100
KIND = "factor-exposures"
STATUS = "/api/v1/admin/cache/status"
SPREAD_SECONDS = 30.0


def measure(options: Options) -> list[Report]:
    """All tables of the subject."""
    require_wrk()
    symbols, larger = (5_000, 10_000) if not options.quick else (300, 600)
    say(f"processes: {symbols:,} symbols ...")
    with api_world(symbols=symbols, portfolios=2 * PORTFOLIOS) as world:
        operator = _operator(world)
        columns = (
            "processes",
            *("requests/s", "p50 ms", "p99 ms", "CPU us a request"),
            *("RSS MiB each", "PSS MiB each", "PSS MiB of all", "s to the first", "s until all have it"),
        )
        report = Report(f"processes: remembered {KIND}, {CONNECTIONS} connections, {symbols:,} symbols", columns)
        runs = count()
        for processes in PROCESSES:
            with api_process(world, processes=processes) as api:
                report.add(
                    processes, *_measured(api, world, options, operator=operator, processes=processes, runs=runs)
                )
        report.notes.append(
            "PSS counts a page that several processes share in parts; RSS and PSS each are means of those that serve"
        )
        report.notes.append("a publication of all symbols, announced by NOTIFY; medians of all columns but memory")
        views = Report("processes: the market view", ("symbols", "columns MiB", "bytes a symbol"))
        _add_view(views, world.database, symbols)
    with api_world(symbols=larger, portfolios=1) as world:
        _add_view(views, world.database, larger)
    return [report, views]


def _operator(world: ApiWorld) -> str:
    with world.database.begin() as connection:
        return create_token(connection, "operator", is_admin=True)


def _measured(
    api: ApiProcess, world: ApiWorld, options: Options, *, operator: str, processes: int, runs: "count[int]"
) -> tuple[float, ...]:
    api.wait_for("cache")
    paths = world.paths(KIND, world.portfolios[:PORTFOLIOS])
    with ExitStack() as stack:
        clients = _clients(api, operator, processes, stack)
        for client in clients.values():
            for path in paths:
                client.get(path, headers=_bearer(world.token)).raise_for_status()
        found = [_loaded(api, paths, world, options) for _ in range(options.repeats)]
        spread = [_spread(clients, world, operator, next(runs)) for _ in range(options.repeats)]
        serving = [psutil.Process(pid).memory_full_info() for pid in clients]
        everything = [one.memory_full_info().pss for one in api.members]
    loads = [done for done, _ in found]
    return (
        statistics.median(done.rate for done in loads),
        statistics.median(done.p50_ms for done in loads),
        statistics.median(done.p99_ms for done in loads),
        statistics.median(cpu for _, cpu in found),
        statistics.mean(one.rss for one in serving) / MIB,
        statistics.mean(one.pss for one in serving) / MIB,
        sum(everything) / MIB,
        statistics.median(first for first, _ in spread),
        statistics.median(last for _, last in spread),
    )


def _clients(api: ApiProcess, operator: str, processes: int, stack: ExitStack) -> dict[int, httpx.Client]:
    """A connection to each process, by its id."""
    found: dict[int, httpx.Client] = {}
    while len(found) < processes:
        client = stack.enter_context(httpx.Client(base_url=api.address, timeout=30.0, trust_env=False))
        found[_state(client, operator)["process_id"]] = client
    return found


def _state(client: httpx.Client, operator: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(STATUS, headers=_bearer(operator)).raise_for_status().json()
    return found


def _loaded(api: ApiProcess, paths: list[str], world: ApiWorld, options: Options) -> tuple[Load, float]:
    """A load of which every request was answered, and the processor time a request in microseconds."""
    before = api.cpu_seconds
    seconds = 1 if options.quick else 4
    done = load(api.address, paths, token=world.token, connections=CONNECTIONS, seconds=seconds)
    if not done.is_clean:
        raise RuntimeError(f"Not every answer was right: {done}")
    return done, (api.cpu_seconds - before) / done.requests * 1e6


def _spread(clients: dict[int, httpx.Client], world: ApiWorld, operator: str, number: int) -> tuple[float, float]:
    """Seconds from a publication until the first process has it, and until all have."""
    republish(world, run_id=f"spread {number}", factor=1.001)
    began = time.perf_counter()
    newest = ViewLoader(world.database).newest_generation()
    seconds: dict[int, float] = {}
    while len(seconds) < len(clients):
        for pid, client in clients.items():
            if pid not in seconds and _state(client, operator)["generation"] >= newest:
                seconds[pid] = time.perf_counter() - began
        if time.perf_counter() - began > SPREAD_SECONDS:
            raise RuntimeError(f"{len(clients) - len(seconds)} processes lack generation {newest}")
        time.sleep(0.005)
    return min(seconds.values()), max(seconds.values())


def _add_view(report: Report, database: Database, symbols: int) -> None:
    size = ViewLoader(database).load().nbytes
    report.add(symbols, size / MIB, size / symbols)


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
