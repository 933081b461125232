"""Measure side by side: contenders run in turns, so that whatever else the machine does meets all of them alike.

Every subject is a module of this package with a function ``measure(options)`` that returns its tables.
"""

import gc
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).with_name("results.json")
PACKAGES = (
    *("dagster", "numpy", "scipy", "pandas", "pyarrow", "adbc-driver-postgresql", "psycopg2-binary", "sqlalchemy"),
    *("statsmodels", "scikit-learn", "polars", "polars-ols"),
)
MIB = 1024 * 1024


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    repeats: int = 5
    # Small sizes, to see that a benchmark runs at all; never for figures.
    quick: bool = False


@dataclass(frozen=True)
class Measurement:
    """Seconds of each run of one contender, in the order of the runs; ``scale`` is 1 unless only a share was run."""

    name: str
    seconds: tuple[float, ...]
    scale: float = 1.0

    @property
    def median(self) -> float:
        """Median in seconds, of the whole work."""
        return statistics.median(self.seconds) * self.scale

    @property
    def minimum(self) -> float:
        """Smallest in seconds, of the whole work."""
        return min(self.seconds) * self.scale


@dataclass(frozen=True)
class Contender:
    """Something to be timed: ``prepare`` runs before each timed call of ``run`` and is not counted.

    ``scale`` multiplies the time of a contender that runs a share of the work only, because all of it takes hours. What
    takes milliseconds is called ``calls`` times in a row, and the time divided: the first call after another contender
    pays for memory and caches that this one has left cold.
    """

    name: str
    run: Callable[[], object]
    prepare: Callable[[], object] = lambda: None
    scale: float = 1.0
    calls: int = 1


@dataclass
class Report:
    """A table of one subject: its rows go to the terminal and to the results."""

    title: str
    columns: Sequence[str]
    rows: list[list[Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, *values: Any) -> None:
        """A row, one value a column; floats are rounded when shown only."""
        if len(values) != len(self.columns):
            raise ValueError(f"{self.title}: {len(values)} values for {len(self.columns)} columns")
        self.rows.append(list(values))


def interleaved(contenders: Sequence[Contender], *, repeats: int) -> dict[str, Measurement]:
    """Time every contender ``repeats`` times, in turns, after one run of each that does not count."""
    for contender in contenders:
        contender.prepare()
        contender.run()
    seconds: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for _ in range(repeats):
        for contender in contenders:
            contender.prepare()
            gc.collect()
            began = time.perf_counter()
            for _ in range(contender.calls):
                contender.run()
            seconds[contender.name].append((time.perf_counter() - began) / contender.calls)
    return {item.name: Measurement(item.name, tuple(seconds[item.name]), item.scale) for item in contenders}


def compared(title: str, measured: Mapping[str, Measurement], *, reference: str, unit: str = "ms") -> Report:
    """A table of median, minimum, and how many times as long as the reference each took."""
    factor = {"s": 1.0, "ms": 1e3}[unit]
    report = Report(title, ("what", f"median {unit}", f"minimum {unit}", f"times {reference}", "runs"))
    base = measured[reference]
    for item in measured.values():
        ratio = item.median / base.median
        report.add(item.name, item.median * factor, item.minimum * factor, ratio, len(item.seconds))
        if item.scale != 1.0:
            report.notes.append(
                f"{item.name}: {1 / item.scale:.3g} of the work was run, its time multiplied by {item.scale:g}"
            )
    return report


def show(report: Report) -> None:
    """Print a table."""
    table = Table(*report.columns, title=report.title, title_justify="left")
    for row in report.rows:
        table.add_row(*map(_text, row))
    console = Console(width=160)
    console.print(table)
    for note in report.notes:
        console.print(f"  {note}")


def save(subject: str, reports: Sequence[Report], *, seconds: float, options: Options) -> None:
    """Put a subject's tables into ``results.json``; those of other subjects stay."""
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    known[subject] = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "repeats": options.repeats,
        "machine": machine(),
        "versions": versions(),
        "tables": [
            {"title": item.title, "columns": list(item.columns), "rows": item.rows, "notes": item.notes}
            for item in reports
        ],
    }
    RESULTS.write_text(json.dumps(known, indent=1, sort_keys=True, default=_number) + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    """Processor, cores, memory and system; nothing that names the machine."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / MIB / 1024, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "load_before": round(os.getloadavg()[0], 2),
        "blas_threads": os.environ.get("OPENBLAS_NUM_THREADS", "default"),
    }


def versions() -> dict[str, str]:
    """Of Python and of the packages that are compared."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def say(text: str) -> None:
    """A line about what is going on, beside the tables."""
    print(text, file=sys.stderr, flush=True)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _number(value: Any) -> Any:
    """Numpy scalars as what they hold."""
    return value.item()
