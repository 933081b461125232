"""Tests of what trades come to, from arrays alone; with the database in ``test_books``."""

import numpy as np
import pyarrow as pa
import pytest

from sigmasight_assets.errors import PublicationError
from sigmasight_assets.quant.money import AmountOverflowError
from sigmasight_assets.quant.splits import Splits
from sigmasight_assets.storage.actions import ACTION_ROWS
from sigmasight_assets.storage.lot_terms import (
    Trades,
    cost_and_proceeds,
    naming_portfolios,
    published_dividends,
    published_splits,
)

DAYS = np.arange("2025-06-02", "2025-06-07", dtype="datetime64[D]")
ACTIONS = pa.Table.from_pylist(
    [
        {"symbol": "AAA", "ex_date": DAYS[1].item(), "kind": "dividend", "amount": 250_000},
        {"symbol": "AAA", "ex_date": DAYS[2].item(), "kind": "split", "ratio_numerator": 4, "ratio_denominator": 1},
        {"symbol": "CCC", "ex_date": DAYS[3].item(), "kind": "split", "ratio_numerator": 1, "ratio_denominator": 3},
    ],
    ACTION_ROWS,
)


def trades(**columns: object) -> Trades:
    """Ten shares of AAA bought at 100 on the first day."""
    lot = {
        "symbol": [0],
        "size": [100_000],
        "units_date": DAYS[:1],
        "entry_price": [1_000_000],
        "entry_date": DAYS[:1],
        "exit_price": [0],
        "exit_date": np.array(["NaT"], dtype="datetime64[D]"),
    }
    return Trades(**{name: np.asarray(values) for name, values in {**lot, **columns}.items()})


def test_actions_by_kind_and_index() -> None:
    splits = published_splits(ACTIONS, ["AAA", "BBB", "CCC"])
    assert (splits.symbol.tolist(), splits.numerator.tolist(), splits.denominator.tolist()) == ([0, 2], [4, 1], [1, 3])
    np.testing.assert_array_equal(splits.ex_date, DAYS[2:4])
    dividends = published_dividends(ACTIONS, ["CCC", "AAA"])
    assert (dividends.symbol.tolist(), dividends.amount.tolist()) == ([1], [250_000])
    np.testing.assert_array_equal(dividends.ex_date, DAYS[1:2])


def test_no_actions() -> None:
    assert len(published_splits(ACTIONS[:0], [])) == len(published_dividends(ACTIONS[:0], [])) == 0


def test_an_open_lot_brought_nothing() -> None:
    cost, proceeds = cost_and_proceeds(trades(exit_price=[77]), published_splits(ACTIONS, ["AAA", "CCC"]))
    assert (cost.tolist(), proceeds.tolist()) == ([10**11], [0])


@pytest.mark.parametrize(("day", "brought"), [(1, 10 * 10**8), (2, 40 * 10**8), (4, 40 * 10**8)])
def test_an_exit_is_in_the_units_of_its_date(day: int, brought: int) -> None:
    closed = trades(exit_price=[10_000], exit_date=DAYS[day : day + 1])
    assert cost_and_proceeds(closed, published_splits(ACTIONS, ["AAA", "CCC"]))[1].tolist() == [brought]


def test_a_lot_beyond_the_symbols_of_the_splits() -> None:
    one = np.ones(1, dtype=np.int64)
    splits = Splits(one - 1, DAYS[2:3], 4 * one, one)
    closed = trades(symbol=[7], exit_price=[10_000], exit_date=DAYS[4:])
    assert cost_and_proceeds(closed, splits)[1].tolist() == [10 * 10**8]


def test_amounts_beyond_what_is_exact_name_each_portfolio_once() -> None:
    owners = np.array([7, 7, 9, 5])
    message = r"portfolios \[5, 7\] are too large to be exact \(92 billion USD\): correct their lots"
    with (
        pytest.raises(PublicationError, match=message),
        naming_portfolios(owners, books=(np.array([5, 6, 7]), np.array([1, 2, 3]))),
    ):
        raise AmountOverflowError("row 0", np.array([0, 1, 3]))
