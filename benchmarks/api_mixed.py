"""Everything at once: mixed analytics of all portfolios while the figures are published anew again and again.

wrk compares the generation in header and body of every answer; a client beside it checks a sample in depth: sums of
what positions and factors add, and that a portfolio has one answer per generation and another one in the next.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import Any

import httpx
import numpy as np

from benchmarks.api_view import republish
from benchmarks.api_world import ApiProcess, ApiWorld, api_process
from benchmarks.harness import Options, Report, say
from benchmarks.load import Load, load

CONNECTIONS = 16
ANALYTICS = (
    *("overview", "factor-exposures", "positions/factor-exposures", "stress-test", "volatility"),
    *("correlation-matrix", "sector-exposure", "concentration", "risk", "performance"),
)
SWAPS = 20
# Sums of numbers that were rounded to the cent: of eight factors and the floor.
CENTS = Decimal("0.05")
SAMPLE_SECONDS = 0.05
# The share of the time in which memories fill up; growth is looked for after it.
WARM_UP = 0.5


@dataclass
class Sample:
    """What the client beside wrk has found: answers checked, faults, and how many answers each portfolio had."""

    checked: int = 0
    faults: list[str] = field(default_factory=list)
    documents: dict[tuple[str, int], bytes] = field(default_factory=dict)

    def take(self, path: str, answer: httpx.Response) -> dict[str, Any]:
        """Check one answer by itself and against earlier ones of its generation."""
        document: dict[str, Any] = answer.json()
        generation = document["generation"]
        self.checked += 1
        if answer.headers["X-Data-Generation"] != str(generation):
            self.faults.append(f"{path}: two generations in one answer")
        known = self.documents.setdefault((path, generation), answer.content)
        if known != answer.content:
            self.faults.append(f"{path}: two answers of generation {generation}")
        return document

    @property
    def repeated(self) -> int:
        """Answers that were not different in the next generation."""
        by_path: dict[str, list[dict[str, Any]]] = {}
        for (path, _), content in sorted(self.documents.items(), key=lambda item: item[0]):
            by_path.setdefault(path, []).append(httpx.Response(200, content=content).json()["data"])
        return sum(before == after for each in by_path.values() for before, after in pairwise(each))


def measure_mixed(world: ApiWorld, options: Options) -> Report:
    """A table with a line for each thing that must hold."""
    seconds = 300 if not options.quick else 30
    say(f"api: {seconds} s of everything at once ...")
    random = np.random.default_rng(3)
    order = random.permutation(len(world.portfolios))
    paths = [path for place in order for path in world.paths(str(random.choice(ANALYTICS)), [world.portfolios[place]])]
    sample = Sample()
    memory: list[tuple[float, float]] = []
    swaps: list[int] = []
    with api_process(world) as api:
        api.wait_for("cache")
        with ExitStack() as beside:
            beside.enter_context(_repeated(lambda: _check(api, world, sample), every=SAMPLE_SECONDS))
            beside.enter_context(_repeated(lambda: memory.append((time.monotonic(), api.memory_mib)), every=1.0))
            beside.enter_context(_repeated(lambda: _swap(world, swaps), every=seconds / (SWAPS + 1), most=SWAPS))
            done = load(
                api.address,
                paths,
                token=world.token,
                connections=CONNECTIONS,
                seconds=seconds,
                checked=True,
            )
    return _report(done, sample, np.array(memory), len(swaps), portfolios=len(world.portfolios))


def _report(done: Load, sample: Sample, memory: Any, swaps: int, *, portfolios: int) -> Report:
    report = Report(
        f"api: mixed analytics of {portfolios:,} portfolios for {done.seconds:.0f} s, {CONNECTIONS} connections",
        ("what", "target", "found"),
    )
    began, ended = memory[0, 0], memory[-1, 0]
    later = memory[memory[:, 0] >= began + WARM_UP * (ended - began)]
    slope = float(np.polyfit(later[:, 0] - began, later[:, 1], 1)[0]) * 60
    report.add("requests", "-", done.requests)
    report.add("requests/s", "-", done.rate)
    report.add("p50 ms", "-", done.p50_ms)
    report.add("p99 ms", "-", done.p99_ms)
    report.add("refused or without an answer", 0, done.refused + done.broken)
    report.add("new generations meanwhile", SWAPS, swaps)
    report.add("generation of header and body differ", 0, done.mixed)
    report.add("answers checked in depth", "-", sample.checked)
    report.add("faults in them", 0, len(sample.faults))
    report.add("answers that a new generation left as they were", 0, sample.repeated)
    report.add("memory at the start MiB", "-", float(memory[0, 1]))
    report.add("memory at half time MiB", "-", float(later[0, 1]))
    report.add("memory at the end MiB", "-", float(memory[-1, 1]))
    report.add("growth in the second half MiB a minute", 0, slope)
    report.notes += sample.faults[:5]
    report.notes.append(f"analytics: {', '.join(ANALYTICS)}")
    return report


def _check(api: ApiProcess, world: ApiWorld, sample: Sample) -> None:
    """The parts of one portfolio's answers against their wholes."""
    portfolio = [world.portfolios[sample.checked // 3 % 20]]
    (stress,), (whole,), (parts,) = (
        world.paths(kind, portfolio) for kind in ("stress-test", "factor-exposures", "positions/factor-exposures")
    )
    stressed = sample.take(stress, api.get(stress, world.token))
    for scenario in stressed["data"]["scenarios"]:
        added = sum(
            (Decimal(effect["dollars"]) for effect in scenario["effects"]), Decimal(scenario["floored_dollars"])
        )
        if abs(added - Decimal(scenario["correlated"])) > CENTS:
            sample.faults.append(f"{stress}: the effects of {scenario['id']} do not sum up")
    total = sample.take(whole, api.get(whole, world.token))
    each = sample.take(parts, api.get(parts, world.token))
    # The two are of one generation unless a new one came between them.
    if total["generation"] == each["generation"]:
        sample.faults += [f"{parts}: {name} does not sum up" for name in unequal_sums(total["data"], each["data"])]


def unequal_sums(total: dict[str, Any], each: dict[str, Any]) -> list[str]:
    """The factors whose exposure is not the sum of what the positions add."""
    added: dict[str, list[float]] = {}
    for position in each["positions"]:
        for factor in position["factors"]:
            added.setdefault(factor["name"], []).append(factor["exposure"] or 0.0)
    return [
        factor["name"]
        for factor in total["factors"]
        if not np.isclose(factor["exposure"], sum(added[factor["name"]]), rtol=1e-9, atol=1e-9)
    ]


def _swap(world: ApiWorld, swaps: list[int]) -> None:
    republish(world, run_id=f"swap {len(swaps)}", factor=1.001)
    swaps.append(len(swaps))


@contextmanager
def _repeated(run: Callable[[], object], *, every: float, most: int | None = None) -> Iterator[None]:
    """Run something every so many seconds beside the block, first after that time; what it raises is raised at the end.

    With ``most`` it is run so many times at most.
    """
    ended, errors = threading.Event(), []

    def repeat() -> None:
        count = 0
        while not ended.wait(every) and (most is None or count < most):
            count += 1
            try:
                run()
            except Exception as error:  # noqa: BLE001 - raised below
                errors.append(error)
                return

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    if errors:
        raise errors[0]
