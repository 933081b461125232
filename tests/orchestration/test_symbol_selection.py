"""Which cells are computed: all that are stale, and few others."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sigmasight_assets.orchestration.symbol_selection import covering_blocks, stale_cells
from sigmasight_assets.quant.arrays import BoolArray
from sigmasight_assets.storage.figures import StoredFigures

properties = settings(deadline=None, max_examples=200, derandomize=True)


def test_stale_cells_case_by_case() -> None:
    present = np.array([[True, True, False, True, False]])
    stored = StoredFigures(present, np.array([[7, 8, 0, 7, 0]]), np.zeros((1, 5, 0)))
    possible = np.array([[True, True, True, False, False]])
    prints = np.full((1, 5), 7)
    # Fresh; other inputs; new; gone; never there.
    assert stale_cells(stored, prints, possible=possible).tolist() == [[False, True, True, True, False]]
    assert stale_cells(stored, prints, possible=possible, force=True).tolist() == [[True, True, True, True, False]]


def test_a_fingerprint_of_zero_is_no_missing_row() -> None:
    stored = StoredFigures(np.array([[True, False]]), np.zeros((1, 2), dtype=np.int64), np.zeros((1, 2, 0)))
    every = np.ones((1, 2), dtype=np.bool_)
    assert stale_cells(stored, np.zeros((1, 2), dtype=np.int64), possible=every).tolist() == [[False, True]]


def rectangles(cells: BoolArray) -> list[tuple[list[int], list[int]]]:
    return [(block.rows.tolist(), block.columns.tolist()) for block in covering_blocks(cells)]


def test_a_session_of_which_half_is_due_is_computed_for_all_symbols() -> None:
    cells = np.zeros((4, 6), dtype=np.bool_)
    cells[1, :3] = True
    cells[2, :2] = cells[3, 4] = True
    assert rectangles(cells) == [([1], [0, 1, 2, 3, 4, 5]), ([2, 3], [0, 1, 4])]


def test_nothing_due_is_nothing_to_compute() -> None:
    assert rectangles(np.zeros((3, 4), dtype=np.bool_)) == []
    assert rectangles(np.zeros((3, 0), dtype=np.bool_)) == []


@given(cells=arrays(np.bool_, st.tuples(st.integers(1, 8), st.integers(1, 9))))
@properties
def test_blocks_hold_every_cell_that_is_due_and_none_twice(cells: BoolArray) -> None:
    times = np.zeros(cells.shape, dtype=np.int64)
    for block in covering_blocks(cells):
        times[block.cells] += 1
        assert np.all(np.diff(block.rows) > 0)
        assert np.all(np.diff(block.columns) > 0)
    assert times.max() <= 1
    assert np.all(times[cells] == 1)
    # Of rows and columns without anything due, none.
    assert not times[~cells.any(axis=1)].any()
