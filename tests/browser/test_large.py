"""Five hundred positions: everything is drawn, the table is quick to use, and the page never freezes for long."""

import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.answers import read_answers
from tests.browser.books import DISTINCT, LARGE, LARGE_NAME, Books
from tests.browser.conftest import MEASURED, OpenPage
from tests.browser.demo import Demo
from tests.browser.looking import look
from tests.browser.reading import numbers, plot, positions, shown_money, sign_in, states, tile, wait_drawn, wait_until

pytestmark = pytest.mark.e2e

LONG_TASKS = """
window.longTasks = [];
new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((task) => task.duration)))
  .observe({ type: 'longtask', buffered: true });
"""


@pytest.mark.long
@pytest.mark.turn(1)
def test_a_page_of_five_hundred_positions(open_page: OpenPage, demo: Demo, books: Books, screenshots: Path) -> None:
    with demo.client(books.large) as api:
        wait_until(lambda: read_answers(api, LARGE_NAME).portfolio["stale_from"] is None, "its snapshots")
        answers = read_answers(api, LARGE_NAME)
    page = open_page()
    page.add_init_script(LONG_TASKS)
    began = time.perf_counter()
    sign_in(page, books.large)
    wait_drawn(page)
    MEASURED["signing in with 500 positions until all is drawn"] = time.perf_counter() - began
    MEASURED["longest task of the page meanwhile"] = max(page.evaluate("window.longTasks"), default=0.0) / 1000
    assert set(states(page).values()) == {"drawn"}
    assert tile(page, "glance", "equity") == shown_money(answers.documents["overview"]["equity"])
    factors = answers.data("factor-exposures")["factors"]
    assert plot(page, "plot-exposures")[0]["x"] == [item["exposure"] for item in factors]
    matrix = answers.data("correlation-matrix")
    assert matrix["symbols_not_shown"] > 0
    expect(page.locator("#correlation")).to_contain_text(f"{matrix['symbols_not_shown']} smaller positions")
    assert len(numbers(page, "correlation")) == len(matrix["symbols"])
    _use_the_table(page, answers.positions)
    problems = look(page, "owner-large", screenshots)
    assert not problems, "\n".join(problems)


def _use_the_table(page: Page, held: list[dict[str, str]]) -> None:
    rows = positions(page)
    assert len(rows) == len(held) == LARGE
    assert len({row["symbol"] for row in rows}) == DISTINCT
    began = time.perf_counter()
    page.get_by_role("button", name="P&L, USD").click()
    expect(page.locator("#positions th[data-key='unrealized_pnl']")).to_have_attribute("aria-sort", "descending")
    MEASURED["sorting them"] = time.perf_counter() - began
    best = max(held, key=lambda item: float(item["unrealized_pnl"] or "-Infinity"))
    assert positions(page)[0]["unrealized_pnl"] == shown_money(best["unrealized_pnl"], is_signed=True)
    page.get_by_label("Find").fill("health")
    assert len(positions(page)) == len([item for item in held if "health" in (item["sector"] or "").lower()])
