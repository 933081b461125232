"""One demo and one browser for all tests; each test has pages of its own, which are watched."""

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.books import Books, open_books
from tests.browser.chromium import find_chromium, launch
from tests.browser.demo import Demo, running_demo
from tests.browser.looking import DESKTOP
from tests.browser.reading import sign_in, wait_drawn
from tests.browser.watch import Watch

# West of UTC a date that is read as an instant is shown as the day before.
TIME_ZONE = "America/Los_Angeles"
WAIT_MILLISECONDS = 20_000
SCREENSHOTS = "SIGMASIGHT_SCREENSHOTS"


# Seconds by what took them.
MEASURED: dict[str, float] = {}


class OpenPage(Protocol):
    """A page in a browser context of its own; ``settings`` are those of the context."""

    def __call__(self, size: tuple[int, int] = DESKTOP, /, **settings: Any) -> Page: ...


@pytest.fixture(scope="session", autouse=True)
def _end_in_good_order() -> Iterator[None]:
    """What ends the run has to end the services too, also where a shell has made it deaf to Ctrl-C."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The browser of all tests."""
    program = find_chromium()
    expect.set_options(timeout=WAIT_MILLISECONDS)
    with sync_playwright() as playwright:
        browser = launch(playwright, program)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def demo(open_directory: Path, browser: Browser) -> Iterator[Demo]:
    """The running demo; not started where there is no browser."""
    assert browser.is_connected()
    with running_demo(open_directory) as demo:
        MEASURED["start of the demo"] = demo.seconds
        yield demo


@pytest.fixture(scope="session", autouse=True)
def books(demo: Demo) -> Books:
    """Portfolios of other owners, opened before anything is looked at: their snapshots are made meanwhile."""
    return open_books(demo)


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """The directory for pictures of the pages."""
    chosen = os.environ.get(SCREENSHOTS)
    directory = Path(chosen) if chosen else Path(tempfile.mkdtemp(prefix="sigmasight-screenshots-"))
    directory.mkdir(parents=True, exist_ok=True)
    pytest.MonkeyPatch().setenv(SCREENSHOTS, str(directory))
    return directory


@pytest.fixture
def api(demo: Demo) -> Iterator[httpx.Client]:
    """The API with the token of the demo's owner."""
    with demo.client() as client:
        yield client


@pytest.fixture
def watches() -> dict[BrowserContext, Watch]:
    """Those of all browser contexts of this test."""
    return {}


@pytest.fixture
def open_page(browser: Browser, demo: Demo, watches: dict[BrowserContext, Watch]) -> Iterator[OpenPage]:
    """A function that opens pages; the test fails when one of them did what it should not."""

    def opened(size: tuple[int, int] = DESKTOP, /, **settings: Any) -> Page:
        context = _context(browser, demo, size, **settings)
        watches[context] = Watch(context, demo.api_url)
        return context.new_page()

    yield opened
    for context in watches:
        context.close()
    problems = [problem for watch in watches.values() for problem in watch.problems()]
    assert not problems, "\n".join(problems)


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """A page of a desktop in light colours."""
    return open_page()


@pytest.fixture(scope="session")
def demo_page(browser: Browser, demo: Demo) -> Iterator[tuple[Page, Watch]]:
    """One page for all tests that only look at the demo: loading the plotting library anew takes seconds."""
    context = _context(browser, demo, DESKTOP)
    watch = Watch(context, demo.api_url)
    page = context.new_page()
    sign_in(page, demo.token)
    wait_drawn(page)
    yield page, watch
    context.close()


@pytest.fixture
def owner(demo_page: tuple[Page, Watch]) -> Iterator[Page]:
    """The demo's owner, signed in at a desktop in light colours; the portfolio is that of the test before."""
    page, watch = demo_page
    page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
    page.emulate_media(color_scheme="light", reduced_motion="no-preference")
    yield page
    problems = watch.problems()
    watch.forget()
    assert not problems, "\n".join(problems)


def _context(browser: Browser, demo: Demo, size: tuple[int, int], **settings: Any) -> BrowserContext:
    """A browser context with nothing in it; ``settings`` are those of playwright."""
    width, height = size
    given = {"locale": "en-US", "timezone_id": TIME_ZONE, "base_url": demo.api_url, **settings}
    context = browser.new_context(viewport={"width": width, "height": height}, **given)
    context.set_default_timeout(WAIT_MILLISECONDS)
    return context


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell how long things took, and where the pictures are."""
    if MEASURED:
        terminalreporter.section("seconds, told and not judged")
        for name, seconds in MEASURED.items():
            terminalreporter.write_line(f"{name}: {seconds:.1f}")
    directory = os.environ.get(SCREENSHOTS)
    if directory and Path(directory).is_dir():
        terminalreporter.section("pictures of the pages")
        terminalreporter.write_line(directory)
