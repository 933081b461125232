"""Tests of values at a view: exact in any share units, options by the hundred, private assets as their owner says."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sigmasight_api.books import Lot, holdings_of
from sigmasight_api.valuation import (
    LotValue,
    entry_values,
    held_options,
    lot_values,
    private_share,
    valued_positions,
)
from sigmasight_api.view import MarketView
from tests.api.handmade import AS_OF, BOUGHT, EARLIER, TODAY, holdings, lot, market, private, split_units

CALL, PUT = "AAPL250815C00150000", "AAPL250815P00150000"
VIEW = market(
    {"AAA": 1.0, CALL: np.nan, "BBB": 1.0, "OLD": 1.0},
    {"AAA": 100_000, CALL: 25_000, "BBB": 33_333, "OLD": 0},
    share_units=split_units((0, "2025-07-10", 3, 2), (2, "2025-07-10", 1, 3)),
)
QUANTITIES = st.decimals(Decimal("-1e9"), Decimal("1e9"), places=4).filter(bool)


def value_in_dollars(lots: list[Lot], view: MarketView = VIEW) -> dict[str, float]:
    valued = valued_positions(holdings_of(lots).shares, view)
    assert [view.symbols[row] for row in valued.rows] == list(valued.symbols)
    return dict(zip(valued.symbols, valued.market_value.tolist(), strict=True))


def test_positions_are_valued_in_the_units_of_the_close() -> None:
    lots = [lot("AAA", 10), lot("AAA", 10, units_date=AS_OF), lot("BBB", -3)]
    assert value_in_dollars(lots) == {"AAA": 250.0, "BBB": -3.3333}


@given(st.lists(st.tuples(QUANTITIES, st.booleans()), min_size=1, max_size=6))
def test_lots_are_summed_exactly_before_they_become_a_float(lots: list[tuple[Decimal, bool]]) -> None:
    dated = [lot("BBB", str(quantity), units_date=AS_OF if new else date(2025, 1, 6)) for quantity, new in lots]
    thirds = sum(Fraction(quantity) * (1 if new else Fraction(1, 3)) for quantity, new in lots)
    expected = thirds * Fraction(33_333, 10_000)
    assert value_in_dollars(dated) == ({"BBB": float(expected)} if thirds else {})


def test_entry_values_are_what_was_paid_whatever_the_units_of_the_quantity() -> None:
    # Three for two on 10 July: a remainder of 15 shares of today was bought as 10.
    bought = lot("AAA", 15, units_date=AS_OF, entry_price=Decimal("7.5"))
    lots = [bought, lot("AAA", -4), lot("BBB", 1, units_date=AS_OF), lot("UNHEARD", 1), private("AAA")]
    assert entry_values(holdings_of(lots).shares, VIEW) == {"AAA": 75.0 - 40.0, "BBB": 30.0}
    assert entry_values(holdings_of([]).shares, VIEW) == {}


@given(st.lists(st.tuples(QUANTITIES, st.booleans(), st.booleans()), min_size=1, max_size=6))
def test_entry_values_are_summed_exactly(lots: list[tuple[Decimal, bool, bool]]) -> None:
    dates = [(AS_OF if new or late else BOUGHT, AS_OF if new else BOUGHT) for _, new, late in lots]
    made = [
        lot("BBB", str(quantity), units_date=units_date, entry_date=entry_date)
        for (quantity, _, _), (units_date, entry_date) in zip(lots, dates, strict=True)
    ]
    values = lot_values(made, VIEW)
    costs = [value.cost for value in values if value.cost is not None]
    assert entry_values(holdings_of(made).shares, VIEW)["BBB"] == pytest.approx(sum(costs) / 10**8, rel=1e-12, abs=1e-7)


def test_symbols_without_a_close_are_told_once() -> None:
    lots = [lot("OLD", 1), lot("OLD", 1, units_date=AS_OF), lot("UNHEARD", 1), lot("AAA", 1)]
    valued = valued_positions(holdings_of(lots).shares, VIEW)
    assert (valued.symbols, valued.unpriced, valued.has_no_price) == (("AAA",), ("OLD", "UNHEARD"), False)
    assert valued_positions(holdings_of(lots[:3]).shares, VIEW).has_no_price
    assert not valued_positions(holdings_of([]).shares, VIEW).has_no_price


def test_a_view_without_symbols_values_nothing() -> None:
    assert value_in_dollars([lot("AAA", 1)], market({}, {})) == {}


def test_options_are_summed_per_contract_and_ended_ones_are_gone() -> None:
    ended = lot("AAPL250718C00150000", 1, "OPTIONS")
    lots = [lot(CALL, 3, "OPTIONS"), lot(CALL, -1, "OPTIONS"), lot(PUT, 2, "OPTIONS"), lot(PUT, -2, "OPTIONS"), ended]
    assert held_options(holdings_of(lots), VIEW, snapshot_session=None) == {CALL: 20_000}


def share(shares: dict[str, int], *others: Lot, view: MarketView = VIEW) -> float | None:
    held = holdings(shares, *others)
    options = held_options(held, view, snapshot_session=None)
    return private_share(valued_positions(held.shares, view), options, held.private, view)


def test_the_private_share_is_of_the_gross_of_all_classes() -> None:
    house = private("HOUSE", on_2025_06_30="50", on_2025_08_01="1000")
    assert share({}) == share({"AAA": 1}) == 0.0
    assert share({}, house) == 1.0
    # 150 in shares, 200 on either side in options.
    assert share({"AAA": -10}, house) == 0.25
    assert share({"AAA": 10}, house, lot(CALL, "-0.8", "OPTIONS")) == 0.125


def test_without_a_valuation_the_private_share_is_unknown_and_worthless_assets_have_none() -> None:
    unvalued, worthless = private("NEW", on_2025_08_01="5"), private("BARN", on_2025_06_30="0")
    assert share({"AAA": 1}, unvalued) is None
    assert share({}, private("HOUSE", on_2025_06_30="50"), unvalued) is None
    assert share({}, worthless) == 0.0


def test_a_lot_is_worth_its_shares_at_the_close_rounded_half_even() -> None:
    # Half a unit of 1e-8 USD either way: 0.0001 and 0.0003 shares at half of 0.0001 USD.
    view = market({"BBB": 1.0}, {"BBB": 1}, share_units=split_units((0, "2025-07-10", 1, 2)))
    values = lot_values([lot("BBB", "0.0001"), lot("BBB", "0.0003"), lot("BBB", "-0.0003")], view)
    assert [value.value for value in values] == [0, 2, -2]
    assert values[0] == LotValue(close=1, close_session=AS_OF, numerator=1, denominator=2, value=0, cost=100_000)


def test_each_lot_has_the_value_of_its_class() -> None:
    house = private("AAA", on_2025_06_30="12.34567891")
    values = lot_values([lot(CALL, -2, "OPTIONS"), lot("OLD"), house, lot("UNHEARD"), lot("AAA", 2)], VIEW)
    assert values[0] == LotValue(25_000, AS_OF, 1, 1, value=-500 * 10**8, cost=-2_000 * 10**8)
    assert values[1] == values[3] == LotValue()
    assert values[2] == LotValue(valued_on=date(2025, 6, 30), value=1_234_567_891, cost=10 * 10**8)
    assert values[4] == LotValue(100_000, AS_OF, 3, 2, value=30 * 10**8, cost=20 * 10**8)
    assert lot_values([], VIEW) == []


@pytest.mark.parametrize("amount", ["99999999999999999999.99999999", "0.00000001"])
def test_every_storable_amount_is_exact(amount: str) -> None:
    (house,) = lot_values([private("HOUSE", on_2025_06_30=amount)], VIEW)
    assert house.value == int(Fraction(amount) * 10**8)
    view = market({"AAA": 1.0}, {"AAA": 99_999_999_999_999})
    (shares,) = lot_values([lot("AAA", "99999999999999.9999")], view)
    assert shares.value == 99_999_999_999_999 * 999_999_999_999_999_999


def test_a_carried_close_is_used_with_its_session() -> None:
    view = replace(VIEW, close_session=np.array([EARLIER, TODAY, TODAY, TODAY]))
    (value,) = lot_values([lot("AAA", 1)], view)
    assert value.close_session == EARLIER.item()
