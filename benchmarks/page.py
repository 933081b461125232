"""The owner's page in a real browser on loopback: until it paints, until the equity is shown, until all is drawn.

The demo is that of the tests in ``tests/browser``, with all its services running; so are the portfolios.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser, sync_playwright

from benchmarks.harness import Options, Report
from tests.browser.answers import read_answers
from tests.browser.books import LARGE_NAME, open_books
from tests.browser.chromium import PROGRAMS, installed_chromium, launch
from tests.browser.demo import Demo, running_demo
from tests.browser.reading import wait_until

REPEATS = 7
# A page that is as good as at once: issue 8 asks for a first useful paint within it.
GOAL_SECONDS = 1.0
# Notes when the equity and when everything is there, from the start of the navigation on, at the next painted frame.
CLOCK = """
sessionStorage.setItem('sigmasight.token', TOKEN);
window.clock = {longest: 0};
new PerformanceObserver((list) => list.getEntries().forEach((task) => {
  window.clock.longest = Math.max(window.clock.longest, task.duration);
})).observe({type: 'longtask', buffered: true});
const look = () => {
  const isSaid = document.querySelector('[data-tile="equity"] .value');
  if (!window.clock.equity && isSaid) window.clock.equity = performance.now();
  if (document.querySelector('main')?.dataset.generation) window.clock.drawn = performance.now();
  else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
TIMES = """
() => ({...window.clock, paint: performance.getEntriesByName('first-contentful-paint')[0].startTime})
"""
COLUMNS = ("page", "first paint ms", "equity shown ms", "all drawn ms", "longest task ms", "equity of the goal", "runs")


@dataclass(frozen=True)
class Visit:
    """How long one visit took, in milliseconds from its beginning; ``longest`` is the longest task of the page."""

    paint: float
    equity: float
    drawn: float
    longest: float


@dataclass(frozen=True)
class Case:
    """Who visits, and whether the browser has been there before."""

    name: str
    token: str
    is_known: bool


def measure(options: Options) -> list[Report]:
    """The page with the 20 positions of the demo's first portfolio and with 500, new to the browser and known to it."""
    program = installed_chromium()
    if program is None:
        raise SystemExit(f"The page is measured in Chromium, and none of {', '.join(PROGRAMS)} is on PATH")
    repeats = 1 if options.quick else max(REPEATS, options.repeats)
    with _demo() as demo, sync_playwright() as playwright:
        books = open_books(demo)
        with demo.client(books.large) as api:
            wait_until(lambda: read_answers(api, LARGE_NAME).portfolio["stale_from"] is None, "the snapshots")
        browser = launch(playwright, program)
        cases = [
            Case(f"{positions} positions, {'known' if is_known else 'new'} to the browser", token, is_known)
            for positions, token in ((20, demo.token), (500, books.large))
            for is_known in (False, True)
        ]
        # In turns, each once before it counts.
        visits: dict[str, list[Visit]] = {case.name: [] for case in cases}
        for turn in range(repeats + 1):
            for case in cases:
                visit = _visit(browser, demo, case)
                if turn:
                    visits[case.name].append(visit)
        browser.close()
    report = Report("The owner's page in Chromium on loopback", COLUMNS)
    for name, measured in visits.items():
        report.add(name, *_row(measured), len(measured))
    report.notes.append(f"medians; the goal is the equity within {GOAL_SECONDS:g} s of the beginning of the visit")
    return [report]


def _row(visits: list[Visit]) -> list[float]:
    paint, equity, drawn, longest = (
        median(getattr(visit, name) for visit in visits) for name in ("paint", "equity", "drawn", "longest")
    )
    return [paint, equity, drawn, longest, equity / 1000 / GOAL_SECONDS]


def _visit(browser: Browser, demo: Demo, case: Case) -> Visit:
    context = browser.new_context(base_url=demo.api_url, viewport={"width": 1440, "height": 900})
    context.add_init_script(CLOCK.replace("TOKEN", json.dumps(case.token)))
    page = context.new_page()
    for _ in range(2 if case.is_known else 1):
        page.goto("/")
        wait_until(lambda: bool(page.evaluate("window.clock.drawn")), "everything to be drawn")
    found = page.evaluate(TIMES)
    context.close()
    return Visit(**found)


@contextmanager
def _demo() -> Iterator[Demo]:
    """In a directory through which the database's user may pass."""
    with tempfile.TemporaryDirectory(prefix="sigmasight-page-") as name:
        directory = Path(name)
        directory.chmod(0o711)
        with running_demo(directory) as demo:
            yield demo
