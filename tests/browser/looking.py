"""Looking at a page in every view: what is wrong with it, and pictures for people."""

from pathlib import Path
from typing import Literal

from playwright.sync_api import Page

from tests.browser.accessibility import violations
from tests.browser.layout import text_on_text, too_wide
from tests.browser.reading import wait_until

DESKTOP, PHONE = (1440, 900), (390, 844)
Scheme = Literal["light", "dark"]
VIEWS: tuple[tuple[str, tuple[int, int], Scheme], ...] = (
    ("desktop", DESKTOP, "light"),
    ("desktop", DESKTOP, "dark"),
    ("phone", PHONE, "light"),
    ("phone", PHONE, "dark"),
)
# Those rules of axe that have to do with colours.
COLOURS = ("color-contrast", "link-in-text-block")
# Plots follow the size, and colours and names a moment later.
ARE_FITTED = """
() => [...document.querySelectorAll('.plot')].every((plot) =>
  Math.abs(plot.querySelector('svg').getBoundingClientRect().width - plot.clientWidth) < 2)
"""
SETTLE_MILLISECONDS = 250


def look(page: Page, name: str, screenshots: Path) -> list[str]:
    """What is wrong in each view, with a picture of each.

    axe looks at a desk, for its rules know no width: at everything in light colours, and at the colours in dark ones.
    """
    problems = []
    for device, (width, height), scheme in VIEWS:
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        wait_until(lambda: bool(page.evaluate(ARE_FITTED)), "the plots to follow the size")
        page.wait_for_timeout(SETTLE_MILLISECONDS)
        page.screenshot(path=screenshots / f"{name}-{device}-{scheme}.png", full_page=True)
        found = [*too_wide(page), *text_on_text(page)]
        if device == "desktop":
            found += violations(page, rules=None if scheme == "light" else COLOURS)
        problems += [f"{device}, {scheme}: {problem}" for problem in found]
    return problems
