"""The watch over the pages sees what it is there for: each of these would fail a test that did not declare it."""

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.demo import Demo
from tests.browser.watch import Watch

pytestmark = pytest.mark.e2e


@pytest.fixture
def watched(browser: Browser, demo: Demo) -> tuple[Page, Watch]:
    context = browser.new_context(base_url=demo.api_url)
    watch = Watch(context, demo.api_url)
    return context.new_page(), watch


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("console.error('bad news')", "console error: bad news"),
        ("console.warn('odd news')", "console warning: odd news"),
        ("setTimeout(() => { throw new Error('thrown') })", "uncaught: thrown"),
        ("fetch('http://127.0.0.1:9/x').catch(() => 0)", "request to another host: http://127.0.0.1:9/x"),
        ("fetch('/api/v1/portfolios').catch(() => 0)", "401 from /api/v1/portfolios"),
    ],
)
def test_it_sees(watched: tuple[Page, Watch], script: str, problem: str) -> None:
    page, watch = watched
    page.goto("/health/live")
    page.evaluate(script)
    page.wait_for_timeout(100)
    assert any(problem in found for found in watch.problems()), watch.problems()
