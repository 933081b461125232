"""Looking at a page in every view: what is wrong with it, and pictures for people."""

from pathlib import Path
from typing import Literal

from playwright.sync_api import Page

from tests.browser.accessibility import violations
from tests.browser.layout import text_on_text, too_wide

DESKTOP, PHONE = (1440, 900), (390, 844)
Scheme = Literal["light", "dark"]
VIEWS: tuple[tuple[str, tuple[int, int], Scheme], ...] = (
    ("desktop", DESKTOP, "light"),
    ("desktop", DESKTOP, "dark"),
    ("phone", PHONE, "light"),
    ("phone", PHONE, "dark"),
)
# Plots follow the size and the colours a moment later.
SETTLE_MILLISECONDS = 400


def look(page: Page, name: str, screenshots: Path) -> list[str]:
    """What is wrong in each view, with a picture of each; axe at a desk, for its rules know no width."""
    problems = []
    for device, (width, height), scheme in VIEWS:
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(SETTLE_MILLISECONDS)
        page.screenshot(path=screenshots / f"{name}-{device}-{scheme}.png", full_page=True)
        found = [*too_wide(page), *text_on_text(page), *(violations(page) if device == "desktop" else [])]
        problems += [f"{device}, {scheme}: {problem}" for problem in found]
    return problems
