"""The answer about the factors on views made by hand: definitions, and the collinearity of the funds."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from sigmasight_api.factors import collinearity, factors
from sigmasight_api.view import MarketView
from sigmasight_assets.quant.factors import FACTOR_ETFS
from tests.api.handmade import AS_OF, market, with_returns
from tests.quant.reference import random_market


def view_of_funds(sessions: int = 120) -> MarketView:
    """Returns of the funds; the styles' are those of the random market."""
    view = market(dict.fromkeys(FACTOR_ETFS, 1.0), dict.fromkeys(FACTOR_ETFS, 10_000))
    returns = random_market(seed=4, sessions=sessions).factor_returns
    order = [FACTOR_ETFS.index(fund) for fund in view.symbols]
    return with_returns(view, returns[:, order].T.copy())


def test_there_are_twelve_definitions() -> None:
    answer = factors(view_of_funds())
    assert (answer.total, len(answer.items), answer.as_of, answer.generation) == (12, 12, AS_OF, 5)
    assert answer.items[6].model_dump() == {
        "name": "Size",
        "fund": "IWM",
        "proxies": ["VTV", "VUG", "MTUM", "QUAL", "IWM", "USMV"],
        "estimator": "ridge",
        "window": 90,
        "min_observations": 30,
        "full_observations": 60,
    }
    assert (answer.items[8].fund, answer.items[8].proxies) == (None, ["VUG", "VTV"])
    assert (answer.items[0].fund, answer.items[0].proxies) == ("SPY", ["SPY"])


def test_the_collinearity_is_that_of_the_last_90_returns_of_the_six_funds() -> None:
    found = collinearity(view_of_funds())
    used = StandardScaler().fit_transform(random_market(seed=4, sessions=120).factor_returns[-90:, 2:])
    assert (found.window, found.observations, found.reason, found.as_of) == (90, 90, None, AS_OF)
    assert found.condition_number == pytest.approx(np.linalg.cond(used), rel=1e-9)
    inflation = np.diag(np.linalg.inv(np.corrcoef(used, rowvar=False)))
    assert [item.variance_inflation for item in found.factors] == pytest.approx(inflation.tolist(), rel=1e-9)
    assert [item.fund for item in found.factors] == list(FACTOR_ETFS[2:])
    assert [item.name for item in found.factors][-1] == "Low Volatility"


def test_it_is_computed_once_a_view() -> None:
    view = view_of_funds()
    assert collinearity(view) is collinearity(view)
    assert factors(view).collinearity is collinearity(view)


@pytest.mark.parametrize("fund", ["VTV", "SPY"])
def test_only_a_missing_style_fund_leaves_no_number(fund: str) -> None:
    view = view_of_funds()
    returns = view.returns.copy()
    returns[view.rows[fund]] = np.nan
    found = collinearity(replace(view, returns=returns))
    if fund == "SPY":
        assert found.condition_number is not None
    else:
        assert (found.condition_number, found.observations, found.reason) == (None, 0, "short_history")
        assert {item.variance_inflation for item in found.factors} == {None}


def test_a_view_without_funds_or_history_has_no_numbers() -> None:
    for view in (market({"AAA": 1.0}, {"AAA": 1}), view_of_funds(29), market({}, {})):
        assert collinearity(view).reason == "short_history"
