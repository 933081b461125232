"""What the API sends of factor exposures: of a portfolio, position by position, and night by night."""

from datetime import date
from typing import Literal

from pydantic import Field

from sigmasight_api.factor_schemas import Collinearity
from sigmasight_api.schemas import Model, Money

StdErrReason = Literal["ridge", "no_exposure", "short_history"]


class ExposureNumbers(Model):
    """Exposure of a portfolio to one factor, now or as it was recorded."""

    name: str = Field(description="Canonical factor name", examples=["Market Beta"])
    exposure: float | None = Field(
        description="Sum of signed market value / equity x beta, dimensionless", examples=[1.07]
    )
    dollars: Money | None = Field(description="Sum of signed market value x beta, USD")
    per_invested: float | None = Field(
        description="dollars / sum of |market value| with the beta, dimensionless", examples=[1.02]
    )
    coverage: float | None = Field(
        description="Share of |market value| of PUBLIC positions with the beta, dimensionless; null without any value",
        examples=[0.998],
    )


class FactorExposure(ExposureNumbers):
    """Exposure of a portfolio as it is now to one factor, and how well it is known."""

    std_err: float | None = Field(
        description="Standard error of the exposure, dimensionless: the betas' own, as correlated as the residuals of "
        "their symbols; the weights are taken as known",
        examples=[0.03],
    )
    std_err_reason: StdErrReason | None = Field(
        description="Why there is none. ridge: the joint regression of this factor gives betas without standard "
        "errors; no_exposure: exposure is null; short_history: a position with the beta now has too few stored returns "
        "to tell how its error moves with those of the others",
        examples=[None],
    )


class ProviderBeta(Model):
    """Exposure of a portfolio to the market by the vendor's own betas instead of ours."""

    exposure: float | None = Field(
        description="Sum of signed market value / equity x the vendor's beta, dimensionless", examples=[1.05]
    )
    dollars: Money | None = Field(description="Sum of signed market value x the vendor's beta, USD")
    coverage: float | None = Field(
        description="Share of |market value| of PUBLIC positions with such a beta; null without any value",
        examples=[0.97],
    )
    reason: Literal["no_price", "no_provider_beta"] | None = Field(
        description="Why nothing is known: no position has a close, or none has a vendor's beta", examples=[None]
    )


class FactorExposures(Model):
    """Exposures to the twelve factors, in their canonical order, and the vendor's view of the first of them."""

    factors: list[FactorExposure] = Field(description="One per factor; numbers are null where nothing is known")
    provider_beta: ProviderBeta = Field(description="To compare with Market Beta; published with the closes")
    collinearity: Collinearity = Field(
        description="How far the funds of the six ridge factors repeat each other: exposures to single ones of "
        "them are to be read with it"
    )


class PositionFactor(Model):
    """What one position adds to the exposure to one factor."""

    name: str = Field(description="Canonical factor name", examples=["Market Beta"])
    beta: float | None = Field(description="Slope of the symbol, dimensionless, within +-5", examples=[1.21])
    std_err: float | None = Field(
        description="Standard error of the slope, dimensionless; null for the six ridge slopes, which have none",
        examples=[0.04],
    )
    quality: Literal["full", "limited", "suspect"] | None = Field(description="How much it rests on", examples=["full"])
    session: date | None = Field(description="Session the slope is as of", examples=["2025-07-31"])
    exposure: float | None = Field(description="weight x beta, dimensionless", examples=[0.06])
    dollars: Money | None = Field(description="market_value x beta, USD")
    reason: str | None = Field(description="Why there is no slope, as of excluded symbols", examples=[None])


class PositionExposures(Model):
    """One symbol that is held as PUBLIC, its lots summed."""

    symbol: str = Field(description="Ticker", examples=["AAPL"])
    market_value: Money = Field(description="Signed value, USD; negative is short")
    weight: float | None = Field(
        description="market_value / equity, dimensionless; null as ratios_reason says", examples=[0.05]
    )
    factors: list[PositionFactor] = Field(description="One per factor, in their canonical order")


class PositionsExposures(Model):
    """Exposures position by position: over all of them they add up to those of the portfolio."""

    positions: list[PositionExposures] = Field(
        description="The part that was asked for with limit and offset, largest |market_value| first"
    )
    total: int = Field(description="How many there are in all", examples=[50])


class RecordedExposure(ExposureNumbers):
    """Exposure of a portfolio to one factor at a past session."""


class RecordedExposures(Model):
    """What was recorded after a session's snapshot."""

    session: date = Field(description="Session", examples=["2025-07-31"])
    generation: int = Field(description="Generation that published the record", examples=[128])
    factors: list[RecordedExposure] = Field(description="One per factor; numbers are null where nothing was known")
