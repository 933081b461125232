"""The concentration answer on views made by hand: every class counts, and what has no value is named."""

from dataclasses import replace

import numpy as np
import pytest

from sigmasight_api.concentration import concentration
from tests.api.handmade import EARLIER, TODAY, holdings, lot, market, private
from tests.api.test_exposures import BOOK

CALL = "AAA250815C00150000"
VIEW = market({"AAA": 1.0, "BBB": 1.0, CALL: np.nan}, {"AAA": 100_000, "BBB": 400_000, CALL: 20_000})


def test_every_class_counts_by_its_value() -> None:
    # 300 long, 200 short, two contracts of 100 x 2, a house of 100: 1,000 in all.
    others = (lot(CALL, 2, "OPTIONS"), private("HOUSE", on_2025_06_30="100"))
    answer = concentration(BOOK, holdings({"AAA": 30, "BBB": -5}, *others), VIEW)
    assert [(item.symbol, item.investment_class, item.market_value, item.weight) for item in answer.data.largest] == [
        (CALL, "OPTIONS", "400.00", 0.4),
        ("AAA", "PUBLIC", "300.00", 0.3),
        ("BBB", "PUBLIC", "-200.00", 0.2),
        ("HOUSE", "PRIVATE", "100.00", 0.1),
    ]
    assert answer.data.herfindahl == pytest.approx(3000)
    assert answer.data.effective_positions == pytest.approx(10 / 3)
    assert answer.data.top_3 == pytest.approx(0.9)
    assert answer.data.top_10 == pytest.approx(1)
    assert answer.data.positions == 4
    assert (answer.coverage, answer.excluded, answer.carried) == (1.0, [], [])
    assert answer.private_share == pytest.approx(0.1)


def test_a_private_lot_that_is_named_like_a_ticker_is_another_position() -> None:
    answer = concentration(BOOK, holdings({"AAA": 10}, private("AAA", on_2025_06_30="100")), VIEW)
    assert [item.investment_class for item in answer.data.largest] == ["PRIVATE", "PUBLIC"]
    assert answer.data.herfindahl == pytest.approx(5000)


def test_what_has_no_value_is_named_and_lowers_the_coverage() -> None:
    others = (lot("BBB250815C00150000", 1, "OPTIONS"), private("BOAT"))
    answer = concentration(BOOK, holdings({"AAA": 10, "ZZZ": 1}, *others), VIEW)
    assert [(item.symbol, item.reason) for item in answer.excluded] == [
        ("BBB250815C00150000", "no_price"),
        ("BOAT", "no_valuation"),
        ("ZZZ", "no_price"),
    ]
    assert (answer.coverage, answer.data.positions, answer.private_share) == (0.25, 1, None)


def test_an_empty_book_and_one_without_prices_have_no_numbers() -> None:
    empty = concentration(BOOK, holdings({}), VIEW)
    assert (empty.coverage, empty.data.herfindahl, empty.data.positions, empty.data.largest) == (None, None, 0, [])
    unpriced = concentration(BOOK, holdings({"ZZZ": 1}), VIEW)
    assert (unpriced.coverage, unpriced.data.top_3, unpriced.data.positions) == (0.0, None, 0)


def test_a_carried_close_is_said() -> None:
    view = replace(VIEW, close_session=np.array([EARLIER, TODAY, TODAY]))
    (carried,) = concentration(BOOK, holdings({"AAA": 1, "BBB": 1}), view).carried
    assert (carried.symbol, carried.close_session, carried.factors_session) == ("AAA", EARLIER.item(), None)


def test_ten_are_listed_and_equal_ones_by_name() -> None:
    names = [f"S{number:02d}" for number in range(12)]
    view = market(dict.fromkeys(names, 1.0), dict.fromkeys(names, 10_000))
    answer = concentration(BOOK, holdings(dict.fromkeys(reversed(names), 3)), view)
    assert [item.symbol for item in answer.data.largest] == names[:10]
    assert answer.data.top_10 == pytest.approx(10 / 12)
