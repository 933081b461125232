from datetime import date
from typing import Any

import numpy as np
import pytest

from sigmasight_assets.quant.lots import CapitalFlows, Dividends, LedgerState, Lots, Portfolios

DAY = np.datetime64(date(2024, 3, 4))
NEVER = np.datetime64("NaT", "D")


def _columns(**changes: Any) -> dict[str, Any]:
    two = np.ones(2, dtype=np.int64)
    columns: dict[str, Any] = {
        "portfolio": np.array([0, 1]),
        "symbol": two,
        "quantity": np.array([5, -5]),
        "multiplier": two,
        "split_numerator": two,
        "split_denominator": two,
        "entry_date": np.array([DAY, DAY]),
        "exit_date": np.array([NEVER, DAY]),
        "cost": np.array([7, -7]),
        "proceeds": np.array([-1, 0]),
        "pays_dividends": np.array([True, False]),
    }
    return columns | {name: np.array(values) for name, values in changes.items()}


def test_good_lots_are_taken_and_the_proceeds_of_an_open_one_are_not_read() -> None:
    assert len(Lots(**_columns())) == 2
    assert len(Lots(**_columns(split_numerator=[10**12, 1], split_denominator=[1, 10**12]))) == 2


@pytest.mark.parametrize(("money", "is_other"), [([1, -1], False), ([0, 0], False), ([-1, 1], True)])
def test_the_least_money_has_the_sign_of_the_least_quantity_or_the_other(money: list[int], *, is_other: bool) -> None:
    lots = Lots(**_columns(quantity=[1, -1]))
    assert lots.has_other_sign(np.array(money)).tolist() == [is_other, is_other]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"portfolio": [1, 0]}, "lot 1: its portfolio is out of order"),
        ({"entry_date": [NEVER, DAY]}, "lot 0: it has no entry date"),
        ({"exit_date": [NEVER, DAY - np.timedelta64(1, "D")]}, "lot 1: its exit lies before its entry"),
        ({"quantity": [5, 0]}, "lot 1: its quantity is 0"),
        ({"multiplier": [0, 1]}, "lot 0: its multiplier is not positive"),
        ({"split_numerator": [1, 0]}, "lot 1: its split factor is not made of numbers from 1 to 1e\\+12"),
        ({"split_denominator": [10**12 + 1, 1]}, "lot 0: its split factor is not made of numbers from 1 to 1e\\+12"),
        ({"cost": [-1, -1]}, "lot 0: its cost has not the sign of its quantity"),
        ({"cost": [0, 1]}, "lot 1: its cost has not the sign of its quantity"),
        ({"proceeds": [0, 1]}, "lot 1: its proceeds have not the sign of its quantity"),
        ({"multiplier": [1]}, "the columns of Lots differ in length"),
    ],
)
def test_a_lot_that_cannot_be_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Lots(**_columns(**changes))


def test_portfolios_and_flows_need_their_dates() -> None:
    with pytest.raises(ValueError, match="portfolio 1: it has no start date"):
        Portfolios(np.array([DAY, NEVER]), np.array([1, 1]))
    with pytest.raises(ValueError, match="flow 0: it has no date"):
        CapitalFlows(np.array([0]), np.array([NEVER]), np.array([1]))
    with pytest.raises(ValueError, match="the columns of Portfolios differ in length"):
        Portfolios(np.array([DAY]), np.array([1, 1]))


def test_dividends_need_a_date_and_an_amount_that_is_not_negative() -> None:
    with pytest.raises(ValueError, match="dividend 0: it has no ex-date"):
        Dividends(np.array([0]), np.array([NEVER]), np.array([1]))
    with pytest.raises(ValueError, match="dividend 1: its amount is negative"):
        Dividends(np.array([0, 0]), np.array([DAY, DAY]), np.array([0, -1]))
    with pytest.raises(ValueError, match="the columns of Dividends differ in length"):
        Dividends(np.array([0]), np.array([DAY]), np.array([1, 1]))
    none = Dividends.none()
    assert len(none) == 0
    assert none.symbol.dtype == none.amount.dtype == np.dtype(np.int64)


def test_the_initial_state_has_no_snapshot_and_no_mark() -> None:
    portfolios = Portfolios(np.array([DAY, DAY, DAY]), np.array([1, 2, 3]))
    state = LedgerState.initial(portfolios, Lots(**_columns()))
    assert np.isnat(state.session).tolist() == [True, True, True]
    assert state.has_mark.tolist() == [False, False]
    assert (state.session.dtype, state.has_mark.dtype) == (np.dtype("datetime64[D]"), np.dtype(np.bool_))
    for amounts, rows in ((state.equity, 3), (state.cumulative_pnl, 3), (state.value, 2), (state.price, 2)):
        assert amounts.tolist() == [0] * rows
        assert amounts.dtype == np.int64
