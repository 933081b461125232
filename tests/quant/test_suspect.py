"""Which moves count as unexplained."""

import numpy as np
import pytest

from sigmasight_assets.quant.arrays import BoolArray
from sigmasight_assets.quant.suspect import agreeing, disagreeing, unexplained_moves, windows_holding


def moves(closes: list[int], *, action_at: int | None = None) -> list[int]:
    """Rows of one symbol that are unexplained."""
    column = np.array(closes)[:, None]
    has_action = np.zeros(column.shape, dtype=np.bool_)
    if action_at is not None:
        has_action[action_at] = True
    return [int(row) for row in np.flatnonzero(unexplained_moves(column, has_action))]


@pytest.mark.parametrize(
    ("close", "is_unexplained"),
    [(15_000, False), (15_001, True), (5_000, False), (4_999, True), (2_500, True), (40_000, True), (10_000, False)],
)
def test_a_move_of_more_than_half_is_unexplained_and_the_bound_itself_is_not(close: int, is_unexplained: bool) -> None:
    assert moves([10_000, close]) == ([1] if is_unexplained else [])


def test_an_action_explains_the_move_of_its_own_session_only() -> None:
    assert moves([10_000, 2_500, 10_000], action_at=1) == [2]
    assert moves([10_000, 2_500, 10_000], action_at=0) == [1, 2]
    assert moves([10_000, 2_500, 10_000], action_at=2) == [1]


def test_a_move_over_missing_sessions_is_measured_from_the_last_bar() -> None:
    assert moves([10_000, 0, 0, 2_500, 2_400]) == [3]


def test_an_action_while_there_was_no_bar_explains_the_move_to_the_next_one() -> None:
    assert moves([10_000, 0, 0, 2_500, 1_000], action_at=2) == [4]


def test_the_first_bar_and_missing_bars_are_never_unexplained() -> None:
    assert moves([0, 0, 10_000, 0]) == []
    assert moves([10_000]) == []


def test_symbols_are_judged_apart() -> None:
    closes = np.array([[10_000, 10_000, 0], [2_500, 10_000, 0], [2_500, 100_000, 7]])
    none: BoolArray = np.zeros(closes.shape, dtype=np.bool_)
    assert np.argwhere(unexplained_moves(closes, none)).tolist() == [[1, 0], [2, 1]]


def test_prices_up_to_the_largest_are_compared_exactly() -> None:
    largest = 10**14
    assert moves([largest, largest // 2]) == []
    assert moves([largest, largest // 2 - 1]) == [1]


def test_the_least_price_is_a_bar() -> None:
    assert moves([1, 2, 1, 1]) == [1]
    assert moves([3, 1]) == [1]
    assert moves([0, 1]) == []


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="shapes do not fit"):
        unexplained_moves(np.ones((3, 2), dtype=np.int64), np.zeros((3, 1), dtype=np.bool_))


def test_no_sessions_and_no_symbols_give_an_empty_answer() -> None:
    for shape in ((0, 2), (3, 0)):
        assert unexplained_moves(np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.bool_)).shape == shape


def test_a_window_holds_the_marks_of_its_own_sessions() -> None:
    marks = np.zeros((10, 2), dtype=np.bool_)
    marks[4, 0] = True
    rows = np.array([3, 4, 6, 7, 9])
    assert windows_holding(marks, rows=rows, window=3).T.tolist() == [[False, True, True, False, False], [False] * 5]
    # Windows that reach before the first session are cut there.
    assert windows_holding(marks, rows=rows, window=100)[:, 0].tolist() == [False, True, True, True, True]
    marks[0, 1] = True
    assert windows_holding(marks, rows=rows, window=5)[:, 1].tolist() == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("close", "other", "is_apart"),
    [
        (10_000, 10_100, False),
        (10_000, 10_101, True),
        (10_000, 9_900, False),
        (10_000, 9_899, True),
        (99, 100, True),
        (1, 1, False),
        (1, 2, True),
        (2, 1, True),
        (10**14 - 1, 10**14 - 10**12, False),
        (10**14 - 1, 10**14 - 10**12 - 2, True),
    ],
)
def test_closes_disagree_beyond_one_percent_of_the_first(close: int, other: int, is_apart: bool) -> None:
    closes, others = np.array([close]), np.array([other])
    assert (disagreeing(closes, others).tolist(), agreeing(closes, others).tolist()) == ([is_apart], [not is_apart])


@pytest.mark.parametrize(("close", "other"), [(0, 100), (100, 0), (0, 0)])
def test_a_close_that_is_not_there_neither_agrees_nor_disagrees(close: int, other: int) -> None:
    closes, others = np.array([close]), np.array([other])
    assert not disagreeing(closes, others).any()
    assert not agreeing(closes, others).any()
