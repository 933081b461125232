"""What is asked of every page's layout can tell a good one from a bad one."""

import pytest
from playwright.sync_api import Page

from tests.browser.accessibility import violations
from tests.browser.layout import focused, press_tab_until, text_on_text, too_wide

pytestmark = pytest.mark.e2e

WIDE = "<table style='width: 3000px'><tr><td>wide</table>"
SVG = "<div class=plot id=p><svg class=main-svg width=100 height=50><text x={x} y=20>words</text></svg></div>"


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        (f"<div tabindex=0 style='width: 200px; overflow-x: auto'>{WIDE}</div>", []),
        (f"<div style='width: 200px; overflow-x: auto'>{WIDE}</div>", ["div cuts off 2800"]),
        ("<p id=wide style='width: 3000px'>wide</p>", ["the page is 3008 wide of 1440", "p#wide reaches 3008 of 1440"]),
        (SVG.format(x=10), []),
        (SVG.format(x=80), ['"words" leaves div#p.plot']),
    ],
)
def test_what_is_too_wide(page: Page, content: str, problems: list[str]) -> None:
    page.set_content(f"<!doctype html>{content}")
    assert too_wide(page) == problems


@pytest.mark.parametrize(
    ("style", "problems"),
    [
        ("", []),
        ("position: absolute; left: 60px; top: 8px", ['"first text" and "second" at 8, 8']),
        ("position: absolute; left: 60px; top: 8px; clip-path: inset(50%)", []),
        ("position: absolute; left: 60px; top: 8px; visibility: hidden", []),
        ("position: fixed; left: 60px; top: 8px", []),
    ],
)
def test_text_on_text(page: Page, style: str, problems: list[str]) -> None:
    page.set_content(
        "<!doctype html><style>body { margin: 8px } p { margin: 0 }</style>"
        f"<p>first text that is long enough</p><p style='{style}'>second</p>"
    )
    assert [found.replace(" that is long enough", "") for found in text_on_text(page)] == problems


def test_focus_that_cannot_be_seen(page: Page) -> None:
    page.set_content("<!doctype html><button>seen</button><button style='outline: none'>hidden</button>")
    assert [item.is_marked for item in press_tab_until(page, "hidden")] == [True, False]
    page.evaluate("document.activeElement.blur()")
    assert focused(page) is None


def test_axe_finds_what_is_not_accessible(page: Page) -> None:
    page.set_content("<!doctype html><html lang=en><title>t</title><main><h1>h</h1><img src='data:,'></main>")
    (found,) = violations(page)
    assert found.startswith("image-alt (critical)")
