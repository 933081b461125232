"""What the API says of tracked symbols in lists, and of their bars."""

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from sigmasight_api.schemas import Model, Price

AssetType = Literal["equity", "etf", "option"]
TrackingStatus = Literal["pending", "active", "delisted", "error"]


class TrackedSymbol(Model):
    """A symbol that the market source is asked for."""

    symbol: str = Field(description="Ticker", examples=["BRK-B"])
    name: str = Field(description="Name of the company or fund", examples=["Berkshire Hathaway Inc."])
    asset_type: AssetType = Field(description="equity, etf or option", examples=["equity"])
    status: TrackingStatus = Field(
        description="pending: no price yet; active; delisted: trades no more; error: the source refuses it",
        examples=["active"],
    )
    status_reason: str | None = Field(description="Why it is delisted or in error", examples=[None])
    sector: str | None = Field(description="GICS sector; null for funds and options", examples=["Financials"])
    industry: str | None = Field(description="GICS sub-industry; null for funds and options")
    first_trade_date: date | None = Field(description="First session with a price", examples=["2015-01-02"])
    last_price_date: date | None = Field(description="Newest session with a price", examples=["2025-07-31"])
    last_factor_date: date | None = Field(description="Newest session with published exposures")


class Bar(Model):
    """A daily bar as the market source stated it, in the share units after the newest known split."""

    session: date = Field(description="Session", examples=["2025-07-31"])
    open: Price = Field(description="Open, USD, split-adjusted")
    high: Price = Field(description="High, USD, split-adjusted")
    low: Price = Field(description="Low, USD, split-adjusted")
    close: Price = Field(description="Close, USD, split-adjusted, not dividend-adjusted")
    adj_close: float = Field(description="Total-return close, USD, adjusted for splits and dividends", examples=[186.9])
    volume: int = Field(description="Shares traded", examples=[41250000])
    source: str = Field(description="Market source that sent the bar", examples=["yahoo"])
    fetched_at: datetime = Field(description="When the bar was stored, UTC", examples=["2025-08-01T01:00:04Z"])
