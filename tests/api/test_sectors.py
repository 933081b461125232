"""The sector answer on views made by hand: what goes where, and what is said of the rest."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sigmasight_api.sectors import sector_exposure, sector_of
from tests.api.handmade import EARLIER, TODAY, holdings, lot, market, private
from tests.api.test_exposures import BOOK

CALL = "AAA250815C00150000"
VIEW = market(
    {"AAA": 1.0, "BBB": 1.0, "FUND": 1.0, "NEW": 1.0, CALL: np.nan},
    {"AAA": 100_000, "BBB": 400_000, "FUND": 10_000, "NEW": 20_000, CALL: 20_000},
    sectors=("Energy", None, "Energy", "Energy", None),
    is_fund=np.array([False, False, False, True, False]),
)


def test_the_view_is_in_the_order_of_its_symbols() -> None:
    assert VIEW.symbols == ("AAA", CALL, "BBB", "FUND", "NEW")


@pytest.mark.parametrize(
    ("kind", "symbol", "expected"),
    [
        ("PUBLIC", "AAA", "Energy"),
        ("PUBLIC", "BBB", "Energy"),
        ("PUBLIC", "FUND", "ETF"),
        ("PUBLIC", "NEW", "Unclassified"),
        ("PUBLIC", "ZZZ", None),
        ("OPTIONS", CALL, "Options"),
        ("OPTIONS", "ZZZ", "Options"),
        ("PRIVATE", "AAA", "Private"),
    ],
)
def test_every_position_has_one_group(kind: str, symbol: str, expected: str | None) -> None:
    assert sector_of(kind, symbol, VIEW) == expected


def test_every_group_by_hand() -> None:
    # Energy 300 long and 200 short, a fund of 100, an unclassified short of 20, contracts of 400, a house of 180.
    others = (lot(CALL, 2, "OPTIONS"), private("HOUSE", on_2025_06_30="180"))
    answer = sector_exposure(BOOK, holdings({"AAA": 30, "BBB": -5, "FUND": 100, "NEW": -10}, *others), VIEW)
    rows: list[Any] = [
        (item.sector, item.gross_share, item.gross, item.long, item.short, item.net, item.positions)
        for item in answer.data.sectors
    ]
    assert rows == [
        ("Energy", pytest.approx(500 / 1200), "500.00", "300.00", "-200.00", "100.00", 2),
        ("Options", pytest.approx(400 / 1200), "400.00", "400.00", "0.00", "400.00", 1),
        ("Private", pytest.approx(180 / 1200), "180.00", "180.00", "0.00", "180.00", 1),
        ("ETF", pytest.approx(100 / 1200), "100.00", "100.00", "0.00", "100.00", 1),
        ("Unclassified", pytest.approx(20 / 1200), "20.00", "0.00", "-20.00", "-20.00", 1),
    ]
    assert sum(item.gross_share for item in answer.data.sectors) == pytest.approx(1.0, rel=1e-14)
    shares = [item.net_share_of_equity for item in answer.data.sectors]
    assert shares == pytest.approx([value / 1000.005 for value in (100, 400, 180, 100, -20)])
    assert (answer.data.gross, answer.data.net) == ("1200.00", "760.00")
    assert (answer.coverage, answer.excluded, answer.carried) == (1.0, [], [])
    assert answer.private_share == pytest.approx(180 / 1200)


def test_groups_of_equal_size_are_listed_by_name() -> None:
    answer = sector_exposure(BOOK, holdings({"NEW": 5, "FUND": 10, "AAA": -1}), VIEW)
    assert [item.sector for item in answer.data.sectors] == ["ETF", "Energy", "Unclassified"]


def test_without_equity_there_is_no_ratio_to_it() -> None:
    for equity in (None, BOOK.stated_equity * -1):
        answer = sector_exposure(replace(BOOK, equity=equity), holdings({"AAA": 1}), VIEW)
        assert (answer.data.sectors[0].net_share_of_equity, answer.data.sectors[0].net) == (None, "10.00")
        assert answer.ratios_reason is not None


def test_what_has_no_value_is_named() -> None:
    others = (lot("BBB250815C00150000", 1, "OPTIONS"), private("BOAT"))
    answer = sector_exposure(BOOK, holdings({"AAA": 10, "ZZZ": 1}, *others), VIEW)
    assert [(item.symbol, item.reason) for item in answer.excluded] == [
        ("BBB250815C00150000", "no_price"),
        ("BOAT", "no_valuation"),
        ("ZZZ", "no_price"),
    ]
    assert (answer.coverage, len(answer.data.sectors)) == (0.25, 1)


def test_an_empty_book_is_nothing_and_one_without_prices_is_unknown() -> None:
    empty = sector_exposure(BOOK, holdings({}), VIEW)
    assert (empty.data.gross, empty.data.net, empty.data.sectors, empty.coverage) == ("0.00", "0.00", [], None)
    unpriced = sector_exposure(BOOK, holdings({"ZZZ": 1}), VIEW)
    assert (unpriced.data.gross, unpriced.data.net, unpriced.data.sectors) == (None, None, [])


def test_a_carried_close_is_said() -> None:
    view = replace(VIEW, close_session=np.array([EARLIER, *[TODAY] * 4]))
    (carried,) = sector_exposure(BOOK, holdings({"AAA": 1, "BBB": 1}), view).carried
    assert (carried.symbol, carried.close_session) == ("AAA", EARLIER.item())
