"""The documents as pages, where the owner's and the operators' pages lead to."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.demo import Demo
from tests.browser.looking import look
from tests.browser.reading import choose, sign_in, wait_drawn

pytestmark = pytest.mark.e2e

LONG_PAGES = ("/docs/formulas/portfolio-exposures", "/docs/demo")


@pytest.mark.parametrize("address", ["/docs", *(pytest.param(page, marks=pytest.mark.long) for page in LONG_PAGES)])
def test_they_look_right(page: Page, screenshots: Path, address: str) -> None:
    page.goto(address)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    problems = look(page, address.strip("/").replace("/", "-"), screenshots)
    assert not problems, "\n".join(problems)


def test_every_link_of_the_pages_leads_somewhere(owner: Page, open_page: OpenPage, demo: Demo) -> None:
    """Anchors too: a link into a document is to a heading that it has."""
    choose(owner, "Diversified")
    operator = open_page()
    sign_in(operator, demo.admin, at="/ops")
    wait_drawn(operator)
    links = {link for page in (owner, operator) for link in page.locator("a[href^='/docs']").evaluate_all(HREFS)}
    assert len(links) > 8
    reader = open_page()
    for link in sorted(links):
        address, _, anchor = link.partition("#")
        answer = reader.goto(address)
        assert answer is not None
        assert answer.status == 200, link
        assert not anchor or reader.locator(f"[id='{anchor}']").count() == 1, link


HREFS = "(links) => links.map((link) => link.getAttribute('href'))"
