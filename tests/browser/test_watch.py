"""The watch over the pages sees what it is there for, and pages cannot ask other hosts even if they tried."""

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.demo import Demo
from tests.browser.reading import wait_until
from tests.browser.watch import Watch

pytestmark = pytest.mark.e2e


@pytest.fixture
def watched(browser: Browser, demo: Demo) -> tuple[Page, Watch]:
    context = browser.new_context(base_url=demo.api_url)
    watch = Watch(context, demo.api_url)
    return context.new_page(), watch


@pytest.mark.parametrize("address", ["/", "/ops", "/docs"])
def test_pages_may_not_ask_another_host(watched: tuple[Page, Watch], address: str) -> None:
    page, watch = watched
    answer = page.goto(address)
    assert answer is not None
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert watch.problems() == []
    page.evaluate("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/x.png'}))")
    wait_until(lambda: bool(page.evaluate("1")) and len(watch.problems()) > 0, "the refusal")
    assert "Content Security Policy" in watch.problems()[0]


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
