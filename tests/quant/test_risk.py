"""Tail figures against numpy quantiles written out, and where they are known by hand."""

import numpy as np
import pandas as pd
import pytest

from sigmasight_assets.quant.risk import MIN_OBSERVATIONS, last_year, tail_risk


@pytest.mark.parametrize("count", [100, 101, 251, 252])
@pytest.mark.parametrize("tail", [0.05, 0.01])
def test_equal_to_pandas(count: int, tail: float) -> None:
    returns = np.random.default_rng(count).standard_t(4, count) * 0.01
    series = pd.Series(returns)
    quantile = series.quantile(tail, interpolation="linear")
    found = tail_risk(returns, tail=tail)
    assert found.value_at_risk == pytest.approx(-quantile, rel=1e-12)
    assert found.expected_shortfall == pytest.approx(-series[series <= quantile].mean(), rel=1e-12)
    assert found.expected_shortfall >= found.value_at_risk


def test_by_hand() -> None:
    # The 5 % quantile of 0 to 100 is 5; the mean of 0 to 5 is 2.5; the 1 % quantile is 1, and 0.5 the mean of 0 and 1.
    returns = np.random.default_rng(1).permutation(np.arange(101.0))
    assert tail_risk(returns, tail=0.05).value_at_risk == -5.0
    assert tail_risk(returns, tail=0.05).expected_shortfall == -2.5
    assert tail_risk(returns, tail=0.01).expected_shortfall == -0.5


def test_too_short_a_series_has_no_tail() -> None:
    with pytest.raises(ValueError, match="99 returns are too few for a tail: it needs 100"):
        tail_risk(np.zeros(MIN_OBSERVATIONS - 1), tail=0.05)


def test_a_year_is_the_last_252() -> None:
    assert last_year(np.arange(300.0)).tolist() == list(range(48, 300))
    assert len(last_year(np.zeros(100))) == 100
