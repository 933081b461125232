"""Tests of suspect bars as the API's service tells them: exact prices, pages, who decided."""

from datetime import date

import pytest

from sigmasight_api.bars import BarDecisions
from sigmasight_api.repository import Page
from sigmasight_assets.errors import NotFoundError
from sigmasight_assets.storage.database import Database
from tests.orchestration.contents import rows_of
from tests.stored_bars import FALLEN, fallen, publish_figures


@pytest.fixture
def decisions(database: Database) -> BarDecisions:
    """Three symbols have fallen."""
    for symbol, close in (("AAA", "25"), ("BBB", "0.0001"), ("CCC", "9999999999.9999")):
        fallen(database, symbol, to=close)
    return BarDecisions(database)


@pytest.mark.parametrize(
    ("page", "symbols"),
    [(Page(100, 0), ["AAA", "BBB", "CCC"]), (Page(2, 0), ["AAA", "BBB"]), (Page(2, 2), ["CCC"]), (Page(2, 3), [])],
)
def test_pages(decisions: BarDecisions, page: Page, symbols: list[str]) -> None:
    found = decisions.suspect(page)
    assert ([bar.symbol for bar in found.items], found.total) == (symbols, 3)


def test_prices_have_all_their_decimals(decisions: BarDecisions) -> None:
    found = decisions.suspect(Page(100, 0)).items
    assert [bar.close_price for bar in found] == ["25.0000", "0.0001", "9999999999.9999"]
    assert {bar.previous_close_price for bar in found} == {"100.0000"}
    assert [bar.move_percent for bar in found] == [-75.0, -100.0, 9_999_999_900.0]


def test_decisions_are_the_callers(decisions: BarDecisions, database: Database) -> None:
    publish_figures(database, FALLEN, "AAA", "BBB")
    accepted = decisions.accept("AAA", FALLEN, user="root", reason="it is in the news")
    rejected = decisions.reject("BBB", FALLEN, user="toor", reason="a misprint")
    assert (accepted.verdict, accepted.effect, accepted.close_price) == ("accepted", "republished", "25.0000")
    assert (rejected.verdict, rejected.effect, rejected.close_price) == ("rejected", "republished", "0.0001")
    stored = rows_of(database, "SELECT action_id, actor, reason FROM operator_actions ORDER BY action_id")
    assert [tuple(row.values()) for row in stored] == [
        (accepted.action_id, "root", "it is in the news"),
        (rejected.action_id, "toor", "a misprint"),
    ]
    assert [bar.symbol for bar in decisions.suspect(Page(100, 0)).items] == ["CCC"]
    with pytest.raises(NotFoundError):
        decisions.accept("AAA", date(2025, 7, 26), user="root", reason="r")
