"""The volatility answer on views made by hand: nulls with reasons, and the identities of books."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from sigmasight_api.books import Book
from sigmasight_api.volatility import volatility
from sigmasight_assets.quant.volatility import NEEDED
from tests.api.handmade import holdings
from tests.api.test_book_series import NEW_BOOK, RANDOM, VIEW, view_of
from tests.api.test_exposures import BOOK

FIGURES = ("realized_21", "realized_63", "expected_21", "percentile")


def test_a_book_of_one_symbol_has_its_volatility_times_its_weight() -> None:
    found = volatility(replace(BOOK, equity=Decimal(1000)), holdings({"AAA": 30}), VIEW).data
    assert found.realized_21 == pytest.approx(0.3 * RANDOM[0, -21:].std(ddof=1) * 252**0.5, rel=1e-12)
    assert found.realized_63 == pytest.approx(0.3 * RANDOM[0, -63:].std(ddof=1) * 252**0.5, rel=1e-12)
    assert found.missing == []
    assert (found.series.observations, found.series.sessions_left_out) == (293, 0)


def test_a_mirror_book_is_as_volatile() -> None:
    one = volatility(BOOK, holdings({"AAA": 30, "BBB": -7}), VIEW).data
    other = volatility(BOOK, holdings({"AAA": -30, "BBB": 7}), VIEW).data
    assert one == other
    assert one.expected_21 is not None


@pytest.mark.parametrize("count", [62, 63, 103, 104, 271, 272])
def test_what_is_too_short_is_null_with_its_need(count: int) -> None:
    returns = np.where(np.arange(293) < 293 - count, np.nan, RANDOM[0])
    answer = volatility(BOOK, holdings({"AAA": 30}), view_of({"AAA": returns}))
    # Below 63 returns the symbol itself is left out.
    there = count if count >= 63 else 0
    missing = {item.name: (item.reason, item.observations, item.needed) for item in answer.data.missing}
    assert missing == {name: ("short_history", there, needed) for name, needed in NEEDED.items() if there < needed}
    assert all((getattr(answer.data, name) is None) == (name in missing) for name in (*FIGURES, "trend"))
    assert (answer.data.trend is None) == (answer.data.trend_slope is None)
    assert answer.coverage == (1.0 if there else 0.0)


@pytest.mark.parametrize("book", [replace(BOOK, equity=Decimal(-1)), replace(NEW_BOOK, stated_equity=Decimal(0))])
def test_without_equity_there_is_no_volatility(book: Book) -> None:
    answer = volatility(book, holdings({"AAA": 30}), VIEW)
    assert {(item.reason, item.needed) for item in answer.data.missing} == {("equity_not_positive", None)}
    assert [item.name for item in answer.data.missing] == list(NEEDED)
    assert all(getattr(answer.data, name) is None for name in (*FIGURES, "trend", "trend_slope"))
    assert answer.ratios_reason == "equity_not_positive"


def test_an_empty_book_says_so() -> None:
    answer = volatility(BOOK, holdings({}), VIEW)
    assert {item.reason for item in answer.data.missing} == {"no_positions"}
    assert answer.coverage is None
