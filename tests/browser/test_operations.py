"""The operators' page: for an admin alone, with the calendar, failures, runs, queue, cache and ways into Dagster."""

from collections.abc import Iterator
from datetime import date
from math import floor
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.answers import read
from tests.browser.conftest import OpenPage
from tests.browser.demo import Demo
from tests.browser.looking import look
from tests.browser.reading import differences, sign_in, states, table, wait_drawn
from tests.browser.watch import Watch

pytestmark = pytest.mark.e2e

CALENDAR = ".calendar"
OF_EVERYTHING = "admin/status?sessions=20"
OF_PRODUCTS = "admin/data/coverage?sessions=20"


@pytest.fixture
def operators(demo: Demo) -> Iterator[httpx.Client]:
    with demo.client(demo.admin) as client:
        yield client


@pytest.fixture
def operator(open_page: OpenPage, demo: Demo) -> Page:
    page = open_page()
    sign_in(page, demo.admin, at="/ops")
    wait_drawn(page)
    return page


def _share(share: float | None) -> str:
    """Never rounded up: 99.97 % is not all."""
    if share is None:
        return "\u2013"
    return "100 %" if share >= 0.9995 else f"{floor(share * 1000) / 10:.1f} %"


def _day(text: str) -> str:
    return f"{date.fromisoformat(text).day} {date.fromisoformat(text):%b}"


def _cell(session: dict[str, Any], found: dict[str, Any]) -> str:
    is_there = found["expected"] and (found["rows"] or session["state"] == "published")
    return _share(found["share"]) if is_there else "\u2013"


def test_the_calendar_is_that_of_the_api(operator: Page, operators: httpx.Client) -> None:
    status, coverage = read(operators, OF_EVERYTHING), read(operators, OF_PRODUCTS)
    sessions = status["sessions"][::-1]
    covered = {item["session"]: item["products"] for item in coverage["items"]}
    assert len(sessions) == 20
    assert operator.locator(f"{CALENDAR} thead th").all_inner_texts() == [_day(item["session"]) for item in sessions]
    shown = table(operator, CALENDAR)
    exact = [
        ["Published", *("yes" if item["state"] == "published" else item["state"] for item in sessions)],
        ["Prices", *(_share(item["coverage"]) for item in sessions)],
    ]
    assert not differences(shown[:2], exact)
    of_products = [
        [_cell(item, covered[item["session"]][place]) for item in sessions]
        for place in range(len(coverage["items"][0]["products"]))
    ]
    assert len(of_products) == 7
    assert not differences([row[1:] for row in shown[2:]], of_products)


def test_a_session_says_what_it_lacks(operator: Page, operators: httpx.Client) -> None:
    items = read(operators, OF_PRODUCTS)["items"]
    lacking = {item["session"]: [lack for each in item["products"] for lack in each["lacks"]] for item in items}
    some = next(session for session, lacks in lacking.items() if lacks)
    none = next((session for session, lacks in lacking.items() if not lacks), None)
    _open_session(operator, some)
    # What several products lack alike is told once.
    alike = {(str(lack["symbols"]), ", ".join(lack["named"])) for lack in lacking[some]}
    shown = table(operator, "#session-details table")
    assert {(row[1], row[2]) for row in shown} == alike
    assert sum(len(row[3].split(", ")) for row in shown) == len(lacking[some])
    if none is not None:
        _open_session(operator, none)
        expect(operator.locator("#session-details")).to_contain_text("Every symbol that trades has every product.")


def _open_session(page: Page, session: str) -> None:
    page.locator(f"{CALENDAR} thead").get_by_role("button", name=_day(session), exact=True).click()
    expect(page.locator("#session-details h3")).to_have_text(f"{_day(session)} {session[:4]}")


def test_failures_say_why_and_what_to_do(operator: Page, operators: httpx.Client) -> None:
    failures = read(operators, OF_EVERYTHING)["failures"]
    assert "WEYA" in [item["subject"] for item in failures]
    entries = operator.locator("#failures li")
    expect(entries).to_have_count(len(failures))
    for entry, item in zip(entries.all(), failures, strict=True):
        text = entry.inner_text()
        assert item["subject"] in text
        assert item["detail"] in text
        assert item["next_step"].replace("`", "") in text


def test_runs_cache_and_queue_are_told(operator: Page, operators: httpx.Client) -> None:
    status, cache = read(operators, OF_EVERYTHING), read(operators, "admin/cache/status")
    shown = table(operator, "#runs table")
    assert [row[0] for row in shown] == [item["run_id"][:8] for item in status["runs"]]
    assert [row[3] for row in shown] == [item["status"] for item in status["runs"]]
    facts = operator.locator("#cache").inner_text()
    assert f"{cache['generation']:,}" in facts
    assert "in memory" in facts
    assert states(operator)["onboarding"] in ("drawn", "empty")


def test_links_lead_into_dagster(operator: Page, demo: Demo) -> None:
    """They are asked for without the browser, which is to speak with the API alone."""
    links = {link.get_attribute("href") or "" for link in operator.locator("#dagster a, main a[href^='http']").all()}
    assert {f"{demo.ui_url}/{page}" for page in ("assets", "runs", "automation")} <= links
    assert any(link.startswith(f"{demo.ui_url}/runs/") for link in links)
    with httpx.Client(trust_env=False) as client:
        for link in sorted(links):
            assert link.startswith(demo.ui_url), link
            assert client.get(link).status_code == 200, link


@pytest.mark.long
def test_an_owner_is_refused_and_stays_signed_in_elsewhere(
    open_page: OpenPage, demo: Demo, watches: dict[BrowserContext, Watch]
) -> None:
    page = open_page()
    watches[page.context].expect(403, "/api/v1/admin/cache/status")
    sign_in(page, demo.token, at="/ops")
    expect(page.get_by_role("alert")).to_contain_text("an owner's. This page is for operators")
    assert page.locator(CALENDAR).count() == 0
    sign_in(page, demo.token, at="/")
    wait_drawn(page)
    page.goto("/ops")
    expect(page.get_by_label("API token")).to_be_visible()
    assert page.locator(CALENDAR).count() == 0
    page.goto("/")
    wait_drawn(page)


def test_what_cannot_be_read_is_told_beside_the_rest(
    open_page: OpenPage, demo: Demo, watches: dict[BrowserContext, Watch]
) -> None:
    page = open_page()
    page.clock.install()
    watches[page.context].expect(500, "/api/v1/admin/cache/status")
    sign_in(page, demo.admin, at="/ops")
    wait_drawn(page)
    page.route("**/admin/cache/status", lambda route: route.fulfill(status=500, body="not JSON at all"))
    # It asks again every 15 s.
    page.clock.fast_forward(20_000)
    expect(page.locator(".connection")).to_contain_text("The server answered 500.")
    # What is known stays, and so does the verdict.
    assert set(states(page).values()) <= {"drawn", "empty"}
    expect(page.locator("#verdict")).to_contain_text("is published")


def test_it_looks_right(operator: Page, screenshots: Path) -> None:
    problems = look(operator, "operations", screenshots)
    assert not problems, "\n".join(problems)


@pytest.mark.long
def test_its_calendar_is_walked_through_by_keyboard(operator: Page) -> None:
    newest = operator.locator(f"{CALENDAR} thead button").last
    newest.focus()
    operator.keyboard.press("Shift+Tab")
    operator.keyboard.press("Enter")
    chosen = operator.locator(f"{CALENDAR} [aria-pressed='true']")
    expect(chosen).to_be_focused()
    expect(operator.locator("#session-details h3")).to_have_text("29 Jun 2026")
