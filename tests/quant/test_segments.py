import numpy as np
import pytest

from sigmasight_assets.quant.segments import Segments

OWNER = np.array([0, 0, 2, 2, 2, 5])


def test_totals_are_those_of_each_owner_and_0_without_rows() -> None:
    segments = Segments.of(OWNER, 7)
    assert segments.totals(np.array([1, 2, 3, 4, 5, 6])).tolist() == [3, 0, 12, 0, 0, 6, 0]
    assert segments.totals(np.array([True, True, True, False, True, False])).tolist() == [2, 0, 2, 0, 0, 0, 0]
    assert segments.magnitudes(np.arange(6.0)).tolist() == [1.0, 0.0, 9.0, 0.0, 0.0, 5.0, 0.0]
    assert Segments.of(OWNER[:0], 2).magnitudes(np.zeros(0)).tolist() == [0.0, 0.0]


def test_totals_are_exact_although_the_running_sum_wraps_around() -> None:
    large = 9 * 10**18
    totals = Segments.of(np.array([0, 1, 2]), 3).totals(np.array([large, large, -large + 1]))
    assert totals.tolist() == [large, large, -large + 1]


def test_values_are_spread_to_the_rows() -> None:
    assert Segments.of(OWNER, 6).spread(np.arange(6)).tolist() == OWNER.tolist()


@pytest.mark.parametrize("owner", [[1, 0], [-1, 0], [0, 3], [0, 1, 3], [0, 2, 1]])
def test_an_index_that_is_not_ascending_or_outside_is_refused(owner: list[int]) -> None:
    with pytest.raises(ValueError, match="ascending and within 0 to 2"):
        Segments.of(np.array(owner), 3)
