import numpy as np
import pandas as pd
import pytest

from sigmasight_assets.quant.carried_prices import CARRIED_SESSIONS, NO_PRICE, carried_prices


def test_a_close_is_carried_for_five_sessions_with_its_age() -> None:
    closes = np.array([[7], [0], [0], [0], [0], [0], [0], [9]])
    prices, ages = carried_prices(closes, np.arange(8))
    assert prices[:, 0].tolist() == [7, 7, 7, 7, 7, 7, 0, 9]
    assert ages[:, 0].tolist() == [0, 1, 2, 3, 4, 5, -1, 0]
    assert (prices.dtype, ages.dtype) == (np.dtype(np.int64), np.dtype(np.int8))


def test_the_least_close_is_a_price() -> None:
    prices, ages = carried_prices(np.array([[1], [0]]), np.arange(2))
    assert (prices.tolist(), ages.tolist()) == ([[1], [1]], [[0], [1]])


def test_prices_equal_those_pandas_fills_forward() -> None:
    generator = np.random.default_rng(11)
    closes = generator.integers(1, 10**9, (60, 40)) * (generator.random((60, 40)) < 0.25)
    rows = np.sort(generator.choice(60, 25, replace=False))
    prices, ages = carried_prices(closes, rows)
    own = pd.DataFrame(closes, dtype="Int64").mask(closes == 0)
    filled = own.ffill(limit=CARRIED_SESSIONS).fillna(0).to_numpy(dtype=np.int64)
    np.testing.assert_array_equal(prices, filled[rows])
    np.testing.assert_array_equal(ages == 0, closes[rows] > 0)
    np.testing.assert_array_equal(ages == NO_PRICE, filled[rows] == 0)
    carried = ages > 0
    ages_from_closes = closes[(rows[:, None] - ages), np.arange(40)]
    np.testing.assert_array_equal(ages_from_closes[carried], prices[carried])
    assert ages.max() == CARRIED_SESSIONS


def test_nothing_is_carried_from_before_the_first_row() -> None:
    prices, ages = carried_prices(np.array([[0, 5]]), np.array([0]))
    assert prices.tolist() == [[0, 5]]
    assert ages.tolist() == [[NO_PRICE, 0]]


def test_a_close_that_is_not_positive_is_missing() -> None:
    prices, ages = carried_prices(np.array([[4], [-3]]), np.array([1]))
    assert (prices.item(), ages.item()) == (4, 1)


@pytest.mark.parametrize("row", [-1, 2])
def test_a_row_outside_the_closes_is_refused(row: int) -> None:
    with pytest.raises(IndexError, match="within 0 to 1"):
        carried_prices(np.ones((2, 1), dtype=np.int64), np.array([row]))
