from datetime import date
from typing import Any

import numpy as np
import pytest

from sigmasight_assets.quant.lots import CapitalFlows, LedgerState, Lots, Portfolios

DAY = np.datetime64(date(2024, 3, 4))
NEVER = np.datetime64("NaT", "D")


def _columns(**changes: Any) -> dict[str, Any]:
    two = np.ones(2, dtype=np.int64)
    columns: dict[str, Any] = {
        "portfolio": np.array([0, 1]),
        "symbol": two,
        "quantity": np.array([5, -5]),
        "entry_price": two,
        "entry_date": np.array([DAY, DAY]),
        "exit_date": np.array([NEVER, DAY]),
        "exit_price": np.array([-1, 0]),
        "multiplier": two,
    }
    return columns | {name: np.array(values) for name, values in changes.items()}


def test_good_lots_are_taken_and_the_exit_price_of_an_open_one_is_not_read() -> None:
    assert len(Lots(**_columns())) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"portfolio": [1, 0]}, "lot 1: its portfolio is out of order"),
        ({"entry_date": [NEVER, DAY]}, "lot 0: it has no entry date"),
        ({"exit_date": [NEVER, DAY - np.timedelta64(1, "D")]}, "lot 1: its exit lies before its entry"),
        ({"quantity": [5, 0]}, "lot 1: its quantity is 0"),
        ({"entry_price": [5, -1]}, "lot 1: its entry price is negative"),
        ({"exit_price": [0, -1]}, "lot 1: its exit price is negative"),
        ({"multiplier": [0, 1]}, "lot 0: its multiplier is not positive"),
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


def test_the_initial_state_has_no_snapshot_and_no_mark() -> None:
    portfolios = Portfolios(np.array([DAY, DAY, DAY]), np.array([1, 2, 3]))
    state = LedgerState.initial(portfolios, Lots(**_columns()))
    assert np.isnat(state.session).tolist() == [True, True, True]
    assert state.has_mark.tolist() == [False, False]
