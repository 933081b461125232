"""Stress scenarios as they are asked for and read from files, and the answer of a stress test."""

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from sigmasight_api.exact import plain_float
from sigmasight_api.schemas import Model, Money

# Beyond this the approximation by duration and convexity is no longer one (see the settings).
LARGEST_RATES_BP = 400.0

ShockName = Literal["Market", "Market Beta", "Value", "Growth", "Momentum", "Quality", "Size", "Low Volatility"]
Category = Literal["base", "market", "rates", "rotation", "volatility", "historical", "custom"]
Severity = Literal["mild", "moderate", "severe", "extreme"]
# Strict: neither true nor "0.1" is a number.
Shock = Annotated[
    float,
    Field(strict=True, ge=-1.0, le=1.0, description="Return, dimensionless", examples=[-0.1]),
    BeforeValidator(plain_float),
]
RatesChange = Annotated[
    float, Field(strict=True, ge=-LARGEST_RATES_BP, le=LARGEST_RATES_BP), BeforeValidator(plain_float)
]
Label = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]


class ShockSet(Model):
    """What is shocked, and by how much."""

    # As the validator below, so that the document says it too.
    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {
                    "required": ["shocks"],
                    "properties": {"shocks": {"minProperties": 1, "description": "At least one"}},
                },
                {
                    "required": ["rates_bp"],
                    "properties": {"rates_bp": {"type": "number", "description": "Not null"}},
                },
            ]
        }
    )

    shocks: dict[ShockName, Shock] = Field(
        default_factory=dict,
        description="Returns between -1 and 1 by factor, dimensionless. Market (or Market Beta): the return of SPY. A "
        "style: its return beside what the market brings it, so 0.2 is 20 % better than that; a style with 0 is held "
        "there, one that is not named moves with those that are",
        examples=[{"Market": -0.1, "Value": 0.2}],
        json_schema_extra={"not": {"required": ["Market", "Market Beta"]}},
    )
    rates_bp: RatesChange | None = Field(
        None, description="Change of yields in basis points, -400 to 400; null: no shock of rates", examples=[100]
    )

    @model_validator(mode="after")
    def _something_once(self) -> Self:
        if not self.shocks and self.rates_bp is None:
            raise ValueError("needs at least one shock, in shocks or rates_bp")
        if "Market" in self.shocks and "Market Beta" in self.shocks:
            raise ValueError("Market and Market Beta are the same factor: give one of them")
        return self


class CustomScenario(ShockSet):
    """A scenario of the caller's own: one to seven shocks of returns, a change of yields, or both."""

    name: Label = Field("Custom", description="Name that the answer repeats", examples=["Summer of 2022"])


class ScenarioEntry(ShockSet):
    """A scenario in a file of scenarios."""

    id: str = Field(description="Identifier", pattern=r"^[a-z][a-z0-9_]{0,63}$", examples=["market_down_10"])
    name: Label = Field(description="Name for people", examples=["Market down 10 %"])
    category: Category = Field("custom", description="Group it belongs to", examples=["market"])


class StressEffect(Model):
    """What the move of one factor does to the portfolio."""

    factor: str = Field(description="Canonical factor name", examples=["Market Beta"])
    shock: float | None = Field(
        description="Return, dimensionless: of SPY for Market Beta; of TLT for IR Beta, less what a shock of the "
        "market brings it; beside the market for a style. Null when it is not known",
        examples=[-0.1],
    )
    source: Literal["given", "implied"] = Field(
        description="given: the scenario names it; implied: expected of the style given those that are named",
        examples=["given"],
    )
    dollars: Money | None = Field(description="Sum of market value x sensitivity x shock, USD")


class ScenarioImpact(Model):
    """What a scenario does to the portfolio."""

    id: str = Field(description="Identifier of the scenario; custom for the caller's own", examples=["market_down_10"])
    name: str = Field(description="Its name", examples=["Market down 10 %"])
    category: Category = Field(description="Group it belongs to", examples=["market"])
    severity: Severity = Field(
        description="By the largest of its shocks, that of rates as the return of TLT: mild below 10 %, moderate below "
        "20 %, severe below 35 %, else extreme",
        examples=["moderate"],
    )
    rates_bp: float | None = Field(description="Change of yields, basis points; null without one", examples=[None])
    correlated: Money | None = Field(
        description="P&L with the styles that are not shocked moving as expected given those that are, USD: the "
        "number to look at"
    )
    direct: Money | None = Field(description="P&L of the shocked factors alone, USD")
    share_of_equity: float | None = Field(
        description="correlated / equity, dimensionless; null as ratios_reason says", examples=[-0.107]
    )
    is_beyond_equity: bool | None = Field(
        description="Whether the correlated loss is larger than the equity; null without either", examples=[False]
    )
    reason: Literal["no_sensitivities", "no_covariance"] | None = Field(
        description="Why there are no numbers, or no correlated one: no position has all eight betas; there is no "
        "covariance of the factor funds, which this scenario needs",
        examples=[None],
    )
    effects: list[StressEffect] = Field(
        description="By factor that is shocked or moves with those; together with floored_dollars they sum to "
        "correlated"
    )
    floored_dollars: Money | None = Field(
        description="What is added because no symbol loses more than its value, USD; negative for short positions"
    )
    floored_count: int = Field(description="How many symbols that concerns", examples=[0])
    floored_symbols: list[str] = Field(description="Which ones, by name", examples=[[]])


class StressTest(Model):
    """What the scenarios do to a portfolio, by the published betas of its PUBLIC positions."""

    scenarios: list[ScenarioImpact] = Field(description="One per scenario, in the order of the scenario file")
    duration: float = Field(description="Duration of TLT, years", examples=[16.5])
    convexity: float = Field(description="Convexity of TLT, years squared", examples=[370.0])
    covariance_session: date | None = Field(
        description="Session of the covariance of the factor funds; null when there is none within 5 sessions",
        examples=["2025-07-31"],
    )
