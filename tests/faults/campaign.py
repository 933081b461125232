"""The campaign's plugin of pytest: counts by row what was tried and survived, and keeps the counts.

A test says which rows it holds by the mark ``fault``; most stand beside the code that they test. What a test tries more
than once, how long recovery took and how many answers were read, it tells by the fixture ``tally``. The same seed tries
the same faults.
"""

import json
import random
import time
from collections.abc import Generator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

MARKS = (
    "fault(row, ...): the rows of the list of faults that a test holds; `make faults` runs all of them",
    "campaign: of these, what takes too long for `make test`",
)
TALLY = pytest.StashKey["Tally"]()
FAILED = pytest.StashKey[bool]()
SKIPPED = pytest.StashKey[bool]()


@dataclass
class Tally:
    """What one test tried; without a word from it one fault, survived if the test passes.

    ``rows_lost`` are rows of the undisturbed run that are missing, ``answers`` what readers were told meanwhile,
    ``wrong_answers`` those of no published generation or of two. ``recoveries`` are seconds from the end of a fault, or
    from the restart after it, until all was as it should be.
    """

    tried: int = 0
    survived: int = 0
    rows_lost: int = 0
    answers: int = 0
    wrong_answers: int = 0
    recoveries: list[float] = field(default_factory=list)

    def survive(self, times: int = 1, *, recovery: float | None = None) -> None:
        """Count faults that were tried and survived."""
        self.tried += times
        self.survived += times
        if recovery is not None:
            self.recoveries.append(recovery)


class Campaign:
    """Gathers the tallies of the tests that hold a row, and writes them at the end."""

    def __init__(self, path: Path, *, seed: int) -> None:
        self._path = path
        self._seed = seed
        self._began = time.monotonic()
        self._rows: dict[int, list[dict[str, Any]]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Take a test's tally after its teardown; whatever has failed by then was not survived."""
        report: pytest.TestReport = yield
        item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
        item.stash[SKIPPED] = item.stash.get(SKIPPED, False) or report.skipped
        if call.when == "teardown":
            self._count(item, is_passed=not item.stash[FAILED], is_skipped=item.stash[SKIPPED])
        return report

    def _count(self, item: pytest.Item, *, is_passed: bool, is_skipped: bool) -> None:
        told = Tally() if is_skipped else item.stash.get(TALLY, Tally())
        if not told.tried and not is_skipped:
            told.tried, told.survived = 1, int(is_passed)
        if not is_passed and told.survived == told.tried:
            # It failed in what it looks at last, and that is about all of them.
            told.survived = 0
        for row in rows_of(item):
            self._rows.setdefault(row, []).append({"test": item.nodeid, "is_skipped": is_skipped, **asdict(told)})

    def pytest_sessionfinish(self) -> None:
        """Keep the counts."""
        rows = {str(row): tests for row, tests in sorted(self._rows.items())}
        content = {"seed": self._seed, "seconds": round(time.monotonic() - self._began), "rows": rows}
        self._path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def rows_of(item: pytest.Item) -> list[int]:
    """The rows that a test holds."""
    return sorted({int(row) for mark in item.iter_markers("fault") for row in mark.args})


def pytest_addoption(parser: pytest.Parser) -> None:
    """The seed, and where the counts go."""
    group = parser.getgroup("faults")
    group.addoption("--fault-seed", type=int, default=1, help="the same seed tries the same faults (default 1)")
    group.addoption("--fault-results", type=Path, default=None, help="write what was tried and survived to this file")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marks known, and count only when asked to."""
    for mark in MARKS:
        config.addinivalue_line("markers", mark)
    path = config.getoption("--fault-results")
    if path is not None:
        config.pluginmanager.register(Campaign(path.resolve(), seed=config.getoption("--fault-seed")), "campaign")


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    """What this test tries, to be counted by it."""
    request.node.stash[TALLY] = told = Tally()
    return told


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Random numbers of this test: of the campaign's seed and the test's name."""
    return random.Random(f"{request.config.getoption('--fault-seed')} {request.node.nodeid}")
