"""Reading what the pages show: panels, tiles, tables, plots, and numbers as people see them."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from playwright.sync_api import Page, expect

NONE = "\u2013"
MINUS = "\u2212"
ARE_PLOTTED = "[...document.querySelectorAll('.plot')].every((plot) => plot.data && plot.querySelector('svg'))"
STATES = (
    "Object.fromEntries([...document.querySelectorAll('[data-state]')].map((item) => [item.id, item.dataset.state]))"
)

PAUSE_SECONDS = 0.05
# Of a value in a message.
LONGEST = 300

POSITIONS = """
(table) => {
  const keys = [...table.tHead.rows[0].cells].map((cell) => cell.dataset.key);
  const text = (cell) => cell.innerText.trim().split(/\\n+/).join(' | ');
  const read = (row) => Object.fromEntries([...row.cells].map((cell, place) => [keys[place], text(cell)]));
  return [...table.tBodies[0].rows].map(read);
}
"""

Rows = list[list[str]]
Collection = Mapping[str, object] | Sequence[object]


def sign_in(page: Page, token: str, *, at: str = "/", is_kept: bool = False) -> None:
    """Enter a token as people do and wait until the page has everything."""
    page.goto(at)
    page.get_by_label("API token").fill(token)
    if is_kept:
        page.get_by_label("Stay signed in on this device").check()
    page.get_by_role("button", name="Sign in").click()


def wait_signed_in(page: Page) -> None:
    """Until a portfolio can be chosen; the plots, which take seconds, may still be missing."""
    expect(page.get_by_label("Portfolio", exact=True)).to_be_visible()
    expect(page.locator("[data-tile='equity']")).to_be_visible()


def choose(page: Page, portfolio: str) -> None:
    """Choose a portfolio by name and wait until it is drawn."""
    page.get_by_label("Portfolio", exact=True).select_option(label=portfolio)
    expect(page.get_by_role("heading", level=1)).to_have_text(portfolio)
    wait_drawn(page)


def wait_drawn(page: Page) -> None:
    """Until no panel is busy and every plot has its data."""
    expect(page.locator("[data-state]").first).to_be_visible()
    expect(page.locator("[data-state][aria-busy='true'], [data-state='loading']")).to_have_count(0)
    # Not by playwright's own waiting for a function, which the pages' security policy does not let evaluate text.
    wait_until(lambda: bool(page.evaluate(ARE_PLOTTED)), "the plots")


def states(page: Page) -> dict[str, str]:
    """What each panel is: loading, drawn, empty or error, by its id."""
    found: dict[str, str] = page.evaluate(STATES)
    return found


def tile(page: Page, panel: str, name: str) -> str:
    """The number in a tile of a panel."""
    return page.locator(f"#{panel} [data-tile='{name}'] .value").inner_text()


def numbers(page: Page, panel: str) -> Rows:
    """The table under a panel's plot, opened if it is not, without its head."""
    details = page.locator(f"#{panel} details.numbers")
    if details.get_attribute("open") is None:
        details.locator("summary").click()
    return table(page, f"#{panel} details.numbers table")


def table(page: Page, selector: str) -> Rows:
    """The rows of a table, without its head; what is written below a cell's first line is in it too."""
    expect(page.locator(selector)).to_be_visible()
    script = "(table) => [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.innerText.trim()))"
    rows: Rows = page.locator(selector).evaluate(script)
    return rows


def positions(page: Page) -> list[dict[str, str]]:
    """The table of positions: each row's cells by the keys of their columns, what is below a first line joined by |."""
    expect(page.locator("#positions table")).to_be_visible()
    rows: list[dict[str, str]] = page.locator("#positions table").evaluate(POSITIONS)
    return rows


def plot(page: Page, identifier: str) -> list[dict[str, Any]]:
    """The traces of a plot as plotly holds them, in full precision."""
    text = page.evaluate(f"JSON.stringify(document.getElementById({identifier!r}).data)")
    traces: list[dict[str, Any]] = json.loads(text)
    return traces


def shown_money(text: str | None, *, is_signed: bool = False) -> str:
    """How an amount of the API is written: groups of three, every decimal place that it has, a real minus."""
    if text is None:
        return NONE
    amount = Decimal(text)
    plus = "+" if is_signed and amount > 0 else ""
    return plus + f"{amount:,f}".replace("-", MINUS if amount else "")


def shown_ratio(value: float | None, digits: int, *, is_signed: bool = False) -> str:
    """How a ratio is written with so many decimal places; half of one is rounded up, and there is no negative zero."""
    if value is None:
        return NONE
    rounded = Decimal(value).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)
    plus = "+" if is_signed and rounded > 0 else ""
    return plus + f"{rounded:f}".replace("-", MINUS if rounded else "")


def shown_percent(value: float | None, digits: int = 1, *, is_signed: bool = False) -> str:
    """How a share is written."""
    return NONE if value is None else f"{shown_ratio(value * 100, digits, is_signed=is_signed)} %"


def differences(shown: Collection, exact: Collection) -> list[str]:
    """Where two collections differ, one line each; nothing when they are the same."""
    if isinstance(shown, Mapping) and isinstance(exact, Mapping):
        names = [*exact, *(name for name in shown if name not in exact)]
        pairs = [(str(name), shown.get(name, "nothing"), exact.get(name, "nothing")) for name in names]
    else:
        assert isinstance(shown, Sequence)
        assert isinstance(exact, Sequence)
        if len(shown) != len(exact):
            return [f"{len(shown)} shown, {len(exact)} given"]
        pairs = [(str(place), one, other) for place, (one, other) in enumerate(zip(shown, exact, strict=True))]
    return [
        f"{name}: shown {repr(one)[:LONGEST]}, given {repr(other)[:LONGEST]}"
        for name, one, other in pairs
        if one != other
    ]


def wait_until(condition: Callable[[], bool], what: str, *, seconds: float = 90.0) -> None:
    """Wait for something that no element of the page tells."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(PAUSE_SECONDS)
