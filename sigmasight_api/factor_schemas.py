"""The answer about the factors themselves: what they are estimated on, and how collinear their funds are."""

from datetime import date
from typing import Literal

from pydantic import Field

from sigmasight_api.schemas import Listing, Model


class Factor(Model):
    """What a factor is estimated on."""

    name: str = Field(description="Canonical name", examples=["Market Beta"])
    fund: str | None = Field(description="Fund whose slope it is; null for a spread", examples=["SPY"])
    proxies: list[str] = Field(
        description="Funds whose returns are the regressors: the fund; of a spread, the first less the second; of the "
        "ridge factors all six",
        examples=[["SPY"]],
    )
    estimator: Literal["ols", "ridge"] = Field(
        description="ols: least squares on this factor alone; ridge: one joint regression of all ridge factors",
        examples=["ols"],
    )
    window: int = Field(description="Returns in the window, sessions", examples=[90])
    min_observations: int = Field(description="Fewest returns that give a value", examples=[30])
    full_observations: int = Field(description="Fewest returns that give quality full", examples=[60])


class FundInflation(Model):
    """How much the other funds of the joint regression say of one of them."""

    name: str = Field(description="Canonical name of the factor", examples=["Value"])
    fund: str = Field(description="Its fund", examples=["VTV"])
    variance_inflation: float | None = Field(
        description="Variance inflation factor, dimensionless: 1 / (1 - R2) of the fund's returns on those of the "
        "other funds; 1 when they say nothing of it",
        examples=[14.2],
    )


class Collinearity(Model):
    """How far the funds of the ridge factors repeat each other: the further, the less their betas can be told apart."""

    as_of: date | None = Field(description="Session at which the window ends", examples=["2025-07-31"])
    window: int = Field(description="Returns in the window, sessions", examples=[90])
    observations: int = Field(description="Returns used: sessions with one of every fund", examples=[90])
    condition_number: float | None = Field(
        description="Largest / smallest singular value of the returns, each fund's less their mean over their standard "
        "deviation, dimensionless; above 30 is usually called strong",
        examples=[25.1],
    )
    factors: list[FundInflation] = Field(description="One per ridge factor, in the canonical order")
    reason: Literal["short_history", "constant", "collinear"] | None = Field(
        description="Why there are no numbers: fewer than 30 returns; a fund that does not move; funds that repeat "
        "each other exactly",
        examples=[None],
    )


class Factors(Listing[Factor]):
    """All factors in their canonical order, and the collinearity of those that are estimated jointly."""

    as_of: date | None = Field(
        description="Newest complete session of the market; null before the first", examples=["2025-07-31"]
    )
    generation: int = Field(description="Published data set the collinearity was computed from", examples=[128])
    collinearity: Collinearity = Field(description="Of the six funds of the ridge factors")
