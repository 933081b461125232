"""Tests of the answers about lots: every status, every class, and what has no value."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from sigmasight_api.books import Lot
from sigmasight_api.positions import lots_held, position_answers, symbols_without_close
from sigmasight_api.schemas import Position
from tests.api.handmade import AS_OF, BOUGHT, EARLIER, TODAY, lot, market, private, split_units

CALL, EXPIRED = "AAPL250815C00150000", "AAPL250718C00150000"
VIEW = market(
    {"AAA": 1.0, CALL: np.nan, EXPIRED: np.nan, "OLD": 1.0},
    {"AAA": 100_000, CALL: 25_000, EXPIRED: 25_000, "OLD": 50_000},
    share_units=split_units((0, "2025-07-10", 3, 2)),
    close_session=np.array([TODAY, TODAY, TODAY, EARLIER]),
    sectors=("Energy", None, None, None),
)
SOLD: dict[str, Any] = {"exit_price": Decimal("0"), "exit_date": date(2025, 2, 3)}


def answer(item: Lot) -> Position:
    (found,) = position_answers([item], VIEW, snapshot_session=None, reasons={})
    return found


def test_a_lot_is_shown_with_its_terms_and_its_value() -> None:
    item = lot("AAA", "7.5", notes="for the children")
    assert answer(item).model_dump() == {
        "position_id": item.position_id,
        "symbol": "AAA",
        "investment_class": "PUBLIC",
        "sector": "Energy",
        "quantity": "7.5000",
        "units_date": BOUGHT,
        "multiplier": 1,
        "entry_price": "10.0000",
        "entry_date": BOUGHT,
        "exit_price": None,
        "exit_date": None,
        "status": "priced",
        "status_reason": None,
        "close": "10.0000",
        "close_session": AS_OF,
        "split_numerator": 3,
        "split_denominator": 2,
        "valued_on": None,
        "market_value": "112.50",
        "unrealized_pnl": "37.50",
        "notes": "for the children",
    }


@pytest.mark.parametrize(
    ("item", "status", "value", "pnl"),
    [
        (lot("AAA", -2), "priced", "-30.00", "-10.00"),
        # Bought as 4/3 shares at 10, which the split made 2.
        (lot("AAA", 2, units_date=AS_OF), "priced", "20.00", "6.67"),
        (lot("AAA", -2, units_date=AS_OF, entry_date=AS_OF), "priced", "-20.00", "0.00"),
        (lot("OLD", 2), "stale", "10.00", "-10.00"),
        (lot("UNHEARD", 2), "unpriced", None, None),
        (lot(CALL, 1, "OPTIONS", entry_price=Decimal("2.1234")), "priced", "250.00", "37.66"),
        (lot(CALL, -1, "OPTIONS"), "priced", "-250.00", "750.00"),
        (lot(EXPIRED, 1, "OPTIONS"), "expired", None, None),
        (lot("AAA", 2, **SOLD), "closed", None, None),
        (lot(EXPIRED, 1, "OPTIONS", **SOLD), "closed", None, None),
        (private("HOUSE", on_2025_06_30="12.005"), "private", "12.00", "2.00"),
        (replace(private("HOUSE", on_2025_06_30="12"), entry_price=None), "private", "12.00", None),
        (private("HOUSE", on_2025_08_01="12"), "unpriced", None, None),
    ],
)
def test_status_value_and_unrealized_profit(item: Lot, status: str, value: str | None, pnl: str | None) -> None:
    found = answer(item)
    assert (found.status, found.market_value, found.unrealized_pnl) == (status, value, pnl)


def test_what_has_no_value_has_no_close_and_no_units() -> None:
    for item in (lot("UNHEARD"), lot("AAA", 1, **SOLD), private("AAA", on_2025_06_30="1")):
        found = answer(item)
        assert (found.close, found.close_session, found.split_numerator, found.split_denominator) == (None,) * 4
    assert answer(private("AAA", on_2025_06_30="1")).valued_on == date(2025, 6, 30)
    assert (answer(lot("AAA", 1, **SOLD)).exit_price, answer(lot("AAA", 1, **SOLD)).exit_date) == (
        "0.0000",
        date(2025, 2, 3),
    )


def test_only_a_lot_without_a_value_says_why() -> None:
    reasons = dict.fromkeys(("AAA", "UNHEARD", EXPIRED), "error: no such ticker")
    late, early = private("HOUSE", on_2025_08_01="12"), private("HOUSE", on_2025_06_30="12")
    sold, ended = lot("UNHEARD", 1, **SOLD), lot(EXPIRED, 1, "OPTIONS")
    lots = [lot("AAA"), lot("UNHEARD"), lot("ELSE"), late, early, sold, ended, lot("OLD")]
    found = position_answers(lots, VIEW, snapshot_session=None, reasons=reasons)
    assert [item.status_reason for item in found] == [
        None,
        "error: no such ticker",
        "no published close within 5 sessions",
        "no valuation up to 2025-07-31",
        *[None] * 4,
    ]
    (before,) = position_answers([late], replace(VIEW, as_of=None), snapshot_session=None, reasons={})
    assert before.status_reason == "no valuation"


def test_symbols_that_lack_a_close_are_those_of_open_lots() -> None:
    view = market({"AAA": 1.0, "BARE": 1.0}, {"AAA": 100_000, "BARE": 0})
    lots = [lot("AAA"), lot("BARE"), lot("UNHEARD"), lot("SOLD", 1, **SOLD), private("HOUSE", on_2025_06_30="1")]
    assert symbols_without_close(lots, view) == {"BARE", "UNHEARD"}


def test_held_are_the_open_lots_whose_options_have_not_ended() -> None:
    lots = [lot("AAA"), lot("AAA", 1, **SOLD), lot(EXPIRED, 1, "OPTIONS"), lot(CALL, 1, "OPTIONS", settled_on=AS_OF)]
    assert lots_held(lots, VIEW, snapshot_session=None) == [lots[0], lots[3]]
    assert lots_held(lots, VIEW, snapshot_session=AS_OF) == [lots[0]]


def test_lots_keep_their_order_and_their_own_values() -> None:
    lots = [lot("OLD"), lot("AAA", 1, **SOLD), lot("AAA", 2), private("HOUSE", on_2025_06_30="9"), lot("AAA", 4)]
    found = position_answers(lots, VIEW, snapshot_session=None, reasons={})
    assert [item.position_id for item in found] == [item.position_id for item in lots]
    assert [item.market_value for item in found] == ["5.00", None, "30.00", "9.00", "60.00"]


def test_every_lot_has_the_group_that_sector_exposures_put_it_in() -> None:
    items = [lot("AAA", **SOLD), lot("OLD"), lot(CALL, kind="OPTIONS"), lot("AAA", kind="PRIVATE"), lot("ZZZ")]
    assert [answer(item).sector for item in items] == ["Energy", "Unclassified", "Options", "Private", None]
