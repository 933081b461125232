"""Everything by keyboard alone: in the order of the page, with a focus that is always seen, and Escape to leave."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.demo import Demo
from tests.browser.layout import focused, press_tab_until
from tests.browser.reading import choose, wait_drawn

pytestmark = pytest.mark.e2e


def _is_seen(page: Page, name: str, *, key: str = "Tab") -> list[str]:
    """Go to what is called ``name``; the names on the way. Each of them is marked and in view when it has the focus."""
    way = press_tab_until(page, name, key=key)
    hidden = [item.name for item in way if not (item.is_marked and item.is_in_view)]
    assert not hidden, f"focus that cannot be seen: {hidden}"
    return [item.name for item in way]


@pytest.mark.long
def test_signing_in_choosing_and_signing_out(open_page: OpenPage, demo: Demo) -> None:
    page = open_page()
    page.goto("/")
    expect(page.get_by_label("API token")).to_be_focused()
    page.keyboard.type(demo.token)
    page.keyboard.press("Enter")
    wait_drawn(page)
    _is_seen(page, "Portfolio", key="Shift+Tab")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("heading", level=1)).to_have_text("Long-short")
    wait_drawn(page)
    # The choice keeps the focus, so the next arrow goes on from there.
    here = focused(page)
    assert here is not None
    assert here.id == "portfolio"
    assert _is_seen(page, "Sign out")[0] == "Upload a file"
    page.keyboard.press("Enter")
    expect(page.get_by_label("API token")).to_be_focused()


@pytest.mark.long
def test_the_skip_link_leads_to_the_figures(owner: Page) -> None:
    choose(owner, "Diversified")
    owner.reload()
    wait_drawn(owner)
    assert _is_seen(owner, "Upload a file") == ["Skip to the figures", "SigmaSight", "Portfolio", "Upload a file"]
    _is_seen(owner, "Skip to the figures", key="Shift+Tab")
    owner.keyboard.press("Enter")
    expect(owner.locator("main")).to_be_focused()
    owner.keyboard.press("Tab")
    assert owner.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_every_panel_is_reached_and_opened(owner: Page) -> None:
    choose(owner, "Options")
    owner.locator("#sign-out").focus()
    way = _is_seen(owner, "Uploading and changing portfolios")
    for title in ("Factor exposures", "Stress scenarios", "Correlations", "Sectors", "Concentration", "Positions"):
        assert f"What {title} means" in way
    assert way.count("Show the numbers") == 7
    owner.locator("#exposures summary").focus()
    owner.keyboard.press("Enter")
    expect(owner.locator("#exposures details table")).to_be_visible()
    owner.keyboard.press("Space")
    expect(owner.locator("#exposures details table")).to_be_hidden()
    owner.locator("#positions th[data-key='symbol'] button").focus()
    owner.keyboard.press("Enter")
    expect(owner.locator("#positions th[data-key='symbol']")).to_have_attribute("aria-sort", "ascending")
    expect(owner.locator("#positions th[data-key='symbol'] button")).to_be_focused()


def test_the_dialog_keeps_the_focus_and_gives_it_back(owner: Page, tmp_path: Path) -> None:
    file = tmp_path / "wrong.csv"
    file.write_text("symbol,quantity,entry_price,entry_date\nHIFO,0,1,2026-06-01\n", encoding="utf-8")
    owner.locator("#upload").focus()
    owner.keyboard.press("Enter")
    expect(owner.get_by_role("dialog", name="Upload positions")).to_be_visible()
    owner.get_by_label("File of positions (CSV)").set_input_files(file)
    way = _is_seen(owner, "Check the file")
    assert "Sign out" not in way
    owner.keyboard.press("Enter")
    expect(owner.get_by_role("dialog").get_by_role("status")).to_contain_text("1 problem found")
    owner.keyboard.press("Escape")
    expect(owner.get_by_role("dialog")).to_have_count(0)
    expect(owner.locator("#upload")).to_be_focused()
