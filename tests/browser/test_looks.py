"""Looks: nothing too wide, no text upon text, nothing that axe objects to, in light and dark, at a desk and on a phone.

The pictures are for people: ``SIGMASIGHT_SCREENSHOTS`` names the directory.
"""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from sigmasight_assets.demo_books import NAMES
from tests.browser.conftest import OpenPage
from tests.browser.demo import Demo
from tests.browser.looking import look
from tests.browser.reading import choose, sign_in, wait_drawn

pytestmark = pytest.mark.e2e


# Of these all that can be seen is somewhere; the others are looked at by `make e2e ALL=1`.
TELLING = ("Long-short", "Margin")


@pytest.mark.parametrize(
    "name", [name if name in TELLING else pytest.param(name, marks=pytest.mark.long) for name in NAMES]
)
def test_each_portfolio(owner: Page, screenshots: Path, name: str) -> None:
    choose(owner, name)
    problems = look(owner, f"owner-{name}", screenshots)
    assert not problems, "\n".join(problems)


def test_signing_in(page: Page, screenshots: Path) -> None:
    page.goto("/")
    expect(page.get_by_label("API token")).to_be_focused()
    problems = look(page, "sign-in", screenshots)
    assert not problems, "\n".join(problems)


@pytest.mark.long
def test_an_owner_of_nothing_yet(open_page: OpenPage, demo: Demo, screenshots: Path) -> None:
    page = open_page()
    sign_in(page, demo.new_owner())
    expect(page.get_by_role("heading", name="No portfolio yet")).to_be_visible()
    problems = look(page, "owner-without-portfolios", screenshots)
    assert not problems, "\n".join(problems)


def test_the_upload(owner: Page, screenshots: Path) -> None:
    owner.get_by_role("button", name="Upload a file").click()
    problems = look(owner, "upload", screenshots)
    owner.keyboard.press("Escape")
    assert not problems, "\n".join(problems)


@pytest.mark.long
def test_tables_behind_the_plots(owner: Page, screenshots: Path) -> None:
    choose(owner, "Long-short")
    for details in owner.locator("details.numbers:not([open])").all()[::-1]:
        details.locator("summary").click()
    problems = look(owner, "owner-numbers", screenshots)
    assert not problems, "\n".join(problems)


@pytest.mark.long
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


@pytest.mark.long
def test_whoever_wants_no_motion_gets_none(open_page: OpenPage) -> None:
    page = open_page(reduced_motion="reduce")
    page.route("**/api/v1/portfolios*", lambda route: route.abort())
    page.goto("/")
    moving = "() => document.getAnimations().length"
    page.evaluate("document.querySelector('main').innerHTML = '<div class=skeleton><span></span></div>'")
    assert page.evaluate(moving) == 0
    page.emulate_media(reduced_motion="no-preference")
    assert page.evaluate(moving) == 1
