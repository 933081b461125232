"""What the API sends of exposures position by position, and of exposures night by night."""

from datetime import date
from typing import Literal

from pydantic import Field

from sigmasight_api.schemas import FactorExposure, Model, Money


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


class RecordedExposure(FactorExposure):
    """Exposure of a portfolio to one factor at a past session."""

    coverage: float | None = Field(
        description="Share of |market value| of PUBLIC positions with the beta, dimensionless", examples=[0.998]
    )


class RecordedExposures(Model):
    """What was recorded after a session's snapshot."""

    session: date = Field(description="Session", examples=["2025-07-31"])
    generation: int = Field(description="Generation that published the record", examples=[128])
    factors: list[RecordedExposure] = Field(description="One per factor; numbers are null where nothing was known")
