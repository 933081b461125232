"""What is empty, private, an option, unpriced or without a base is shown as that, with its reason, and never as 0."""

import httpx
import pytest
from playwright.sync_api import Page, expect

from sigmasight_assets.demo_books import LONG_SHORT, MARGIN, NEW, OPTIONS, PRIVATE
from tests.browser.answers import read_answers
from tests.browser.books import OWING_NAME, Books
from tests.browser.conftest import OpenPage
from tests.browser.demo import Demo
from tests.browser.reading import (
    NONE,
    choose,
    numbers,
    plot,
    positions,
    shown_money,
    sign_in,
    states,
    tile,
    wait_drawn,
    wait_until,
)

pytestmark = pytest.mark.e2e

MEASURED = ("series", "exposures", "stress", "risk", "correlation", "sectors", "concentration", "positions")


def _rows(page: Page) -> dict[str, dict[str, str]]:
    """Of the positions, by symbol."""
    return {row["symbol"].split(" | ")[0]: row for row in positions(page)}


def test_a_portfolio_without_positions_says_so_in_each_panel(owner: Page) -> None:
    choose(owner, NEW)
    assert states(owner) == {"glance": "drawn", **dict.fromkeys(MEASURED, "empty")}
    assert tile(owner, "glance", "equity") == "100,000.00"
    assert tile(owner, "glance", "expected_volatility_21") == NONE
    for panel in MEASURED:
        said = owner.locator(f"#{panel} .empty").inner_text()
        assert said.endswith("."), (panel, said)
        assert owner.locator(f"#{panel} .plot").count() == 0


def test_a_delisted_position_is_unpriced_and_named_wherever_it_is_missing(owner: Page, api: httpx.Client) -> None:
    choose(owner, MARGIN)
    row = _rows(owner)["WEYA"]
    numbers_of_it = [row[key] for key in ("close", "market_value", "unrealized_pnl")]
    assert (numbers_of_it, row["status"]) == ([NONE] * 3, "unpriced")
    assert "ceased to trade; the last session was 2026-05-22" in row["missing"].lower()
    answers = read_answers(api, MARGIN)
    for panel, answer in (("exposures", "factor-exposures"), ("stress", "stress-test"), ("sectors", "sector-exposure")):
        excluded = [item["symbol"] for item in answers.documents[answer]["excluded"]]
        assert excluded == ["WEYA"]
        expect(owner.locator(f"#{panel} .panel-note")).to_contain_text("WEYA has no published price")
    expect(owner.locator(".notices")).to_contain_text("lacks a price of the day of WEYA")


def test_returns_that_cannot_be_measured_are_absent_with_their_reason(owner: Page, api: httpx.Client) -> None:
    choose(owner, MARGIN)
    data = read_answers(api, MARGIN).data("performance")
    assert data["total_return"] is None
    assert tile(owner, "series", "total_return") == NONE
    expect(owner.locator("#series [data-tile='total_return']")).to_contain_text("equity was not above zero")
    expect(owner.locator("#series .notice")).to_contain_text(f"On {len(data['breaks'])} days")
    drawn = {trace["name"]: trace["y"] for trace in plot(owner, "plot-series")}
    assert drawn["1 USD became: account"][1:] == [None] * 59


def test_an_account_that_owes_more_than_it_holds_has_dollars_and_no_shares(
    open_page: OpenPage, demo: Demo, books: Books
) -> None:
    with demo.client(books.owing) as api:
        wait_until(lambda: read_answers(api, OWING_NAME).portfolio["stale_from"] is None, "its snapshots")
        answers = read_answers(api, OWING_NAME)
    factors = answers.data("factor-exposures")["factors"]
    assert float(answers.portfolio["equity"]) < 0
    assert [item["exposure"] for item in factors] == [None] * 12
    page = open_page()
    sign_in(page, books.owing)
    wait_drawn(page)
    rows = numbers(page, "exposures")
    assert [row[1] for row in rows] == [NONE] * 12
    assert [row[4] for row in rows] == [shown_money(item["dollars"]) for item in factors]
    (bars,) = plot(page, "plot-exposures")
    assert bars["x"] == [float(item["dollars"]) for item in factors]
    assert tile(page, "glance", "gross_leverage") == NONE
    expect(page.locator(".notices")).to_contain_text("Equity is not above zero")


def test_private_assets_say_who_valued_them_and_when(owner: Page) -> None:
    choose(owner, PRIVATE)
    row = _rows(owner)["Harbour Street 12"]
    assert (row["symbol"], row["close"], row["status"]) == ("Harbour Street 12 | private asset", NONE, "private")
    assert "9 Jun 2026" in row["missing"]
    expect(owner.locator("#exposures .panel-note")).to_contain_text("Harbour Street 12 is a private asset")


def test_options_are_positions_without_exposures(owner: Page) -> None:
    choose(owner, OPTIONS)
    row = _rows(owner)["BUCO260821C00244000"]
    assert (row["symbol"], row["status"]) == ("BUCO260821C00244000 | option", "ready")
    expect(owner.locator("#exposures .panel-note")).to_contain_text("VIYU260821P00044000 is an option")


def test_positions_are_sorted_and_found_on_the_spot(owner: Page) -> None:
    choose(owner, LONG_SHORT)
    before = [row["symbol"] for row in positions(owner)]
    owner.get_by_role("button", name="Position", exact=True).click()
    expect(owner.locator("#positions th[data-key='symbol']")).to_have_attribute("aria-sort", "ascending")
    after = [row["symbol"] for row in positions(owner)]
    assert after == sorted(before)
    assert after != before
    owner.get_by_label("Find").fill("wazo")
    assert set(_rows(owner)) == {"WAZO"}
    expect(owner.locator("#positions")).to_contain_text(f"3 of {len(before)} lots")
    owner.get_by_label("Find").fill("")
    assert len(positions(owner)) == len(before)


def test_how_far_back_is_chosen(owner: Page, api: httpx.Client) -> None:
    choose(owner, LONG_SHORT)
    answers = read_answers(api, LONG_SHORT)
    owner.get_by_role("button", name="1 month").click()
    wait_drawn(owner)
    shown = plot(owner, "plot-series")[0]
    expected = {item["session"]: float(item["equity"]) for item in answers.snapshots if item["session"] >= "2026-05-30"}
    assert dict(zip(shown["x"], shown["y"], strict=True)) == expected
    expect(owner.get_by_role("button", name="1 month")).to_have_attribute("aria-pressed", "true")
    owner.get_by_role("button", name="All", exact=True).click()
    wait_drawn(owner)
    assert len(plot(owner, "plot-series")[0]["x"]) == 60
