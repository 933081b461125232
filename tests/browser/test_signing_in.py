"""Signing in and out: with a wrong token, with a right one, and what is kept of it where."""

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.demo import Demo
from tests.browser.reading import sign_in, wait_signed_in
from tests.browser.watch import Watch

pytestmark = pytest.mark.e2e

PORTFOLIOS = "/api/v1/portfolios"
STORED = "() => JSON.stringify([Object.values({...sessionStorage}), Object.values({...localStorage})])"


def _is_signed_out(page: Page) -> None:
    expect(page.get_by_label("API token")).to_be_visible()
    expect(page.get_by_label("Portfolio", exact=True)).to_have_count(0)


def test_a_wrong_token_is_refused_with_a_way_out(page: Page, demo: Demo, watches: dict[BrowserContext, Watch]) -> None:
    watches[page.context].expect(401, PORTFOLIOS)
    sign_in(page, "sgm_not_a_token")
    trouble = page.get_by_role("alert")
    expect(trouble).to_contain_text("not known here, has expired, or was revoked")
    field = page.get_by_label("API token")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    assert "sgm_not_a_token" not in page.evaluate(STORED)
    # The next try is not made harder.
    field.fill(demo.token)
    page.get_by_role("button", name="Sign in").click()
    wait_signed_in(page)


def test_a_token_is_needed_to_try(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Sign in").click()
    assert page.get_by_label("API token").evaluate("(field) => field.validity.valueMissing")
    _is_signed_out(page)


def test_signing_out_leaves_nothing_behind(page: Page, demo: Demo) -> None:
    sign_in(page, demo.token)
    wait_signed_in(page)
    assert demo.token not in page.url
    page.get_by_role("button", name="Sign out").click()
    _is_signed_out(page)
    assert demo.token not in page.evaluate(STORED)
    assert "Diversified" not in page.content()
    page.reload()
    _is_signed_out(page)
    page.go_back()
    assert "Diversified" not in page.content()


@pytest.mark.long
def test_a_reload_keeps_the_session_of_this_tab_alone(page: Page, demo: Demo) -> None:
    sign_in(page, demo.token)
    wait_signed_in(page)
    page.reload()
    wait_signed_in(page)
    other = page.context.new_page()
    other.goto("/")
    _is_signed_out(other)


@pytest.mark.long
def test_staying_signed_in_is_chosen(page: Page, demo: Demo) -> None:
    sign_in(page, demo.token, is_kept=True)
    wait_signed_in(page)
    other = page.context.new_page()
    other.goto("/")
    wait_signed_in(other)
    other.get_by_role("button", name="Sign out").click()
    _is_signed_out(other)
    assert demo.token not in other.evaluate(STORED)


@pytest.mark.long
def test_the_address_names_the_portfolio(open_page: OpenPage, demo: Demo) -> None:
    with demo.client() as api:
        (margin,) = (item for item in api.get("portfolios").json()["items"] if item["name"] == "Margin")
    page = open_page()
    sign_in(page, demo.token, at=f"/#portfolio={margin['portfolio_id']}")
    wait_signed_in(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Margin")
    expect(page).to_have_title("Margin · SigmaSight")
    page.go_back()
