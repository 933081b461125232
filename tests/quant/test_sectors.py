import numpy as np
import pandas as pd
from numpy.testing import assert_allclose, assert_array_equal

from sigmasight_assets.quant.sectors import group_totals


def test_equal_to_a_table_of_pandas() -> None:
    random = np.random.default_rng(1)
    values, groups = random.normal(0.0, 1e4, 200), random.integers(0, 7, 200)
    found = group_totals(values, groups, count=8)
    frame = pd.DataFrame({"value": values, "group": groups})
    by_group = frame.groupby("group")["value"]
    whole = range(8)
    long = frame[frame["value"] > 0].groupby("group")["value"].sum().reindex(whole, fill_value=0.0)
    share = (by_group.apply(lambda part: part.abs().sum()) / frame["value"].abs().sum()).reindex(whole, fill_value=0.0)
    assert_allclose(found.long, long, rtol=1e-12)
    assert_allclose(found.net, by_group.sum().reindex(whole, fill_value=0.0), rtol=1e-9)
    assert_allclose(found.gross_share, share, rtol=1e-12)
    assert_allclose(found.gross_share.sum(), 1.0, rtol=1e-14)


def test_long_and_short_of_a_group_are_kept_apart() -> None:
    found = group_totals(np.array([300.0, -100.0, -50.0]), np.array([0, 0, 1]), count=2)
    assert_array_equal(found.long, [300.0, 0.0])
    assert_array_equal(found.short, [-100.0, -50.0])
    assert_array_equal(found.gross, [400.0, 50.0])
    assert_array_equal(found.net, [200.0, -50.0])


def test_shares_of_less_than_a_dollar() -> None:
    assert_array_equal(group_totals(np.array([0.25, -0.25]), np.array([0, 1]), count=2).gross_share, [0.5, 0.5])


def test_no_position_gives_no_share() -> None:
    found = group_totals(np.array([]), np.array([], dtype=np.int64), count=2)
    assert np.isnan(found.gross_share).all()
    assert_array_equal(found.gross, [0.0, 0.0])
