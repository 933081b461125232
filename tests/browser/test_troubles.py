"""When the API is slow, in trouble, away or refuses: what is shown says so, keeps what is right, and finds back."""

import json
from collections.abc import Iterator

import httpx
import psutil
import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.accessibility import violations
from tests.browser.answers import read
from tests.browser.conftest import OpenPage
from tests.browser.demo import Demo
from tests.browser.reading import sign_in, states, wait_drawn, wait_until
from tests.browser.watch import Watch

pytestmark = pytest.mark.e2e

PROBLEM = {
    "type": "about:blank",
    "title": "Internal Server Error",
    "status": 500,
    "detail": "Something went wrong here.",
}


@pytest.fixture
def paused(demo: Demo) -> Iterator[psutil.Process]:
    """The API's process, which goes on after the test in any case."""
    process = demo.process("api")
    yield process
    process.resume()


def _refuse(route: Route) -> None:
    route.fulfill(status=500, content_type="application/problem+json", body=json.dumps(PROBLEM))


def test_one_failing_answer_leaves_the_other_panels(
    open_page: OpenPage, demo: Demo, watches: dict[BrowserContext, Watch]
) -> None:
    page = open_page()
    page.route("**/stress-test*", _refuse)
    with demo.client() as api:
        path = f"/api/v1/analytics/portfolio/{read(api, 'portfolios')['items'][0]['portfolio_id']}/stress-test"
    watches[page.context].expect(500, path)
    sign_in(page, demo.token)
    wait_drawn(page)
    assert {panel: state for panel, state in states(page).items() if state != "drawn"} == {"stress": "error"}
    failure = page.locator("#stress").get_by_role("alert")
    expect(failure).to_contain_text("Something went wrong here.")
    assert violations(page) == []
    page.unroute("**/stress-test*")
    failure.get_by_role("button", name="Try again").click()
    wait_drawn(page)
    assert set(states(page).values()) == {"drawn"}


def test_what_is_slow_is_shown_as_loading(open_page: OpenPage, demo: Demo, paused: psutil.Process) -> None:
    page = open_page()
    sign_in(page, demo.token)
    wait_drawn(page)
    paused.suspend()
    page.get_by_label("Portfolio", exact=True).select_option(label="Margin")
    expect(page.get_by_role("heading", level=1)).to_have_text("Margin")
    assert set(states(page).values()) == {"loading"}
    assert page.locator("[data-state='loading'][aria-busy='true']").count() == len(states(page))
    expect(page.locator("#exposures .skeleton")).to_be_visible()
    assert violations(page) == []
    paused.resume()
    wait_drawn(page)
    assert set(states(page).values()) == {"drawn"}


def alerts(page: Page) -> list[str]:
    return page.get_by_role("alert").all_inner_texts()


# After all others, whose pages would miss it too.
@pytest.mark.turn(2)
def test_an_api_that_is_away_is_told_and_found_again(
    open_page: OpenPage, demo: Demo, watches: dict[BrowserContext, Watch]
) -> None:
    """Its process is killed; whoever watches over the services starts another."""
    page = open_page()
    watches[page.context].expect_lost()
    sign_in(page, demo.token)
    wait_drawn(page)
    before = demo.process("api")
    before.kill()
    page.get_by_label("Portfolio", exact=True).select_option(label="Private")
    alert = page.locator("#glance").get_by_role("alert")
    expect(alert).to_contain_text("cannot be reached")

    def is_back() -> bool:
        with demo.client() as api:
            try:
                return api.get("portfolios").status_code == 200 and demo.process("api").pid != before.pid
            except httpx.TransportError:
                return False

    wait_until(is_back, "the API to be started again")
    alert.get_by_role("button", name="Try again").click()
    wait_drawn(page)
    assert {panel: state for panel, state in states(page).items() if state != "drawn"} == {}, alerts(page)


def test_a_revoked_token_leads_back_to_signing_in(
    open_page: OpenPage, demo: Demo, watches: dict[BrowserContext, Watch]
) -> None:
    page = open_page()
    sign_in(page, demo.new_token("demo"))
    wait_drawn(page)
    demo.revoke_newest("demo")
    watches[page.context].expect_refused(401)
    page.get_by_label("Portfolio", exact=True).select_option(label="Margin")
    expect(page.get_by_label("API token")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("signed out: the token has expired or was revoked")
    assert "Margin" not in page.locator("main").inner_text()
