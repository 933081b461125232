"""The answers about the factors themselves: definitions and a market view in, documents out. No database, no clock."""

from collections.abc import Sequence

import numpy as np

from sigmasight_api.factor_schemas import Collinearity, Factor, Factors, FundInflation
from sigmasight_api.formats import optional_number
from sigmasight_api.per_view import PerView
from sigmasight_api.view import MarketView
from sigmasight_assets.quant.arrays import FloatArray
from sigmasight_assets.quant.collinearity import RIDGE_FACTORS, WINDOW, CollinearityReason
from sigmasight_assets.quant.collinearity import collinearity as measured
from sigmasight_assets.quant.factors import FACTORS

FUNDS = tuple(factor.proxies[0] for factor in RIDGE_FACTORS)


def factors(view: MarketView) -> Factors:
    """The twelve factors, with the collinearity at this view."""
    return Factors(
        items=[
            Factor(
                name=factor.name,
                fund=factor.proxies[0] if len(factor.proxies) == 1 else None,
                proxies=list(FUNDS if factor.estimator == "ridge" else factor.proxies),
                estimator=factor.estimator,
                window=factor.window,
                min_observations=factor.min_observations,
                full_observations=factor.full_observations,
            )
            for factor in FACTORS
        ],
        total=len(FACTORS),
        as_of=view.as_of,
        generation=view.generation,
        collinearity=collinearity(view),
    )


def collinearity(view: MarketView) -> Collinearity:
    """Of the six funds of the joint regression over its window up to the view; computed once a view."""
    return _OF_VIEWS.of(view)


def fund_returns(view: MarketView, funds: Sequence[str]) -> FloatArray:
    """Daily returns (T, K) of these funds, NaN where one is missing."""
    returns = np.full((view.returns.shape[1], len(funds)), np.nan)
    for place, fund in enumerate(funds):
        if fund in view.rows:
            returns[:, place] = view.returns[view.rows[fund]]
    return returns


def _collinearity(view: MarketView) -> Collinearity:
    found = measured(fund_returns(view, FUNDS)[-WINDOW:])
    return Collinearity(
        as_of=view.as_of,
        window=WINDOW,
        observations=found.n_obs,
        condition_number=optional_number(found.condition_number),
        factors=[
            FundInflation(name=factor.name, fund=fund, variance_inflation=optional_number(inflation))
            for factor, fund, inflation in zip(RIDGE_FACTORS, FUNDS, found.inflation.tolist(), strict=True)
        ],
        reason=None if found.reason == CollinearityReason.NONE else found.reason.value,
    )


_OF_VIEWS = PerView(_collinearity)
