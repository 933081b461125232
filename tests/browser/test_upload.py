"""Uploading a file: a report by line, nothing stored before all is right, new symbols that get ready by themselves."""

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.accessibility import violations
from tests.browser.answers import read_answers
from tests.browser.conftest import OpenPage
from tests.browser.demo import Demo
from tests.browser.layout import text_on_text
from tests.browser.reading import NONE, positions, shown_money, sign_in, table, tile, wait_drawn
from tests.browser.watch import Watch

pytestmark = pytest.mark.e2e

HEADER = "symbol,quantity,entry_price,entry_date\n"
WRONG = HEADER + "HIFO,10,300.00,2026-06-01\nRUXI,ten,70.00,2026-06-01\nBIPE,5,400.00,2026-13-01\n"
NAME = "Bought lately"
# Bringing a symbol in took 2 to 11 s on two busy cores, its snapshots twice that.
ONBOARDING_MILLISECONDS = 90_000


def _dialog(page: Page, file: Path) -> None:
    page.get_by_role("button", name="Upload a file").first.click()
    page.get_by_label("File of positions (CSV)").set_input_files(file)


def _value(page: Page, symbol: str) -> str:
    (row,) = (row for row in positions(page) if row["symbol"].split(" | ")[0] == symbol)
    return row["market_value"]


def _check(page: Page) -> None:
    page.get_by_role("button", name="Check the file").click()


def test_a_new_symbol_goes_from_pending_to_ready(open_page: OpenPage, demo: Demo, tmp_path: Path) -> None:
    page, token, symbol = open_page(), demo.new_owner(), demo.unknown_symbol()
    sign_in(page, token)
    expect(page.get_by_role("heading", name="No portfolio yet")).to_be_visible()
    wrong, right = tmp_path / "wrong.csv", tmp_path / "right.csv"
    wrong.write_text(WRONG, encoding="utf-8")
    right.write_text(f"{HEADER}HIFO,10,300.00,2026-06-01\n{symbol},5,50.00,2026-06-01\n", encoding="utf-8")

    _dialog(page, wrong)
    page.get_by_label("Name").fill(NAME)
    page.get_by_label("Equity, USD").fill("10000")
    page.get_by_label("As of").fill("2026-06-01")
    _check(page)
    problems = table(page, "dialog table")
    assert [row[0] for row in problems] == ["3", "4"]
    assert "ten" in problems[0][1]
    assert "2026-13-01" in problems[1][1]
    expect(page.get_by_role("button", name="Store it")).to_be_disabled()
    assert violations(page) == []
    assert text_on_text(page) == []
    with demo.client(token) as api:
        assert api.get("portfolios").json()["total"] == 0

    page.get_by_label("File of positions (CSV)").set_input_files(right)
    expect(page.locator("dialog table")).to_have_count(0)
    _check(page)
    expect(page.get_by_role("dialog")).to_contain_text("2 positions can be stored. 1 symbol without figures yet")
    with demo.client(token) as api:
        assert api.get("portfolios").json()["total"] == 0
    page.evaluate("window.isTheSamePage = true")
    page.get_by_role("button", name="Store it").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    row = page.locator(f"#positions tr:has(th:text('{symbol}'))")
    expect(row).to_have_attribute("data-status", "pending")
    expect(row).to_contain_text("being brought in")
    assert _value(page, symbol) == NONE

    expect(row).to_have_attribute("data-status", "priced", timeout=ONBOARDING_MILLISECONDS)
    expect(row.locator(".badge")).to_have_text("ready")
    # The same page, without a reload, goes on to show the first snapshots.
    expect(page.locator("#glance [data-tile='equity'] .remark")).to_contain_text(
        "30 Jun 2026", timeout=ONBOARDING_MILLISECONDS
    )
    wait_drawn(page)
    assert page.evaluate("window.isTheSamePage")
    with demo.client(token) as api:
        answers = read_answers(api, NAME)
    (position,) = (item for item in answers.positions if item["symbol"] == symbol)
    assert _value(page, symbol) == shown_money(position["market_value"])
    assert tile(page, "glance", "equity") == shown_money(answers.portfolio["equity"])
    assert answers.portfolio["equity"] is not None
    assert set(answers.data("correlation-matrix")["symbols"]) == {"HIFO", symbol}


def test_positions_are_added_to_a_portfolio(open_page: OpenPage, demo: Demo, tmp_path: Path) -> None:
    token = demo.new_owner()
    with demo.client(token) as api:
        api.post("portfolios", json={"name": "Small", "stated_equity": "5000", "as_of": "2026-06-26", "positions": []})
    page, file = open_page(), tmp_path / "more.csv"
    file.write_text(HEADER + "RUXI,4,70.00,2026-06-29\n", encoding="utf-8")
    sign_in(page, token)
    wait_drawn(page)
    _dialog(page, file)
    expect(page.get_by_label("Add to Small")).to_be_checked()
    _check(page)
    expect(page.get_by_role("dialog")).to_contain_text("1 position can be stored")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("#positions tr:has(th:text('RUXI'))")).to_have_attribute("data-status", "priced")
    with demo.client(token) as api:
        assert [item["symbol"] for item in read_answers(api, "Small").positions] == ["RUXI"]


def test_what_the_server_refuses_is_told_and_nothing_is_lost(
    open_page: OpenPage, demo: Demo, tmp_path: Path, watches: dict[BrowserContext, Watch]
) -> None:
    token = demo.new_owner()
    page, file = open_page(), tmp_path / "positions.csv"
    file.write_text(HEADER + "HIFO,1,300.00,2026-06-01\n", encoding="utf-8")
    sign_in(page, token)
    _dialog(page, file)
    _check(page)
    expect(page.get_by_role("dialog")).to_contain_text("Give the new portfolio a name")
    expect(page.get_by_label("Name")).to_be_focused()
    page.get_by_label("Name").fill("On a Sunday")
    page.get_by_label("Equity, USD").fill("100")
    page.get_by_label("As of").fill("2026-06-28")
    watches[page.context].expect(422, "/api/v1/portfolios.csv")
    _check(page)
    expect(page.get_by_role("dialog")).to_contain_text("2026-06-28")
    expect(page.get_by_label("Name")).to_have_value("On a Sunday")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    with demo.client(token) as api:
        assert api.get("portfolios").json()["total"] == 0
