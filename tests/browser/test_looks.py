"""Looks: nothing too wide, no text upon text, nothing that axe objects to, in light and dark, at a desk and on a phone.

The pictures are for people: ``SIGMASIGHT_SCREENSHOTS`` names the directory.
"""

from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from sigmasight_assets.demo_books import NAMES
from tests.browser.accessibility import violations
from tests.browser.conftest import DESKTOP, PHONE, OpenPage
from tests.browser.demo import Demo
from tests.browser.layout import text_on_text, too_wide
from tests.browser.reading import choose, sign_in, wait_drawn

pytestmark = pytest.mark.e2e

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
VIEWS = [
    (name, size, scheme) for name, size in (("desktop", DESKTOP), ("phone", PHONE)) for scheme in ("light", "dark")
]


def look(page: Page, name: str, screenshots: Path) -> list[str]:
    """What is wrong with a page in each view, and a picture of each; axe at a desk, for its rules know no width."""
    problems = []
    for device, (width, height), scheme in VIEWS:
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        # Plots follow the size and the colours a moment later.
        page.wait_for_timeout(400)
        page.screenshot(path=screenshots / f"{name}-{device}-{scheme}.png", full_page=True)
        found = [*too_wide(page), *text_on_text(page), *(violations(page) if device == "desktop" else [])]
        problems += [f"{device}, {scheme}: {problem}" for problem in found]
    return problems


@pytest.mark.parametrize("name", NAMES)
def test_each_portfolio(owner: Page, screenshots: Path, name: str) -> None:
    choose(owner, name)
    problems = look(owner, f"owner-{name}", screenshots)
    assert not problems, "\n".join(problems)


def test_signing_in(page: Page, screenshots: Path) -> None:
    page.goto("/")
    expect(page.get_by_label("API token")).to_be_focused()
    problems = look(page, "sign-in", screenshots)
    assert not problems, "\n".join(problems)


def test_the_upload(owner: Page, screenshots: Path) -> None:
    owner.get_by_role("button", name="Upload a file").click()
    problems = look(owner, "upload", screenshots)
    owner.keyboard.press("Escape")
    assert not problems, "\n".join(problems)


def test_tables_behind_the_plots(owner: Page, screenshots: Path) -> None:
    choose(owner, "Long-short")
    for details in owner.locator("details.numbers:not([open])").all()[::-1]:
        details.locator("summary").click()
    problems = look(owner, "owner-numbers", screenshots)
    assert not problems, "\n".join(problems)


def test_colours_are_chosen_and_kept(open_page: OpenPage, demo: Demo) -> None:
    page = open_page(color_scheme="light")
    sign_in(page, demo.token)
    wait_drawn(page)
    background = "() => getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.get_by_label("Colours").first.select_option(label="Dark")
    dark = page.evaluate(background)
    assert dark != light
    expect(page.locator("#plot-exposures .xtick text").first).to_have_css("fill", "rgb(166, 180, 193)")
    page.reload()
    wait_drawn(page)
    assert page.evaluate(background) == dark
    page.get_by_label("Colours").first.select_option(label="System colours")
    assert page.evaluate(background) == light


def test_whoever_wants_no_motion_gets_none(open_page: OpenPage) -> None:
    page = open_page(reduced_motion="reduce")
    page.route("**/api/v1/portfolios*", lambda route: route.abort())
    page.goto("/")
    moving = "() => document.getAnimations().length"
    page.evaluate("document.querySelector('main').innerHTML = '<div class=skeleton><span></span></div>'")
    assert page.evaluate(moving) == 0
    page.emulate_media(reduced_motion="no-preference")
    assert page.evaluate(moving) == 1
